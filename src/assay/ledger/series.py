"""The history of a metric and its latest value.

The latest value is the one with the greatest (step, moment, value), as in MLflow; there
not-a-number counts as 0, and between it and a real 0 it wins, so that the order in which points
arrive never matters.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from assay.ledger.writer import Metric

_Point = tuple[int, int, float, bool]  # step, at, value, is_nan


def add(connection: Connection, run: str, metrics: Sequence[Metric]) -> None:
    """Write points of a run, in a transaction of the caller that has claimed the run.

    Two statements, whatever the number of points: the latest value of each key, where it is later
    than what is there, and the points.
    """
    if not metrics:
        return
    points = [(metric.key, _point(metric)) for metric in metrics]
    latest: dict[str, _Point] = {}
    for key, point in points:
        known = latest.get(key)
        if known is None or point > known:
            latest[key] = point
    rows = [(run, key, *latest[key]) for key in sorted(latest)]  # no two writers cross
    spelled = _spelled(connection.dialect.name)
    connection.exec_driver_sql(spelled[0], rows)
    connection.exec_driver_sql(spelled[1], [(*point, run, key) for key, point in points])


def value(stored: float, *, is_nan: bool) -> float:
    """Return the number that a row stands for."""
    return math.nan if is_nan else stored


def _point(metric: Metric) -> _Point:
    is_nan = math.isnan(metric.value)
    return metric.step, metric.at, 0.0 if is_nan else float(metric.value), is_nan


_PUT_LATEST = (
    "INSERT INTO latest_metric (run_id, key, step, at, value, is_nan) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (run_id, key) DO UPDATE SET step = excluded.step, at = excluded.at, "
    "value = excluded.value, is_nan = excluded.is_nan "
    "WHERE (excluded.step, excluded.at, excluded.value, excluded.is_nan) > "
    "(latest_metric.step, latest_metric.at, latest_metric.value, latest_metric.is_nan)"
)
_PUT_POINTS = (
    "INSERT INTO metric (series_id, step, at, value, is_nan) SELECT id, ?, ?, ?, ? "
    "FROM latest_metric WHERE run_id = ? AND key = ? ON CONFLICT DO NOTHING"
)


@functools.cache
def _spelled(dialect: str) -> tuple[str, str]:
    """Return how the latest value and a point are written, in the words of a driver.

    A batch of a thousand points is quicker so than through statements that bind names.
    """
    mark = "%s" if dialect == "postgresql" else "?"
    return _PUT_LATEST.replace("?", mark), _PUT_POINTS.replace("?", mark)

"""The history of a metric and its latest value.

The latest value is the one with the greatest (step, moment, value), as in MLflow; there
not-a-number counts as 0, and between it and a real 0 it wins, so that the order in which points
arrive never matters.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Connection, TextClause

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
    put_latest, put_points = _statements()
    rows = [_row(run, key, latest[key]) for key in sorted(latest)]  # no two writers cross
    connection.execute(put_latest, rows)
    if len(points) > len(latest):
        rows = [_row(run, key, point) for key, point in points]
    connection.execute(put_points, rows)


def value(stored: float, *, is_nan: bool) -> float:
    """Return the number that a row stands for."""
    return math.nan if is_nan else stored


def _point(metric: Metric) -> _Point:
    is_nan = math.isnan(metric.value)
    return metric.step, metric.at, 0.0 if is_nan else float(metric.value), is_nan


def _row(run: str, key: str, point: _Point) -> dict[str, Any]:
    step, at, stored, is_nan = point
    return {"run": run, "key": key, "step": step, "at": at, "value": stored, "is_nan": is_nan}


@functools.cache
def _statements() -> tuple[TextClause, TextClause]:
    """Return how the latest value and a point are written; both databases know these words."""
    from sqlalchemy import text

    return text(
        "INSERT INTO latest_metric (run_id, key, value, is_nan, step, at) "
        "VALUES (:run, :key, :value, :is_nan, :step, :at) "
        "ON CONFLICT (run_id, key) DO UPDATE SET value = excluded.value, "
        "is_nan = excluded.is_nan, step = excluded.step, at = excluded.at "
        "WHERE (excluded.step, excluded.at, excluded.value, excluded.is_nan) > "
        "(latest_metric.step, latest_metric.at, latest_metric.value, latest_metric.is_nan)"
    ), text(
        "INSERT INTO metric (series_id, step, at, value, is_nan) "
        "SELECT id, :step, :at, :value, :is_nan FROM latest_metric "
        "WHERE run_id = :run AND key = :key ON CONFLICT DO NOTHING"
    )

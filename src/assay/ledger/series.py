"""The history of a metric and its latest value.

The latest value is the one with the greatest (step, moment, value), as in MLflow; there
not-a-number counts as 0, and between it and a real 0 it wins, so that the order in which points
arrive never matters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from assay.ledger import tables
from assay.ledger.rows import insert

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from assay.ledger.writer import Metric

_Point = tuple[int, int, float, bool]  # step, at, value, is_nan
_COLUMNS = ("step", "at", "value", "is_nan")


def add(connection: Connection, run: str, metrics: Sequence[Metric]) -> None:
    """Write points of a run, in a transaction of the caller that has claimed the run."""
    points = [(metric.key, _point(metric)) for metric in metrics]
    latest: dict[str, _Point] = {}
    for key, point in points:
        latest[key] = max(latest.get(key, point), point)
    ids = _put_latest(connection, run, latest)
    rows = [{"series_id": ids[key], **_row(point)} for key, point in points]
    if rows:
        connection.execute(insert(connection, tables.metric).on_conflict_do_nothing(), rows)


def value(stored: float, *, is_nan: bool) -> float:
    """Return the number that a row stands for."""
    return math.nan if is_nan else stored


def _point(metric: Metric) -> _Point:
    is_nan = math.isnan(metric.value)
    return metric.step, metric.at, 0.0 if is_nan else float(metric.value), is_nan


def _row(point: _Point) -> dict[str, Any]:
    return dict(zip(_COLUMNS, point, strict=True))


def _put_latest(connection: Connection, run: str, latest: dict[str, _Point]) -> dict[str, int]:
    """Write the latest value of each key where it is later than what is there; return the ids."""
    table = tables.latest_metric
    of_run = table.select().where(table.c.run_id == run)
    there = {row.key: row for row in connection.execute(of_run)}
    new = [
        {"run_id": run, "key": key, **_row(point)}
        for key, point in latest.items()
        if key not in there
    ]
    if new:
        connection.execute(table.insert(), new)
        there = {row.key: row for row in connection.execute(of_run)}
    for key, point in latest.items():
        row = there[key]
        if point > (row.step, row.at, row.value, row.is_nan):
            query = table.update().where(table.c.id == row.id)
            connection.execute(query.values(_row(point)))
    return {key: there[key].id for key in latest}

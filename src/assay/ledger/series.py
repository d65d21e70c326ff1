"""The history of a metric and its latest value.

The latest value is the one with the greatest (step, moment, value), as in MLflow; there
not-a-number counts as 0, and between it and a real 0 it wins, so that the order in which points
arrive never matters.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from assay.ledger.exchange.records import Points
    from assay.ledger.writer import Metric

_AT_ONCE = 20_000  # points of one statement
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
    kept = [(key, latest[key]) for key in sorted(latest)]  # no two writers cross
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_PUT_LATEST_ALL, (run, *_columns(kept)))
        connection.exec_driver_sql(_PUT_POINTS_ALL, (*_columns(points), run))
        return
    connection.exec_driver_sql(_PUT_LATEST, [(run, key, *point) for key, point in kept])
    connection.exec_driver_sql(_PUT_POINTS, [(*point, run, key) for key, point in points])


def put_all(connection: Connection, histories: Mapping[str, Mapping[str, Points]]) -> None:
    """Write histories of runs by run and key, whole: all points, and the latest of each."""
    from assay.ledger import rows, tables

    latest = tables.latest_metric
    there: dict[tuple[str, str], int] = {}
    last: dict[tuple[str, str], dict[str, Any]] = {}
    for run, metrics in histories.items():
        for key, points in metrics.items():
            last[run, key] = max(_rows(points), key=lambda row: tuple(row.values()))
    found = [{"run_id": run, "key": key, **row} for (run, key), row in last.items()]
    if found:
        statement = rows.insert(connection, latest)
        changed = {name: statement.excluded[name] for name in ("value", "is_nan", "step", "at")}
        connection.execute(
            statement.on_conflict_do_update(index_elements=["run_id", "key"], set_=changed), found
        )
    for ids in rows.chunks([*histories]):
        for row in connection.execute(latest.select().where(latest.c.run_id.in_(ids))):
            there[row.run_id, row.key] = row.id
    rest = (
        {"series_id": series, **row}
        for (run, key), series in there.items()
        if key in histories[run]
        for row in _rows(histories[run][key])
    )
    while some := list(itertools.islice(rest, _AT_ONCE)):
        statement = rows.insert(connection, tables.metric).on_conflict_do_nothing()
        connection.execute(statement, some)


def value(stored: float, *, is_nan: bool) -> float:
    """Return the number that a row stands for."""
    return math.nan if is_nan else stored


def stored(value: float) -> dict[str, Any]:
    """Return how a row keeps a number."""
    is_nan = math.isnan(value)
    return {"value": 0.0 if is_nan else value, "is_nan": is_nan}


def _rows(points: Points) -> Iterator[dict[str, Any]]:
    from assay.ledger.exchange.records import number

    columns = zip(points.steps, points.ats, points.values, strict=True)
    return ({"step": step, "at": at, **stored(number(value))} for step, at, value in columns)


def _point(metric: Metric) -> _Point:
    is_nan = math.isnan(metric.value)
    return metric.step, metric.at, 0.0 if is_nan else float(metric.value), is_nan


def _columns(points: Sequence[tuple[str, _Point]]) -> list[list[object]]:
    """Return points as keys, steps, moments, values and marks."""
    return [list(column) for column in zip(*((key, *point) for key, point in points), strict=True)]


_IF_LATER = (
    "ON CONFLICT (run_id, key) DO UPDATE SET step = excluded.step, at = excluded.at, "
    "value = excluded.value, is_nan = excluded.is_nan "
    "WHERE (excluded.step, excluded.at, excluded.value, excluded.is_nan) > "
    "(latest_metric.step, latest_metric.at, latest_metric.value, latest_metric.is_nan)"
)
_INTO_LATEST = "INSERT INTO latest_metric (run_id, key, step, at, value, is_nan)"
_INTO_METRIC = "INSERT INTO metric (series_id, step, at, value, is_nan)"
_ONCE = "ON CONFLICT DO NOTHING"

# as the drivers have them: statements with names to bind take twice as long for a thousand points
_PUT_LATEST = f"{_INTO_LATEST} VALUES (?, ?, ?, ?, ?, ?) {_IF_LATER}"
_OF_KEY = "SELECT id, ?, ?, ?, ? FROM latest_metric WHERE run_id = ? AND key = ?"
_PUT_POINTS = f"{_INTO_METRIC} {_OF_KEY} {_ONCE}"

# PostgreSQL is asked over a wire: one statement for all points
_POINTS = (
    "unnest(%s::text[], %s::bigint[], %s::bigint[], %s::double precision[], %s::boolean[]) "
    "AS point (key, step, at, value, is_nan)"
)
_OF_RUN = "SELECT %s, point.* FROM"
_PUT_LATEST_ALL = f"{_INTO_LATEST} {_OF_RUN} {_POINTS} {_IF_LATER}"
_OF_POINT = "SELECT latest_metric.id, point.step, point.at, point.value, point.is_nan FROM"
_OF_KEYS = "JOIN latest_metric ON latest_metric.run_id = %s AND latest_metric.key = point.key"
_PUT_POINTS_ALL = f"{_INTO_METRIC} {_OF_POINT} {_POINTS} {_OF_KEYS} {_ONCE}"

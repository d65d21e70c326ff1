"""The checks of a whole table: number of rows, freshness, which columns it has, its key."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from assay.data import schema as schemas
from assay.data.anomalies import Anomaly, Example
from assay.data.columns import Column
from assay.data.probes import Probe
from assay.data.profile import Profile
from assay.data.read import Table
from assay.data.times import microseconds
from assay.project.declaration import ColumnSchema, TableSchema, seconds

_DAY = 86_400


def size(schema: TableSchema, *, n_rows: int) -> list[Anomaly]:
    """Check the number of rows; without a minimum, one row is expected."""
    least = 1 if schema.min_examples_count is None else schema.min_examples_count
    most = schema.max_examples_count
    if n_rows < least:
        return [
            Anomaly(
                type="DATASET_LOW_NUM_EXAMPLES",
                column=None,
                short_description="Low num examples in dataset.",
                description=f"The dataset has {n_rows} examples, which is fewer than expected:"
                f" at least {least}.",
                edit={"min_examples_count": n_rows},
            )
        ]
    if most is not None and n_rows > most:
        return [
            Anomaly(
                type="DATASET_HIGH_NUM_EXAMPLES",
                column=None,
                short_description="High num examples in dataset.",
                description=f"The dataset has {n_rows} examples, which is more than expected:"
                f" at most {most}.",
                edit={"max_examples_count": n_rows},
            )
        ]
    return []


def freshness(
    schema: TableSchema, profile: Profile, *, time: str | None, now: int | None
) -> list[Anomaly]:
    """Check how old the newest row is; what stands in the way of knowing is an anomaly too."""
    if schema.freshness is None:
        return []
    column = None if time is None else profile.column(time)
    times = None if column is None else column.times
    newest = None if times is None or times.max is None else microseconds(times.max)
    if now is None or newest is None or times is None:
        reason = "no moment to compare with was given"
        if time is None:
            reason = "the table declares no time column"
        elif newest is None:
            reason = f"the column '{time}' has no times"
        return [
            Anomaly(
                type="STATS_NOT_AVAILABLE",
                column=time,
                short_description="Freshness is not known",
                description=f"The freshness of the rows cannot be checked: {reason}.",
                edit={"freshness": None},
            )
        ]
    age = (now - newest) / 1e6
    if age <= seconds(schema.freshness):
        return []
    return [
        Anomaly(
            type="DATASET_NOT_FRESH",
            column=time,
            short_description="Old data",
            description=f"The newest row is {_duration(age)} old, expected at most"
            f" {schema.freshness}.",
            examples=(Example(value=times.max),),
            edit={"freshness": _duration(age)},
        )
    ]


def key(
    profile: Profile, names: Sequence[str], schema: TableSchema, table: Callable[[], Table]
) -> list[Anomaly]:
    """Check that the key columns are there, and that no two rows share their values."""
    lacking = [name for name in names if profile.column(name) is None]
    if lacking:
        return [
            Anomaly(
                type="SCHEMA_MISSING_COLUMN",
                column=name,
                short_description="Column dropped",
                description="The key column is completely missing",
                edit={"data": {"key": [kept for kept in names if kept not in lacking]}},
            )
            for name in lacking
            if name not in schema.columns
        ]
    if not names or (len(names) == 1 and _is_unique(profile, names[0])):
        return []
    found = Probe(table()).repeated(names, with_missing=True)
    if not found.n:
        return []
    return [
        Anomaly(
            type="KEY_NOT_UNIQUE",
            column=", ".join(names),
            short_description="Duplicates of the key",
            description=f"{found.n} rows repeat the key of another row.",
            n_rows=found.n,
            examples=found.examples,
            edit={"data": {"key": []}},
        )
    ]


def absent(name: str, expected: ColumnSchema, *, now: str | None = None) -> list[Anomaly]:
    """Check a column that is not in the table; `now` is what it seems to be called by now."""
    if not schemas.is_required(expected):
        return []
    edit: dict[str, Any] = {"presence": {"min_fraction": 0, "min_count": 0}}
    return [
        Anomaly(
            type="SCHEMA_MISSING_COLUMN",
            column=name,
            short_description="Column dropped",
            description="Column is completely missing"
            + ("" if now is None else f": renamed to '{now}'?"),
            edit={"columns": {name: edit if now is None else None}},
        )
    ]


def new(column: Column, *, before: str | None = None) -> Anomaly:
    """Return the anomaly of a column that the schema does not have.

    `before` is what it seems to have been called, where nothing else says so.
    """
    return Anomaly(
        type="SCHEMA_NEW_COLUMN",
        column=column.name,
        short_description="New column",
        description="New column (column in data but not in schema)"
        + ("" if before is None else f": '{before}', renamed?"),
        n_rows=column.n_present,
        edit={"columns": {column.name: schemas.plain(schemas.accepting(column))}},
    )


def _is_unique(profile: Profile, name: str) -> bool:
    column = profile.column(name)
    return (
        column is not None
        and column.distinct is not None
        and column.distinct.exact
        and column.distinct.count == column.n_rows
    )


def _duration(age: float) -> str:
    """Return seconds as a duration of the declaration that is not shorter.

    Examples
    --------
    >>> _duration(5.2), _duration(86_401)
    ('6s', '2d')
    """
    if age < 2 * 3600:
        return f"{math.ceil(age)}s"
    return f"{math.ceil(age / 3600)}h" if age < _DAY else f"{math.ceil(age / _DAY)}d"

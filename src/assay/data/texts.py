# ruff: noqa: S608 -- names in the SQL of this file are quoted, values are parameters
"""The statistics of categories and free text: the most frequent values, lengths, blanks.

Values are counted exactly, by one GROUP BY a column. What leaves the table are at most as many
values as a sketch of frequent items holds; of free text only values that occur at least twice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from assay.data import sketches
from assay.data.cells import N_CATEGORIES, Cells
from assay.data.distinct import Distinct
from assay.data.infer import Inferred, parsed
from assay.data.read import BATCH, Table, TableColumn
from assay.data.sketches import FREQUENT_CAPACITY, DistinctCounter, Sketch

N_TOP = 20
LONGEST = 200  # characters of a value that may be listed; longer ones stay in the table


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A value and the number of rows that have it."""

    value: str
    count: int


class Texts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Statistics of a column of categories or of free text."""

    n: int
    n_characters: int
    length_min: int | None = None
    length_mean: float | None = None
    length_max: int | None = None
    n_empty: int = 0
    n_blank: int = 0  # white space only
    n_padded: int = 0  # white space at the start or end of something else
    n_integer: int = 0  # parse as an integer, ...
    n_number: int = 0
    n_time: int = 0
    entropy: float | None = None  # in bits; None where values are not all known after a merge
    top: tuple[Item, ...] = ()
    top_exact: bool = True  # False: the counts are a sketch's estimates
    unlisted_max: int = 0  # no value that is not in the sketch has more rows than this
    sketch: Sketch | None = None


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What was found about one column of texts."""

    texts: Texts
    cells: Cells
    distinct: Distinct


def measure(
    table: Table, columns: Sequence[TableColumn], *, on: Mapping[str, Cells]
) -> list[Measured]:
    """Return the statistics of columns of the types category and text."""
    groups: list[list[tuple[Any, ...]]] = []
    words: list[DistinctCounter] = []
    for start in range(0, len(columns), BATCH):
        batch = columns[start : start + BATCH]
        groups += _groups(table, batch, on)
        words += _words(table, batch)
    return [
        _assemble(table, column, rows, counter=counter, on=on.get(column.name))
        for column, rows, counter in zip(columns, groups, words, strict=True)
    ]


def _shape() -> str:
    """Return the SQL of sum n log2 n and of counts of rows, from values `v` with `n` rows."""
    space = "' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13) || chr(160)"
    is_blank, is_padded = f"trim(v, {space}) = ''", f"trim(v, {space}) <> v"
    plain = Inferred(type="text", rule="")
    conditions = [
        "v = ''",
        f"v <> '' AND {is_blank}",
        f"NOT ({is_blank}) AND {is_padded}",
        *(
            f"({parsed('v', plain.replaced(kind, ''))}) IS NOT NULL"
            for kind in ("integer", "float", "time")
        ),
    ]
    terms = ["sum(n)", "sum(n * length(v))", "min(length(v))", "max(length(v))"]
    terms += [f"sum(n) FILTER ({condition})" for condition in conditions]
    counts = ", ".join(f"coalesce({term}, 0)::BIGINT" for term in terms)
    return f"sum(n * log2(n)) AS x, [{counts}] AS s"


def _groups(
    table: Table, columns: Sequence[TableColumn], on: Mapping[str, Cells]
) -> list[list[tuple[Any, ...]]]:
    """Return rows (column, kind, n, value, number, counts) about the values of each column.

    The kinds: 0 the number of distinct values, with what `_shape` asks for; 1 the largest count
    of a value that is too long to list; 2 the most frequent values; 3 those of the given cells.
    """
    counted, selected, parameters = [], [], list[Any]()
    shape = _shape()
    for at, column in enumerate(columns):
        group = f"g{at}"
        counted.append(
            f"{group} AS MATERIALIZED (SELECT {column.ref}::VARCHAR AS v, count(*) AS n FROM t"
            f" WHERE {column.ref} IS NOT NULL GROUP BY 1)"
        )
        short = f"n >= {_least(column)} AND length(v) <= {LONGEST}"
        most = f"ORDER BY n DESC, v LIMIT {FREQUENT_CAPACITY + 1}"
        selected += [
            f"SELECT {at} AS c, 0 AS k, count(*) AS n, NULL AS v, {shape} FROM {group}",
            f"SELECT {at}, 1, max(n), NULL, 0, NULL FROM {group} WHERE length(v) > {LONGEST}",
            f"(SELECT {at}, 2, n, v, 0, NULL FROM {group} WHERE {short} {most})",
        ]
        if column.name in on and on[column.name].values:
            selected.append(
                f"SELECT {at}, 3, n, v, 0, NULL FROM {group} WHERE list_contains(?, v)"
            )
            parameters.append([str(value) for value in on[column.name].values])
    sql = f"WITH {', '.join(counted)} {' UNION ALL '.join(selected)}"
    rows: list[list[tuple[Any, ...]]] = [[] for _ in columns]
    for row in table.execute(sql, parameters or None).fetchall():
        rows[row[0]].append(row)
    return [
        sorted(group, key=lambda row: (row[1], -(row[2] or 0), row[3] or "")) for group in rows
    ]


def _least(column: TableColumn) -> int:
    return 2 if column.type == "text" else 1


def _words(table: Table, columns: Sequence[TableColumn]) -> list[DistinctCounter]:
    """Return the distinct values as 64-bit words: the lower half of their MD5."""
    import numpy as np

    counters = [DistinctCounter() for _ in columns]
    parts = [
        f"SELECT {at}::INTEGER AS c, md5_number_lower(v) AS w FROM"
        f" (SELECT DISTINCT {column.ref}::VARCHAR AS v FROM t WHERE {column.ref} IS NOT NULL)"
        for at, column in enumerate(columns)
    ]
    found = table.execute(" UNION ALL ".join(parts)).fetchnumpy()
    place, words = np.asarray(found["c"]), np.asarray(found["w"], np.uint64)
    order = np.argsort(place, kind="stable")
    ends = np.searchsorted(place[order], np.arange(len(columns) + 1))
    for at, counter in enumerate(counters):
        counter.add(words[order[ends[at] : ends[at + 1]]])
    return counters


def _assemble(
    table: Table,
    column: TableColumn,
    rows: Sequence[tuple[Any, ...]],
    *,
    counter: DistinctCounter,
    on: Cells | None,
) -> Measured:
    n, n_characters, shortest, longest, *counts = rows[0][5]
    n_empty, n_blank, n_padded, n_integer, n_number, n_time = counts
    n_distinct = rows[0][2]
    items = [Item(value=row[3], count=row[2]) for row in rows if row[1] == 2]
    listed = items[:FREQUENT_CAPACITY]
    unlisted = 0
    if len(listed) < n_distinct:
        too_long = max((row[2] or 0 for row in rows if row[1] == 1), default=0)
        following = items[FREQUENT_CAPACITY].count if len(items) > FREQUENT_CAPACITY else 0
        unlisted = max(too_long, following, _least(column) - 1)
    return Measured(
        texts=Texts(
            n=n,
            n_characters=n_characters,
            length_min=shortest if n else None,
            length_mean=n_characters / n if n else None,
            length_max=longest if n else None,
            n_empty=n_empty,
            n_blank=n_blank,
            n_padded=n_padded,
            n_integer=n_integer,
            n_number=n_number,
            n_time=n_time,
            entropy=max(math.log2(n) - rows[0][4] / n, 0.0) if n else None,
            top=tuple(items[:N_TOP]),
            unlisted_max=unlisted,
            sketch=sketches.frequent((item.value, item.count) for item in listed),
        ),
        cells=_cells(table, column, items, rows, n=n, on=on),
        distinct=Distinct(count=n_distinct, exact=True, sketch=counter.sketch()),
    )


def _cells(
    table: Table,
    column: TableColumn,
    items: Sequence[Item],
    rows: Sequence[tuple[Any, ...]],
    *,
    n: int,
    on: Cells | None,
) -> Cells:
    if on is None:
        values = tuple(item.value for item in items[:N_CATEGORIES])
        at = tuple(item.count for item in items[:N_CATEGORIES])
    else:
        values = tuple(str(value) for value in on.values)
        count = {row[3]: row[2] for row in rows if row[1] == 3}
        at = tuple(count.get(value, 0) for value in values)
    return Cells(
        values=values,
        at=at,
        other=n - sum(at),
        invalid=column.n_invalid,
        missing=table.n_rows - column.n_present,
    )


def merge(a: Texts, b: Texts) -> tuple[Texts, int | None]:
    """Return the statistics of both columns together, and the distinct values if all are known."""
    sketch = sketches.merge_frequent(a.sketch, b.sketch) if a.sketch and b.sketch else None
    pairs, exact = sketches.frequent_items(sketch) if sketch else ([], False)
    n, n_characters = a.n + b.n, a.n_characters + b.n_characters
    known_all = exact and not a.unlisted_max and not b.unlisted_max
    entropy = None
    if known_all and n:
        entropy = max(math.log2(n) - sum(c * math.log2(c) for _, c in pairs) / n, 0.0)
    both = Texts(
        n=n,
        n_characters=n_characters,
        length_min=min((x for x in (a.length_min, b.length_min) if x is not None), default=None),
        length_mean=n_characters / n if n else None,
        length_max=max((x for x in (a.length_max, b.length_max) if x is not None), default=None),
        n_empty=a.n_empty + b.n_empty,
        n_blank=a.n_blank + b.n_blank,
        n_padded=a.n_padded + b.n_padded,
        n_integer=a.n_integer + b.n_integer,
        n_number=a.n_number + b.n_number,
        n_time=a.n_time + b.n_time,
        entropy=entropy,
        top=tuple(Item(value=value, count=count) for value, count in pairs[:N_TOP]),
        top_exact=known_all,
        unlisted_max=a.unlisted_max + b.unlisted_max,
        sketch=sketch,
    )
    return both, len(pairs) if known_all else None

# ruff: noqa: S608 -- names and literals in the SQL of this file are quoted
"""Questions to the rows of an open table: how many fulfil a condition, and which come first."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from assay.data.anomalies import N_EXAMPLES, Example
from assay.data.read import Table

Condition = Callable[[str], str]
"""Makes the SQL of a condition from the quoted name of a column."""


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows fulfil a condition, and the first of them."""

    n: int
    examples: tuple[Example, ...] = ()


class Repeated(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows repeat another one in some columns, and the first of them."""

    n: int
    n_distinct: int
    examples: tuple[Example, ...] = ()


class Probe:
    """Asks about the rows of one table."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._refs = {column.name: column.ref for column in table.columns}

    def count(self, conditions: Sequence[tuple[str, Condition]]) -> list[Hit]:
        """Answer conditions on one column each, by one query for all of them."""
        terms = []
        for name, condition in conditions:
            ref = self._refs[name]
            where = f"FILTER ({condition(ref)})"
            text = f"coalesce({ref}::VARCHAR, '')"
            terms.append(
                [
                    f"count(*) {where}",
                    f"min(rowid, {N_EXAMPLES}) {where}",
                    f"arg_min({text}, rowid, {N_EXAMPLES}) {where}",
                    f"arg_min({ref} IS NULL, rowid, {N_EXAMPLES}) {where}",
                ]
            )
        return [
            Hit(
                n=n,
                examples=tuple(
                    Example(value=None if is_null else value, row=row)
                    for row, value, is_null in zip(rows or (), values or (), nulls or (),
                                                   strict=True)
                ),
            )
            for n, rows, values, nulls in self.table.aggregate(terms)
        ]  # fmt: skip

    def values(self, name: str, condition: Condition, *, most: int) -> list[tuple[str, int, int]]:
        """Return the values that fulfil a condition, each with its count and first row.

        The most frequent come first; no more than `most` are returned.
        """
        ref = self._refs[name]
        rows = self.table.execute(
            f"SELECT {ref}::VARCHAR, count(*), min(rowid) FROM t WHERE {condition(ref)}"
            f" GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {most}"
        ).fetchall()
        return [(value, n, row) for value, n, row in rows]

    def repeated(self, names: Sequence[str], *, with_missing: bool) -> Repeated:
        """Return the rows that repeat another one in the named columns."""
        refs = [self._refs[name] for name in names]
        where = "" if with_missing else f"WHERE {' AND '.join(f'{r} IS NOT NULL' for r in refs)}"
        shown = ", ".join(f"coalesce({ref}::VARCHAR, '')" for ref in refs)
        groups = (
            f"SELECT count(*) AS n, min(rowid, 2) AS first, any_value(concat_ws(', ', {shown}))"
            f" AS v FROM t {where} GROUP BY {', '.join(refs)}"
        )
        n, n_distinct, rows, values = self.table.row(
            f"SELECT coalesce(sum(n - 1), 0)::BIGINT, count(*),"
            f" min(first[2], {N_EXAMPLES}) FILTER (n > 1),"
            f" arg_min(v, first[2], {N_EXAMPLES}) FILTER (n > 1) FROM ({groups})"
        )
        return Repeated(
            n=n,
            n_distinct=n_distinct,
            examples=tuple(
                Example(value=value, row=row)
                for row, value in zip(rows or (), values or (), strict=True)
            ),
        )

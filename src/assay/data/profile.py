"""The profile of a table: what is in its columns, in a few kilobytes that merge.

`make` measures a table, `merge` joins the profiles of two, `dump` and `load` are the file format
(docs/reference/profile.md), `facts` is the part that is the same each time the same files are
measured, and so may be hashed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from assay.base.errors import Error
from assay.data import columns, measure, sketches, texts
from assay.data.cells import Cells
from assay.data.columns import Booleans, Column
from assay.data.distinct import Distinct
from assay.data.read import Table, TableColumn, open_table
from assay.data.times import Times

VERSION = 1


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """Statistics of a table."""

    profile: int  # the version of the format
    source: str  # what was measured, for people
    n_rows: int
    n_duplicates: int | None  # rows that repeat another one; None after a merge
    nulls: tuple[str, ...]  # what a CSV file may write for 'missing'
    columns: tuple[Column, ...]

    def column(self, name: str) -> Column | None:
        """Return the column with a name, or None."""
        return next((column for column in self.columns if column.name == name), None)


def make(
    files: Sequence[Path],
    *,
    edges: Profile | None = None,
    source: str = "",
    threads: int | None = None,
) -> Profile:
    """Return the profile of the table that `files` make up.

    Parameters
    ----------
    files : sequence of path
        What `assay.data.read.table_files` gave.
    edges : Profile, optional
        Columns of the same name are read as the type they have there and counted on its cells,
        which makes the two comparable.
    source : str
        What the profile calls the table.
    threads : int, optional
        How many threads may work; all cores where it is not given.

    Raises
    ------
    assay.Error
        If a file cannot be read.
    """
    types = {c.name: c.type for c in edges.columns if c.n_present} if edges else {}
    with open_table(files, threads=threads, types=types) as table:
        return of_table(table, edges=edges, source=source)


def of_table(table: Table, *, edges: Profile | None = None, source: str = "") -> Profile:
    """Return the profile of an open table; `make` says what the parameters mean."""
    given = {c.name: c for c in edges.columns if c.n_present} if edges else {}
    on = {
        column.name: found.cells
        for column in table.columns
        if (found := given.get(column.name)) is not None
        and found.cells is not None
        and found.type == column.type
    }
    measured = {
        **_numeric(table, on),
        **_textual(table, on),
        **_boolean(table),
    }
    return Profile(
        profile=VERSION,
        source=source,
        n_rows=table.n_rows,
        n_duplicates=table.count_duplicates(),
        nulls=table.nulls,
        columns=tuple(
            measured.get(column.name) or _plain(table, column) for column in table.columns
        ),
    )


def dump(profile: Profile) -> bytes:
    """Return the profile as canonical JSON: sorted keys, one line."""
    return msgspec.json.encode(profile, order="sorted") + b"\n"


def load(data: bytes, *, where: str = "") -> Profile:
    """Return the profile that `dump` wrote.

    Raises
    ------
    assay.Error
        If `data` is not a profile, is of another version, or contradicts itself.
    """
    try:
        version = msgspec.json.decode(data, type=_Version).profile
        if version != VERSION:
            raise Error(
                f"the profile has version {version}, expected {VERSION}",
                where=where or None,
                hint="use the version of assay that wrote it, or make the profile again",
            )
        profile = msgspec.json.decode(data, type=Profile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Error(
            f"not a profile: {error}", where=where or None, hint=sketches.REMAKE
        ) from error
    for column in profile.columns:
        columns.check(column, where=f"{where}: column '{column.name}'".removeprefix(": "))
    return profile


def merge(a: Profile, b: Profile) -> Profile:
    """Return the profile of the rows of both tables together.

    Counts, ranges, moments and cells are as of one table; quantiles, the most frequent of many
    texts and distinct values come from the merged sketches, and say so.

    Raises
    ------
    assay.Error
        If the columns, their types or the edges of their cells differ.
    """
    missing = {c.name for c in a.columns} ^ {c.name for c in b.columns}
    if missing:
        raise Error(
            f"the column '{min(missing)}' is in one of the two profiles only",
            where=b.source or None,
            hint="merge profiles of tables with the same columns",
        )
    others = {column.name: column for column in b.columns}
    return Profile(
        profile=VERSION,
        source=a.source if a.source == b.source else f"{a.source} + {b.source}",
        n_rows=a.n_rows + b.n_rows,
        n_duplicates=None,
        nulls=tuple(sorted({*a.nulls, *b.nulls})),
        columns=tuple(columns.merge(column, others[column.name]) for column in a.columns),
    )


def facts(profile: Profile) -> Profile:
    """Return the profile without what may differ when the same files are measured again.

    Gone are the sketches and what was estimated from them, the central sums, and the name of the
    source; statistics are rounded. `dump(facts(profile))` may be hashed.
    """
    return msgspec.structs.replace(
        profile, source="", columns=tuple(columns.facts(column) for column in profile.columns)
    )


class _Version(msgspec.Struct):
    profile: int


def _plain(table: Table, column: TableColumn) -> Column:
    return Column(
        name=column.name,
        type=column.type,
        rule=column.rule,
        physical=column.physical,
        n_present=column.n_present,
        n_missing=table.n_rows - column.n_present,
        n_invalid=column.n_invalid,
        examples=column.examples,
    )


def _numeric(table: Table, on: Mapping[str, Cells]) -> dict[str, Column]:
    chosen = [c for c in table.columns if c.type in {"integer", "float", "time"}]
    result = {}
    for column, found in zip(chosen, measure.measure(table, chosen, on=on), strict=True):
        is_time = column.type == "time"
        result[column.name] = msgspec.structs.replace(
            _plain(table, column),
            distinct=found.distinct,
            numbers=None if is_time else found.numbers,
            times=Times.of(found.numbers, zoned=column.zoned) if is_time else None,
            cells=found.cells,
        )
    return result


def _textual(table: Table, on: Mapping[str, Cells]) -> dict[str, Column]:
    chosen = [c for c in table.columns if c.type in {"category", "text"}]
    return {
        column.name: msgspec.structs.replace(
            _plain(table, column), distinct=found.distinct, texts=found.texts, cells=found.cells
        )
        for column, found in zip(chosen, texts.measure(table, chosen, on=on), strict=True)
    }


def _boolean(table: Table) -> dict[str, Column]:
    chosen = [c for c in table.columns if c.type == "boolean"]
    counts = table.aggregate(
        [[f"count(*) FILTER ({c.ref})", f"count(*) FILTER (NOT {c.ref})"] for c in chosen]
    )
    result = {}
    for column, (n_true, n_false) in zip(chosen, counts, strict=True):
        plain = _plain(table, column)
        result[column.name] = msgspec.structs.replace(
            plain,
            distinct=Distinct(count=(n_true > 0) + (n_false > 0), exact=True),
            booleans=Booleans(n_true=n_true, n_false=n_false),
            cells=Cells(
                values=(False, True),
                at=(n_false, n_true),
                invalid=plain.n_invalid,
                missing=plain.n_missing,
            ),
        )
    return result

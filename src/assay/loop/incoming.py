# ruff: noqa: S608 -- every name and literal in the SQL of this file goes through `quoted`
"""Where new rows for a growing table come from: the log of predictions, or files of others."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from assay.base.errors import Error, NotFound
from assay.data.files import is_parquet, table_files
from assay.data.read import open_table
from assay.loop.fitting import Column, Source, index, kind_of, moment
from assay.project.declaration import FILE
from assay.traffic import feedback
from assay.traffic.log import Log
from assay.traffic.parts import INPUT
from assay.traffic.table import quoted

if TYPE_CHECKING:
    import duckdb

_DAY_MS = 86_400_000


@contextlib.contextmanager
def from_traffic(
    folder: Path,
    columns: Sequence[Column],
    *,
    endpoint: str,
    until_ms: int,
    target: str | None,
    declared: Mapping[str, str],
) -> Iterator[Source]:
    """Read the logged rows that have a truth and an event time before `until_ms`.

    A row has the columns of the request by name, and the truth by the name of the target; by
    `declared` a column of the table is SQL over it. Rows from the future are left out.
    """
    for name in declared:
        index(columns, name, where=f"{FILE}: retrain.data.columns")
    with feedback.joined(folder, endpoint=endpoint) as log:
        _evaluate(log, columns, until_ms=until_ms, target=target, declared=declared)
        n_rows = log.rows("SELECT count(*) FROM evaluated")[0][0]
        yield Source(connection=log.connection, n_rows=n_rows)


def _evaluate(
    log: Log,
    columns: Sequence[Column],
    *,
    until_ms: int,
    target: str | None,
    declared: Mapping[str, str],
) -> None:
    """Make the table `evaluated` of the logged rows."""
    import duckdb

    row = {
        column.name.removeprefix(INPUT): column.ref
        for column in log.columns
        if column.name.startswith(INPUT) and column.name != f"{INPUT}{target}"
    }
    if target is not None:
        row[target] = "target"
    there = ", ".join(f"j.{_name(ref)} AS {_name(name)}" for name, ref in _distinct(row))
    log.connection.execute(
        f"CREATE TABLE logged AS SELECT {there + ', ' if there else ''}"
        'j.prediction_id AS "assay.id", j.event_time AS "assay.time", row_number() OVER'
        """ (ORDER BY j."at", split_part(j.prediction_id, '/', 1), j."row") AS "assay.turn"
        FROM joined j WHERE j.event_time IS NOT NULL"""
        f' AND j.event_time < {until_ms:d} AND j.event_time <= j."at" + {_DAY_MS}'
    )
    names = {name for name, _ in _distinct(row)}
    terms = [
        f"({declared[column.name]}\n)"
        if column.name in declared
        else _name(column.name)
        if column.name in names
        else "NULL"
        for column in columns
    ]
    named = ", ".join(f"{term} AS c{i}" for i, term in enumerate(terms))
    try:
        log.connection.execute(
            f"CREATE TABLE evaluated AS SELECT {named + ', ' if named else ''}"
            "'prediction ' || \"assay.id\" AS origin,"
            ' "assay.time" AS time, "assay.turn" AS turn FROM logged'
        )
    except duckdb.Error as error:
        raise _explain(log.connection, declared, error) from error


@contextlib.contextmanager
def from_files(
    path: Path, columns: Sequence[Column], *, until_ms: int, time: str | None
) -> Iterator[Source | None]:
    """Read a table of new rows, which must have the columns of the growing one; None if empty."""
    files = table_files(path)
    if files is None:
        if path.is_dir() and not any(path.iterdir()):
            yield None
            return
        raise NotFound(
            "there is no table with new rows",
            where=path,
            hint="name a CSV or Parquet file, or a folder of such files with the same columns",
        )
    texts = {} if any(map(is_parquet, files)) else dict.fromkeys([c.name for c in columns], "text")
    with open_table(files, types=texts) as table:  # type: ignore[arg-type]
        refs = {column.name: column.ref for column in table.columns}
        wanted = [column.name for column in columns]
        _refuse_other_columns(refs, wanted, path)
        named = ", ".join(f"{refs[name]} AS c{i}" for i, name in enumerate(wanted))
        table.execute(
            f"CREATE TABLE rows AS SELECT {named},"
            f" {quoted(f'{path.name}: row ')} || (rowid + 1) AS origin,"
            " rowid AS turn FROM t"
        )
        when, condition = "NULL::BIGINT", ""
        if time is not None:
            i = index(columns, time)
            type_ = table.row(f"SELECT typeof(any_value(c{i})) FROM rows")[0]
            when = f"({moment(f'c{i}', type_, kind_of(type_))}) // 1000"
            condition = f" WHERE {when} < {until_ms:d} OR ({when} IS NULL AND c{i} IS NOT NULL)"
        table.execute(f"CREATE TABLE evaluated AS SELECT *, {when} AS time FROM rows{condition}")
        yield Source(
            connection=table.connection, n_rows=table.row("SELECT count(*) FROM evaluated")[0]
        )


def _refuse_other_columns(found: Iterable[str], wanted: Sequence[str], path: Path) -> None:
    """Raise unless new rows have the columns of the table, in any order."""
    there = set(found)
    for name in sorted(there ^ set(wanted)):
        raise Error(
            f"the new rows have other columns than the table: '{name}' is only in "
            + ("them" if name in there else "the table"),
            where=path,
            hint=f"give them the columns {', '.join(wanted[:20])}",
        )


def _explain(
    connection: duckdb.DuckDBPyConnection, declared: Mapping[str, str], error: Exception
) -> Error:
    """Return the error that names the column whose SQL fails."""
    import duckdb

    for name, sql in declared.items():
        try:
            connection.execute(f"SELECT ({sql}\n) FROM logged").fetchall()
        except duckdb.Error as found:
            said = str(found).splitlines()[0]
            return Error(
                f"the SQL of the column fails: {said}",
                where=f"{FILE}: retrain.data.columns.{name}",
                hint="it is an expression over the columns of the request and the target",
            )
    return Error(f"the logged rows cannot be read: {str(error).splitlines()[0]}")


def _distinct(row: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the columns of a row that SQL, which does not look at case, can tell apart."""
    seen: dict[str, tuple[str, str]] = {}
    for name, ref in row.items():
        seen[name.lower()] = (name, ref)  # the target comes last, and counts
    return list(seen.values())


def _name(text: str) -> str:
    return quoted(text, '"')

# ruff: noqa: S608 -- every name and literal in the SQL of this file goes through `quoted`
"""Reading the log: Parquet and spool files as one table, each row of a request once."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec

from assay.base.errors import Error, NotFound, did_you_mean
from assay.traffic import files
from assay.traffic.columns import NOTHING, refs, widen
from assay.traffic.files import Snapshot, SpoolFile
from assay.traffic.framing import scan, seed_of
from assay.traffic.parts import INPUT, OUTPUT, PREDICTION, decoded, prediction_parts
from assay.traffic.record import Record
from assay.traffic.table import Notes, create_table, listed, literal, notes_of, quoted, read_notes

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    from numpy.typing import NDArray


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column of what was read."""

    name: str  # `input.NAME`, `output.NAME`, or one that every row has
    ref: str  # its name in SQL; differs from `name` where two differ only in case
    type: str  # DuckDB's


class Log:
    """Rows that were read, as a view of DuckDB; a context manager.

    Attributes
    ----------
    connection : duckdb.DuckDBPyConnection
        Holds the view; it can read the files of the log and no others.
    view : str
        The name of the view.
    n_torn, n_corrupt : int
        Files that end in the midst of a record; damaged stretches before the end.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, scratch: Path) -> None:
        self.connection = connection
        self.view = "predictions"
        self.columns: tuple[Column, ...] = ()
        self.n_torn = self.n_corrupt = 0
        self._scratch = scratch

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the rows go."""
        self.connection.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return int(self.rows(f"SELECT count(*) FROM {self.view}")[0][0])

    def relation(self) -> duckdb.DuckDBPyRelation:
        """Return the rows as a relation; its columns have the names in SQL."""
        return self.connection.table(self.view)

    def rows(self, sql: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows."""
        return self.connection.execute(sql, parameters).fetchall()

    def column(self, name: str) -> Column:
        """Return a column by its name.

        Raises
        ------
        assay.NotFound
            If there is none of this name; the hint has the nearest one.
        """
        for column in self.columns:
            if column.name == name:
                return column
        hint = did_you_mean(name, [column.name for column in self.columns])
        raise NotFound(f"no column '{name}' was logged", hint=hint)

    def arrays(self, *names: str) -> dict[str, NDArray[Any] | np.ma.MaskedArray[Any, Any]]:
        """Return columns as arrays, masked where values are missing; all, if none is named."""
        wanted = [self.column(name) for name in names] or list(self.columns)
        terms = ", ".join(
            f'{quoted(column.ref, chr(34))} AS "{at}"' for at, column in enumerate(wanted)
        )
        found = self.connection.execute(f"SELECT {terms} FROM {self.view}").fetchnumpy()
        return {column.name: found[str(at)] for at, column in enumerate(wanted)}


def read(
    folder: Path,
    *,
    endpoint: str | None = None,
    start: int | None = None,
    end: int | None = None,
    threads: int | None = None,
) -> Log:
    """Read the rows of requests that came from `start` until before `end` (Unix milliseconds).

    Columns of all versions are joined by name: one that a version lacks is missing there, and
    types are widened.

    Raises
    ------
    assay.Error
        If a column has types that do not go together; names both, and who logged them.
    """
    shot = files.snapshot(folder)
    tables = [
        table for table in shot.tables
        if (start is None or table.last >= start) and (end is None or table.first < end)
    ]  # fmt: skip

    def wanted(record: Record) -> bool:
        if endpoint is not None and record.endpoint != endpoint:
            return False
        return (start is None or record.at >= start) and (end is None or record.at < end)

    log = open_log(threads=threads)
    try:
        notes = read_notes(log.connection, [table.path for table in tables])
        sources = [*_parquet_sources(notes, endpoint), *_spool_sources(log, shot, wanted)]
        log.n_torn += sum(note.n_torn for note in notes.values())
        log.n_corrupt += sum(note.n_corrupt for note in notes.values())
        conditions = [f'"at" >= {start:d}'] if start is not None else []
        conditions += [f'"at" < {end:d}'] if end is not None else []
        where = " AND ".join(conditions)
        log.columns = make_view(log, "predictions", sources, fixed=PREDICTION, where=where)
        _lock(log, folder)
    except BaseException:
        log.close()
        raise
    return log


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Rows with the same columns: where SQL finds them, and what they say about themselves."""

    sql: str
    notes: Notes


def open_log(*, threads: int | None = None) -> Log:
    """Return a log without rows."""
    import duckdb

    scratch = Path(tempfile.mkdtemp(prefix="assay-"))
    config: dict[str, Any] = {
        "temp_directory": str(scratch),
        "autoinstall_known_extensions": False,
    }
    if threads is not None:
        config["threads"] = threads
    log = Log(duckdb.connect(config=config), scratch)
    log.connection.execute("SET enable_progress_bar=false")
    return log


def make_view(
    log: Log, view: str, sources: Sequence[Source], *, fixed: Mapping[str, str], where: str = ""
) -> tuple[Column, ...]:
    """Make a view of all sources and return its columns."""
    types = _unified(sources, fixed)
    columns = tuple(
        Column(name=name, ref=ref, type=type_)
        for (name, type_), ref in zip(types.items(), refs(types), strict=True)
    )
    selects = [_select(columns, source) for source in sources]
    if not selects:
        terms = ", ".join(f"NULL::{one.type} AS {quoted(one.ref, chr(34))}" for one in columns)
        selects = [f"SELECT {terms} WHERE false"]
    rows = " UNION ALL ".join(selects)
    condition = f" WHERE {where}" if where else ""
    log.connection.execute(f"CREATE VIEW {view} AS SELECT * FROM ({rows}){condition}")
    return columns


def grouped(notes: Mapping[Path, Notes]) -> list[Source]:
    """Return Parquet files as sources, those with the same columns as one."""
    alike: dict[tuple[Any, ...], list[Path]] = {}
    for path, note in notes.items():
        alike.setdefault((note.endpoint, *note.columns), []).append(path)
    sources = []
    for paths in alike.values():
        all_notes = [notes[path] for path in paths]
        versions = dict.fromkeys(version for note in all_notes for version in note.versions)
        sources.append(
            Source(
                sql=f"read_parquet({listed(paths)}, hive_partitioning=false)",
                notes=msgspec.structs.replace(all_notes[0], versions=list(versions)),
            )
        )
    return sources


def whole_records(log: Log, spool: SpoolFile, *, truths: bool) -> list[Any]:
    """Return the records of a spool file and count its damage.

    Where a process still writes it, a part of a record at its end is not damage.
    """
    found = scan(spool.data, seed_of(spool.id))
    log.n_torn += 0 if spool.is_live else found.n_torn
    log.n_corrupt += found.n_corrupt
    return decoded(found.payloads, truths=truths, where=spool.path)


def _lock(log: Log, folder: Path) -> None:
    """Take away the connection's way to all files but those of the log, and to settings."""
    place = folder.resolve()  # it is asked about by both its name and its pattern
    allowed = f"[{quoted(place)}, {quoted(literal(place))}]"
    log.connection.execute(f"SET allowed_directories={allowed}")
    log.connection.execute("SET enable_external_access=false")
    log.connection.execute("SET lock_configuration=true")


def _parquet_sources(notes: Mapping[Path, Notes], endpoint: str | None) -> list[Source]:
    return grouped(
        {
            path: note
            for path, note in notes.items()
            if endpoint is None or note.endpoint == endpoint
        }
    )


def _spool_sources(log: Log, shot: Snapshot, wanted: Callable[[Record], bool]) -> list[Source]:
    records: list[Record] = []
    for spool in shot.spools:
        records += filter(wanted, whole_records(log, spool, truths=False))
    sources = []
    for number, part in enumerate(prediction_parts(records)):
        create_table(log.connection, f"spool_{number}", part)
        sources.append(Source(sql=f"spool_{number}", notes=notes_of(part)))
    return sources


def _unified(sources: Sequence[Source], fixed: Mapping[str, str]) -> dict[str, str]:
    types = dict(fixed)
    said_by: dict[str, Notes] = {}
    for source in sources:
        for name, _, type_ in source.notes.columns:
            known = types.get(name, NOTHING)
            wide = widen(known, type_)
            if wide is None:
                raise Error(
                    f"the column '{name}' is {known} in {_who(said_by[name])}"
                    f" and {type_} in {_who(source.notes)}",
                    hint="read one endpoint, or a stretch of time in which it has one type",
                )
            types[name] = wide
            if wide != known or name not in said_by:
                said_by[name] = source.notes
    inputs = [name for name in types if name.startswith(INPUT)]
    outputs = [name for name in types if name.startswith(OUTPUT)]
    return {name: types[name] for name in (*fixed, *inputs, *outputs)}


def _who(notes: Notes) -> str:
    return f"{', '.join(notes.versions)} of '{notes.endpoint}'"


def _select(columns: Iterable[Column], source: Source) -> str:
    there = {name: ref for name, ref, _ in source.notes.columns}
    terms = []
    for column in columns:
        ref = there.get(column.name)
        value = "NULL" if ref is None else quoted(ref, '"')
        terms.append(f"{value}::{column.type} AS {quoted(column.ref, chr(34))}")
    return f"SELECT {', '.join(terms)} FROM {source.sql}"

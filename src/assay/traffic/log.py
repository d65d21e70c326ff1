# ruff: noqa: S608 -- every name and literal in the SQL of this file goes through `quoted`
"""Reading the log: Parquet and spool files as one table, each row of a request once."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec

from assay.base.errors import Error, NotFound, did_you_mean
from assay.traffic import files
from assay.traffic.columns import NOTHING, refs, widen
from assay.traffic.files import Snapshot, SpoolFile
from assay.traffic.framing import scan, seed_of
from assay.traffic.ids import split_id, time_of
from assay.traffic.parts import INPUT, OUTPUT, PREDICTION, decoded, prediction_parts
from assay.traffic.record import Record, Value
from assay.traffic.table import Notes, create_table, listed, notes_of, quoted, read_notes

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
    log = open_log(folder, threads=threads)
    try:
        notes = read_notes(log.connection, [table.path for table in tables])
        sources = [*_parquet_sources(notes, endpoint), *_spool_sources(log, shot, endpoint)]
        log.n_torn += sum(note.n_torn for note in notes.values())
        log.n_corrupt += sum(note.n_corrupt for note in notes.values())
        conditions = [f"at >= {start:d}"] if start is not None else []
        conditions += [f"at < {end:d}"] if end is not None else []
        make_view(log, sources, fixed=PREDICTION, where=" AND ".join(conditions))
        lock(log, folder)
    except BaseException:
        log.close()
        raise
    return log


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Rows with the same columns: where SQL finds them, and what they say about themselves."""

    sql: str
    notes: Notes


def open_log(folder: Path, *, threads: int | None = None) -> Log:
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


def lock(log: Log, folder: Path) -> None:
    """Take away the connection's way to all files but those of the log, and to settings."""
    place = quoted(folder.absolute())
    log.connection.execute(f"SET allowed_directories=[{place}, {quoted(folder)}]")
    log.connection.execute("SET enable_external_access=false")
    log.connection.execute("SET lock_configuration=true")


def make_view(
    log: Log, sources: Sequence[Source], *, fixed: Mapping[str, str], where: str = ""
) -> None:
    """Make the view from all sources and set the log's columns."""
    types = _unified(sources, fixed)
    log.columns = tuple(
        Column(name=name, ref=ref, type=type_)
        for (name, type_), ref in zip(types.items(), refs(types), strict=True)
    )
    selects = [_select(log.columns, source) for source in sources]
    if not selects:
        terms = ", ".join(
            f"NULL::{column.type} AS {quoted(column.ref, chr(34))}" for column in log.columns
        )
        selects = [f"SELECT {terms} WHERE false"]
    rows = " UNION ALL ".join(selects)
    condition = f" WHERE {where}" if where else ""
    log.connection.execute(f"CREATE VIEW {log.view} AS SELECT * FROM ({rows}){condition}")


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


def _parquet_sources(notes: Mapping[Path, Notes], endpoint: str | None) -> list[Source]:
    return grouped(
        {
            path: note
            for path, note in notes.items()
            if endpoint is None or note.endpoint == endpoint
        }
    )


def _spool_sources(log: Log, shot: Snapshot, endpoint: str | None) -> list[Source]:
    records: list[Record] = []
    for spool in shot.spools:
        records += whole_records(log, spool, truths=False)
    wanted = (one for one in records if endpoint is None or one.endpoint == endpoint)
    sources = []
    for number, part in enumerate(prediction_parts(wanted)):
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


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was looked up, and the row of it that was asked for."""

    record: Record
    row: int | None

    def values(self) -> tuple[dict[str, Value], dict[str, Value]]:
        """Return inputs and outputs of the row by column; of the first, if none was named."""
        at = self.row or 0
        inputs = {name: values[at] for name, values in self.record.inputs.items()}
        return inputs, {name: values[at] for name, values in self.record.outputs.items()}


def find(folder: Path, prediction_id: str) -> Found | None:
    """Return the request, or the row of one, that has this id; None where there is none.

    Looked into are spool files, and of the Parquet files those whose times include the id's.
    """
    wanted, row = split_id(prediction_id)
    shot = files.snapshot(folder)
    record = _find_in_spools(shot, wanted) or _find_in_tables(folder, shot, wanted)
    if record is None or (row is not None and row >= record.n_rows):
        return None
    return Found(record=record, row=row)


def _find_in_spools(shot: Snapshot, wanted: str) -> Record | None:
    text = wanted.encode()
    for spool in shot.spools:
        if text not in spool.data:
            continue
        found = scan(spool.data, seed_of(spool.id))
        near = [payload for payload in found.payloads if text in bytes(payload)]
        for record in decoded(near, truths=False, where=spool.path):
            if record.id == wanted and record.n_rows:
                return Record(**msgspec.structs.asdict(record))
    return None


def _find_in_tables(folder: Path, shot: Snapshot, wanted: str) -> Record | None:
    made = time_of(wanted)
    paths = [table.path for table in shot.tables if table.first <= made <= table.last]
    if not paths:
        return None
    with open_log(folder, threads=1) as log:
        for path, notes in read_notes(log.connection, paths).items():
            terms = ", ".join(quoted(ref, '"') for _, ref, _ in notes.columns)
            sql = f"SELECT {terms} FROM read_parquet({quoted(path)}, hive_partitioning=false)"
            # all ids of its rows and no others: '0' comes after '/'
            between = "WHERE prediction_id >= ? AND prediction_id < ? ORDER BY row"
            rows = log.rows(f"{sql} {between}", [f"{wanted}/", f"{wanted}0"])
            if rows:
                return _record([name for name, _, _ in notes.columns], rows, wanted)
    return None


def _record(names: Sequence[str], rows: Sequence[tuple[Any, ...]], wanted: str) -> Record:
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    times = columns.pop("event_time")
    one = {name: columns[name][0] for name in PREDICTION if name in columns}
    del one["prediction_id"], one["row"]
    return Record(
        **one,
        id=wanted,
        inputs={name[len(INPUT) :]: columns[name] for name in names if name.startswith(INPUT)},
        outputs={name[len(OUTPUT) :]: columns[name] for name in names if name.startswith(OUTPUT)},
        event_time=None if all(time is None for time in times) else times,
    )

# ruff: noqa: S608 -- every name and literal in the SQL of this file goes through `quoted`
"""Truth: kept as it arrives, joined when it is asked for.

A truth may come late, before its prediction, twice, or corrected; nothing that came is changed
or thrown away. What counts for a row is the truth with the largest `at`, and of those with the
same one that which arrived last.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import msgspec

from assay.base.errors import Error
from assay.base.ids import uuid7
from assay.traffic import files
from assay.traffic.columns import NOTHING, widen
from assay.traffic.ids import split_id
from assay.traffic.log import (
    Column,
    Log,
    Source,
    grouped,
    make_view,
    read,
    whole_records,
)
from assay.traffic.parts import INPUT, TRUTH, truth_parts
from assay.traffic.record import Truth, Value
from assay.traffic.roll import TRUTHS
from assay.traffic.spool import Spool
from assay.traffic.table import create_table, notes_of, quoted, read_notes
from assay.traffic.targets import Targets

_BATCH = 10_000
_SHOWN = 3  # ids that an error names


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the truths that arrived.

    Attributes
    ----------
    n_truths : int
        Those that arrived.
    n_rows : int
        Rows of predictions that have a truth.
    n_repeated, n_corrected : int
        Truths for a row that said the same as the one before, and another thing.
    n_unknown : int
        Truths for which no prediction is there, so far.
    n_ambiguous : int
        Truths for the id of a request that has several rows.
    """

    n_truths: int
    n_rows: int
    n_repeated: int
    n_corrected: int
    n_unknown: int
    n_ambiguous: int


class Latest(msgspec.Struct, frozen=True, kw_only=True):
    """The truth of one row that counts, and how often another value came before it."""

    target: Value
    at: int
    source: str | None
    n_corrections: int


def truth(
    target: Value,
    *,
    at: int,
    prediction_id: str | None = None,
    column: str | None = None,
    key: Value = None,
    endpoint: str | None = None,
    source: str | None = None,
    expected: Targets | None = None,
) -> Truth:
    """Return a truth, once it is known to be one.

    Parameters
    ----------
    target : value
        What the prediction should have been.
    at : int
        When that became known, in Unix milliseconds.
    prediction_id : str, optional
        `ID/ROW`, or `ID` for a request of one row.
    column, key : str and value, optional
        Instead of an id: the declared key column, and the value in it.
    endpoint, source : str, optional
        Whose predictions are meant; who says so.
    expected : Targets, optional
        What it can be.

    Raises
    ------
    assay.Error
        If the target is missing or not finite, or none that is expected, or it is not said which
        prediction is meant.
    """
    _check_target(target)
    if expected is not None:
        target = expected.checked(target)
    if (prediction_id is None) == (column is None) or (column is None) != (key is None):
        raise Error(
            "a truth names a prediction either by its id or by a key column and its value",
            hint="give 'prediction_id', or 'column' and 'key'",
        )
    if prediction_id is not None:
        id_, row = split_id(prediction_id)
        prediction_id = id_ if row is None else f"{id_}/{row}"
    return Truth(
        id=uuid7(), target=target, at=at, prediction_id=prediction_id, column=column, key=key,
        endpoint=endpoint, source=source,
    )  # fmt: skip


def open_truths(folder: Path, *, sync: bool = True) -> Spool:
    """Return the spool for truths beside the predictions in `folder`; a server keeps it open."""
    return Spool(folder / TRUTHS, sync=sync)


def add(folder: Path, truths: Iterable[Truth]) -> int:
    """Write truths, all of them and durably, and return how many.

    Raises
    ------
    assay.Error
        If they cannot be written; giving them again does no harm.
    """
    with open_truths(folder) as spool:
        for number, one in enumerate(truths, start=1):
            spool.append(one)
            if number % _BATCH == 0:
                spool.flush()
        spool.flush()
        if spool.n_dropped:
            raise spool.problem or Error("the truths were not written", where=folder)
        return spool.n_written


def joined(
    folder: Path,
    *,
    endpoint: str | None = None,
    start: int | None = None,
    end: int | None = None,
    threads: int | None = None,
) -> Log:
    """Return the rows of predictions that have a truth, however late that came.

    The times are those of the predictions, as in `log.read`. The columns are theirs and `target`,
    `target_at`, `target_source`, `n_corrections` (how often another value came).

    Raises
    ------
    assay.Error
        If the targets have types that do not go together.
    """
    log = read(folder, endpoint=endpoint, start=start, end=end, threads=threads)
    try:
        _match(log, folder)
        type_ = _target_type(log)
        log.connection.execute(
            f"CREATE VIEW joined AS SELECT p.*, w.target::{type_} AS target, w.target_at,"
            " w.target_source, w.n_corrections"
            " FROM predictions p JOIN latest w USING (prediction_id)"
        )
    except BaseException:
        log.close()
        raise
    log.view = "joined"
    types = {"target": type_, "target_at": "BIGINT", "target_source": "VARCHAR"}
    types["n_corrections"] = "BIGINT"
    log.columns += tuple(Column(name=name, ref=name, type=types[name]) for name in types)
    return log


def find(folder: Path, row: str, *, endpoint: str, at: int) -> Latest | None:
    """Return the truth of one row, whatever the others are; None where none has come yet.

    Parameters
    ----------
    row : str
        `ID/ROW`.
    endpoint, at : str and int
        Of its prediction: those of that millisecond are read, of the truths all.
    """
    with read(folder, endpoint=endpoint, start=at, end=at + 1, threads=1) as log:
        _match(log, folder)
        where = "FROM latest WHERE prediction_id = ?"
        for (type_,) in log.rows(f"SELECT target_type {where}", [row]):
            query = f"SELECT target::{type_}, target_at, target_source, n_corrections {where}"
            target, known, source, n_corrections = log.rows(query, [row])[0]
            return Latest(target=target, at=known, source=source, n_corrections=n_corrections)
    return None


def counts(folder: Path, *, threads: int | None = None) -> Counts:
    """Say what became of all truths, by all predictions that are there now."""
    with read(folder, threads=threads) as log:
        _match(log, folder)
        n_truths, n_unknown, n_ambiguous = log.rows(
            "SELECT count(*), count(*) FILTER (NOT known AND NOT several),"
            " count(*) FILTER (NOT known AND several) FROM ("
            "SELECT truth_id IN (SELECT truth_id FROM matched) AS known, coalesce(prediction_id IN"
            " (SELECT split_part(prediction_id, '/', 1) FROM predictions), false) AS several"
            " FROM truth)"
        )[0]
        n_rows, n_matched, n_corrected = log.rows(
            "SELECT count(*), coalesce(sum(n), 0), coalesce(sum(n_corrections), 0) FROM latest"
        )[0]
    return Counts(
        n_truths=n_truths,
        n_rows=n_rows,
        n_repeated=int(n_matched) - n_rows - int(n_corrected),
        n_corrected=int(n_corrected),
        n_unknown=n_unknown,
        n_ambiguous=n_ambiguous,
    )


def _check_target(target: Value) -> None:
    if isinstance(target, list):
        for one in target:
            _check_target(one)
    elif target is None or (isinstance(target, float) and not math.isfinite(target)):
        raise Error(f"{target!r} is no truth", hint="leave it out until it is known")
    elif not isinstance(target, bool | int | float | str):
        raise Error(f"a truth is a number, text, a boolean or a list, not {type(target).__name__}")


def _match(log: Log, folder: Path) -> None:
    """Make the tables `truth`, `matched` (truths by row) and `latest` (the one that counts)."""
    _read_truths(log, folder)
    rows = "SELECT p.prediction_id, t.* EXCLUDE (prediction_id) FROM truth t JOIN predictions p"
    matches = [
        f"{rows} ON p.prediction_id = t.prediction_id",
        f"{rows} ON p.prediction_id = t.prediction_id || '/0' WHERE p.n_rows = 1",
    ]
    names = log.rows('SELECT DISTINCT "column" FROM truth WHERE "column" IS NOT NULL ORDER BY 1')
    known = {column.name: column for column in log.columns}
    for (name,) in names:
        if INPUT + name in known:
            matches.append(_by_key(rows, name, known[INPUT + name]))
    log.connection.execute(f"CREATE TABLE matched AS {' UNION ALL '.join(matches)}")
    order = 'ORDER BY "at", truth_id'
    said = "(target, target_type)"
    log.connection.execute(
        f"CREATE TABLE latest AS SELECT prediction_id, last(target {order}) AS target,"
        f' last(target_type {order}) AS target_type, max("at") AS target_at,'
        f" last(source {order}) AS target_source, count(*) AS n,"
        " count(*) FILTER (is_new) - 1 AS n_corrections FROM ("
        f"SELECT *, lag({said}) OVER w IS DISTINCT FROM {said} AS is_new"
        f" FROM matched WINDOW w AS (PARTITION BY prediction_id {order}))"
        " GROUP BY prediction_id"
    )


def _by_key(rows: str, name: str, column: Column) -> str:
    """Return the SQL of truths by one key column; a key is compared as the column's type."""
    return (
        f"{rows} ON p.{quoted(column.ref, chr(34))} = TRY_CAST(t.key AS {column.type})"
        " AND coalesce(t.endpoint, p.endpoint) = p.endpoint"
        f' WHERE t."column" = {quoted(name)}'
    )


def _read_truths(log: Log, folder: Path) -> None:
    """Make the table `truth` of all that arrived."""
    shot = files.snapshot(folder / TRUTHS)
    notes = read_notes(log.connection, [table.path for table in shot.tables])
    sources = grouped(notes)
    arrived: list[Truth] = []
    for spool in shot.spools:
        arrived += whole_records(log, spool, truths=True)
    for part in truth_parts(arrived):
        create_table(log.connection, "arrived_truth", part)
        sources.append(Source(sql="arrived_truth", notes=notes_of(part)))
    make_view(log, "truths", sources, fixed=TRUTH)
    log.connection.execute("CREATE TABLE truth AS SELECT * FROM truths")
    log.n_torn += sum(note.n_torn for note in notes.values())
    log.n_corrupt += sum(note.n_corrupt for note in notes.values())


def _target_type(log: Log) -> str:
    """Return the type that holds all truths that count."""
    type_ = NOTHING
    found = log.rows("SELECT target_type, count(*) FROM latest GROUP BY ALL ORDER BY 2 DESC, 1")
    for other, n_rows in found:
        wide = widen(type_, other)
        if wide is None:
            shown = ", ".join(_with_type(log, other))
            more = f" and {n_rows - _SHOWN:,} more" if n_rows > _SHOWN else ""
            raise Error(
                f"the truths are {type_} for some predictions and {other} for others: "
                f"{shown}{more}",
                hint="correct them: assay feedback ENDPOINT --id ID/ROW --value VALUE; or read "
                "one endpoint",
            )
        type_ = wide
    return type_


def _with_type(log: Log, type_: str) -> list[str]:
    """Return the first predictions whose truth has a type."""
    rows = "SELECT prediction_id FROM latest WHERE target_type = ? ORDER BY 1 LIMIT ?"
    return [id_ for (id_,) in log.rows(rows, [type_, _SHOWN])]

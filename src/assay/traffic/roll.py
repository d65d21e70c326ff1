"""Finished spool files become Parquet files; a `kill -9` at any moment loses and doubles nothing.

A spool file is removed when its Parquet files are durable. Until then these do not count, so that
whoever finds a spool file after a crash does its work again from the start, under the same names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.errors import Error
from assay.base.files import explain, sync_folder
from assay.traffic import files
from assay.traffic.framing import Scan, scan, seed_of
from assay.traffic.parts import Part, decoded, prediction_parts, truth_parts

if TYPE_CHECKING:
    import duckdb

LARGEST_STEP = 16_000_000
"""Bytes of records that are turned into Parquet at a time, for the sake of memory."""

TRUTHS = "truth"
"""The folder, in that of the predictions, where truths are."""


class Rolled(msgspec.Struct, frozen=True, kw_only=True):
    """What was done.

    Attributes
    ----------
    n_files, n_records, n_rows : int
        Spool files that became Parquet, and what was in them.
    n_torn, n_corrupt : int
        Files that ended in the midst of a record; damaged stretches before the end.
    problems : tuple of assay.Error
        Why other files could not be rolled; they stay, and are read as they are.
    """

    n_files: int = 0
    n_records: int = 0
    n_rows: int = 0
    n_torn: int = 0
    n_corrupt: int = 0
    problems: tuple[Error, ...] = ()

    def __add__(self, other: Rolled) -> Rolled:
        mine, its = msgspec.structs.asdict(self), msgspec.structs.asdict(other)
        return Rolled(**{name: mine[name] + its[name] for name in mine})


def roll(folder: Path) -> Rolled:
    """Turn all finished spool files of predictions and of truths into Parquet.

    Files that a process still writes are left alone. Any number of processes may do this at
    once; each file is done by one of them.
    """
    done = Rolled()
    for place, truths in ((folder, False), (folder / TRUTHS, True)):
        for file_id, path in files.list_spools(place):
            with files.locked(path) as is_ours:
                if is_ours:
                    done += _attempt(file_id, path, truths=truths)
    return done


def _attempt(file_id: str, path: Path, *, truths: bool) -> Rolled:
    try:
        done = _roll(file_id, path, truths=truths)
    except OSError as error:
        return Rolled(problems=(explain(error, path),))
    except Error as error:
        return Rolled(problems=(error,))
    return done


def _roll(file_id: str, path: Path, *, truths: bool) -> Rolled:
    found = scan(path.read_bytes(), seed_of(file_id))
    for table in files.list_tables(path.parent):
        if table.id == file_id:  # of an attempt that was cut off, maybe by another version
            table.path.unlink(missing_ok=True)
    n_rows = _write_tables(file_id, path, found, truths=truths)
    path.unlink()
    sync_folder(path.parent)
    return Rolled(
        n_files=1,
        n_records=len(found.payloads),
        n_rows=n_rows,
        n_torn=found.n_torn,
        n_corrupt=found.n_corrupt,
    )


def _write_tables(file_id: str, path: Path, found: Scan, *, truths: bool) -> int:
    if not found.payloads:
        return 0
    import duckdb

    from assay.traffic import table

    n_rows = number = 0
    connection = _connect()
    try:
        for part in _parts(found, truths=truths, where=path):
            target = files.table_path(
                path.parent, file_id, part=number, first=part.first, last=part.last
            )
            lost = {"n_torn": found.n_torn, "n_corrupt": found.n_corrupt} if number == 0 else {}
            notes = table.notes_of(part, **lost)
            table.write_parquet(connection, part, target, notes=notes)
            n_rows += part.n_rows
            number += 1
    except duckdb.Error as error:
        text = str(error).splitlines()[0]
        raise Error(
            f"it could not be turned into Parquet: {text}",
            where=path,
            hint="free some space or raise the file size limit; nothing is lost meanwhile",
        ) from error
    finally:
        connection.close()
    return n_rows


def _parts(found: Scan, *, truths: bool, where: Path) -> Iterator[Part]:
    for payloads in _steps(found.payloads):
        records: Any = decoded(payloads, truths=truths, where=where)
        yield from (truth_parts if truths else prediction_parts)(records)


def _steps(payloads: Sequence[memoryview]) -> Iterator[list[memoryview]]:
    step: list[memoryview] = []
    size = 0
    for payload in payloads:
        if step and size + len(payload) > LARGEST_STEP:
            yield step
            step, size = [], 0
        step.append(payload)
        size += len(payload)
    yield step


def _connect() -> duckdb.DuckDBPyConnection:
    import duckdb

    return duckdb.connect(config={"threads": 1, "autoinstall_known_extensions": False})

"""The files of a log's folder: what they are called, who may touch them, and which are read.

`ID.spool` is written by one process, which holds a lock on it as long as it does. Once the lock
is free the file is finished, also when the process was killed. `ID.PART.FIRST-LAST.parquet` has
rows of the spool file of that id and their times. As long as a spool file is there, its Parquet
files do not count: that is what makes each row be there once, at any moment.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

_SPOOL = re.compile(r"([0-9a-f-]{36})\.spool")
_TABLE = re.compile(r"([0-9a-f-]{36})\.(\d{3,})\.(\d+)-(\d+)\.parquet")


class TableFile(msgspec.Struct, frozen=True, kw_only=True):
    """A Parquet file and the times of its rows, in Unix milliseconds, both ends included."""

    path: Path
    id: str
    first: int
    last: int


class SpoolFile(msgspec.Struct, frozen=True, kw_only=True):
    """The bytes of a spool file as they were at one moment."""

    path: Path
    id: str
    data: bytes
    is_live: bool  # somebody writes it


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The files that hold each row once."""

    spools: list[SpoolFile]
    tables: list[TableFile]


def spool_path(folder: Path, file_id: str) -> Path:
    """Return the path of a spool file."""
    return folder / f"{file_id}.spool"


def table_path(folder: Path, file_id: str, *, part: int, first: int, last: int) -> Path:
    """Return the path of a Parquet file."""
    return folder / f"{file_id}.{part:03d}.{first}-{last}.parquet"


def list_spools(folder: Path) -> list[tuple[str, Path]]:
    """Return ids and paths of all spool files, oldest first."""
    matches = [(_SPOOL.fullmatch(name), name) for name in sorted(_names(folder))]
    return [(match[1], folder / name) for match, name in matches if match]


def list_tables(folder: Path) -> list[TableFile]:
    """Return all Parquet files, oldest first; also those that do not count."""
    matches = [(_TABLE.fullmatch(name), name) for name in sorted(_names(folder))]
    return [
        TableFile(path=folder / name, id=match[1], first=int(match[3]), last=int(match[4]))
        for match, name in matches
        if match
    ]


def snapshot(folder: Path) -> Snapshot:
    """Return the files that hold each row once, whatever is rolled meanwhile.

    Spool files come first: one that is gone by the time it is opened has Parquet files, made
    before it went, and these are listed after that.
    """
    folder = folder.resolve()
    spools = []
    for file_id, path in list_spools(folder):
        with contextlib.suppress(FileNotFoundError):
            spools.append(_read(file_id, path))
    ids = {spool.id for spool in spools}
    tables = [table for table in list_tables(folder) if table.id not in ids]
    return Snapshot(spools=spools, tables=tables)


def lock_new(path: Path, descriptor: int) -> bool:
    """Lock a file that was just made; false where somebody else has taken or removed it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return _is_at(path, descriptor)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold the lock of a finished file; gives false where it is still written or already gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        yield lock_new(path, descriptor)
    finally:
        os.close(descriptor)


def _read(file_id: str, path: Path) -> SpoolFile:
    with path.open("rb") as handle:
        try:  # before the bytes: what is finished now grows no more
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            is_live = False
            fcntl.flock(handle, fcntl.LOCK_UN)
        except BlockingIOError:
            is_live = True
        return SpoolFile(path=path, id=file_id, data=handle.read(), is_live=is_live)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        there, here = path.stat(), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []

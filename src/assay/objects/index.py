"""What was hashed already: one SQLite table, so that nothing unchanged is read twice.

A file counts as unchanged when device, inode, size, modification time and change time are those
of the hash. The change time sees edits that restore the modification time. A file that was
changed within the last clock tick before it was hashed is not remembered: a second edit in the
same tick would look like no edit.

The index can be deleted at any time; it only saves work.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

_TICK_NS = 20_000_000
_SCHEMA = """
create table if not exists file (
    path text primary key, device integer, inode integer, size integer,
    mtime_ns integer, ctime_ns integer, oid text
) without rowid;
create table if not exists derived (
    oid text, kind text, result text, primary key (oid, kind)
) without rowid;
"""


class Seen(NamedTuple):
    """What a file looked like when it had this hash."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    oid: str


def seen(status: os.stat_result, oid: str) -> Seen:
    """Return the row for a file with this status and hash."""
    return Seen(
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, oid
    )


def same(row: Seen, status: os.stat_result) -> bool:
    """Say whether the file is as it was when it was hashed."""
    return (
        row[3] == status.st_mtime_ns
        and row[2] == status.st_size
        and row[1] == status.st_ino
        and row[4] == status.st_ctime_ns
        and row[0] == status.st_dev
    )


class Index:
    """The hashes of files by absolute path, in one SQLite file; opened when first asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open: sqlite3.Connection | None = None

    def _connection(self) -> sqlite3.Connection:
        if self._open is None:
            try:
                self._open = self._connect(str(self.path))
            except sqlite3.Error:
                self._open = self._again()
        return self._open

    @staticmethod
    def _connect(where: str) -> sqlite3.Connection:
        connection = sqlite3.connect(where, timeout=10, check_same_thread=False)
        connection.execute("pragma journal_mode=wal")
        connection.execute("pragma synchronous=off")
        if connection.execute("pragma user_version").fetchone()[0] != 1:
            connection.executescript(_SCHEMA)
            connection.execute("pragma user_version=1")
        return connection

    def _again(self) -> sqlite3.Connection:
        """Start over: a damaged index is thrown away, an unwritable place is done without."""
        try:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)
            return self._connect(str(self.path))
        except (OSError, sqlite3.Error):
            return self._connect(":memory:")

    def get(self, path: str, status: os.stat_result) -> str | None:
        """Return the hash of a file, or None where it has to be read."""
        row = (
            self._connection()
            .execute(
                "select device, inode, size, mtime_ns, ctime_ns, oid from file where path = ?",
                (path,),
            )
            .fetchone()
        )
        return row[5] if row is not None and same(Seen(*row), status) else None

    def below(self, folder: str) -> dict[str, Seen]:
        """Return what is known of the files below a folder, by absolute path."""
        rows = self._connection().execute(
            "select path, device, inode, size, mtime_ns, ctime_ns, oid from file"
            " where path > ? and path < ?",
            (f"{folder}/", f"{folder}0"),  # "0" is the character after "/"
        )
        return {row[0]: Seen._make(row[1:]) for row in rows}

    def put(self, rows: Mapping[str, Seen], *, settled: bool = False) -> None:
        """Remember files by absolute path.

        `settled` says that the files were written by this process just now and that nobody else
        writes them; without it those of the last clock tick are left out.
        """
        limit = time.time_ns() - _TICK_NS
        keep: Iterable[tuple[str, Seen]] = rows.items()
        if not settled:
            keep = ((p, s) for p, s in rows.items() if s.ctime_ns < limit)
        try:
            with self._connection() as connection:
                connection.executemany(
                    "insert or replace into file values (?, ?, ?, ?, ?, ?, ?)",
                    ((path, *row) for path, row in keep),
                )
        except sqlite3.OperationalError:  # busy or full: it only saves work
            return

    def derived(self, oid: str, kind: str) -> str | None:
        """Return what was made of the object `oid` (its profile, say), or None."""
        row = (
            self._connection()
            .execute("select result from derived where oid = ? and kind = ?", (oid, kind))
            .fetchone()
        )
        return row[0] if row is not None else None

    def put_derived(self, oid: str, kind: str, result: str) -> None:
        """Remember what was made of the object `oid`."""
        try:
            with self._connection() as connection:
                connection.execute(
                    "insert or replace into derived values (?, ?, ?)", (oid, kind, result)
                )
        except sqlite3.OperationalError:
            return

    def close(self) -> None:
        """Close the file, if it was opened."""
        if self._open is not None:
            self._open.close()
            self._open = None

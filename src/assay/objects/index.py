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
from typing import Any, NamedTuple

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
            except sqlite3.OperationalError:  # busy for long, or no place to write to
                self._open = self._connect(":memory:")
            except sqlite3.DatabaseError:
                self._open = self._again()
        return self._open

    def _select(self, query: str, *values: str) -> list[Any]:
        """Return the rows of a query; none, and a fresh index, where the file is damaged."""
        try:
            return self._connection().execute(query, values).fetchall()
        except sqlite3.OperationalError:
            return []
        except sqlite3.DatabaseError:
            self.close()
            self._open = self._again()
            return []

    def _write(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Write rows; where that fails nothing is said, since it only saves work."""
        try:
            with self._connection() as connection:
                connection.executemany(statement, rows)
        except sqlite3.OperationalError:  # busy or full
            return
        except sqlite3.DatabaseError:
            self.close()
            self._open = self._again()

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
        """Start over: throw a damaged index away, or do without where that can't be done."""
        try:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)
            return self._connect(str(self.path))
        except (OSError, sqlite3.Error):
            return self._connect(":memory:")

    def get(self, path: str, status: os.stat_result) -> str | None:
        """Return the hash of a file, or None where it has to be read."""
        rows = self._select(
            "select device, inode, size, mtime_ns, ctime_ns, oid from file where path = ?", path
        )
        return rows[0][5] if rows and same(Seen(*rows[0]), status) else None

    def below(self, folder: str) -> dict[str, Seen]:
        """Return what is known of the files below a folder, by absolute path."""
        rows = self._select(
            "select path, device, inode, size, mtime_ns, ctime_ns, oid from file"
            " where path > ? and path < ?",
            f"{folder}/",
            f"{folder}0",  # "0" is the character after "/"
        )
        return {row[0]: Seen._make(row[1:]) for row in rows}

    def put(
        self, rows: Mapping[str, Seen], *, began: int | None = None, settled: bool = False
    ) -> None:
        """Remember files by absolute path.

        Parameters
        ----------
        began : int, optional
            When the first of them was looked at (`time.time_ns()`); now, if not given. A file
            that was changed within the last clock tick before that is left out.
        settled : bool
            The files were written by this process just now and nobody else writes them: none is
            left out.
        """
        limit = (time.time_ns() if began is None else began) - _TICK_NS
        self._write(
            "insert or replace into file values (?, ?, ?, ?, ?, ?, ?)",
            [(path, *row) for path, row in rows.items() if settled or row.ctime_ns < limit],
        )

    def derived(self, oid: str, kind: str) -> str | None:
        """Return what was made of the object `oid` (its profile, say), or None."""
        rows = self._select("select result from derived where oid = ? and kind = ?", oid, kind)
        return rows[0][0] if rows else None

    def put_derived(self, oid: str, kind: str, result: str) -> None:
        """Remember what was made of the object `oid`."""
        self._write("insert or replace into derived values (?, ?, ?)", [(oid, kind, result)])

    def close(self) -> None:
        """Close the file, if it was opened."""
        if self._open is not None:
            self._open.close()
            self._open = None

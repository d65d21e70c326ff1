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
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from assay.objects.hashing import Algorithm
from assay.objects.legacy import is_legacy

_TICK_NS = 20_000_000
_SCHEMA = """
create table if not exists file (
    path text primary key, device integer, inode integer, size integer,
    mtime_ns integer, ctime_ns integer, oid text
) without rowid;
create table if not exists folder (
    path text primary key, mark text, oid text, size integer, n_files integer
) without rowid;
create table if not exists derived (
    oid text, kind text, result text, primary key (oid, kind)
) without rowid;
"""
_VERSION = 2


T = TypeVar("T")

Looks = tuple[int, int, int, int, int]
"""What a file looks like: device, inode, size, modification and change time in nanoseconds."""


Seen = tuple[Looks, str]
"""What a file looked like when it had a hash, and that hash."""


class Folder(NamedTuple):
    """What a folder was when its files had this mark; see `mark_of`."""

    mark: str
    oid: str
    size: int
    n_files: int


def looks(status: os.stat_result) -> Looks:
    """Return of a status what tells one state of a file from another."""
    return (
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    )  # fmt: skip


def seen(status: os.stat_result, oid: str) -> Seen:
    """Return the row for a file with this status and hash."""
    return looks(status), oid


def mark_of(files: Mapping[str, Looks]) -> str:
    """Return a text that is another one as soon as a file has another name or looks different.

    Examples
    --------
    >>> one, other = (mark_of({"a": (1, 2, 3, time, time)}) for time in (4, 5))
    >>> one == other, one == mark_of({"a": (1, 2, 3, 4, 4)})
    (False, True)
    """
    import marshal

    try:
        from _blake2 import blake2b  # `hashlib` loads OpenSSL, which takes 4 ms
    except ImportError:
        from hashlib import blake2b

    return blake2b(marshal.dumps([*files.items()], 2), digest_size=16).hexdigest()


class Index:
    """The hashes of files by absolute path, in one SQLite file; opened when first asked.

    Hashes of DVC 2 are in a file beside it: a path can be asked for either.
    """

    def __init__(self, path: Path, *, algorithm: Algorithm = "md5") -> None:
        self.path = path
        self.algorithm: Algorithm = algorithm
        self._legacy: Index | None = None
        self._open: sqlite3.Connection | None = None
        self._gate = threading.RLock()  # stages may run at the same time

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
        return self._selected(list, query, *values)

    def _selected(self, make: Callable[[Iterable[Any]], T], query: str, *values: str) -> T:
        """Return what is made of the rows of a query, or of none where they cannot be had.

        A damaged file is thrown away.
        """
        with self._gate:
            try:
                return make(self._connection().execute(query, values))
            except sqlite3.OperationalError:
                return make(())
            except sqlite3.DatabaseError:
                self.close()
                self._open = self._again()
                return make(())

    def _write(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> bool:
        """Write rows; where that fails nothing but False is said, since it only saves work."""
        with self._gate:
            try:
                with self._connection() as connection:
                    connection.executemany(statement, rows)
            except (sqlite3.OperationalError, OverflowError):  # busy, full, an inode above 2**63
                return False
            except sqlite3.DatabaseError:
                self.close()
                self._open = self._again()
                return False
            return True

    @staticmethod
    def _connect(where: str) -> sqlite3.Connection:
        connection = sqlite3.connect(where, timeout=10, check_same_thread=False)
        connection.execute("pragma journal_mode=wal")
        connection.execute("pragma synchronous=off")
        if connection.execute("pragma user_version").fetchone()[0] != _VERSION:
            connection.executescript(_SCHEMA)
            connection.execute(f"pragma user_version={_VERSION}")
        return connection

    def _again(self) -> sqlite3.Connection:
        """Start over: throw a damaged index away, or do without where that can't be done."""
        try:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)
            return self._connect(str(self.path))
        except (OSError, sqlite3.Error):
            return self._connect(":memory:")

    def like(self, oid: str | None) -> Index:
        """Return the index of the hashes that can be compared with an oid."""
        if oid is None or not is_legacy(oid) or self.algorithm == "md5-dos2unix":
            return self
        if self._legacy is None:
            is_file = str(self.path) != ":memory:"
            path = self.path.with_name(f"{self.path.stem}-dos2unix.db") if is_file else self.path
            self._legacy = Index(path, algorithm="md5-dos2unix")
        return self._legacy

    def get(self, path: str, status: os.stat_result) -> str | None:
        """Return the hash of a file, or None where it has to be read."""
        rows = self._select(
            "select device, inode, size, mtime_ns, ctime_ns, oid from file where path = ?", path
        )
        return rows[0][5] if rows and rows[0][:5] == looks(status) else None

    def below(self, folder: str) -> dict[str, Seen]:
        """Return what the files below a folder looked like, and their hashes, by relative path."""
        start = len(folder) + 1

        def make(rows: Iterable[Any]) -> dict[str, Seen]:
            return {row[0][start:]: (row[1:6], row[6]) for row in rows}

        return self._below("path, device, inode, size, mtime_ns, ctime_ns, oid", folder, make)

    def oids_below(self, folder: str) -> dict[str, str]:
        """Return the hashes that the files below a folder had last, by relative path."""
        start = len(folder) + 1

        def make(rows: Iterable[Any]) -> dict[str, str]:
            return {path[start:]: oid for path, oid in rows}

        return self._below("path, oid", folder, make)

    def _below(self, columns: str, folder: str, make: Callable[[Iterable[Any]], T]) -> T:
        return self._selected(
            make,
            f"select {columns} from file where path > ? and path < ?",  # noqa: S608 -- columns
            f"{folder}/",
            f"{folder}0",  # "0" is the character after "/"
        )

    def put(
        self,
        rows: Mapping[str, Seen],
        *,
        began: int | None = None,
        settled: bool = False,
    ) -> bool:
        """Remember what files look like, and their hashes, by absolute path.

        Parameters
        ----------
        began : int, optional
            When the first of them was looked at (`time.time_ns()`); now, if not given. A file
            that was changed within the last clock tick before that is left out.
        settled : bool
            The files were written by this process just now and nobody else writes them: none is
            left out.

        Returns
        -------
        bool
            Whether all of them are remembered now.
        """
        limit = (time.time_ns() if began is None else began) - _TICK_NS
        paths = sorted(p for p, (look, _) in rows.items() if settled or look[4] < limit)
        if not paths:
            return not rows
        kept = ((path, *rows[path][0], rows[path][1]) for path in paths)
        written = self._write("insert or replace into file values (?, ?, ?, ?, ?, ?, ?)", kept)
        return written and len(paths) == len(rows)

    def folder(self, path: str) -> Folder | None:
        """Return what a folder was when it was last looked at as a whole."""
        rows = self._select("select mark, oid, size, n_files from folder where path = ?", path)
        return Folder(*rows[0]) if rows else None

    def put_folder(self, path: str, found: Folder) -> None:
        """Remember a folder, all files of which are remembered."""
        self._write("insert or replace into folder values (?, ?, ?, ?, ?)", [(path, *found)])

    def derived(self, oid: str, kind: str) -> str | None:
        """Return what was made of the object `oid` (its profile, say), or None."""
        rows = self._select("select result from derived where oid = ? and kind = ?", oid, kind)
        return rows[0][0] if rows else None

    def put_derived(self, oid: str, kind: str, result: str) -> None:
        """Remember what was made of the object `oid`."""
        self._write("insert or replace into derived values (?, ?, ?)", [(oid, kind, result)])

    def close(self) -> None:
        """Close the file, if it was opened."""
        if self._legacy is not None:
            self._legacy.close()
        if self._open is not None:
            self._open.close()
            self._open = None

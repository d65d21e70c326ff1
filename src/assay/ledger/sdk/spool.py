"""Batches that could not be written yet, in a file: one a process, sent again in its order.

A file is `RUN.SENDER.jsonl` in the folder `spool` of `.assay`. Its first line says where its
batches belong, the others are one batch each. The process that writes a file holds a lock on it;
a file without one was left behind, and whoever comes first sends it: a batch that was applied
before is not applied again. A last line that a power failure cut is left out; a file with another
line that cannot be read is put aside as `.damaged`, when all that can be is sent.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from assay.base.errors import Error
from assay.base.files import explain, temporary_beside
from assay.ledger import operations
from assay.ledger.operations import Batch, Operation, StartRun
from assay.objects import hashing

_SUFFIX = ".jsonl"
_DAMAGED = ".damaged"
_SHA256 = re.compile(rb"sha256:([0-9a-f]{64})")
_SYNC = 1.0  # seconds between two waits for the disk


class Damaged(Error):
    """A file that cannot be read as a spool."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """Where the batches of a file belong, and the runs that their process began."""

    to: str  # a path, or a URL without its password
    started: tuple[StartRun, ...] = ()


class Spool:
    """The file of one sender; it comes to be with the first line and goes with the last."""

    def __init__(self, folder: Path, *, sender: str) -> None:
        self._folder, self._sender = folder, sender
        self._handle: io.FileIO | None = None
        self._synced = 0.0
        self.path: Path | None = None

    def append(self, lines: list[bytes], header: Header, *, run: str) -> list[tuple[int, int]]:
        """Write lines, and return place and size of each.

        They survive the end of this process, and a power failure after a second or after `sync`.
        """
        try:
            handle = self._handle or self._create(header, run=run)
            start = at = handle.seek(0, os.SEEK_END)
            places = []
            for line in lines:
                places.append((at, len(line)))
                at += len(line) + 1
            try:
                hashing.write_all(handle.fileno(), b"".join(line + b"\n" for line in lines))
                if time.monotonic() - self._synced > _SYNC:
                    self.sync()
            except OSError:
                with contextlib.suppress(OSError):
                    handle.truncate(start)
                raise
        except OSError as error:
            raise explain(error, self.path or self._folder) from error
        return places

    def sync(self) -> None:
        """Make all lines durable."""
        if self._handle is not None:
            os.fsync(self._handle.fileno())
            self._synced = time.monotonic()

    def read(self, place: tuple[int, int]) -> bytes:
        """Return a line by its place."""
        if self._handle is None:
            raise Error("the spool is closed", where=self.path)
        return os.pread(self._handle.fileno(), place[1], place[0])

    def blank(self, place: tuple[int, int]) -> None:
        """Take back a line: nobody is to send it."""
        if self._handle is not None:
            os.pwrite(self._handle.fileno(), b" " * place[1], place[0])

    def clear(self) -> None:
        """Remove the file: all of it is written where it belongs."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Leave the file to whoever sends it; in a forked process it stays its parent's."""
        handle, self._handle, self.path = self._handle, None, None
        if handle is not None:
            handle.close()

    def _create(self, header: Header, *, run: str) -> io.FileIO:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{run}.{self._sender[-12:]}{_SUFFIX}"
        temporary = temporary_beside(path)
        handle = io.FileIO(temporary, "x+b")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)  # before anybody can see it
            handle.write(msgspec.json.encode(header) + b"\n")
            temporary.rename(path)
        except BaseException:
            handle.close()
            temporary.unlink(missing_ok=True)
            raise
        self._handle, self.path = handle, path
        return handle


class Left:
    """A file that nobody writes to any more: read line by line, since it may be a large one.

    Attributes
    ----------
    problems : list of str
        Lines that cannot be read, of those that `batches` has come to.
    """

    def __init__(self, path: Path, handle: BinaryIO) -> None:
        self.path, self._lines = path, _whole_lines(handle)
        first = next(self._lines, b"{}")
        try:
            self.header = msgspec.json.decode(first, type=Header)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Damaged(f"this is no spool: {error}", where=path) from error
        self.problems: list[str] = []

    @property
    def run(self) -> str:
        """The run of its first batch."""
        return self.path.name.partition(".")[0]

    def batches(self) -> Iterator[Batch]:
        """Yield its batches, each once; a line that is none is one of `problems`."""
        for number, line in enumerate(self._lines, start=2):
            if line.isspace():  # it was taken back
                continue
            try:
                yield operations.decode(line, where=f"{self.path}:{number}")
            except Error as error:
                self.problems.append(str(error))


def _whole_lines(handle: BinaryIO) -> Iterator[bytes]:
    """Yield lines without their ends; the last one is left out where it was cut."""
    return (line[:-1] for line in handle if line.endswith(b"\n"))


def files(folder: Path) -> list[Path]:
    """Return the files of a folder, those of older runs first."""
    found = [path for path in folder.glob(f"*{_SUFFIX}") if not path.name.startswith(".")]
    return sorted(found, key=lambda path: (path.name.partition(".")[0], _made(path)))


@contextlib.contextmanager
def claimed(path: Path) -> Iterator[Left | None]:
    """Give what a file holds to one process; None where another one has it, or it is gone.

    Raises
    ------
    Damaged
        If that is no spool.
    Error
        If the file cannot be read.
    """
    try:
        handle = path.open("r+b")
    except FileNotFoundError:
        yield None
        return
    except OSError as error:
        raise explain(error, path) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield None
            return
        yield Left(path, handle) if _is_at(path, handle) else None


def _is_at(path: Path, handle: BinaryIO) -> bool:
    """Tell whether a file is still there: its writer may have begun another of its name."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle.fileno()))
    except FileNotFoundError:
        return False


def oids(folder: Path) -> set[str]:
    """Return the hashes of the objects that waiting batches name; a collection keeps them."""
    found: set[str] = set()
    for path in files(folder):
        with contextlib.suppress(FileNotFoundError), path.open("rb") as handle:
            found |= _oids_of(path, handle)
    for path in folder.glob(f"*{_SUFFIX}{_DAMAGED}"):
        with contextlib.suppress(FileNotFoundError), path.open("rb") as handle:
            found |= _named(handle)
    return found


def _oids_of(path: Path, handle: BinaryIO) -> set[str]:
    try:
        left = Left(path, handle)
    except Damaged:
        handle.seek(0)
        return _named(handle)
    found = set(operations.oids(left.header.started))
    for batch in left.batches():
        found.update(operations.oids(batch.operations))
    if left.problems:
        handle.seek(0)
        found |= _named(handle)
    return found


def _named(lines: Iterable[bytes]) -> set[str]:
    """Return all that looks like a hash in a file that cannot be read."""
    return {one.decode() for line in lines for one in _SHA256.findall(line)}


def put_aside(path: Path) -> Path:
    """Move a damaged file away, so that nobody sends it; return where it is."""
    aside = path.with_name(path.name + _DAMAGED)
    try:
        return path.rename(aside)
    except OSError as error:
        raise explain(error, path) from error


def refuse(folder: Path, refused: Iterable[tuple[Operation, str]]) -> None:
    """Keep operations that are refused for good, and why, beside the files: nothing is lost."""
    lines = [msgspec.json.encode({"why": why, "operation": one}) + b"\n" for one, why in refused]
    if lines:
        with (folder / "refused.json-lines").open("ab") as handle:
            handle.write(b"".join(lines))


def _made(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0

"""Writing records off the hot path: a bounded list in memory, a thread, files that only grow.

`append` puts a record into the list and returns; it never waits and never raises. A thread
encodes what is there and writes it in one call, five times a second. What a `kill -9` loses is
what came in since the last write was begun: `flush_seconds` and the time that the write before
took. What is written stays; after a power cut only what was synced does (`sync`).
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from assay.base.errors import Error
from assay.base.files import explain, sync_folder
from assay.base.ids import uuid7
from assay.traffic import files
from assay.traffic.framing import HEAD_SIZE, pack, seed_of
from assay.traffic.record import Record, Truth, encode

LARGEST_BACKLOG = 50_000
"""Records that wait at most."""

MOST_VALUES = 4_000_000
"""Values that wait at most; the thread is woken at a quarter."""


LARGEST_WRITE = 4_000_000
"""Bytes that are written in one call, unless one record has more."""


class Spool:
    """Takes records for a folder; threads may share it, processes have one each.

    Parameters
    ----------
    folder : path
        Where the files go. Several processes may write into one.
    flush_seconds : float
        How often what waits is written.
    roll_seconds, roll_size : float, int
        A file older than this, or larger in bytes, is finished and can be rolled.
    sync : bool
        Whether each write is followed by `fdatasync`, so that it outlives a power cut.

    Attributes
    ----------
    n_written, n_dropped : int
        Records that are in the files, and those that never will be.
    problem : assay.Error or None
        Why records are being dropped; None again after a write that lost nothing.

    Raises
    ------
    assay.Error
        If the folder cannot be made.
    """

    def __init__(
        self,
        folder: Path,
        *,
        flush_seconds: float = 0.2,
        roll_seconds: float = 600,
        roll_size: int = 64_000_000,
        sync: bool = False,
    ) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise explain(error, folder) from error
        self.folder = folder
        self.n_written = self.n_dropped = 0
        self.problem: Error | None = None
        self._roll_seconds, self._roll_size, self._sync = roll_seconds, roll_size, sync
        self._waiting: list[Record | Truth] = []
        self._n_values = 0
        self._is_closed = False
        self._lock = threading.Lock()  # of the list and of `n_dropped`
        self._writing = threading.Lock()  # so that a flush ends when all before it is written
        self._file: _File | None = None
        self._wake = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(flush_seconds,), name="assay-traffic", daemon=True
        )
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def n_waiting(self) -> int:
        """Records that are not written yet."""
        return len(self._waiting)

    def append(self, record: Record | Truth) -> bool:
        """Take a record; false where it is dropped since too many wait, or the spool is closed."""
        n_values = record.n_values
        with self._lock:
            waiting = self._waiting
            total = self._n_values + n_values
            is_full = len(waiting) >= LARGEST_BACKLOG or (waiting and total > MOST_VALUES)
            if is_full or self._is_closed:
                self.n_dropped += 1
                return False
            waiting.append(record)
            self._n_values = total
        if total > MOST_VALUES // 4:
            self._wake.set()
        return True

    def flush(self) -> None:
        """Write what waits, now and in this thread; what cannot be written is dropped."""
        with self._writing:
            with self._lock:
                batch, self._waiting = self._waiting, []
                self._n_values = 0
            if batch:
                self._write(batch)
            self._finish_if_due()

    def close(self) -> None:
        """Write what waits and finish the file; what is appended later is dropped."""
        with self._lock:
            self._is_closed = True
        self._wake.set()
        if self._thread is not threading.current_thread():
            self._thread.join()
        self.flush()
        with self._writing:
            self._finish()

    def _run(self, flush_seconds: float) -> None:
        while not self._is_closed:
            self._wake.wait(flush_seconds)
            self._wake.clear()
            try:
                self.flush()
            except Exception as error:  # noqa: BLE001 -- whatever it is, serving and logging go on
                self.problem = Error(f"writing the log failed: {error!r}", where=self.folder)

    def _write(self, batch: list[Record | Truth]) -> None:
        payloads, problem = self._encode(batch)
        at = 0
        try:
            while at < len(payloads):
                file = self._file = self._file or _File.make(self.folder)
                n_written, error = file.write(payloads, at)
                at += n_written
                self.n_written += n_written
                if error is None:
                    continue
                failed = explain(error, file.path)
                if error.errno != errno.EFBIG or file.is_broken:
                    raise failed
                if file.size:
                    self._finish()  # a new one has room
                elif not self._drop_too_large(payloads, at):
                    raise failed
                else:
                    problem = failed
            if self._sync and self._file:
                os.fdatasync(self._file.descriptor)
        except Error as failed:
            problem = failed
        except OSError as error:
            problem = explain(error, self.folder)
        finally:
            self._drop(len(payloads) - at)
        if self._file and self._file.is_broken:
            self._finish()
        self.problem = problem

    def _drop_too_large(self, payloads: list[bytes], at: int) -> int:
        """Drop what no file may hold by the limit of this process; return how many they are."""
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        rest = payloads[at:]
        payloads[at:] = [one for one in rest if limit < 0 or HEAD_SIZE + len(one) <= limit]
        n_dropped = len(rest) - len(payloads[at:])
        self._drop(n_dropped)
        return n_dropped

    def _encode(self, batch: list[Record | Truth]) -> tuple[list[bytes], Error | None]:
        payloads, problem = [], None
        for number, record in enumerate(batch):
            try:
                payloads.append(encode(record))
            except Exception as error:  # noqa: BLE001 -- a value may be of any class
                problem = Error(f"a record cannot be logged: {error}", where=record.id)
                self._drop(1)
            if number % 32 == 31:
                time.sleep(0)  # let a request that came in go first
        return payloads, problem

    def _drop(self, n_records: int) -> None:
        with self._lock:
            self.n_dropped += n_records

    def _finish_if_due(self) -> None:
        file = self._file
        if file and (file.size >= self._roll_size or file.age() >= self._roll_seconds):
            self._finish()

    def _finish(self) -> None:
        if self._file:
            os.close(self._file.descriptor)  # and with it the lock
            self._file = None


class _File:
    """A spool file that is open and locked."""

    def __init__(self, path: Path, descriptor: int, file_id: str) -> None:
        self.path, self.descriptor, self.size = path, descriptor, 0
        self.is_broken = False  # its end is not that of a record, and cannot be made so
        self._seed = seed_of(file_id)
        self._began = time.monotonic()

    @classmethod
    def make(cls, folder: Path) -> _File:
        """Make a file that nobody else has."""
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            file_id = uuid7()
            path = files.spool_path(folder, file_id)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
            descriptor = os.open(path, flags, 0o644)
            try:
                if files.lock_new(path, descriptor):
                    sync_folder(folder)
                    return cls(path, descriptor, file_id)
            except OSError:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def age(self) -> float:
        """Return the seconds since it was made."""
        return time.monotonic() - self._began

    def write(self, payloads: Sequence[bytes], start: int) -> tuple[int, OSError | None]:
        """Write records, up to a limit; return how many are whole, and why no more are."""
        frames: list[bytes] = []
        size = 0
        while start + len(frames) < len(payloads) and size < LARGEST_WRITE:
            frames.append(pack(payloads[start + len(frames)], self._seed))
            size += len(frames[-1])
        rest = memoryview(b"".join(frames))
        n_bytes = 0
        try:
            while rest:
                written = os.write(self.descriptor, rest)
                n_bytes += written
                rest = rest[written:]
        except OSError as error:
            return self._cut(frames, n_bytes), error
        self.size += n_bytes
        return len(frames), None

    def _cut(self, frames: Sequence[bytes], n_bytes: int) -> int:
        """Take away the last record if it is there in part; return how many are whole."""
        whole = n_whole = 0
        for frame in frames:
            if whole + len(frame) > n_bytes:
                break
            whole += len(frame)
            n_whole += 1
        self.size += whole
        if n_bytes > whole:
            try:
                os.ftruncate(self.descriptor, self.size)
            except OSError:
                self.is_broken = True
        return n_whole

"""Objects that arrive piece by piece, as from a network: hashed and written as they come.

Memory holds one piece. Nothing is an object before all of it is there and durable; what is not
finished leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator

from assay.objects.cache import Cache, Stored
from assay.objects.hashing import begin_writing, new, write_all
from assay.objects.staging import Staging, staging

_FLUSH = 32 << 20
_FRESH = 1800.0
"""Seconds for which an object counts as just written: half of what `gc` leaves alone."""


class Arriving:
    """One object that arrives; threads may take turns with it.

    Attributes
    ----------
    size : int
        Bytes so far.
    """

    def __init__(self, cache: Cache, stage: Staging) -> None:
        self.size = 0
        self._cache = cache
        self._name = stage.new()
        self._digest = new(cache.algorithm)
        self._lock = threading.Lock()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor: int | None = os.open(self._name, flags, 0o444)
        self._unflushed = 0

    def write(self, piece: bytes) -> None:
        """Take the next piece."""
        with self._lock:
            descriptor = self._opened()
            self._digest.update(piece)
            write_all(descriptor, piece)
            self.size += len(piece)
            self._unflushed += len(piece)
            if self._unflushed >= _FLUSH:
                begin_writing(descriptor)
                self._unflushed = 0

    def finish(self) -> Stored:
        """Make what arrived an object, durable before it has its name."""
        with self._lock:
            descriptor = self._opened()
            oid = str(self._digest.hexdigest())
            final = self._cache.place(oid)
            if not self._is_there(final):
                os.fsync(descriptor)
                os.makedirs(os.path.dirname(final), exist_ok=True)  # noqa: PTH103, PTH120
                os.rename(self._name, final)  # noqa: PTH104
            self._close()
        return Stored(oid, self.size)

    def finish_at(self, place: str) -> None:
        """Move what arrived to a place of its own in the store's file system, durable."""
        with self._lock:
            os.fsync(self._opened())
            os.rename(self._name, place)  # noqa: PTH104
            self._close()

    def hexdigest(self) -> str:
        """Return the hash of what arrived so far."""
        with self._lock:
            return str(self._digest.hexdigest())

    def leave(self) -> None:
        """Let go of the file; a thread that writes comes to its end first."""
        with self._lock:
            self._close()

    def _opened(self) -> int:
        if self._descriptor is None:
            raise RuntimeError("the object is finished, or was left")
        return self._descriptor

    def _is_there(self, final: str) -> bool:
        """Tell whether the object is there already, whole and written of late.

        An older one that nobody names may be collected any moment: ours takes its place.
        """
        try:
            status = os.stat(final, follow_symlinks=False)  # noqa: PTH116
        except FileNotFoundError:
            return False
        return status.st_size == self.size and time.time() - status.st_mtime < _FRESH

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


@contextlib.contextmanager
def arriving(cache: Cache) -> Iterator[Arriving]:
    """Open an object that arrives; without `finish` it leaves nothing.

    Raises
    ------
    Error
        If the disk is full, or the store cannot be written to; with the next step.
    """
    with staging(cache.folder) as stage:
        one = Arriving(cache, stage)
        try:
            yield one
        finally:
            one.leave()

"""Points of metrics on their way to the ledger: kept for half a second, then written together.

A training loop logs a thousand points a second; a transaction for each would cost more than the
training. What waits is written when half a second has passed since the first of it, when there
are 1,000, at the end of the run and of the process. A forked process begins with an empty
buffer: what its parent had waits there.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from assay.base.errors import Error

if TYPE_CHECKING:
    from assay.ledger.writer import Metric

DELAY = 0.5
"""Seconds that a point waits at most, as long as the ledger takes it."""

LARGEST = 1000
"""Points that wait at most."""


class Buffer:
    """Collects points of one run; threads may share it."""

    def __init__(self, write: Callable[[list[Metric]], None]) -> None:
        self._write = write
        self._reset()
        _buffers.add(self)

    def _reset(self) -> None:
        self._points: list[Metric] = []
        self._timer: threading.Timer | None = None
        self._failed = False
        self._lock = threading.Lock()  # of the list
        self._writing = threading.Lock()  # so that a flush ends when all before it is written

    def add(self, points: Sequence[Metric]) -> None:
        """Take points; an error of writing comes up here, or in `flush`, and loses none."""
        _flush_at_exit()
        with self._lock:
            self._points.extend(points)
            is_due = self._failed or len(self._points) >= LARGEST or not self._has_timer()
        if is_due:
            self.flush()

    def _has_timer(self) -> bool:
        """See to it that what waits is written in time; false where no thread can be started."""
        if self._timer is None:
            self._timer = threading.Timer(DELAY, self._flush_in_background)
            self._timer.daemon = True
            try:
                self._timer.start()
            except RuntimeError:  # the interpreter is shutting down
                self._timer = None
                return False
        return True

    def flush(self) -> None:
        """Write what waits, in one transaction."""
        with self._writing:
            with self._lock:
                points, self._points = self._points, []
                timer, self._timer = self._timer, None
            if timer is not None:
                timer.cancel()
            if not points:
                return
            try:
                self._write(points)
            except BaseException:
                with self._lock:
                    self._points[:0] = points
                    self._failed = True
                raise
            self._failed = False

    def _flush_in_background(self) -> None:
        with contextlib.suppress(Exception):  # the next call tries again, and raises
            self.flush()


_buffers: weakref.WeakSet[Buffer] = weakref.WeakSet()


def _begin_anew() -> None:
    for buffer in list(_buffers):
        buffer._reset()  # noqa: SLF001 -- of this file


_hooked = 0  # the process that has `_flush_all` at its end


def _flush_at_exit() -> None:
    """See to it that what waits is written when this process ends."""
    global _hooked  # noqa: PLW0603 -- one end of one process
    if _hooked == os.getpid():
        return
    _hooked = os.getpid()
    atexit.register(_flush_all)
    if "multiprocessing.util" in sys.modules:  # its workers leave without atexit
        from multiprocessing.util import Finalize

        Finalize(None, _flush_all, exitpriority=100)


def _flush_all() -> None:
    for buffer in list(_buffers):
        try:
            buffer.flush()
        except Error as error:
            sys.stderr.write(f"assay: the last metrics were not recorded: {error}\n")


os.register_at_fork(after_in_child=_begin_anew)

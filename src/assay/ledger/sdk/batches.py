"""What waits in a queue becomes batches, none so large that a server would not take it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import msgspec

from assay.base.errors import Error
from assay.ledger.operations import LogMetrics, Operation, Point, point

N_POINTS = 5_000
"""At most so many of a batch, so that none takes long to be written."""

N_OPERATIONS = 100
"""At most so many of a batch."""

SIZE = 4_000_000
"""Bytes of a batch, above which it ends; a single operation may have more."""

_POINT = 100  # bytes of one at most, without its key
_SIGN = 6  # bytes of a character in JSON at most

Waiting = tuple[str, str, float, int, int] | Operation
"""An operation, or a point: run, key, value, step, at."""


def batches(
    queue: deque[Waiting], refuse: Callable[[str, Error], None]
) -> Iterator[list[Operation]]:
    """Take what waits, points of one run together, and yield it in parts that are not large.

    Parameters
    ----------
    refuse : callable
        Told of an operation that cannot be written as text, and of which run it is.
    """
    filling = _Filling()
    for _ in range(len(queue)):
        one = queue.popleft()
        if type(one) is tuple:
            filling.add_point(*one)
        else:
            try:
                size = len(msgspec.json.encode(one))
            except (ValueError, TypeError, RecursionError) as error:
                run: str = one.run  # type: ignore[union-attr] # it is never a plain tuple
                refuse(run, Error(f"this is not recorded: {error}"))
                continue
            if filling.size + size > SIZE and filling.size:
                yield filling.taken()
            filling.add(one, size=size)  # type: ignore[arg-type] # as above
        if filling.is_full:
            yield filling.taken()
    if filling.size:
        yield filling.taken()


class _Filling:
    """The batch that is being made."""

    def __init__(self) -> None:
        self.size = 0
        self._found: list[Operation] = []
        self._points: list[Point] = []
        self._run, self._n_points = "", 0

    @property
    def is_full(self) -> bool:
        return self.size > SIZE or self._n_points >= N_POINTS or len(self._found) >= N_OPERATIONS

    def add_point(self, run: str, key: str, value: float, step: int, at: int) -> None:
        if run != self._run:
            self._end_points()
            self._run = run
        self._points.append(point(key, value, step=step, at=at))
        self._n_points += 1
        self.size += _POINT + _SIGN * len(key)

    def add(self, one: Operation, *, size: int) -> None:
        self._end_points()
        self._found.append(one)
        self.size += size

    def taken(self) -> list[Operation]:
        """Return the batch, and begin the next one."""
        self._end_points()
        found, self._found, self._n_points, self.size = self._found, [], 0, 0
        return found

    def _end_points(self) -> None:
        if self._points:
            self._found.append(LogMetrics(run=self._run, points=tuple(self._points)))
            self._points = []

"""Batches that wait to be written, in their order: in memory, and after a moment in a file too.

A batch that is not written 60 milliseconds after it was made is put into the spool
(`assay.ledger.sdk.spool`), so that a process that is killed loses nothing older; its operations
leave the memory then. When all is written, the file goes.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from assay.base.ids import uuid7
from assay.ledger import operations
from assay.ledger.operations import Batch, Operation, StartRun
from assay.ledger.sdk.spool import Header, Spool

if TYPE_CHECKING:
    from pathlib import Path

_AFTER = 0.06  # seconds that a batch is in memory alone


class _Item:
    """A batch on its way; `place` is where it lies in the spool."""

    __slots__ = ("batch", "begun", "made", "number", "place", "run")

    def __init__(self, batch: Batch) -> None:
        self.batch: Batch | None = batch
        self.number, self.run = batch.number, batch.operations[0].run
        self.begun = [one.run for one in batch.operations if isinstance(one, StartRun)]
        self.made = time.monotonic()
        self.place: tuple[int, int] | None = None


class Outbox:
    """Batches of one sender; threads may share it.

    Parameters
    ----------
    folder : Path
        Where the spool lies.
    to : str
        Where the batches belong, for who sends them later.
    """

    def __init__(self, folder: Path, *, to: str) -> None:
        self._folder, self._to = folder, to
        self._go_on_as(uuid7())
        self.started: dict[str, StartRun] = {}
        self._items: deque[_Item] = deque()
        self._fresh: deque[_Item] = deque()  # the last of them, which are in memory alone
        self._lock = threading.RLock()
        self.made = self.written = 0  # numbers of the last batches

    def add(self, found: Sequence[Operation]) -> None:
        """Put operations into a batch of their own, after those that are there."""
        with self._lock:
            for one in found:
                if isinstance(one, StartRun):
                    self.started[one.run] = one
            self.made += 1
            batch = Batch(sender=self.sender, number=self.made, operations=tuple(found))
            item = _Item(batch)
            self._items.append(item)
            self._fresh.append(item)

    def __len__(self) -> int:
        return len(self._items)

    def first(self) -> Batch | None:
        """Return the batch that is to be written next."""
        with self._lock:
            if not self._items:
                return None
            item = self._items[0]
            if item.batch is None:
                assert item.place is not None  # noqa: S101 -- `keep` takes the one for the other
                return operations.decode(self.spool.read(item.place), where=str(self.spool.path))
            return item.batch

    def done(self, number: int) -> None:
        """Forget the first batch: it is written, or refused as a whole."""
        with self._lock:
            if self._items and self._items[0].number == number:
                if self._items.popleft().place is None:
                    self._fresh.popleft()
                self._count_written()

    def forget(self, number: int) -> bool:
        """Drop a batch that nobody is to write, and the runs it begins; tell if it was there."""
        with self._lock:
            found = [item for item in self._items if item.number == number]
            for item in found:
                self._items.remove(item)
                for run in item.begun:
                    self.started.pop(run, None)
                if item.place is None:
                    self._fresh.remove(item)
                else:
                    self.spool.blank(item.place)
            self._count_written()
            return bool(found)

    def _count_written(self) -> None:
        self.written = self._items[0].number - 1 if self._items else self.made
        if not self._items:
            self.spool.clear()

    def keep(self, *, at_once: bool = False, after: float | None = None) -> None:
        """Put what waits for longer into the spool, each batch once.

        Parameters
        ----------
        at_once : bool
            All of it, and durably.
        after : float, optional
            Seconds that a batch may wait; a moment, where not given.

        Raises
        ------
        Error
            If the file cannot be written; the batches stay in memory.
        """
        with self._lock:
            may_wait = _AFTER if after is None else after
            until = time.monotonic() - (0 if at_once else may_wait)
            due = list(itertools.takewhile(lambda item: item.made <= until, self._fresh))
            if due:
                lines = [operations.encode(item.batch) for item in due if item.batch is not None]
                header = Header(to=self._to, started=tuple(self.started.values()))
                places = self.spool.append(lines, header, run=due[0].run)
                for item, place in zip(due, places, strict=True):
                    item.place = place
                    item.batch = None
                    self._fresh.popleft()
            if at_once:
                self.spool.sync()

    def leave(self) -> None:
        """Put all into the spool and leave it to whoever sends it; go on as another sender."""
        with self._lock:
            if self._items:
                self.keep(at_once=True)
                self._items.clear()
                self.written = self.made
                self.spool.close()
                self._go_on_as(uuid7())

    def _go_on_as(self, sender: str) -> None:
        self.sender = sender
        self.spool = Spool(self._folder, sender=sender)

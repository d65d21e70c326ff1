"""Batches that wait to be written, in their order: in memory, and after a moment in a file too.

A batch that is not written 60 milliseconds after it was made is put into the spool
(`assay.ledger.spool`), so that a process that is killed loses nothing older; its operations leave
the memory then. When all is written, the file goes.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from assay.base.ids import uuid7
from assay.ledger import operations
from assay.ledger.operations import Batch, Operation, StartRun
from assay.ledger.spool import Header, Spool

if TYPE_CHECKING:
    from pathlib import Path

_AFTER = 0.06  # seconds that a batch is in memory alone


class _Item:
    """A batch on its way; `place` is where it lies in the spool."""

    __slots__ = ("batch", "made", "number", "place", "run")

    def __init__(self, batch: Batch) -> None:
        self.batch: Batch | None = batch
        self.number, self.run = batch.number, batch.operations[0].run
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
            self._items.append(_Item(batch))

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
                self._items.popleft()
                self.written = number
            if not self._items:
                self.spool.clear()

    def forget(self, number: int) -> None:
        """Drop a batch that nobody is to write."""
        with self._lock:
            self._items = deque(item for item in self._items if item.number != number)
            if not self._items:
                self.written = self.made
                self.spool.clear()

    def keep(self, *, at_once: bool = False) -> bool:
        """Put what waits for longer into the spool; tell whether all that waits lies there.

        Raises
        ------
        Error
            If the file cannot be written; the batches stay in memory.
        """
        with self._lock:
            until = time.monotonic() - (0 if at_once else _AFTER)
            due = [item for item in self._items if item.place is None and item.made <= until]
            if due:
                lines = [operations.encode(item.batch) for item in due if item.batch is not None]
                header = Header(to=self._to, started=tuple(self.started.values()))
                places = self.spool.append(lines, header, run=due[0].run)
                for item, place in zip(due, places, strict=True):
                    item.place = place
                    item.batch = None
            if at_once:
                self.spool.sync()
            return all(item.place is not None for item in self._items)

    def leave(self) -> None:
        """Put all into the spool and leave it to whoever sends it; go on as another sender."""
        with self._lock:
            if self._items:
                self.keep(at_once=True)
                self._items.clear()
                self.spool.close()
                self._go_on_as(uuid7())

    def _go_on_as(self, sender: str) -> None:
        self.sender = sender
        self.spool = Spool(self._folder, sender=sender)

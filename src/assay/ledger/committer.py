"""Group commit: what several threads want to write at one time goes into one transaction.

A transaction costs more than what is written in it. So one thread of a process writes; while it
does, further writes queue up, and the next transaction takes all of them. Each is told its result
only after that transaction is kept. Where one of them raises, all are undone and done again, each
in a savepoint of its own, so that one's refusal does no harm to the others: a write may be called
several times, and must touch nothing but its connection.

A database that is locked or gone is asked again for a while; then the writes fail with
`Unavailable`, and the next ones find it as it is then.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from assay.base.errors import Error
from assay.ledger.sinks import Unavailable

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.exc import SQLAlchemyError

    from assay.ledger.database import Ledger

T = TypeVar("T")
Work = Callable[["Connection"], Any]
Outcome = tuple[Any, BaseException | None]
Done = Callable[[Any, BaseException | None], object]

MOST = 256
"""Writes of one transaction: what comes first should not wait for too many."""
LONGEST = 0.1
"""Seconds that one transaction goes on taking writes in: others want the database, too."""
PATIENCE = 20.0
"""Seconds that a database may be locked or gone before a write fails."""
_PAUSES = (0.05, 0.1, 0.2, 0.5, 1.0)
_FULL = ("database or disk is full", "No space left on device", "Disk quota exceeded")
"""What SQLite says, and PostgreSQL of the system; a host may be named "db-full"."""
_DISK_FULL = "53100"  # PostgreSQL's code
_log = logging.getLogger("assay.ledger")


class Away(Unavailable):
    """The database cannot be reached, or is held by another process."""


class Full(Unavailable):
    """There is no space for what was to be written."""


class Committer:
    """Writes to one ledger, in a thread that begins with the first write. Close it.

    Parameters
    ----------
    patience : float
        Seconds that a write waits for a database that is locked or gone.
    """

    def __init__(self, ledger: Ledger, *, patience: float = PATIENCE) -> None:
        self.ledger, self.patience = ledger, patience
        self.n_writes = self.n_transactions = 0
        self._queue: queue.SimpleQueue[tuple[Work, Done] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._connection: Connection | None = None
        self._inode: int | None = None
        self._closed = False

    def put(self, work: Work, done: Done) -> None:
        """Write soon; `done` is then called in the writer's thread with result and error."""
        with self._lock:
            if self._thread is None:
                self._begin()
            self._queue.put((work, done))

    def submit(self, work: Callable[[Connection], T]) -> Future[T]:
        """Write soon; the future has the result once it is kept."""
        future: Future[T] = Future()

        def done(result: Any, error: BaseException | None) -> None:
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        self.put(work, done)
        return future

    def close(self) -> None:
        """Write what waits, and end."""
        with self._lock:
            self._closed = True
            thread, self._thread = self._thread, None
            self._queue.put(None)  # the last thing in it
        if thread is not None:
            thread.join()

    def _begin(self) -> None:
        if self._closed:
            raise Unavailable("the hub ends")
        self._thread = threading.Thread(target=self._run, name="assay-committer", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        batch: list[tuple[Work, Done]] = []
        is_open = True
        while is_open or batch:
            if not batch:
                first = self._queue.get()
                if first is None:
                    break
                batch.append(first)
            with contextlib.suppress(queue.Empty):
                while is_open and len(batch) < MOST:
                    following = self._queue.get_nowait()
                    if following is None:
                        is_open = False
                    else:
                        batch.append(following)
            batch = batch[self._commit(batch) :]
        self._let_go()

    def _commit(self, batch: list[tuple[Work, Done]]) -> int:
        """Write a batch, or so much of it as time allows; tell each its result; count them."""
        outcomes: list[Outcome]
        try:
            outcomes = self._patiently(batch)
        except BaseException as error:  # noqa: BLE001 -- it belongs to those who wait
            outcomes = [(None, error)] * len(batch)
        self.n_writes += len(outcomes)
        for (_, done), outcome in zip(batch, outcomes, strict=False):
            try:
                done(*outcome)
            except Exception:  # noqa: BLE001 -- the one who waited is gone; the others are not
                _log.exception("a result could not be told")
        return len(outcomes)

    def _patiently(self, batch: list[tuple[Work, Done]]) -> list[Outcome]:
        """Write a batch; ask a database again that is locked or gone, for a while."""
        from sqlalchemy.exc import SQLAlchemyError

        until = time.monotonic() + self.patience
        for n_tries in itertools.count():
            try:
                return self._write(batch)
            except SQLAlchemyError as error:
                problem: Error = self.ledger.explain(error)
            except Unavailable as error:
                problem = error
            self._let_go()
            pause = _PAUSES[min(n_tries, len(_PAUSES) - 1)]
            is_over = time.monotonic() + pause > until
            if is_over or isinstance(problem, Full) or not isinstance(problem, Unavailable):
                raise problem
            time.sleep(pause)
        raise AssertionError

    def _write(self, batch: list[tuple[Work, Done]]) -> list[Outcome]:
        """Write a batch in one transaction: at first as if nothing could fail."""
        with self.ledger.alone():
            connection = self._connected()
            self.n_transactions += 1
            try:
                with connection.begin():
                    return self._in_turn(batch, lambda work: (work(connection), None))
            except Exception as error:
                if _is_of_database(error):
                    raise
                if len(batch) == 1:
                    return [(None, self._told(error))]
            with connection.begin():
                return self._in_turn(batch, lambda work: self._apart(connection, work))

    @staticmethod
    def _in_turn(
        batch: list[tuple[Work, Done]], write: Callable[[Work], Outcome]
    ) -> list[Outcome]:
        until = time.monotonic() + LONGEST
        outcomes = []
        for work, _ in batch:
            outcomes.append(write(work))
            if time.monotonic() > until:
                break
        return outcomes

    def _apart(self, connection: Connection, work: Work) -> Outcome:
        try:
            with connection.begin_nested():
                return work(connection), None
        except Exception as error:
            if _is_of_database(error):
                raise
            return None, self._told(error)

    def _told(self, error: Exception) -> Exception:
        from sqlalchemy.exc import SQLAlchemyError

        return self.ledger.explain(error) if isinstance(error, SQLAlchemyError) else error

    def _connected(self) -> Connection:
        """Return the writer's connection; refuse a file that was removed or replaced."""
        from assay.ledger.database import gone

        path = self.ledger.where if self.ledger.is_sqlite else None
        if path is not None:
            inode = _inode(path)
            if inode is None or (self._inode is not None and inode != self._inode):
                self._let_go()
                self.ledger.engine.dispose()
            if inode is None:
                raise gone(self.ledger.name)
            self._inode = inode
        if self._connection is None:
            connection = self.ledger.engine.connect()
            if path is not None:
                milliseconds = int(self.patience * 1000)
                connection.connection.execute(f"PRAGMA busy_timeout = {milliseconds}")
            options = {"writes": True, "patience": self.patience}
            self._connection = connection.execution_options(**options)
        return self._connection

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.invalidate()
            with contextlib.suppress(Exception):
                connection.close()


def _inode(path: str) -> int | None:
    try:
        return os.stat(path).st_ino  # noqa: PTH116 -- with each transaction
    except OSError:
        return None


def kind_of(error: SQLAlchemyError, message: str) -> type[Error]:
    """Return what kind of error it is that a database says."""
    if not _is_of_database(error):
        return Error
    is_full = (
        getattr(getattr(error, "orig", None), "sqlstate", None) == _DISK_FULL
    )  # in any language
    return Full if is_full or any(said in message for said in _FULL) else Away


def _is_of_database(error: Exception) -> bool:
    """Tell whether it is the database that failed, not the work."""
    from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

    if isinstance(error, (OperationalError, InterfaceError)):
        return getattr(error.orig, "sqlite_errorname", None) != "SQLITE_ERROR"  # a mistake in SQL
    return isinstance(error, DBAPIError) and error.connection_invalidated

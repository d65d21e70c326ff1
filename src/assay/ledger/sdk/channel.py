"""From the calls of a script to where runs are recorded: in the background and in order.

A call leaves an operation in a queue, which costs a microsecond. One thread takes what is there
every 30 milliseconds and makes a batch of it; another one writes the batches. What cannot
be written after another 60 lies in a file (`assay.ledger.sdk.outbox`), so that at most the
last 200 ms are lost when the process is killed, and a server that is away is not noticed.

A process has one channel for each place that it writes to (`assay.ledger.sdk.channels`).
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from assay.base.clock import now_ms
from assay.base.errors import Error
from assay.ledger import liveness
from assay.ledger.operations import Batch, Beat, Operation
from assay.ledger.sdk import pools, replay, spool
from assay.ledger.sdk.batches import batches
from assay.ledger.sdk.delivery import deliver
from assay.ledger.sdk.notice import Notice
from assay.ledger.sdk.outbox import Outbox
from assay.ledger.sinks import Unavailable

if TYPE_CHECKING:
    from assay.ledger.operations import Refusal
    from assay.ledger.resumed import Known
    from assay.ledger.sdk.batches import Waiting
    from assay.ledger.sinks import Sink

_GATHER = 0.03  # seconds in which a batch comes together
_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # seconds before what failed is tried again
_MOST = 100_000  # calls that wait; above that a call helps, so that memory is bounded
_FIRST = 1.0  # seconds after which a run that began says for the first time that it lives
_FORK = 0.2  # seconds that a fork waits for what is being written
_SENDER = "assay-send"
PATIENCE = 5.0
"""Seconds that the beginning and the end of a run wait for a place that is busy."""


class Channel:
    """Operations of this process on their way to one sink; threads may share it.

    Parameters
    ----------
    folder : Path
        Where that lies which cannot be written yet.
    begun : callable
        Called before the threads begin, in each process.
    """

    def __init__(
        self, sink: Sink, *, folder: Path, begun: Callable[[], None] = lambda: None
    ) -> None:
        self.sink, self._folder, self._begun = sink, folder, begun
        self._users = 0
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._is_hurried = False
        self._resent = threading.Event()  # what processes left behind that are gone
        self._queue: deque[Waiting] = deque()
        self._outbox = Outbox(self._folder, to=self.sink.name)
        self._threads: list[threading.Thread] = []
        self._stop = threading.Event()
        self._life = threading.RLock()  # of who uses it
        self._lock = threading.Lock()  # of the threads
        self._gathering = threading.Lock()  # what is taken first comes first
        self._sending = threading.Lock()
        self._called = threading.Event()  # something waits
        self._due = threading.Event()  # a batch can be written
        self._again = threading.Event()  # what failed is to be tried at once
        self._progress = threading.Condition()
        self._away: Error | None = None  # why nothing can be written now
        self._n_failures = 0
        self._alive: dict[str, Callable[[bool], str | None] | None] = {}
        self._next = time.monotonic() + liveness.BEAT  # when the runs here say that they live
        self._refused: dict[str, list[Error]] = {}
        self._notice = Notice(self.sink.name, folder=self._folder)

    def point(self, run: str, key: str, value: float, *, step: int, at: int) -> None:
        """Write one point of a metric soon; raise what was refused of the run before."""
        if self._refused:
            self.check(run)
        self._queue.append((run, key, value, step, at))
        if not self._called.is_set():
            self._wake()
        elif len(self._queue) > _MOST:
            self._gather()
        if self._is_hurried:
            self._keep()

    def put(self, operation: Operation) -> None:
        """Write an operation soon; raise what was refused of the run before."""
        if self._refused:
            self.check(operation.run)
        self.add(operation)

    def add(self, operation: Operation) -> None:
        """Write an operation soon, whatever was refused before."""
        self._queue.append(operation)
        self._wake()
        if self._is_hurried:
            self._keep()

    def _keep(self) -> None:
        """Put what waits into a file, for a process that may be killed as soon as a call ends."""
        self._gather()
        with contextlib.suppress(Error):  # no space: it waits in memory
            self._outbox.keep(after=0)

    def join(self) -> None:
        """Keep the channel open until `leave`."""
        with self._life:
            self._users += 1

    def begin(
        self, operation: Operation, *, beat: Callable[[bool], str | None] | None = None
    ) -> None:
        """Write the beginning of a run, and say from then on that it goes on.

        Parameters
        ----------
        beat : callable, optional
            Called with every heartbeat, to log what it finds, by `add`; told whether the place
            can be written to, it then returns the last lines of the output, where there are new
            ones.

        Raises
        ------
        Error
            If it cannot be written, neither now nor later.
        """
        self.join()
        try:
            number = self._put_alone(operation)
            self._hasten(may_tell=False)
            self._refuse_what_never_works(number)
            self._hasten()
            self.check(operation.run)
        except BaseException:
            self.leave()
            raise
        self._alive[operation.run] = beat
        self._next = min(self._next, time.monotonic() + min(_FIRST, liveness.BEAT))
        self._called.set()

    def _put_alone(self, operation: Operation) -> int:
        """Make a batch of one operation, after what waits; return its number, 0 where none is."""
        with self._gathering:
            self._take(self._queue)
            before = self._outbox.made
            self._take(deque([operation]))
            return self._outbox.made if self._outbox.made > before else 0

    def _refuse_what_never_works(self, number: int) -> None:
        """Take back a batch that is not written before somebody does something."""
        problem = self._away
        if problem is None or isinstance(problem, Unavailable):
            return
        with self._sending:  # nobody writes it meanwhile
            if not self._outbox.forget(number):
                return
            self._away = None
        raise problem

    def flush(self) -> None:
        """Wait until all that this process said is written, or lies in a file until it can be.

        Where there is no space for that file either, it goes on to wait in memory.
        """
        self._hasten()

    def end(self, run: str, operation: Operation | None) -> None:
        """Write how a run ended, and wait for all of it."""
        self._alive.pop(run, None)
        if operation is not None:
            self._take_in()
            self._queue.append(operation)
        try:
            self._hasten()
            if not len(self._outbox):
                self._outbox.started.pop(run, None)
        finally:
            self.leave()

    def check(self, run: str) -> None:
        """Raise what was refused of a run since the last time."""
        refused = self._refused.pop(run, None) if self._refused else None
        if refused:
            first, *others = refused
            for other in others:
                first.add_note(f"refused, too: {other}")
            raise first

    def leave(self) -> None:
        """Let the channel rest when nobody uses it any more; what cannot be written stays.

        What has no place on this machine either is tried on, as long as the process lives.
        """
        with self._life:
            self._users = max(0, self._users - 1)
            if not self._users:
                try:
                    self.rest()
                except Error as error:
                    self._notice.tell(self._away, full=error)
                    self._start()

    def rest(self) -> None:
        """End the threads, and leave what cannot be written to who comes next.

        Raises
        ------
        Error
            If there is no place for that on this machine.
        """
        self._halt(patience=PATIENCE)
        self._gather()
        self._outbox.leave()
        if self._sending.acquire(blocking=False):
            try:
                self.sink.rest()
            finally:
                self._sending.release()

    def resend(self) -> replay.Report:
        """Write what processes left behind that are gone."""
        with self._asking():
            return replay.replay(self._folder, self.sink.send, to=self.sink.name)

    def _take_in(self) -> None:
        """Let be written what workers of this process left that were killed; wait a while."""
        own, problem = self._outbox.spool.path, self._away
        if problem is not None or all(path == own for path in spool.files(self._folder)):
            return
        self._resent.clear()
        self._start()
        self._due.set()
        until = time.monotonic() + PATIENCE
        with self._progress:
            while not self._resent.is_set() and self._away is None and self._has_sender():
                if time.monotonic() >= until:
                    break
                self._progress.wait(min(0.5, PATIENCE))

    def find(self, run: str) -> Known:
        """Return what is known of a run, after what was left behind of it was written."""
        with contextlib.suppress(Error):  # said by the next line, where it matters
            self.resend()
        with self._asking():
            return self.sink.find(run)

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        with self._sending:
            try:
                yield
            finally:
                if not self._users:
                    self.sink.rest()

    # in the background

    def _wake(self) -> None:
        self._called.set()
        if not self._threads:
            self._start()

    def _start(self) -> None:
        """Start the threads, where they do not run and can be started."""
        with self._lock:
            if self._threads or sys.is_finalizing():  # a thread would never begin
                return
            self._begun()
            self._is_hurried = pools.is_worker()  # `with Pool():` kills its workers at its end
            self._stop = stop = threading.Event()
            both = (self._gather_on, "assay-gather"), (self._send_on, _SENDER)
            found = [
                threading.Thread(target=run, name=name, args=(stop,), daemon=True)
                for run, name in both
            ]
            with contextlib.suppress(RuntimeError):  # the interpreter is shutting down
                for thread in found:
                    thread.start()
                    self._threads.append(thread)

    def _halt(self, *, patience: float) -> None:
        """End the threads; one that waits for a server is left to itself."""
        with self._lock:
            threads, self._threads = self._threads, []
            self._stop.set()
        for event in (self._called, self._due, self._again):
            event.set()
        until = time.monotonic() + (patience if self._away is None else _FORK)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, until - time.monotonic()))
        self._called.clear()

    def _gather_on(self, stop: threading.Event) -> None:
        while not stop.is_set():
            idle = max(0.0, self._next - time.monotonic())
            if self._called.wait(_GATHER if len(self._outbox) else idle):
                stop.wait(_GATHER)
            if stop.is_set():
                break
            with contextlib.suppress(Exception):  # what cannot be kept now waits in memory
                self._gather()
                self._beat()
                self._outbox.keep()

    def _gather(self) -> None:
        """Make batches of what waits."""
        with self._gathering:
            self._called.clear()
            self._take(self._queue)

    def _take(self, queue: deque[Waiting]) -> None:
        for found in batches(queue, self._refuse):
            self._outbox.add(found)
            self._due.set()

    def untold(self) -> list[Error]:
        """Return what was refused of runs and raised by none of their calls, once."""
        refused, self._refused = self._refused, {}
        return [one for found in refused.values() for one in found]

    def _refuse(self, run: str, problem: Error) -> None:
        self._refused.setdefault(run, []).append(problem)

    def _beat(self) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + liveness.BEAT
        is_heard = self._away is None  # else beats would pile up
        tails = {run: _tail_of(beat, is_heard) for run, beat in tuple(self._alive.items())}
        with self._gathering:  # no beat comes after the end of its run
            alive = [run for run in tails if run in self._alive]
            beats = [Beat(run=run, at=now_ms(), log_tail=tails[run]) for run in alive]
            if beats and is_heard:
                self._outbox.add(beats)
                self._due.set()

    def _send_on(self, stop: threading.Event) -> None:
        self._resent.clear()
        while not stop.is_set():
            self._due.wait()
            self._due.clear()
            while not stop.is_set() and len(self._outbox):
                if not self._send_first() and not stop.is_set():
                    self._again.wait(_PAUSES[min(self._n_failures, len(_PAUSES)) - 1])
                    self._again.clear()
                    self._resent.clear()
            if not self._resent.is_set() and not stop.is_set():
                with contextlib.suppress(Exception):  # it waits for the next one
                    for problem in self.resend().damaged:
                        sys.stderr.write(f"assay: {problem}\n")
                self._resent.set()
                with self._progress:
                    self._progress.notify_all()

    def _send_first(self) -> bool:
        """Write the next batch; tell whether that went well."""
        with self._sending:
            batch = self._outbox.first()
            if batch is None:
                return True
            problem: Error | None = None
            try:
                refused = self._sent(batch)
            except Error as error:
                problem = error
            except Exception as error:  # noqa: BLE001 -- nothing may be lost by a bug of ours
                problem = Error(f"{type(error).__name__}: {error}", where=self.sink.name)
            if problem is None:
                for one in refused:  # before anybody takes it for written, and looks for these
                    self._refuse(one.run, one.error())
                self._outbox.done(batch.number)
            self._n_failures = 0 if problem is None else self._n_failures + 1
            self._away = problem
        with self._progress:
            self._progress.notify_all()
        return problem is None

    def _sent(self, batch: Batch) -> list[Refusal]:
        return deliver(batch, self.sink.send, self._outbox.started)

    def _hasten(self, *, may_tell: bool = True) -> None:
        """Write what waits; return when it is written, or lies in a file and cannot be now."""
        self._gather()
        number = self._outbox.made
        if self._outbox.written >= number:
            return
        self._away = None
        self._start()
        self._due.set()
        self._again.set()
        until = time.monotonic() + PATIENCE
        with self._progress:
            while self._outbox.written < number and self._away is None:
                if not self._has_sender():
                    break
                if time.monotonic() >= until:
                    break
                self._progress.wait(min(0.5, PATIENCE))
        if not self._has_sender():
            while len(self._outbox) and self._send_first():
                pass
        if self._outbox.written < number and may_tell:
            try:
                self._outbox.keep(at_once=True)
            except Error as error:
                self._notice.tell(self._away, full=error)
            else:
                self._notice.tell(self._away)

    def _has_sender(self) -> bool:
        return any(one.name == _SENDER and one.is_alive() for one in self._threads)

    # forks

    def before_fork(self) -> None:
        """End the threads, since a forked process would have their locks and not them."""
        self._halt(patience=_FORK)

    def after_fork_in_parent(self) -> None:
        """Go on where the fork came in between."""
        if self._users or self._queue or len(self._outbox):
            self._wake()
            self._due.set()

    def after_fork(self) -> None:
        """Begin with nothing in a forked process: what its parent had waits there."""
        self._outbox.spool.close()
        self.sink.after_fork()
        self._users = 0
        self._begin_anew()


def _tail_of(beat: Callable[[bool], str | None] | None, is_heard: bool) -> str | None:
    if beat is not None:
        with contextlib.suppress(Exception):  # the run goes on all the same
            return beat(is_heard)
    return None

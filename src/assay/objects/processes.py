"""Do many small things at once, in as many processes as there are cores.

Small files are bound by system calls, and the threads of one interpreter fight over it. A forked
process has an interpreter of its own and costs two milliseconds. Where a process has threads, or
there is no `fork` to be had, or little to do, one process does it all.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn, Protocol

from assay.base.errors import Error

FEWEST = 400
"""With less to do than this no process is started."""

_MOST = 8  # processes: the file system is one for all of them
_PER_TICKET = 64
_N_TICKETS = 1000  # a pipe holds as many on any system
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
_SIZE = 4  # bytes of a number in a pipe

Work = Callable[[int], Any]
"""Does one thing, by its number, and returns what `marshal` can write."""
Told = Callable[[Sequence[Any]], None]
"""Is given results as they come."""


class Pauses(Protocol):
    """When all that has begun is brought to an end, and what is done before the rest begins."""

    def is_due(self) -> bool:
        """Say whether it is time."""

    def settle(self) -> None:
        """Do it: nothing else runs meanwhile."""


class _Helper(NamedTuple):
    pid: int
    answers: int  # the pipe in which its results come
    buffer: bytearray


def spread(
    count: int, work: Work, *, told: Told | None = None, pauses: Pauses | None = None
) -> list[Any]:
    """Return `[work(0), ..., work(count - 1)]`; other processes do a part of it.

    What `work` raises ends it, as in a loop. It may be called in a copy of this process: what it
    changes in memory is lost then. A number whose work raised may be tried once more.

    Examples
    --------
    >>> spread(3, lambda number: number * number)
    [0, 1, 4]
    """
    n_helpers = min(_n_cores(), _MOST) - 1
    found: list[Any] = [None] * count
    if count < FEWEST or n_helpers < 1 or not _may_fork():
        step = _PER_TICKET if pauses is None else max(1, min(_PER_TICKET, count // _PER_TICKET))
        for start in range(0, count, step):
            if start and pauses is not None and pauses.is_due():
                pauses.settle()
            end = min(start + step, count)
            found[start:end] = _run(range(start, end), work, told)
        return found
    per_ticket = max(min(_PER_TICKET, count // (16 * n_helpers)), 1, -(-count // _N_TICKETS))
    share = _Share(found, work, told, per_ticket)
    starts: Sequence[int] = range(0, count, per_ticket)
    while starts:
        starts = _together(share, starts, pauses, n_helpers)
        if starts and pauses is not None:
            pauses.settle()
    return found


class _Share(NamedTuple):
    """What several processes do, and what was found so far."""

    found: list[Any]
    work: Work
    told: Told | None
    per_ticket: int

    def numbers(self, start: int) -> range:
        """Return the numbers of the ticket that begins with one."""
        return range(start, min(start + self.per_ticket, len(self.found)))

    def take(self, start: int, some: Sequence[Any] = ()) -> None:
        """Do what a ticket says, but for what was done of it elsewhere."""
        if some and self.told is not None:
            self.told(some)
        numbers = self.numbers(start)
        rest = _run(numbers[len(some) :], self.work, self.told)
        self.found[numbers.start : numbers.stop] = [*some, *rest]


def _together(
    share: _Share, starts: Sequence[int], pauses: Pauses | None, n_helpers: int
) -> list[int]:  # fmt: skip
    """Work until nothing is left or a pause is due; return which tickets nobody took."""
    tickets = _tickets(starts)
    helpers: list[_Helper] = []
    left: list[int] = []
    try:
        for _ in range(n_helpers):
            with contextlib.suppress(OSError):  # no process to be had: the others do it
                _start(helpers, tickets, share)
        while (start := _take(tickets)) is not None:
            if pauses is not None and pauses.is_due():
                left.append(start)
                continue
            share.take(start)
            for helper in helpers:
                _collect(helper, share, wait=False)
        while helpers:
            _collect(helpers[-1], share, wait=True)
            _refuse_lost(helpers.pop())
    finally:
        os.close(tickets)
        for helper in helpers:
            _stop(helper)
    return left


def _run(numbers: range, work: Work, told: Told | None) -> list[Any]:
    found: list[Any] = []
    for start in range(numbers.start, numbers.stop, _PER_TICKET):
        some = [work(number) for number in range(start, min(start + _PER_TICKET, numbers.stop))]
        if told is not None:
            told(some)
        found += some
    return found


def _n_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def _may_fork() -> bool:
    """Say whether a copy of this process would be whole: it has no threads but this one."""
    try:
        return sys.platform == "linux" and len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208
    except OSError:
        return False


def _tickets(starts: Sequence[int]) -> int:
    """Return a pipe with numbers in it: whoever reads one does what begins there."""
    reading, writing = os.pipe()
    os.write(writing, b"".join(start.to_bytes(_SIZE, "little") for start in starts))
    os.close(writing)
    return reading


def _take(tickets: int) -> int | None:
    ticket = os.read(tickets, _SIZE)
    return int.from_bytes(ticket, "little") if ticket else None


def _start(helpers: list[_Helper], tickets: int, share: _Share) -> None:
    """Start a helper; no interrupt comes between that and its entry in the list."""
    reading, writing = os.pipe()
    parent, prctl = os.getpid(), _prctl()
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        pid = os.fork()
        if pid == 0:
            _help(lambda: _die_with(parent, prctl), tickets, writing, share)
        os.set_blocking(reading, False)
        helpers.append(_Helper(pid, reading, bytearray()))
    except OSError:
        os.close(reading)
        raise
    finally:
        os.close(writing)
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


def _help(
    prepare: Callable[[], None], tickets: int, answers: int, share: _Share
) -> NoReturn:  # fmt: skip
    """Be a helper: work until the tickets are used up, something is raised, or all is over."""
    status = 1
    try:
        prepare()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        while (start := _take(tickets)) is not None:
            some: list[Any] = []
            failed = False
            for number in share.numbers(start):
                try:
                    some.append(share.work(number))
                except Exception:  # noqa: BLE001 -- whoever started us meets it where it is
                    failed = True
                    break
            answer = marshal.dumps((start, some))
            _write(answers, len(answer).to_bytes(_SIZE, "little") + answer)
            if failed:
                break
        status = 0
    finally:
        os._exit(status)


def _prctl() -> Callable[..., object] | None:
    """Return the call by which a process says that it dies with its parent, where there is one."""
    import ctypes  # before the fork: loaded once, for all

    call: Callable[..., object] | None = getattr(ctypes.CDLL(None), "prctl", None)
    return call


def _die_with(parent: int, prctl: Callable[..., object] | None) -> None:
    """End when the process that started us does, even by `kill -9`."""
    if prctl is not None:
        prctl(_DIE_WITH_PARENT, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _write(pipe: int, content: bytes) -> None:
    while content:
        content = content[os.write(pipe, content) :]


def _collect(helper: _Helper, share: _Share, *, wait: bool) -> None:
    """Take in what a helper has done; what it could not do is done here."""
    if wait:
        os.set_blocking(helper.answers, True)
    while True:
        try:
            part = os.read(helper.answers, 1 << 16)
        except BlockingIOError:
            break
        if not part:
            break
        helper.buffer.extend(part)
    for start, some in _answers(helper.buffer):
        share.take(start, some)


def _answers(buffer: bytearray) -> list[tuple[int, list[Any]]]:
    """Take whole answers out of what has come so far."""
    whole = []
    while len(buffer) >= _SIZE:
        end = _SIZE + int.from_bytes(buffer[:_SIZE], "little")
        if len(buffer) < end:
            break
        whole.append(marshal.loads(bytes(buffer[_SIZE:end])))  # noqa: S302 -- from our own copy
        del buffer[:end]
    return whole


def _refuse_lost(helper: _Helper) -> None:
    """Wait for a helper, and raise if it did not end by itself: some of its work is lost."""
    _, status = os.waitpid(helper.pid, 0)
    os.close(helper.answers)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGINT:
        raise KeyboardInterrupt  # Ctrl-C reaches all of us, and it was faster there
    if status:
        raise Error(
            "a process that helped was stopped before it was done",
            hint="run the command again; if memory was short, close other programs first",
        )


def _stop(helper: _Helper) -> None:
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        os.kill(helper.pid, signal.SIGKILL)
        os.waitpid(helper.pid, 0)
    with contextlib.suppress(OSError):
        os.close(helper.answers)

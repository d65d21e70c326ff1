"""The processes of the queue: workers, and the task that each of them runs at a time.

A worker is a process of its own session, so that it goes on when the terminal is closed. It takes
task after task and ends when none waits. A task is a process again, with a process group of its
own; it ends politely when its worker is killed, and the worker writes down how it ended. It is a
fork of the worker, which has no threads and nothing open: a new Python would take four times as
long to begin as a small experiment takes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import NamedTuple, NoReturn

from assay.pipeline.experiments.queue import KILLED, Entry, Queue

_PATIENCE = 5.0  # seconds in which a worker says which process it is
_PR_SET_PDEATHSIG = 1
_ASSAY = (sys.executable, "-P", "-m", "assay")  # -P: a file of the project is no module of ours


class Worker(NamedTuple):
    """A worker that goes on: its place among them, its process, and the task that it runs."""

    slot: int
    process: int
    task: str | None


class Started(NamedTuple):
    """How many workers were started, and how many go on that were to end after their task."""

    new: int
    resumed: int


def start(queue: Queue, jobs: int) -> Started:
    """Let `jobs` workers go on: take back what would end them, and start those that lack."""
    folder = queue.folder / "workers"
    folder.mkdir(parents=True, exist_ok=True)
    with queue.changing():  # no worker decides meanwhile that it ends
        workers = list_(queue)
        ending = [worker for worker in workers if _mark(queue, worker.process).exists()]
        going = len(workers) - len(ending)
        resumed = ending[: max(0, jobs - going)]
        for worker in resumed:
            _mark(queue, worker.process).unlink(missing_ok=True)
        new = _start_some(queue, jobs, jobs - going - len(resumed))
    return Started(new, len(resumed))


def _mark(queue: Queue, process: int) -> Path:
    """Return the file that has a worker end after the task that it runs."""
    return queue.folder / "workers" / f"{process}.stop"


def _start_some(queue: Queue, jobs: int, wanted: int) -> int:
    count = 0
    for slot in range(1, jobs + 1):
        if count >= wanted:
            break
        path = queue.folder / "workers" / f"{slot}.pid"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            _start(queue, slot, descriptor)
            count += 1
        except BlockingIOError:
            continue
        finally:
            os.close(descriptor)
    return count


def _start(queue: Queue, slot: int, held: int) -> None:
    """Start a worker that holds its slot from the first moment, and is nobody's child."""
    with (queue.folder / "workers" / f"{slot}.log").open("ab") as log:
        subprocess.run(
            ["/bin/sh", "-c", '"$@" &', "sh", *_ASSAY, "queue", "work", str(held)],
            cwd=queue.project.root,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=[held],
        )


def list_(queue: Queue) -> list[Worker]:
    """Return the workers that go on."""
    found = []
    for path in sorted((queue.folder / "workers").glob("*.pid")):
        with contextlib.suppress(OSError, ValueError), path.open() as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                process, _, task = handle.read().strip().partition(" ")
                found.append(Worker(int(path.stem), int(process or 0), task or None))
    return found


def stop(queue: Queue) -> int:
    """Let workers end after the task that they run; return how many there are."""
    end = time.monotonic() + _PATIENCE
    while True:
        with queue.changing():
            workers = list_(queue)
            if all(worker.process for worker in workers) or time.monotonic() > end:
                for worker in workers:
                    if worker.process:
                        _mark(queue, worker.process).touch()
                return len(workers)
        time.sleep(0.02)  # one has just begun, and has not said which process it is


def work(queue: Queue, held: int, *, run: Callable[[str], int]) -> int:
    """Run task after task until none waits, or it is to end; return how many were run.

    Parameters
    ----------
    held : int
        The descriptor of the worker's slot, which it holds.
    run : callable
        Runs the task of a name in a process of its own, and returns its exit code.
    """
    os.set_inheritable(held, False)
    count = 0
    mark = _mark(queue, os.getpid())
    mark.unlink(missing_ok=True)  # of a process before that had this number
    with _stopping(mark):
        _note(held, "")
        while (claimed := _next(queue, held, mark)) is not None:
            _fork(queue, *claimed, slot=held, run=run)
            _note(held, "")
            count += 1
    mark.unlink(missing_ok=True)
    return count


def _next(queue: Queue, held: int, mark: Path) -> tuple[Entry, int] | None:
    """Take the next task; where there is none, give the slot back, so that nobody counts on it."""
    with queue.changing():
        claimed = None if mark.exists() else queue.claim()
        if claimed is None:
            fcntl.flock(held, fcntl.LOCK_UN)
        else:
            _note(held, claimed[0].name)
    return claimed


def _note(place: int, task: str) -> None:
    os.ftruncate(place, 0)
    os.pwrite(place, f"{os.getpid()} {task}\n".encode(), 0)


@contextlib.contextmanager
def _stopping(mark: Path) -> Iterator[None]:
    """Let a signal that asks for an end leave the mark of it; what runs goes on."""

    def remember(_number: int, _frame: FrameType | None) -> None:
        mark.touch()

    before = {n: signal.signal(n, remember) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _fork(queue: Queue, entry: Entry, held: int, *, slot: int, run: Callable[[str], int]) -> None:
    """Run a task in a process of its own, and wait for its end."""
    log = os.open(queue.log(entry.name), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
    os.write(log, f"Task '{entry.name}' begins\n".encode())
    worker = os.getpid()
    process = os.fork()
    if process == 0:
        os.close(slot)
        _be_task(entry.name, log, worker, run)
    os.close(held)
    os.close(log)
    _, status = os.waitpid(process, 0)
    exit_code = os.waitstatus_to_exitcode(status)
    reason = KILLED if exit_code < 0 else f"it ended with exit code {exit_code}"
    queue.end(entry.name, "failed", exit_code=exit_code, reason=reason)


def _be_task(name: str, log: int, worker: int, run: Callable[[str], int]) -> NoReturn:
    """Do what the process of a task does, and end it."""
    exit_code = 255
    try:
        os.setpgid(0, 0)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for descriptor, source in ((0, nothing), (1, log), (2, log)):
            os.dup2(source, descriptor)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _end_with_parent()
        if os.getppid() == worker:
            exit_code = run(name)
    except BaseException:  # noqa: BLE001 -- nothing of the worker's must run on here
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(exit_code)


def _end_with_parent() -> None:
    """Ask Linux to interrupt this process when the worker is killed."""
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def follow(path: Path) -> Iterator[bytes]:
    """Give what stands in a log, then what comes; an empty piece while nothing does."""
    with path.open("rb") as handle:
        while True:
            yield handle.read(65536)

"""The processes of the queue: workers, and the task that each of them runs at a time.

A worker is a process of its own session, so that it goes on when the terminal is closed. It takes
task after task and ends when none waits. A task is a process again, with a process group of its
own; it ends politely when its worker is killed, and the worker writes down how it ended.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from assay.pipeline.experiments.queue import KILLED, Entry, Queue

_PR_SET_PDEATHSIG = 1
_ASSAY = (sys.executable, "-P", "-m", "assay")  # -P: a file of the project is no module of ours


class Worker(NamedTuple):
    """A worker that goes on: its place among them, its process, and the task that it runs."""

    slot: int
    process: int
    task: str | None


def start(queue: Queue, jobs: int) -> int:
    """Start workers until `jobs` of them go on; return how many were started."""
    active = {worker.slot for worker in list_(queue)}
    free = [slot for slot in range(1, jobs + 1) if slot not in active]
    free = free[: max(jobs - len(active), 0)]
    for slot in free:
        (queue.folder / "workers").mkdir(parents=True, exist_ok=True)
        with (queue.folder / "workers" / f"{slot}.log").open("ab") as log:
            subprocess.Popen(
                [*_ASSAY, "queue", "work", str(slot)],
                cwd=queue.project.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
    return len(free)


def list_(queue: Queue) -> list[Worker]:
    """Return the workers that go on."""
    found = []
    for path in sorted((queue.folder / "workers").glob("*.pid")):
        with contextlib.suppress(OSError, ValueError), path.open() as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                process, _, task = handle.read().strip().partition(" ")
                found.append(Worker(int(path.stem), int(process), task or None))
    return found


def stop(queue: Queue) -> int:
    """Let workers end after the task that they run; return how many there are."""
    workers = list_(queue)
    for worker in workers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker.process, signal.SIGTERM)
    return len(workers)


def work(queue: Queue, slot: int) -> int:
    """Run task after task until none waits, or SIGTERM comes; return how many were run."""
    count = 0
    with _place(queue, slot) as place, _stopping() as stopped:
        while place is not None and not stopped:
            claimed = queue.claim()
            if claimed is None:
                break
            _note(place, claimed[0].name)
            _run(queue, *claimed)
            _note(place, "")
            count += 1
    return count


@contextlib.contextmanager
def _place(queue: Queue, slot: int) -> Iterator[int | None]:
    """Hold the file of a slot; None where another worker has it."""
    folder = queue.folder / "workers"
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / f"{slot}.pid", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _note(descriptor, "")
        yield descriptor
    except BlockingIOError:
        yield None
    finally:
        os.close(descriptor)


def _note(place: int, task: str) -> None:
    os.ftruncate(place, 0)
    os.pwrite(place, f"{os.getpid()} {task}\n".encode(), 0)


@contextlib.contextmanager
def _stopping() -> Iterator[list[int]]:
    """Collect the signals that ask for an end; what runs goes on."""
    received: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    before = {n: signal.signal(n, remember) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run(queue: Queue, entry: Entry, held: int) -> None:
    """Start the process of a task and wait for its end."""
    try:
        with queue.log(entry.name).open("ab", buffering=0) as log:
            log.write(f"Task '{entry.name}' begins\n".encode())
            process = subprocess.Popen(
                [*_ASSAY, "queue", "task", entry.name, str(held)],
                cwd=queue.project.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[held],
                process_group=0,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 -- one thread here
            )
    finally:
        os.close(held)
    exit_code = process.wait()
    reason = KILLED if exit_code < 0 else f"it ended with exit code {exit_code}"
    queue.end(entry.name, "failed", exit_code=exit_code, reason=reason)


def _end_with_parent() -> None:
    """Ask Linux to interrupt this process when the worker is killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def follow(path: Path) -> Iterator[bytes]:
    """Give what stands in a log, then what comes; an empty piece while nothing does."""
    with path.open("rb") as handle:
        while True:
            yield handle.read(65536)

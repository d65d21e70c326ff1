"""Run a stage's command in a process group of its own, and end that group whatever happens.

What the command prints goes through to the caller as it comes, and its last lines are kept.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from assay.base.errors import Error
from assay.base.signals import interrupts_later, interrupts_on_terminate

_GRACE_SECONDS = 5.0
_PR_SET_PDEATHSIG = 1


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """How a command ended.

    Attributes
    ----------
    exit_status : int
        Of the shell; negative for the signal that ended it.
    peak_memory : int
        Bytes; the largest of the command's processes, and never less than this process had when
        it started them: Linux counts that in.
    cpu_seconds, seconds : float
        Processor time of all its processes; time on the clock.
    tail : str
        The last lines that it printed.
    is_over_limit : bool
        Whether it was ended because it took longer than it may.
    """

    exit_status: int
    peak_memory: int
    cpu_seconds: float
    seconds: float
    tail: str
    is_over_limit: bool = False


def commands(cmd: str | list[str]) -> list[str]:
    """Return the shell commands of a stage: each item or line is one, as in DVC."""
    return cmd if isinstance(cmd, list) else [line for line in cmd.splitlines() if line.strip()]


def run(
    command: str,
    *,
    cwd: Path,
    env: Mapping[str, str],
    echo: Callable[[bytes], None],
    keep_lines: int = 200,
    limit: float | None = None,
) -> Result:
    """Run one shell command to its end.

    Parameters
    ----------
    limit : float, optional
        Seconds after which its process group is ended.

    Raises
    ------
    KeyboardInterrupt
        If a person or SIGTERM ended it; its whole process group is gone then.
    Error
        If the folder does not exist or there is no shell.
    """
    start = time.monotonic()
    tail: deque[bytes] = deque(maxlen=max(keep_lines, 1))
    process = reader = None
    with interrupts_on_terminate():
        try:
            with interrupts_later():  # one in the midst of a thread's start breaks its locks
                process = _start(command, cwd=cwd, env=env)
                output = (process.stdout, tail, echo)
                reader = threading.Thread(target=_read, args=output, daemon=True)
                reader.start()
            with _ended_after(limit, process.pid) as is_over:
                _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            if process is not None:
                end_group(process.pid)
                process.wait()
            if reader is not None:
                reader.join(1)
            raise
    process.returncode = os.waitstatus_to_exitcode(status)
    reader.join(2)  # a process left in the background may keep the pipe open
    scale = 1 if sys.platform == "darwin" else 1024
    return Result(
        exit_status=process.returncode,
        peak_memory=usage.ru_maxrss * scale,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        seconds=time.monotonic() - start,
        tail=b"".join(tail).decode(errors="replace"),
        is_over_limit=is_over.is_set(),
    )


@contextlib.contextmanager
def _ended_after(limit: float | None, leader: int) -> Iterator[threading.Event]:
    """End a process group when its time is over; the event says that it was."""
    is_over = threading.Event()

    def end() -> None:
        is_over.set()
        end_group(leader, reap=False)  # the one who waits for it does

    timer = None if limit is None else threading.Timer(limit, end)
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        yield is_over
    finally:
        if timer is not None:
            timer.cancel()


def _start(command: str, *, cwd: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            _shell(command),
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 -- one thread here
        )
    except OSError as error:
        what = "the folder does not exist" if not cwd.is_dir() else str(error.strerror).lower()
        raise Error(f"the command cannot be started: {what}", where=cwd) from error


def _shell(command: str) -> list[str]:
    """Return the arguments that run a command in the person's shell, without its start files."""
    shell = os.environ.get("SHELL") or "/bin/sh"
    options = {"zsh": ["--no-rcs"], "bash": ["--noprofile", "--norc"]}
    return [shell, *options.get(Path(shell).name, []), "-c", command]


def _die_with_parent() -> None:
    """Ask Linux to end this process when the one that started it is killed."""
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _read(stream: Any, tail: deque[bytes], echo: Callable[[bytes], None]) -> None:
    with contextlib.suppress(ValueError, OSError), stream:
        for line in stream:
            tail.append(line)
            echo(line)


def end_group(leader: int, *, reap: bool = True) -> None:
    """End a process group: politely, and after some seconds or a second Ctrl-C by force."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, number)
        with contextlib.suppress(KeyboardInterrupt):
            if _is_gone_soon(leader, reap=reap):
                return


def _is_gone_soon(leader: int, *, reap: bool) -> bool:
    deadline = time.monotonic() + _GRACE_SECONDS
    while time.monotonic() < deadline:
        if reap:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(leader, os.WNOHANG)
        try:
            os.killpg(leader, 0)
        except (ProcessLookupError, PermissionError):
            return True
        time.sleep(0.02)
    return False


def end_leftovers(runs: list[str]) -> list[int]:
    """End the processes of runs whose `assay repro` was killed; return their process ids.

    They are found by the run's id in their environment, which no other process has. Where the
    system has no `/proc`, none are found.
    """
    wanted = {f"ASSAY_RUN={run}".encode() for run in runs}
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ") if wanted else []:
        with contextlib.suppress(OSError):
            if not wanted.isdisjoint(entry.read_bytes().split(b"\0")):
                pid = int(entry.parent.name)
                os.kill(pid, signal.SIGKILL)
                found.append(pid)
    return found

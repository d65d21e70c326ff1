"""Commands on this machine: each in a process group of its own, which ends whatever happens."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from assay.base.errors import Error
from assay.pipeline.executors import Result, Task

_GRACE_SECONDS = 5.0

_WATCH = """\
trap '' INT TERM HUP
groups=' '
while read -r sign group; do
  case $sign in
    +) groups="$groups$group " ;;
    -) groups="${groups%% $group *} ${groups#* $group }" ;;
  esac
done
for group in $groups; do kill -9 -"$group" 2>/dev/null; done
"""


class LocalExecutor:
    """Starts commands, and sees to it that they end when this process is killed.

    A shell waits at the other end of a pipe for that: it is told of each process group, and when
    the pipe closes with a group on its list, whatever closed it, it ends that group. Asking the
    system for it (`PR_SET_PDEATHSIG`) would need a fork of this whole process for each command.
    """

    def __init__(self) -> None:
        self._watch: subprocess.Popen[bytes] | None = None
        self._gate = threading.Lock()

    def submit(self, task: Task) -> LocalRunning:
        """Start a command."""
        with self._gate:
            if self._watch is None:
                self._watch = _start_watch()
        return LocalRunning(task, tell=self._tell)

    def _tell(self, sign: str, group: int) -> None:
        with self._gate, contextlib.suppress(OSError, ValueError):
            if self._watch is not None and self._watch.stdin is not None:
                self._watch.stdin.write(f"{sign} {group}\n".encode())

    def close(self) -> None:
        """Let the shell that watches go."""
        with self._gate:
            watch, self._watch = self._watch, None
        if watch is not None and watch.stdin is not None:
            with contextlib.suppress(OSError):
                watch.stdin.close()
            watch.wait()


def _start_watch() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", "-c", _WATCH],
        env={},
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        process_group=0,
    )


class LocalRunning:
    """A command that was started here."""

    def __init__(self, task: Task, *, tell: Callable[[str, int], None]) -> None:
        self._tell, self._limit = tell, task.limit
        self._start = time.monotonic()
        self._tail: deque[bytes] = deque(maxlen=max(task.keep_lines, 1))
        self._is_waited_for = self._is_over = False
        self._process = _start(task)
        self._tell("+", self._process.pid)
        output = (self._process.stdout, self._tail, task.echo)
        self._reader = threading.Thread(target=_read, args=output, daemon=True)
        self._reader.start()

    def wait(self) -> Result:
        """Wait for its end; an interrupt leaves it to be killed."""
        leader = self._process.pid
        self._is_waited_for = True
        try:
            with _ended_after(self._limit, leader) as is_over:
                _, status, usage = os.wait4(leader, 0)
        except ChildProcessError:  # it was killed before anybody waited for it
            status, usage = signal.SIGKILL, resource.struct_rusage([0] * 16)
        finally:
            self._is_waited_for = False
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self._end()
        self._reader.join(2)  # a process left in the background may keep the pipe open
        scale = 1 if sys.platform == "darwin" else 1024
        return Result(
            exit_status=self._process.returncode,
            peak_memory=usage.ru_maxrss * scale,
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            seconds=time.monotonic() - self._start,
            tail=b"".join(self._tail).decode(errors="replace"),
            is_over_limit=is_over.is_set(),
        )

    def kill(self) -> None:
        """End its process group; what another thread waits for is reaped by that."""
        if self._is_over:
            return
        if self._is_waited_for:
            end_group(self._process.pid, reap=False)
            return
        end_group(self._process.pid)
        self._process.wait()
        self._end()
        self._reader.join(1)

    def _end(self) -> None:
        self._is_over = True
        self._tell("-", self._process.pid)


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


def _start(task: Task) -> subprocess.Popen[bytes]:
    arguments = shell(task.command, env=task.env)
    try:
        return subprocess.Popen(
            task.wrap(arguments) if task.wrap is not None else arguments,
            cwd=task.cwd,
            env=dict(task.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
    except OSError as error:
        is_there = task.cwd.is_dir()
        what = str(error.strerror).lower() if is_there else "the folder does not exist"
        raise Error(f"the command cannot be started: {what}", where=task.cwd) from error


def shell(command: str, *, env: Mapping[str, str]) -> list[str]:
    """Return the arguments that run a command in the person's shell, without its start files."""
    program = env.get("SHELL") or "/bin/sh"
    options = {"zsh": ["--no-rcs"], "bash": ["--noprofile", "--norc"]}
    return [program, *options.get(Path(program).name, []), "-c", command]


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

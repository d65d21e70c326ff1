"""The shell commands of a stage, and one of them run to its end in this process' place.

Where and how a command runs is the business of an executor; see `assay.pipeline.executors`.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from assay.base.signals import interrupts_later, interrupts_on_terminate
from assay.pipeline.executors import Executor, Result, Task
from assay.pipeline.executors.local import LocalExecutor, shell

__all__ = ["Result", "commands", "end_leftovers", "run"]

_GOES_ON = re.compile(r"(?<!\\)(?:\\\\)*\\\Z|(?:&&|\|\|?)\s*\Z")
_HERE_DOCUMENT = re.compile(r"(?<!<)<<-?\s*['\"\\]?[A-Za-z_]")
_QUOTED = re.compile(r"""'[^']*'|"(?:[^"\\]|\\.)*"|\\.""")
_MAY_GO_ON = re.compile(r"""['"`({]|\b(?:if|then|else|elif|for|while|until|do|case)\b""")


def commands(cmd: str | list[str]) -> list[str]:
    r"""Return the shell commands of a stage, each for a shell of its own.

    Each item of a list is one. Each line of a text is one, as in DVC; but where a line is only the
    beginning of a command (an `if`, a here-document, a `\\` at its end), DVC's shells would fail,
    and the text is one script that ends at the first command that fails.

    Examples
    --------
    >>> commands("cp a b\n\ncp b c\n")
    ['cp a b', 'cp b c']
    >>> commands("for i in 1 2; do\n  echo $i\ndone\n")
    ['set -e\nfor i in 1 2; do\n  echo $i\ndone']
    """
    if isinstance(cmd, list):
        return cmd
    lines = [line for line in cmd.splitlines() if line.strip()]
    if len(lines) > 1 and not all(map(_is_whole, lines)):
        return ["set -e\n" + cmd.rstrip("\n")]
    return lines


def _is_whole(line: str) -> bool:
    """Say whether a line is a command, or several, and not the beginning of one."""
    if _GOES_ON.search(line) or _HERE_DOCUMENT.search(line):
        return False
    if not _MAY_GO_ON.search(_QUOTED.sub("", line)):
        return True
    *start, _, _ = shell(line, env=os.environ)
    try:
        done = subprocess.run(
            [*start, "-n", "-c", line], stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except OSError:  # no such shell: that comes up when it runs
        return True
    return done.returncode == 0


def run(
    command: str,
    *,
    cwd: Path,
    env: Mapping[str, str],
    echo: Callable[[bytes], None],
    keep_lines: int = 200,
    limit: float | None = None,
) -> Result:
    """Run one shell command of this machine to its end.

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
    task = Task(command=command, cwd=cwd, env=env, echo=echo, keep_lines=keep_lines, limit=limit)
    with contextlib.closing(LocalExecutor()) as executor:
        return finish(executor, task)


def finish(executor: Executor, task: Task) -> Result:
    """Run a command to its end; an interrupt ends it."""
    running = None
    with interrupts_on_terminate():
        try:
            with interrupts_later():  # one in the midst of a thread's start breaks its locks
                running = executor.submit(task)
            return running.wait()
        except BaseException:
            if running is not None:
                running.kill()
            raise


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

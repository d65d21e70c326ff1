"""Kill a command line at moments drawn over its work, and look at what it left.

The moments are drawn from a seed, one from each of as many equal parts of the work as there are
kills. The work is measured: from the first moment at which a probe says 'inside' to the end of an
uninterrupted run; start-up of the interpreter is not in it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

Probe = Callable[[Path], bool]


class Kills(NamedTuple):
    """How many processes were killed, and how many of them in the midst of their work."""

    n_kills: int
    n_inside: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.n_inside} of {self.n_kills} kills inside {self.seconds:.2f} s of work"


def kill_repeatedly(
    command: Sequence[str],
    *,
    fresh: Callable[[], Path],
    inside: Probe,
    check: Callable[[Path], None],
    count: int,
    seed: int,
    group: bool = False,
) -> Kills:
    """Start a command line `count` times, kill it, and check what is left.

    Parameters
    ----------
    command : sequence of str
        The command line; it is run in the folder of the project.
    fresh : callable
        Makes a new copy of a project and returns its folder.
    inside : callable
        Says of a project that the work has begun and is not complete, also after a kill.
    check : callable
        Told the project after each kill.
    count, seed : int
        How many kills; what their moments are drawn from.
    group : bool
        Kill the processes that it started as well.

    Returns
    -------
    Kills
        Fewer than half of them inside means that the moments missed the work.
    """
    seconds = min(_work(command, fresh(), inside) for _ in range(2))
    draw = random.Random(seed)
    hits = 0
    for number in range(count):
        project = fresh()
        process = _start(command, project)
        _wait_until(functools.partial(inside, project), process)
        began = time.monotonic()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds * (number + draw.random()) / count)
            seconds = min(seconds, time.monotonic() - began)  # it was faster than was measured
        _kill(process, group=group)
        if process.wait() == -signal.SIGKILL and inside(project):
            hits += 1
        check(project)
    kills = Kills(count, hits, seconds)
    print(f"\n{' '.join(command[-2:])}: {kills}")  # noqa: T201 -- pytest shows it with -s or -rP
    assert 2 * hits >= count, kills
    return kills


def _start(command: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _kill(process: subprocess.Popen[bytes], *, group: bool) -> None:
    with contextlib.suppress(ProcessLookupError):
        if group:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _wait_until(probe: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None and not probe():
        time.sleep(0.001)


def _work(command: Sequence[str], project: Path, inside: Probe) -> float:
    """Return how long the work of an uninterrupted run takes, in seconds."""
    process = _start(command, project)
    _wait_until(functools.partial(inside, project), process)
    began = time.monotonic()
    assert process.wait() == 0, f"{' '.join(command)} failed without being killed"
    seconds = time.monotonic() - began
    assert seconds > 0.02, "the work was not seen to begin: more data, or another probe"
    return seconds

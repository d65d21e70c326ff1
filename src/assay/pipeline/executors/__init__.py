"""Where the commands of stages run. A new kind of executor is one new file with one class.

An executor only runs a command: what is put in place before, and what is stored afterwards, is the
business of `assay.pipeline.execute`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec

from assay.base.errors import NotFound, did_you_mean

Wrap = Callable[[list[str]], list[str]]
"""Puts another program before the one that is to run, such as one that traces it."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One shell command to run.

    Attributes
    ----------
    cwd : Path
        Where it runs; absolute.
    env : mapping
        All of its environment.
    echo : callable
        Told each line that it prints, as it comes.
    keep_lines : int
        How many of its last lines the result has.
    limit : float or None
        Seconds after which it is ended with all that it started.
    """

    command: str
    cwd: Path
    env: Mapping[str, str]
    echo: Callable[[bytes], None]
    keep_lines: int = 200
    limit: float | None = None
    wrap: Wrap | None = None


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


class Running(Protocol):
    """A command that was started."""

    def wait(self) -> Result:
        """Wait for its end; called once, by any thread."""

    def kill(self) -> None:
        """End it with all that it started, and return when they are gone; twice is fine."""


class Executor(Protocol):
    """What every executor can do; threads may share one."""

    def submit(self, task: Task) -> Running:
        """Start a command and return at once.

        Should this process die without a word, the command is to end, too.
        """

    def close(self) -> None:
        """Give back what the executor holds; all of its commands have ended."""


_HERE = "assay.pipeline.executors"
_KINDS = {"local": f"{_HERE}.local:LocalExecutor"}


def open_executor(kind: str = "local") -> Executor:
    """Make an executor: ours by the table, a stranger's by its entry point.

    Raises
    ------
    NotFound
        If there is no such kind; with the nearest name.
    """
    make: Callable[[], Executor] = _class_of(kind)
    return make()


def _class_of(kind: str) -> Any:
    if kind in _KINDS:
        import importlib

        module, _, name = _KINDS[kind].partition(":")
        return getattr(importlib.import_module(module), name)
    from importlib.metadata import entry_points

    for point in entry_points(group="assay.executors", name=kind):
        return point.load()
    raise NotFound(
        f"no kind of executor is called '{kind}'",
        hint=did_you_mean(kind, _KINDS) or f"known are: {', '.join(_KINDS)}",
    )

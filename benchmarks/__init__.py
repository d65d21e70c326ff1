"""How fast the commands are: ours, the peer's and a floor in turn, with every answer checked.

Each question is a file that runs alone: `python -m benchmarks.startup`. What is timed is a whole
process of an installed program, from its start to its end; what lies between two rounds is not.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from assay.base.errors import Error


class Wrong(Error):
    """A program that is measured did not do what it was asked for."""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A process to time.

    Attributes
    ----------
    arguments : tuple of str
        The program and what it is given.
    prepare : callable
        Brings back the state before the command; called before each round, not timed.
    check : callable
        Is given what the command printed, and raises `Wrong` if the answer is; not timed.
    """

    arguments: tuple[str, ...]
    folder: Path
    environ: Mapping[str, str]
    check: Callable[[str], object]
    prepare: Callable[[], object] = lambda: None

    def seconds(self) -> float:
        """Run it once, check what it did, and return how long it took."""
        self.prepare()
        os.sync()  # nobody pays for what the round before left unwritten
        began = time.perf_counter()
        done = subprocess.run(
            self.arguments,
            cwd=self.folder,
            env=self.environ,
            check=False,
            text=True,
            capture_output=True,
        )
        seconds = time.perf_counter() - began
        shown = " ".join((Path(self.arguments[0]).name, *self.arguments[1:]))
        if done.returncode:
            raise Wrong(f"exit code {done.returncode}: {done.stderr.strip()[-500:]}", where=shown)
        try:
            self.check(done.stdout)
        except Wrong as wrong:
            raise Wrong(wrong.what, where=shown) from wrong
        return seconds


class Aim(msgspec.Struct, frozen=True):
    """What we want: at most `limit` floors, or at least `limit` times faster than the peer."""

    against: Literal["floor", "peer"]
    limit: float


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One job, as two programs do it, beside floors: what no program that does it can be under."""

    name: str
    ours: Command
    peer: Command
    floors: Mapping[str, Command]
    aim: Aim | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The seconds of every round of a case."""

    name: str
    ours: list[float]
    peer: list[float]
    floors: dict[str, list[float]]
    aim: Aim | None = None

    @property
    def floor(self) -> str:
        """The name of the highest floor, which is the one that counts."""
        return max(self.floors, key=lambda name: statistics.median(self.floors[name]))

    @property
    def peer_over_ours(self) -> float:
        """How many times faster than the peer we are."""
        return statistics.median(self.peer) / statistics.median(self.ours)

    @property
    def ours_over_floor(self) -> float:
        """How many floors we take."""
        return statistics.median(self.ours) / statistics.median(self.floors[self.floor])

    @property
    def reached(self) -> bool | None:
        """Whether the aim is reached; None where there is none."""
        if self.aim is None:
            return None
        if self.aim.against == "floor":
            return self.ours_over_floor < self.aim.limit
        return self.peer_over_ours >= self.aim.limit


def measure(case: Case, *, rounds: int) -> Result:
    """Run floors, ours and the peer in turn, after one turn that does not count."""
    commands = [*case.floors.values(), case.ours, case.peer]
    turns = [[command.seconds() for command in commands] for _ in range(rounds + 1)][1:]
    *floors, ours, peer = (list(seconds) for seconds in zip(*turns, strict=True))
    return Result(
        name=case.name,
        ours=ours,
        peer=peer,
        floors=dict(zip(case.floors, floors, strict=True)),
        aim=case.aim,
    )


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """How much of everything there is."""

    n_files: int = 10_000
    file_size: int = 10_000
    n_stages: int = 100


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A file of benchmarks: what it asks, how often it measures, and what it measures.

    `cases` are made one by one, in an empty folder: a case finds what the one before it left.
    """

    name: str
    title: str
    about: str
    rounds: int
    cases: Callable[[Path, Sizes], Iterator[Case]]


def answer(
    question: Question, folder: Path, *, sizes: Sizes, rounds: int | None = None
) -> list[Result]:
    """Measure all cases of a question in an empty folder."""
    asked = question.rounds if rounds is None else rounds
    return [measure(case, rounds=asked) for case in question.cases(folder, sizes)]

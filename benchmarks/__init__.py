"""How fast the commands are: ours, the peer's and a floor in turn, with every answer checked.

Each question is a file that runs alone: `python -m benchmarks.startup`. What is timed is a whole
process of an installed program, from its start to its end; what lies between two rounds is not.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
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
        return self.run().seconds

    def run(self) -> Spent:
        """Run it once, check what it did, and return what that took."""
        self.prepare()
        os.sync()  # nobody pays for what the round before left unwritten
        shown = " ".join((Path(self.arguments[0]).name, *self.arguments[1:]))
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report"
            done = subprocess.run(
                [sys.executable, "-I", "-S", "-c", _RUN, report, *self.arguments],
                cwd=self.folder,
                env=self.environ,
                check=False,
                text=True,
                capture_output=True,
            )
            if done.returncode:
                raise Wrong(
                    f"exit code {done.returncode}: {done.stderr.strip()[-500:]}", where=shown
                )
            seconds, peak = report.read_text().split()
        try:
            self.check(done.stdout)
        except Wrong as wrong:
            raise Wrong(wrong.what, where=shown) from wrong
        return Spent(seconds=float(seconds), peak=int(peak) * 1024)


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What a process took: seconds, and at most so many bytes of memory at one time."""

    seconds: float
    peak: int


# Starts, times and waits for a command. The system counts the memory of whoever starts a process
# to that of the process; this is a small one.
_RUN = """
import os, sys, time
began = time.perf_counter()
pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(pid, 0)
seconds = time.perf_counter() - began
with open(sys.argv[1], "w") as report:
    report.write(f"{seconds} {used.ru_maxrss}")
sys.exit(os.waitstatus_to_exitcode(status))
"""


class Aim(msgspec.Struct, frozen=True):
    """What we want.

    Attributes
    ----------
    against : str
        "floor": at most `limit` times the highest floor; "floors": at most `limit` times all of
        them together; "over floor": at most `limit` seconds above the highest floor; "peer": at
        least `limit` times faster than the peer; "seconds": at most `limit` of them; "memory": at
        most `limit` bytes.
    """

    against: Literal["floor", "floors", "over floor", "peer", "seconds", "memory"]
    limit: float


Aims = Aim | tuple[Aim, ...] | None


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One job, as two programs do it, beside floors: what no program that does it can be under.

    Attributes
    ----------
    rounds : int, optional
        Of a case that takes long: so many at most, and none before them that does not count.
    """

    name: str
    ours: Command
    peer: Command
    floors: Mapping[str, Command]
    aim: Aims = None
    rounds: int | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The seconds of every round of a case, and the most memory of any, in bytes."""

    name: str
    ours: list[float]
    peer: list[float]
    floors: dict[str, list[float]]
    ours_peak: int = 0
    peer_peak: int = 0
    aim: Aims = None

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
    def ours_over_floors(self) -> float:
        """How many times all floors together we take."""
        together = sum(statistics.median(seconds) for seconds in self.floors.values())
        return statistics.median(self.ours) / together

    @property
    def aims(self) -> tuple[Aim, ...]:
        """All that we want of it."""
        if isinstance(self.aim, tuple):
            return self.aim
        return () if self.aim is None else (self.aim,)

    @property
    def reached(self) -> bool | None:
        """Whether all aims are reached; None where there is none."""
        return all(map(self.reaches, self.aims)) if self.aims else None

    def reaches(self, aim: Aim) -> bool:
        """Say whether one aim is reached."""
        if aim.against == "floor":
            return self.ours_over_floor < aim.limit
        if aim.against == "floors":
            return self.ours_over_floors < aim.limit
        if aim.against == "over floor":
            over = statistics.median(self.ours) - statistics.median(self.floors[self.floor])
            return over <= aim.limit
        if aim.against == "seconds":
            return statistics.median(self.ours) <= aim.limit
        if aim.against == "memory":
            return self.ours_peak <= aim.limit
        return self.peer_over_ours >= aim.limit


def measure(case: Case, *, rounds: int) -> Result:
    """Run floors, ours and the peer in turn, after one turn that does not count."""
    n_turns = rounds + 1 if case.rounds is None else min(rounds, case.rounds)
    commands = [*case.floors.values(), case.ours, case.peer]
    turns = [[command.run() for command in commands] for _ in range(n_turns)]
    turns = turns[1:] if case.rounds is None else turns
    *floors, ours, peer = ([spent.seconds for spent in one] for one in zip(*turns, strict=True))
    return Result(
        name=case.name,
        ours=ours,
        peer=peer,
        floors=dict(zip(case.floors, floors, strict=True)),
        ours_peak=max(turn[-2].peak for turn in turns),
        peer_peak=max(turn[-1].peak for turn in turns),
        aim=case.aim,
    )


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """How much of everything there is."""

    n_files: int = 10_000
    file_size: int = 10_000
    large_size: int = 1_000_000_000
    n_many: tuple[int, ...] = (50_000, 100_000)
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

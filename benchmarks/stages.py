"""How long it takes to run stages whose commands take next to nothing."""

from __future__ import annotations

import functools
import itertools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import Aim, Case, Command, Question, Sizes, Spent, Wrong, programs
from benchmarks.chains import made_twice, make_chains
from benchmarks.programs import Side


class Told(Command, frozen=True, kw_only=True):
    """Figures that another case found out: a run takes the next."""

    figures: Iterator[float]

    def run(self) -> Spent:
        """Return the next figure."""
        return Spent(seconds=next(self.figures), peak=0)


class Noted(Command, frozen=True, kw_only=True):
    """A command whose time per stage another case is told.

    Attributes
    ----------
    note : callable
        Is given the seconds of the whole process, after each run.
    """

    note: Callable[[float], object]

    def run(self) -> Spent:
        """Run it, and tell."""
        spent = super().run()
        self.note(spent.seconds)
        return spent


def cases(folder: Path, sizes: Sizes) -> Iterator[Case]:
    """Run all stages of a repository, then the last of one with ten times as many.

    Those are fewer: there, DVC takes seconds for each.
    """
    first: list[float] = []
    n_last = max(sizes.n_stages // 10, 3)
    for lengths in ((sizes.n_stages,), (10 * sizes.n_stages - n_last, n_last)):
        total = f"{sum(lengths):,}"
        n_stages = lengths[-1]
        place = folder / f"of-{total}"
        sides = made_twice(place, functools.partial(make_chains, lengths=lengths))
        chain = len(lengths) - 1
        found: list[list[float]] = [[], [], []]
        floor, ours, peer = (
            _shells(place, n_stages, note=found[0]),
            *(
                _run(side, chain, n_stages, note)
                for side, note in zip(sides, found[1:], strict=True)
            ),
        )
        name = f"{n_stages:,} stages" if chain == 0 else f"{n_stages:,} of {total} stages"
        yield Case(name=f"run {name}", ours=ours, peer=peer, floors={"sh -c of each": floor},
                   rounds=2)  # fmt: skip
        if not first:
            first = list(found[1])
            floors = {"sh -c": _told(floor, found[0])}
            aims: Aim | tuple[Aim, ...] = Aim("over floor", 0.015)
        else:
            floors = {f"each of {sizes.n_stages:,}": _told(floor, itertools.cycle(first))}
            aims = Aim("floor", 1.25)
        yield Case(name=f"each of {name}", ours=_told(ours, found[1]), peer=_told(peer, found[2]),
                   floors=floors, aim=aims, rounds=2)  # fmt: skip


def _run(side: Side, chain: int, n_stages: int, note: list[float]) -> Command:
    """Run a chain after its input changed, and note how long each of its stages took.

    That is read off the times at which outputs were written, from the second one on: what a tool
    does once, before and just after the first stage and after the last one, is not in it.
    """
    edits = itertools.count(1)
    outs = [side.project / f"{chain}-{i:04d}.txt" for i in range(n_stages)]

    def edit() -> None:
        (side.project / f"start-{chain}.txt").write_text(f"edit {next(edits)}\n")

    def check(_printed: str) -> None:
        wanted = (side.project / f"start-{chain}.txt").read_text()
        wanted += "".join(f"{i}\n" for i in range(n_stages))
        if outs[-1].read_text() != wanted:
            raise Wrong("the last stage did not run", where=outs[-1])

    def look(_seconds: float) -> None:
        written = [out.stat().st_mtime_ns for out in outs]
        note.append((written[-1] - written[1]) / (n_stages - 2) / 1e9)

    command = side.command("repro", check=check, prepare=edit)
    return Noted(**{f: getattr(command, f) for f in command.__struct_fields__}, note=look)


def _shells(folder: Path, n_stages: int, note: list[float]) -> Command:
    """Run the commands of a chain, each in a shell of its own, as both tools do."""
    shell = os.environ.get("SHELL", "/bin/sh")
    code = (
        f"import subprocess\nopen('0', 'w').close()\nfor i in range({n_stages}):\n"
        f"    line = f'cat {{i}} > {{i + 1}} && echo {{i}} >> {{i + 1}}'\n"
        f"    subprocess.run([{shell!r}, '-c', line], check=True)\n"
    )
    (folder / "floor").mkdir()
    command = programs.python(code, folder=folder / "floor")
    return Noted(
        **{f: getattr(command, f) for f in command.__struct_fields__},
        note=lambda seconds: note.append(seconds / n_stages),
    )


def _told(like: Command, figures: Sequence[float] | Iterator[float]) -> Command:
    kept = {f: getattr(like, f) for f in Command.__struct_fields__}
    return Told(**kept, figures=iter(figures))


QUESTION = Question(
    name="stages",
    title="Pipelines that run",
    about=(
        "Commands that take next to nothing: what is left is what a tool does about each stage.\n"
        "`each of` is the time from one output to the next from the second one on: what is done\n"
        "once, before and just after the first stage, is in the rows above it only.\n"
        "Of the many stages, only the last ones have to run."
    ),
    rounds=2,
    cases=cases,
)

if __name__ == "__main__":
    from benchmarks.run import main

    sys.exit(main([QUESTION]))

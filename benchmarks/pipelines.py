"""How long it takes to find out that nothing has to be done."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks import Aim, Case, Question, Sizes, Wrong, experiments, programs, stages
from benchmarks.chains import made_twice, make_bikes, make_chains
from benchmarks.programs import Side, saying

UP_TO_DATE = "Data and pipelines are up to date."


def cases(folder: Path, sizes: Sizes) -> Iterator[Case]:
    """`repro` and `status` of three pipelines, on which each tool agrees that all is done."""
    few, many = sizes.n_stages, 10 * sizes.n_stages
    pipelines: dict[str, tuple[Callable[[Side], None], float, float | None, int | None]] = {
        "bikes": (make_bikes, 5, None, None),
        f"{few:,} stages": (partial(make_chains, lengths=[few]), 8, 6, None),
        f"{many:,} stages": (partial(make_chains, lengths=[many]), 12, 8, 3),
    }
    for name, (make, repro, status, rounds) in pipelines.items():
        place = folder / name.replace(" ", "-")
        sides = made_twice(place, make)
        lock = (sides[0].project / "dvc.lock").read_bytes()
        for side in sides:
            _unchanged(side, lock)(side.run(str(side.program), "repro"))
        for verb, limit in (("repro", repro), ("status", status)):
            ours, peer = (side.command(verb, check=_unchanged(side, lock)) for side in sides)
            yield Case(
                name=f"{verb}, {name}",
                ours=ours,
                peer=peer,
                floors={"python -c pass": programs.python("pass", folder=place)},
                aim=None if limit is None else Aim("peer", limit),
                rounds=rounds,
            )


def _unchanged(side: Side, lock: bytes) -> Callable[[str], None]:
    """Return the check that a tool finds all as it should be, and leaves the lock alone."""

    def check(printed: str) -> None:
        saying(UP_TO_DATE)(printed)
        if (side.project / "dvc.lock").read_bytes() != lock:
            raise Wrong("the lock is another one", where="dvc.lock")

    return check


QUESTION = Question(
    name="pipelines",
    title="Pipelines with nothing to do",
    about="What a person waits for between two edits, and CI before each job.",
    rounds=9,
    cases=cases,
)

QUESTIONS = (QUESTION, stages.QUESTION, experiments.QUESTION)
"""All about pipelines, one after the other."""

if __name__ == "__main__":
    from benchmarks.run import main

    sys.exit(main(QUESTIONS))

"""How long it takes until the program has said the least it can say."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import Aim, Case, Question, Sizes, programs


def cases(folder: Path, sizes: Sizes) -> Iterator[Case]:
    """`--version` and `--help`, beside a Python that does nothing."""
    del sizes
    ours, peer = programs.sides(folder)
    nothing = {"python -c pass": programs.python("pass", folder=folder)}
    for option, mine, theirs, limit, faster in (
        ("--version", "assay ", "3.", 3, 5),
        ("--help", "Usage: assay", "usage: dvc", 6, 2.5),
    ):
        yield Case(
            name=option,
            ours=ours.command(option, check=programs.saying(mine), folder=ours.folder),
            peer=peer.command(option, check=programs.saying(theirs), folder=peer.folder),
            floors=nothing,
            aim=(Aim("floor", limit), Aim("peer", faster)),
        )


QUESTION = Question(
    name="startup",
    title="Start-up",
    about="Each command pays this, a shell's completion and a git hook too.",
    rounds=21,
    cases=cases,
)

if __name__ == "__main__":
    from benchmarks.run import main

    sys.exit(main([QUESTION]))

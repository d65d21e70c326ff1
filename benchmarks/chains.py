"""The pipelines that are measured: an example, and chains of stages that take next to nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import programs
from benchmarks.programs import ASSAY, ROOT, Side

BIKES = ROOT / "examples" / "bikes"


def made_twice(place: Path, make: Callable[[Side], None]) -> tuple[Side, Side]:
    """Make a project with our own tool, and give both sides one."""
    sides = programs.sides(place)
    make(sides[0])
    shutil.copytree(sides[0].project, sides[1].project, symlinks=True)
    return sides


def make_bikes(side: Side) -> None:
    """Copy the example, with the rows of 2011, and run it once."""
    project = side.repository()
    for source in BIKES.iterdir():
        if source.is_file() and source.name != "demo.py":
            shutil.copy(source, project)
    header, *rows = (BIKES / "data" / "bikes.csv").read_text().splitlines(keepends=True)
    (project / "data").mkdir()
    (project / "data" / "rentals.csv").write_text(
        header + "".join(row for row in rows if ",2011-" in row)
    )
    side.run(str(ASSAY), "add", "data/rentals.csv")
    _run(side)


def make_chains(side: Side, *, lengths: Sequence[int]) -> None:
    """Make chains of stages and run them; each stage adds a line to what the one before wrote.

    The first stage of chain 0 reads `start-0.txt`, the output of the second is `0-0001.txt`.
    """
    project = side.repository()
    lines = ["stages:"]
    for chain, length in enumerate(lengths):
        (project / f"start-{chain}.txt").write_text("start\n")
        for i in range(length):
            before = f"{chain}-{i - 1:04d}.txt" if i else f"start-{chain}.txt"
            out = f"{chain}-{i:04d}.txt"
            lines += [
                f"  s{chain}-{i:04d}:",
                f"    cmd: cat {before} > {out} && echo {i} >> {out}",
                f"    deps: [{before}]",
                f"    outs: [{out}]",
            ]
    (project / "dvc.yaml").write_text("\n".join(lines) + "\n")
    _run(side)


def _run(side: Side) -> None:
    side.commit()
    side.run(str(ASSAY), "repro")
    side.commit()

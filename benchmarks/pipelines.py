"""How long it takes to find out that nothing has to be done."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import Aim, Case, Question, Sizes, Wrong, programs
from benchmarks.programs import ASSAY, ROOT, Side, saying

BIKES = ROOT / "examples" / "bikes"
UP_TO_DATE = "Data and pipelines are up to date."


def cases(folder: Path, sizes: Sizes) -> Iterator[Case]:
    """`repro` and `status` of two pipelines, on which each tool agrees that all is done."""
    pipelines: dict[str, Callable[[Side], None]] = {
        "bikes": make_bikes,
        f"{sizes.n_stages} stages": lambda side: make_chain(side, n_stages=sizes.n_stages),
    }
    for name, make in pipelines.items():
        place = folder / name.replace(" ", "-")
        sides = programs.sides(place)
        make(sides[0])
        shutil.copytree(sides[0].project, sides[1].project, symlinks=True)
        lock = (sides[0].project / "dvc.lock").read_bytes()
        for verb in ("repro", "status"):
            ours, peer = (side.command(verb, check=_unchanged(side, lock)) for side in sides)
            yield Case(
                name=f"{verb}, {name}",
                ours=ours,
                peer=peer,
                floors={"python -c pass": programs.python("pass", folder=place)},
                aim=Aim("peer", 5) if verb == "repro" else None,
            )


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


def make_chain(side: Side, *, n_stages: int) -> None:
    """Make a pipeline in which each stage adds a line to what the one before it wrote."""
    project = side.repository()
    lines = ["stages:"]
    for i in range(n_stages):
        before = f"{i - 1:03d}.txt" if i else "start.txt"
        lines += [
            f"  s{i:03d}:",
            f"    cmd: cat {before} > {i:03d}.txt && echo {i} >> {i:03d}.txt",
            f"    deps: [{before}]",
            f"    outs: [{i:03d}.txt]",
        ]
    (project / "start.txt").write_text("start\n")
    (project / "dvc.yaml").write_text("\n".join(lines) + "\n")
    _run(side)


def _run(side: Side) -> None:
    side.commit()
    side.run(str(ASSAY), "repro")
    side.commit()


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

if __name__ == "__main__":
    from benchmarks.run import main

    sys.exit(main([QUESTION]))

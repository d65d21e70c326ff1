"""What the loop costs: a pass with nothing to do, and new rows until a new model answers.

The floor of an idle pass is a Python that loads what the pass needs of other people's packages;
that of a retraining is its training script alone, in a process of its own, as the pipeline runs
it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from assay.ledger import decisions
from assay.loop.loop import by_hand, go_on
from assay.render.tables import text_table
from benchmarks import Wrong
from tests import make
from tests.loop.offers import Offers

IMPORTS = "import sqlalchemy, duckdb, numpy, msgspec, yaml, click"


def seconds(action: Callable[[], object]) -> float:
    """Return how long something takes, in seconds of the clock."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def python(world: Offers, *arguments: str) -> None:
    """Run Python in the project."""
    subprocess.run(
        [sys.executable, *arguments], cwd=world.root, check=True, stdout=subprocess.DEVNULL
    )


def idle(world: Offers, rounds: int) -> dict[str, list[float]]:
    """Measure passes that find nothing new, each beside its floor."""
    python(world, "-m", "assay", "loop", "--once")
    found: dict[str, list[float]] = {"assay loop --once": [], "floor: the imports": []}
    for _ in range(rounds):
        found["assay loop --once"].append(
            seconds(lambda: python(world, "-m", "assay", "loop", "--once"))
        )
        found["floor: the imports"].append(seconds(lambda: python(world, "-c", IMPORTS)))
    return found


def live(world: Offers, rounds: int) -> dict[str, list[float]]:
    """Measure retrainings by hand, each with a new week of rows and truths."""
    found: dict[str, list[float]] = {"new rows to live model": [], "floor: the script alone": []}
    for _ in range(rounds):
        world.days(7)
        decision = by_hand(world.loop, reason="benchmark")
        found["new rows to live model"].append(seconds(lambda d=decision: go_on(world.loop, d)))  # type: ignore[misc]
        newest = decisions.list_decisions(world.ledger, "offers")[0]
        if newest.outcome == "failed":
            raise Wrong(f"the retraining failed: {newest.reason}")
        found["floor: the script alone"].append(seconds(lambda: python(world, "train.py")))
    return found


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(make.environment(Path(folder) / "home"))
        world = Offers(Path(folder) / "project", seed=3)
        world.days(28)
        for found in (idle(world, rounds), live(world, rounds)):
            (_, ours), (_, floor) = found.items()
            ratio = statistics.median(a / b for a, b in zip(ours, floor, strict=True))
            rows = [
                [name, f"{statistics.median(times):.2f} s", f"{min(times):.2f} s"]
                for name, times in found.items()
            ]
            print(text_table(["case", "median", "least"], rows))
            print(f"{ratio:.2f} times the floor, median of {rounds} pairs\n")


if __name__ == "__main__":
    main()

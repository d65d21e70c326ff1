"""How long it takes to run experiments that wait in a queue, and to look at those that ran."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from benchmarks import Aim, Case, Command, Question, Sizes, Wrong, programs
from benchmarks.programs import ASSAY, DVC, Side

N_QUEUED = 8
N_SHOWN = 20

PIPELINE = """\
stages:
  train:
    cmd: cat data.txt params.yaml > model.txt && echo '{"acc":0.5}' > metrics.json
    deps: [data.txt]
    params: [lr]
    outs: [model.txt]
    metrics:
    - metrics.json: {cache: false}
"""


def cases(folder: Path, _sizes: Sizes) -> Iterator[Case]:
    """Run what is queued, then show more of them."""
    sides = programs.sides(folder)
    for side in sides:
        _make(side)
    ours, peer = (_run_all(side) for side in sides)
    floors = {"python -c pass": programs.python("pass", folder=folder)}
    yield Case(name=f"{N_QUEUED} queued, 2 at a time", ours=ours, peer=peer, floors=floors,
               rounds=1)  # fmt: skip
    shown = tuple(
        msgspec.structs.replace(side, folder=side.folder.with_name(f"{side.name}-shown"))
        for side in sides
    )
    _make(shown[0])
    values = ",".join(f"{i}.5" for i in range(N_SHOWN))
    shown[0].run(str(ASSAY), "exp", "run", "--queue", "-S", f"lr={values}")
    shown[0].run(str(ASSAY), "exp", "run", "--run-all", "-j", "2")
    names = set(_experiments(shown[0]))
    if len(names) != N_SHOWN:
        raise Wrong(f"there are {len(names)} experiments, not {N_SHOWN}", where="refs/exps")
    shutil.copytree(shown[0].folder, shown[1].folder, symlinks=True)
    ours, peer = (side.command("exp", "show", "--json", check=_naming(names)) for side in shown)
    yield Case(name=f"exp show, {N_SHOWN} experiments", ours=ours, peer=peer, floors=floors,
               aim=Aim("seconds", 0.2))  # fmt: skip


def _make(side: Side) -> None:
    (side.folder / "home").mkdir(parents=True, exist_ok=True)
    project = side.repository()
    (project / "dvc.yaml").write_text(PIPELINE)
    (project / "params.yaml").write_text("lr: 0.1\n")
    (project / "data.txt").write_text("data\n")
    side.commit()
    side.run(str(ASSAY), "repro")
    side.commit()


def _run_all(side: Side) -> Command:
    """Run what is queued before each round, with values that no round before had."""
    rounds = itertools.count()
    program = str(side.program)

    def queue() -> None:
        first = 1 + N_QUEUED * next(rounds)
        if first > 1 and side.program == DVC:
            side.run(program, "queue", "stop", "--kill")
        values = ",".join(str(first + i) for i in range(N_QUEUED))
        side.run(program, "exp", "run", "--queue", "-S", f"lr={values}")
        wanted.append(len(_experiments(side)) + N_QUEUED)

    def check(_printed: str) -> None:
        found = len(_experiments(side))
        if found != wanted[-1]:
            raise Wrong(f"there are {found} experiments, not {wanted[-1]}", where="refs/exps")

    wanted: list[int] = []
    command = side.command("exp", "run", "--run-all", "-j", "2", prepare=queue, check=check)
    path = f"{side.environ['PATH']}{os.pathsep}{DVC.parent}"  # DVC's workers look for it there
    return msgspec.structs.replace(command, environ={**side.environ, "PATH": path})


def _experiments(side: Side) -> list[str]:
    """Return the names of experiments: their references, without those of queues."""
    names = side.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    return [name for name in names if len(name.split("/")) == 5]


def _naming(names: set[str]) -> Callable[[str], None]:
    """Return the check that all experiments are shown."""

    def check(printed: str) -> None:
        rows = json.dumps(json.loads(printed))
        missing = [name for name in names if f'"{name.rpartition("/")[2]}"' not in rows]
        if missing:
            raise Wrong(f"{len(missing)} experiments are missing", where="exp show --json")

    return check


QUESTION = Question(
    name="experiments",
    title="Experiments",
    about="A sweep over one parameter, of a stage that takes next to nothing.",
    rounds=5,
    cases=cases,
)

if __name__ == "__main__":
    from benchmarks.run import main

    sys.exit(main([QUESTION]))

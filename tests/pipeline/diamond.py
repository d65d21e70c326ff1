"""A pipeline with two ways, a part of its own, and a stage in another file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests import make, stages

SIDE = "$(dirname $ASSAY_LEDGER)/../../starts"
TEXT = f"""
stages:
  top:
    cmd: echo top >> {SIDE}; cat in.txt > top.txt
    deps: [in.txt]
    outs: [top.txt]
  left:
    cmd: echo left >> {SIDE}; cat top.txt > left.txt
    deps: [top.txt]
    outs: [left.txt]
  right:
    cmd: echo right >> {SIDE}; head -c 1 top.txt > right.txt
    deps: [top.txt]
    outs: [right.txt]
  bottom:
    cmd: echo bottom >> {SIDE}; cat left.txt right.txt > bottom.txt
    deps: [left.txt, right.txt]
    outs: [bottom.txt]
  alone:
    cmd: echo alone >> {SIDE}; cat alone.in > alone.txt
    deps: [alone.in]
    outs: [alone.txt]
"""
BELOW = f"""
stages:
  sub:
    cmd: echo sub >> {SIDE}; cat ../top.txt > sub.txt
    deps: [../top.txt]
    outs: [sub.txt]
"""
FILES = {"in.txt": "1\n", "alone.in": "a\n", "sub/dvc.yaml": BELOW}
DIAMOND = ["top", "left", "right", "bottom"]


def new(folder: Path) -> tuple[Path, Path]:
    """Make the project; each stage adds its name to the side file when it starts."""
    return stages.pipeline(folder / "project", TEXT, FILES), folder / "starts"


def ran(folder: Path) -> tuple[Path, Path]:
    """Make the same after a first run, its starts forgotten."""
    project, side = new(folder)
    make.done(project, "repro", "-P")
    make.commit(project)
    side.unlink()
    return project, side


def states(folder: Path, *arguments: str) -> dict[str, str]:
    """Return what became of each stage of a `repro`."""
    document: dict[str, Any] = json.loads(make.done(folder, "repro", "--json", *arguments))
    return {one["stage"]: one["state"] for one in document["stages"]}


def fails(folder: Path, stage: str) -> None:
    """Let the command of a stage fail from now on, after it began."""
    text = (folder / "dvc.yaml").read_text()
    make.write(folder, {"dvc.yaml": text.replace(f"> {stage}.txt\n", f"> {stage}.txt; exit 3\n")})

"""What tests of experiments are made of: a small pipeline with parameters, and looks into git."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests import make, stages

PIPELINE = """\
stages:
  train:
    cmd: cp params.yaml model.txt && env | grep DVC_EXP > env.txt; python train.py
    deps: [train.py]
    params: [lr, n]
    outs: [model.txt]
    metrics:
    - m.json: {cache: false}
"""
TRAIN = """\
import re
lr = re.search("lr: *([0-9.]+)", open("params.yaml").read())[1]
assert lr != "0.9", "0.9 is too much"
open("m.json", "w").write('{"acc": %s}' % lr)
"""
EACH = """\
stages:
  each:
    foreach: ${n}
    do:
      cmd: mkdir -p d; echo ${item} > d/${item}
      outs: ["d/${item}"]
  z:
    cmd: ls d > z.txt
    deps: [d]
    outs: [z.txt]
"""
PARAMS = "lr: 0.1 # how fast\nn: 1\n"


def project(folder: Path) -> Path:
    """Make a project with one commit, that has not run yet."""
    shutil.copytree(_project(), folder / "project", symlinks=True)
    return folder / "project"


@functools.cache
def _project() -> Path:
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    files = {"params.yaml": PARAMS, "train.py": TRAIN, ".gitignore": "/env.txt\n"}
    return stages.pipeline(folder / "project", PIPELINE, files)


def two(folder: Path) -> Path:
    """Make the same with two experiments, `one` and `two`, that ran beside the workspace."""
    shutil.copytree(_two(), folder / "project", symlinks=True)
    return folder / "project"


@functools.cache
def _two() -> Path:
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    root = project(folder)
    make.done(root, "exp", "run", "--temp", "-n", "one", "-S", "lr=0.5")
    make.done(root, "exp", "run", "--temp", "-n", "two", "-S", "lr=0.6")
    return root


def each(folder: Path) -> Path:
    """Make a project whose experiments `e1` and `e2` have other outputs; `e2` ran last, here."""
    root = stages.pipeline(folder / "each", EACH, {"params.yaml": "n: [1]\n"})
    make.done(root, "exp", "run", "--temp", "-n", "e1", "-S", "n=[1,3]")
    make.done(root, "exp", "run", "-n", "e2", "-S", "n=[1,2]")
    return root


def head(root: Path) -> str:
    return make.git(root, "rev-parse", "HEAD").strip()


def ref(root: Path, name: str) -> str:
    """Return the reference of an experiment on HEAD."""
    commit = head(root)
    return f"refs/exps/{commit[:2]}/{commit[2:]}/{name}"


def show(root: Path, name: str, file: str) -> str:
    """Return a file of an experiment on HEAD."""
    return make.git(root, "show", f"{ref(root, name)}:{file}")


def names(root: Path) -> list[str]:
    """Return the experiments on HEAD, sorted by name."""
    return sorted(make.done(root, "exp", "list", "--name-only").split())


def wait_until(true: Callable[[], bool], *, seconds: float = 60) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)

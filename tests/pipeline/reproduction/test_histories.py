"""All points of a metric are compared, not its last one, and all are copied."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from assay.ledger import runs
from assay.ledger.database import open_ledger
from tests import make

CODE = """
import random, assay

with assay.run("train"):
    for step in range(3):
        assay.log_metric("loss", LOSS if step < 2 else 0.5, step=step)
    with assay.run("inner"):
        for value in (0.9, 0.7, 0.7, 0.8):
            assay.log_metric("score", value)
"""
STAGE = "stages:\n  train:\n    cmd: python s.py\n    deps: [s.py]\n"


def ran(folder: Path, loss: str, *, stage: bool) -> Path:
    """Make a project whose script logged a history, by itself or as a stage."""
    root = make.write(make.project(folder / "project"), {"s.py": CODE.replace("LOSS", loss)})
    if stage:
        make.write(root, {"dvc.yaml": STAGE})
    make.commit(root)
    if stage:
        make.done(root, "repro")
    else:
        subprocess.run([sys.executable, "s.py"], cwd=root, check=True, capture_output=True)
    return root


def points(folder: Path, run: str) -> list[tuple[int, float]]:
    with open_ledger(folder / ".assay" / "ledger.db", create=False) as ledger:
        found = runs.get(ledger, run)
        part = found.children[0] if found.children else found.id
        return [(one.step, one.value) for one in runs.history(ledger, part, "loss")]


@pytest.mark.parametrize("stage", [False, True])
def test_a_history_that_parts_before_its_last_point_is_no_match(
    tmp_path: Path, stage: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PYTHONHASHSEED", "0")  # so that no other one is tried
    folder = ran(tmp_path, "random.random() if step else 0.25", stage=stage)
    shown = make.assay(folder, "reproduce")
    assert shown.code == 1, shown
    found = re.search(r"  loss: differs from step 1, recorded (\S+), now (\S+)\n", shown.out)
    assert found is not None, shown
    assert found[1] != found[2]
    assert "Cause: it gives something else each time it runs" in shown.out


@pytest.mark.parametrize("stage", [False, True])
def test_a_history_that_is_the_same_is_identical_and_whole_in_the_reproduction(
    tmp_path: Path, stage: bool
):
    folder = ran(tmp_path, "1 / (step + 1)", stage=stage)
    found = json.loads(make.done(folder, "reproduce", "--json"))
    assert found["sameness"] == "identical"
    assert points(folder, found["reproduction"]) == [(0, 1.0), (1, 0.5), (2, 0.5)]
    if not stage:
        names = [one["name"] for one in found["stages"][0]["metrics"]]
        assert names == ["inner/score", "loss"]

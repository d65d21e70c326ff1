"""`repro --strict`: a stage that uses what it does not declare fails as if its command had."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests import make, stages
from tests.pipeline.diamond import states

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")

TEXT = """
stages:
  honest:
    cmd: cat in.txt > honest.txt
    deps: [in.txt]
    outs: [honest.txt]
  reads:
    cmd: [cat honest.txt > reads.txt, cat hidden.txt >> reads.txt]
    deps: [honest.txt]
    outs: [reads.txt]
  writes:
    cmd: cp in.txt writes.txt; echo x > beside.txt
    deps: [in.txt]
    outs: [writes.txt]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return stages.pipeline(
        tmp_path / "project", TEXT, {"in.txt": "1\n", "hidden.txt": "h\n"}
    )  # fmt: skip


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_it_fails_names_the_files_and_its_outputs_are_as_before(folder: Path, jobs: str):
    shown = make.assay(folder, "repro", "--strict", "-k", "-j", jobs)
    assert shown.code == 255
    assert "stage 'reads': it reads 'hidden.txt', undeclared" in shown.out
    assert "stage 'writes': it changes 'beside.txt', undeclared" in shown.out
    assert list(stages.locked(folder)) == ["honest"]
    assert not (folder / "reads.txt").exists()
    assert not (folder / "writes.txt").exists()
    recorded = json.loads(make.done(folder, "runs", "show", "--json"))
    assert {row["stage"]: row["status"] for row in recorded["children"]} == {
        "honest": "finished", "reads": "failed", "writes": "failed",
    }  # fmt: skip
    assert list((folder / ".assay" / "work").iterdir()) == []


def test_what_declares_all_runs_and_is_recorded_as_without(folder: Path):
    text = TEXT.replace("[honest.txt]", "[honest.txt, hidden.txt]").replace(
        "; echo x > beside.txt", ""
    )
    make.write(
        folder, {"dvc.yaml": text.replace("outs: [honest.txt, hidden.txt]", "outs: [honest.txt]")}
    )
    assert set(states(folder, "--strict").values()) == {"ran"}
    assert make.done(folder, "repro") == "Data and pipelines are up to date.\n"


def test_without_the_tracer_nothing_runs(folder: Path, monkeypatch: pytest.MonkeyPatch):
    git = Path(shutil.which("git") or "").parent
    monkeypatch.setenv("PATH", str(make.write(folder.parent / "bin", {})))
    if (git / "strace").exists():
        (folder.parent / "bin").mkdir(exist_ok=True)
        (folder.parent / "bin" / "git").symlink_to(git / "git")
    shown = make.assay(folder, "repro", "--strict")
    assert shown.code == 255
    assert "there is no 'strace'" in shown.err
    assert not (folder / "dvc.lock").exists()

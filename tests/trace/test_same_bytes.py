"""Equal bytes at another path: what came from where is told by the path first."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import assay
from tests import make, stages
from tests.trace.test_trace import lines, trace

SAME = """
stages:
  prep:
    cmd: cp data.csv clean.csv
    deps: [data.csv]
    outs: [clean.csv]
  train:
    cmd: cat data.csv params.yaml > model.txt
    deps: [data.csv]
    params: [lr]
    outs: [model.txt]
"""


@pytest.fixture(scope="module")
def same(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tracked data, a stage that wrote its bytes to another path, and a script that opened it."""
    folder = tmp_path_factory.mktemp("same") / "project"
    files = {"data.csv": "1\n2\n", "params.yaml": "lr: 0.1\n"}
    stages.pipeline(folder, SAME, files)
    make.done(folder, "repro", "prep")
    make.commit(folder, "prepared")
    make.done(folder, "repro", "train")
    make.commit(folder, "trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with assay.run("opened"):
            assay.log_dataset("data.csv")
            assay.log_metric("mm", 1)
    return folder


def test_tracked_data_is_not_from_a_stage_that_wrote_its_bytes_elsewhere(same: Path):
    assert lines(trace(same, "data.csv")["came_from"]) == ["is tracked by data.csv.dvc"]
    assert lines(trace(same, "mm")["came_from"])[:3] == [
        "logged by script 'opened'", "  read data.csv", "    is tracked by data.csv.dvc",
    ]  # fmt: skip
    assert lines(trace(same, "model.txt")["came_from"])[:3] == [
        "written by stage 'train'", "  read data.csv", "    is tracked by data.csv.dvc",
    ]  # fmt: skip
    assert lines(trace(same, "clean.csv")["came_from"])[:3] == [
        "written by stage 'prep'", "  read data.csv", "    is tracked by data.csv.dvc",
    ]  # fmt: skip


def test_a_stage_leads_to_no_run_that_read_its_bytes_where_they_are_tracked(same: Path):
    (prep,) = trace(same, "clean.csv")["came_from"]
    assert lines(trace(same, prep["id"])["led_to"]) == ["wrote clean.csv"]


def test_a_file_in_git_is_not_from_a_stage_that_wrote_its_bytes_elsewhere(
    same: Path, tmp_path: Path
):
    folder = shutil.copytree(same, tmp_path / "project", symlinks=True)
    make.write(folder, {"copy.csv": "1\n2\n"})
    assert lines(trace(folder, "copy.csv")["came_from"])[0] == "written by stage 'prep'"
    make.commit(folder)
    assert lines(trace(folder, "copy.csv")["came_from"]) == ["is in git"]


def test_a_file_that_was_renamed_by_hand_is_from_the_stage_that_wrote_it(
    same: Path, tmp_path: Path
):
    folder = shutil.copytree(same, tmp_path / "project", symlinks=True)
    (folder / "model.txt").rename(folder / "best.txt")
    assert lines(trace(folder, "best.txt")["came_from"])[0] == "written by stage 'train'"


def test_data_whose_record_is_not_committed_yet_is_from_where_it_is_tracked(tmp_path: Path):
    files = {"data.csv": "1\n2\n", "params.yaml": "lr: 0.1\n"}
    folder = stages.pipeline(tmp_path / "project", SAME, files)
    make.write(folder, {"data.csv": "3\n"})
    make.done(folder, "add", "data.csv")
    make.done(folder, "repro")
    (origin,) = trace(folder, "data.csv")["came_from"]
    assert origin["relation"] == "is"
    assert origin["label"] == "tracked by data.csv.dvc, not committed yet"
    make.commit(folder)
    (origin,) = trace(folder, "data.csv")["came_from"]
    assert origin["label"].startswith("tracked by data.csv.dvc at commit ")


def test_without_git_data_is_from_where_it_is_tracked_here(tmp_path: Path):
    folder = tmp_path / "project"
    folder.mkdir()
    make.done(folder, "init", "--no-scm")
    make.write(folder, {"data.csv": "1\n", "params.yaml": "lr: 0.1\n", "dvc.yaml": SAME})
    make.done(folder, "add", "data.csv")
    make.done(folder, "repro", "prep")
    make.done(folder, "repro", "train")
    assert lines(trace(folder, "model.txt")["came_from"])[:3] == [
        "written by stage 'train'", "  read data.csv", "    is tracked by data.csv.dvc",
    ]  # fmt: skip

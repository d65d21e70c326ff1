"""Options of commands on data: what they refuse, and what they print."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import make, stages

WRONG = {
    ("add", "--no-relink", "--out", "b", "a"): "'--no-relink' cannot be used with '--out'",
    ("fetch", "--max-size", "0"): "--max-size",
    ("fetch", "--type", "params"): "--type",
    ("remote", "list", "--local", "--project"): "two files: choose one",
}


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_what_cannot_be_meant_is_a_wrong_call(project: Path, arguments: tuple[str, ...]):
    make.write(project, {"a": "1"})
    before = make.state(project)
    shown = make.assay(project, *arguments)
    assert (shown.code, shown.out) == (2, "")
    assert WRONG[arguments] in shown.err
    assert make.state(project) == before


def test_an_output_as_large_as_the_limit_is_not_fetched(project: Path, tmp_path: Path):
    make.done(project, "remote", "add", "-d", "st", str(tmp_path / "store"))
    make.write(project, {"small": "1", "large": "22"})
    make.done(project, "add", "small", "large")
    make.done(project, "push")
    for oid in list(make.cache(project)):
        make.cache(project).remove(oid)
    assert make.done(project, "fetch", "--max-size", "2") == "1 file fetched\n"
    assert make.done(project, "fetch", "--max-size", "2") == "Everything is up to date.\n"
    assert make.done(project, "fetch") == "1 file fetched\n"


def test_a_commit_by_force_records_stages_that_were_run_by_hand(tmp_path: Path):
    root = stages.pipeline(
        tmp_path / "p",
        "stages:\n  copy:\n    cmd: cp data.csv out\n    deps: [data.csv]\n    outs: [out]\n",
        {"data.csv": "1"},
    )
    make.write(root, {"out": "by hand"})
    assert make.done(root, "commit") == ""
    assert not (root / "dvc.lock").exists()
    make.done(root, "commit", "--force")
    assert make.done(root, "status") == "Data and pipelines are up to date.\n"
    assert "/out" in (root / ".gitignore").read_text()
    make.write(root, {"data.csv": "2"})
    make.done(root, "add", "--no-profile", "data.csv")
    assert "modified:           data.csv" in make.done(root, "status")
    make.done(root, "commit", "--force", "copy")
    assert make.done(root, "status") == "Data and pipelines are up to date.\n"


def test_a_stage_without_its_outputs_is_not_recorded(tmp_path: Path):
    root = stages.pipeline(
        tmp_path / "p",
        "stages:\n  copy:\n    cmd: cp data.csv out\n    deps: [data.csv]\n    outs: [out]\n",
        {"data.csv": "1"},
    )
    before = make.state(root)
    shown = make.assay(root, "commit", "--force")
    assert shown.code == 255
    assert "stage 'copy' has not run yet: there is no 'out'" in shown.err
    assert "hint: run it with 'assay repro copy'" in shown.err
    assert make.state(root) == before


def test_without_refreshing_a_remote_that_was_never_asked_is(project: Path, tmp_path: Path):
    make.done(project, "remote", "add", "-d", "st", str(tmp_path / "store"))
    make.write(project, {"f": "1"})
    make.done(project, "add", "f")
    ask = ("data", "status", "--not-in-remote", "--no-remote-refresh", "--json")
    assert json.loads(make.done(project, *ask))["not_in_remote"] == ["f"]
    make.done(project, "push")
    assert json.loads(make.done(project, *ask))["not_in_remote"] == ["f"]
    assert "not_in_remote" not in json.loads(make.done(project, *ask[:3], "--json"))
    assert "not_in_remote" not in json.loads(make.done(project, *ask))

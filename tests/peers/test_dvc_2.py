"""A repository that DVC 2 wrote: DVC 3.67 and ours, in turn and beside each other."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests import dvc_2, make, stages
from tests.dvc_2 import clone, objects
from tests.stages import dvc

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(
        not stages.DVC.exists() and os.environ.get("CI") != "true",
        reason="real DVC is not in .peers/dvc: 'make test' installs it",
    ),
]

CLEAN = "Data and pipelines are up to date.\n"


def records(folder: Path) -> dict[str, str]:
    return {
        path.name: path.read_text() for path in [*folder.glob("?*.dvc"), folder / "dvc.lock"]
    }  # fmt: skip


def test_both_pull_a_clone_from_the_old_places_and_find_the_others_clean(tmp_path: Path):
    old = dvc_2.project(tmp_path / "old", remote=tmp_path / "store")
    found = {}
    for tool, run in {"assay": make.done, "dvc": dvc}.items():
        folder = clone(old, tmp_path / tool)
        run(folder, "pull")
        found[tool] = objects(folder / ".dvc" / "cache")
    assert found["assay"] == found["dvc"] == objects(tmp_path / "store")
    assert dvc(tmp_path / "assay", "status") == CLEAN
    assert dvc(tmp_path / "assay", "data", "status") == "No changes.\n"
    assert make.done(tmp_path / "dvc", "status") == CLEAN
    assert make.done(tmp_path / "dvc", "data", "status") == "No changes.\n"


def test_what_changes_is_recorded_pushed_and_collected_alike(tmp_path: Path):
    """A part of a folder is left out: DVC fails to record that.

    Caches are compared after a collection: DVC leaves a list of the changed folder by old hashes.
    """
    found = {}
    for tool, run in {"assay": make.done, "dvc": dvc}.items():
        store = tmp_path / f"store of {tool}"
        project = dvc_2.project(tmp_path / tool, remote=store)
        run(project, "add", "a.txt", "d")  # nothing changed yet
        assert make.git(project, "status", "--short") == ""
        make.write(project, {"a.txt": b"3\r\n", "d/new": b"4\r\n"})
        run(project, "add", "d")
        run(project, "commit", "--force")
        run(project, "push")
        found[tool] = [records(project), objects(store)]
        run(project, "gc", "--workspace", "--cloud", "--force")
        found[tool] += [objects(project / ".dvc" / "cache"), objects(store)]
        assert dvc(project, "status") == CLEAN
        assert make.done(project, "status") == CLEAN
    for ours, theirs in zip(found["assay"], found["dvc"], strict=True):
        assert ours == theirs


def test_the_two_take_turns_on_an_old_repository(tmp_path: Path):
    old = dvc_2.project(tmp_path / "old", remote=tmp_path / "store")
    shutil.rmtree(old / ".dvc" / "cache")
    shutil.rmtree(old / "d")
    make.done(old, "fetch", "d")
    dvc(old, "checkout", "d")
    dvc(old, "fetch")
    make.done(old, "checkout")
    make.write(old, {"d/new": "4"})
    assert "modified:           d" in dvc(old, "status")
    make.done(old, "commit", "--no-profile", "d")
    assert dvc(old, "status", "d.dvc") == CLEAN
    make.commit(old)
    make.git(old, "checkout", "-q", "HEAD~1")
    dvc(old, "checkout", "--force")  # it does not see that the new file is in the new cache
    assert not (old / "d" / "new").exists()
    make.git(old, "checkout", "-q", "main")
    make.done(old, "checkout")
    assert (old / "d" / "new").read_text() == "4"
    make.done(old, "push")
    other = clone(old, tmp_path / "other")
    dvc(other, "pull")
    assert make.done(other, "status") == CLEAN
    assert dvc(other, "status", "-c").startswith("Cache and remote")


def test_differences_are_told_alike(tmp_path: Path):
    project = dvc_2.project(tmp_path / "old")
    make.write(project, {"a.txt": b"3\r\n", "d/new": "4"})
    assert make.done(project, "diff") == dvc(project, "diff")
    make.done(project, "add", "--no-profile", "a.txt")
    assert make.done(project, "diff") == dvc(project, "diff")
    ours, theirs = (run(project, "status", "--json") for run in (make.done, dvc))
    assert json.loads(ours) == json.loads(theirs)

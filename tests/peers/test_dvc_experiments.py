"""Experiments: real DVC sees ours, and ours sees DVC's."""

from __future__ import annotations

import csv
import functools
import hashlib
import io
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import make, stages
from tests.pipeline.experiments import tried
from tests.stages import dvc

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(not stages.DVC.exists(), reason="no real DVC; 'make peers' installs it"),
]


@functools.cache
def _both(folder: str) -> Path:
    """Make a project with one experiment of ours and one of DVC's."""
    root = tried.project(Path(folder))
    make.git(root, "config", "user.name", "Ada")
    make.git(root, "config", "user.email", "ada@example.org")
    make.done(root, "repro")
    make.commit(root, "ran")
    make.done(root, "exp", "run", "--temp", "-n", "ours", "-S", "lr=0.5")
    dvc(root, "exp", "run", "-n", "theirs", "-S", "lr=0.6")
    dvc(root, "exp", "run", "--queue", "-n", "waits", "-S", "lr=0.7")
    return root


@pytest.fixture(scope="module")
def made() -> Any:
    folder = tempfile.mkdtemp()
    yield _both(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "project", symlinks=True)
    return tmp_path / "project"


def _without_queued(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what is shown but for DVC's own queue, which is in files of Celery's."""
    for document in documents:
        children = document["experiments"] or []
        document["experiments"] = [one for one in children if one["executor"] is None]
    return documents


def test_both_show_the_same(root):
    theirs = _without_queued(json.loads(dvc(root, "exp", "show", "--json")))
    ours = _without_queued(json.loads(make.done(root, "exp", "show", "--json")))
    assert ours == theirs
    assert {one["name"] for one in ours[1]["experiments"]} == {"ours", "theirs"}


def test_both_show_the_same_csv(root):
    tables = [
        list(csv.DictReader(io.StringIO(text)))
        for text in (
            make.done(root, "exp", "show", "--csv"),
            dvc(root, "exp", "show", "--csv", "--hide-queued"),
        )
    ]
    assert tables[0] == tables[1]


def test_both_list_the_same(root):
    theirs = dvc(root, "exp", "list").split()
    assert sorted(make.done(root, "exp", "list").split()) == sorted(theirs)


def test_both_find_the_same_differences(root):
    for old, new in (("ours", "theirs"), ("HEAD", "ours")):
        theirs = json.loads(dvc(root, "exp", "diff", old, new, "--json"))
        assert json.loads(make.done(root, "exp", "diff", old, new, "--json")) == theirs


def test_dvc_applies_ours(root):
    dvc(root, "exp", "apply", "ours")
    assert (root / "params.yaml").read_text() == "lr: 0.5 # how fast\nn: 1\n"
    assert (root / "model.txt").read_text() == "lr: 0.5 # how fast\nn: 1\n"
    assert json.loads(dvc(root, "status", "--json")) == {}


def test_ours_applies_dvcs(root):
    make.done(root, "exp", "apply", "theirs")
    assert (root / "model.txt").read_text() == (root / "params.yaml").read_text()
    assert yaml.safe_load((root / "params.yaml").read_text())["lr"] == 0.6
    assert json.loads(dvc(root, "status", "--json")) == {}


def test_outputs_that_only_another_one_has_are_gone_for_dvc_too(tmp_path):
    root = tried.each(tmp_path)
    for name in ("e1", "e2"):
        make.done(root, "exp", "apply", name)
        assert json.loads(dvc(root, "status", "--json")) == {}
        assert "d/3" not in make.git(root, "status", "--porcelain", "-uall")


def test_the_commit_has_the_message_and_the_tree_that_dvcs_has(root):
    """Apart from DVC's there must be no difference: same changes, another name."""
    make.git(root, "stash", "-q")
    make.done(root, "exp", "run", "--temp", "-n", "again", "-S", "lr=0.6")
    ours, theirs = tried.ref(root, "again"), tried.ref(root, "theirs")
    assert make.git(root, "diff", "--stat", ours, theirs) == ""
    bodies = [
        make.git(root, "cat-file", "-p", name).partition("\n\n")[2] for name in (ours, theirs)
    ]
    assert bodies[0] == bodies[1]
    entry = yaml.safe_load(make.git(root, "show", f"{ours}:dvc.lock"))["stages"]
    text = json.dumps(entry, sort_keys=True)
    assert bodies[0] == f"dvc: commit experiment {hashlib.sha256(text.encode()).hexdigest()}"


def test_dvc_leaves_our_queue_alone_and_removes_ours_by_name(root):
    make.done(root, "exp", "run", "--queue", "-n", "later", "-S", "lr=0.3")
    dvc(root, "exp", "remove", "ours")
    assert tried.names(root) == ["theirs"]
    assert make.assay(root, "exp", "run", "--run-all").code == 0
    assert "later" in dvc(root, "exp", "list", "--name-only")


def test_what_dvc_keeps_beside_experiments_is_no_experiment(root):
    dvc(root, "exp", "apply", "theirs")
    refs = make.git(root, "for-each-ref", "--format=%(refname)", "refs/exps")
    assert "refs/exps/exec" in refs
    assert "refs/exps/celery" in refs
    assert tried.names(root) == ["ours", "theirs"]

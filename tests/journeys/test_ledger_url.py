"""One setting, `ledger.url`, moves what a project records into another file or a database."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.ledger import runs
from assay.ledger.database import open_ledger
from tests import databases, make

STAGES = """
stages:
  prep: {cmd: sort data.csv > clean.csv, deps: [data.csv], outs: [clean.csv]}
  train: {cmd: cp clean.csv model.txt, deps: [clean.csv], outs: [model.txt]}
"""

TRAIN = """
import assay
with assay.run(name="script"):
    assay.log_metric("auc", 0.5)
"""


@pytest.fixture(params=databases.KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A file elsewhere, and an empty database."""
    if request.param == "sqlite":
        yield str(tmp_path / "elsewhere" / "runs.db")
        return
    server: databases.Postgres = request.getfixturevalue("postgres")
    found = server.empty()
    yield found
    server.drop(found)


@pytest.fixture
def pipeline(project: Path, url: str) -> Path:
    """A project whose ledger is elsewhere, with a pipeline of two stages."""
    make.write(project, {"dvc.yaml": STAGES, "data.csv": "b\na\n"})
    make.done(project, "config", "ledger.url", url)
    make.commit(project)
    return project


def test_every_command_uses_the_ledger_that_the_setting_names(pipeline: Path, url: str):
    make.done(pipeline, "repro")
    with open_ledger(url, create=False) as ledger:
        (run,) = runs.list_(ledger)
        assert len(runs.get(ledger, run.id).children) == 2

    listed = json.loads(make.done(pipeline, "runs", "list", "--json"))
    assert run.id in json.dumps(listed)
    assert run.id in make.done(pipeline, "runs", "show", run.id, "--json")
    assert run.id[:8] in make.done(pipeline, "trace", "model.txt")
    make.write(pipeline, {"train.py": TRAIN})
    done = subprocess.run(
        [sys.executable, "train.py"], cwd=pipeline, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "script" in make.done(pipeline, "runs", "list")
    assert make.done(pipeline, "gc", "--workspace", "--force") is not None
    make.done(pipeline, "reproduce", run.id)
    assert not (pipeline / ".assay" / "ledger.db").exists()


def test_commands_look_where_the_variable_of_a_process_says(
    project: Path, url: str, monkeypatch: pytest.MonkeyPatch
):
    make.write(project, {"train.py": TRAIN})
    monkeypatch.setenv("ASSAY_LEDGER", url)
    if "://" not in url:
        assert make.done(project, "runs", "list") == "No runs yet.\n"
    _train(project)
    (run,) = json.loads(make.done(project, "runs", "list", "--json"))
    assert run["id"] in make.done(project, "trace", run["id"], "--json")
    assert run["id"] in make.done(project, "runs", "search", "metrics.auc > 0", "--json")
    assert not (project / ".assay" / "ledger.db").exists()


@pytest.fixture
def clones(project: Path, tmp_path: Path, urls: list[str]) -> list[Path]:
    """Three clones with a remote; each has a ledger of its own elsewhere."""
    make.write(project, {"train.py": TRAIN})
    make.done(project, "remote", "add", "-d", "store", str(tmp_path / "store"))
    make.commit(project)
    for name in ("bea", "cem"):
        make.git(tmp_path, "clone", "-q", str(project), name)
    found = [project, tmp_path / "bea", tmp_path / "cem"]
    for clone, url in zip(found, urls, strict=True):
        make.done(clone, "config", "--local", "ledger.url", url)
    return found


@pytest.fixture(params=[pytest.param("sqlite", marks=pytest.mark.slow), "postgresql"])
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[str]]:
    if request.param == "sqlite":
        yield [str(tmp_path / "kept" / f"{n}.db") for n in range(3)]
        return
    server: databases.Postgres = request.getfixturevalue("postgres")
    found = [server.database(), server.database(), server.empty()]
    yield found
    for url in found:
        server.drop(url)


def _train(clone: Path) -> None:
    subprocess.run([sys.executable, "train.py"], cwd=clone, check=True)


def _shown(clone: Path) -> dict[str, dict[str, object]]:
    """Return what a clone says of each of its runs, but for the process, which only one has."""
    listed = json.loads(make.done(clone, "runs", "list", "--all", "--json"))
    names = [one["id"] for one in listed]
    shown = {one: json.loads(make.done(clone, "runs", "show", one, "--json")) for one in names}
    for one in shown.values():
        del one["run"]["pid"]
    return shown


def test_clones_with_ledgers_elsewhere_share_runs_by_a_remote_and_by_files(
    clones: list[Path], tmp_path: Path
):
    ada, bea, cem = clones
    _train(ada)
    _train(bea)
    make.done(ada, "push", "--runs")
    make.done(bea, "push", "--runs")
    make.done(bea, "fetch", "--runs")
    make.done(ada, "fetch", "--runs")
    both = _shown(ada)
    assert len(both) == 2
    assert _shown(bea) == both

    make.done(ada, "runs", "export", *both, "--out", str(tmp_path / "runs.zip"))
    for _ in range(2):  # twice is as good as once
        make.done(cem, "runs", "import", str(tmp_path / "runs.zip"))
        assert _shown(cem) == both

    gone, kept = sorted(both)
    make.done(ada, "runs", "delete", gone)
    make.done(ada, "runs", "purge", "--force")
    make.done(ada, "push", "--runs")
    make.done(bea, "fetch", "--runs")
    assert set(_shown(ada)) == set(_shown(bea)) == {kept}
    assert not any((clone / ".assay" / "ledger.db").exists() for clone in clones)


def test_a_linked_work_tree_records_where_its_clone_does(pipeline: Path, url: str, tmp_path: Path):
    tree = tmp_path / "tree"
    make.git(pipeline, "worktree", "add", "-q", "--detach", str(tree))
    make.write(tree, {"assay.yaml": "settings: {ledger: {url: nowhere.db}}\n"})
    make.done(tree, "repro")
    with open_ledger(url, create=False) as ledger:
        assert len(runs.list_(ledger)) == 1


def test_the_environment_names_another_ledger(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    make.write(project, {"train.py": TRAIN})
    monkeypatch.setenv("ASSAY_LEDGER_URL", str(tmp_path / "other.db"))
    subprocess.run([sys.executable, "train.py"], cwd=project, check=True)
    assert "script" in make.done(project, "runs", "list")
    monkeypatch.delenv("ASSAY_LEDGER_URL")
    assert "script" not in make.done(project, "runs", "list")


def test_a_password_in_the_setting_is_not_shown(project: Path):
    given = "postgresql://ada:s3cret@db.example/assay"
    make.done(project, "config", "ledger.url", given)
    for arguments in (("ledger.url",), ("--list",), ("--list", "--json"), ("--list", "--local")):
        said = make.done(project, "config", *arguments)
        assert "postgresql://ada:***@db.example/assay" in said
        assert "s3cret" not in said


def test_a_ledger_that_cannot_be_reached_is_an_error_that_changes_nothing(pipeline: Path):
    make.done(pipeline, "config", "ledger.url", "postgresql://ada:s3cret@127.0.0.1:1/assay")
    before = make.state(pipeline)
    shown = make.assay(pipeline, "repro")
    assert shown.code == 255
    assert "127.0.0.1" in shown.err
    assert "check the host and the port" in shown.err
    assert "s3cret" not in shown.err
    assert make.state(pipeline) == before

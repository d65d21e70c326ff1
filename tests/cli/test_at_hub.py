"""Where `hub.url` is set, the commands about runs and models work on the hub's ledger."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

import assay
from assay.base.errors import NotFound
from assay.ledger import lineage, runs
from assay.ledger.database import open_ledger
from assay.ledger.sdk import channels, places
from tests import databases, make, mlflow


@pytest.fixture(scope="module", params=databases.KINDS)
def hub(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[mlflow.Server]:
    with mlflow.hub_of_kind(request, tmp_path_factory.mktemp("hub")) as server:
        yield server


@pytest.fixture
def project(hub: mlflow.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project that records to the hub."""
    root = made(tmp_path / "project", hub)
    monkeypatch.chdir(root)
    yield root
    channels._channels.clear()


def made(folder: Path, hub: mlflow.Server) -> Path:
    root = make.project(folder)
    make.done(root, "config", "hub.url", hub.url)
    return root


TRAIN = """\
import assay

with assay.run("alone", params={"lr": 0.5}) as run:
    run.log_metric("loss", 0.25)
"""


def python(root: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], cwd=root, check=True, timeout=120)


def said(root: Path, *arguments: str) -> Any:
    return json.loads(make.done(root, *arguments, "--json"))


def train(name: str, slope: float = 2.0) -> str:
    """Record a script's run that makes a bundle."""
    rows = {"a": np.arange(20.0)}
    with assay.run(name, params={"slope": slope}) as run:
        model = LinearRegression().fit(rows["a"].reshape(-1, 1), slope * rows["a"])
        for step in range(3):
            run.log_metric("loss", 1 / (step + 1), step=step)
        run.log_metric("worst", float("inf"))
        run.log_text("hello", "notes/a.txt")
        with assay.run(f"{name} kid", params={"depth": 3}):
            pass
        assay.bundle(model, X=rows, y=slope * rows["a"], name=name)
    channels._channels.clear()
    return run.id


def test_runs_are_listed_shown_searched_and_compared(project: Path, hub: mlflow.Server):
    first, second = train("list-a"), train("list-b", 3.0)
    names = {one["name"] for one in said(project, "runs", "list", "--all", "-n", "100")}
    assert {"list-a", "list-a kid", "list-b"} <= names
    shown = said(project, "runs", "show", first)
    assert shown["run"]["metrics"]["worst"]["value"] == "Infinity"
    assert [child["params"] for child in shown["children"]] == [{"depth": 3}]
    found = said(project, "runs", "search", "params.slope = '3.0' AND run_name = 'list-b'")
    assert [one["run_id"] for one in found] == [second]
    assert said(project, "runs", "search", "run_name LIKE 'list-%'", "--count") == {"count": 4}
    diff = said(project, "runs", "diff", first, second)["diff"]
    assert [(one["key"], one["a"], one["b"]) for one in diff["params"]] == [("slope", 2.0, 3.0)]
    points = said(project, "runs", "metric", first, "loss")
    assert [point["step"] for point in points] == [0, 1, 2]
    assert "list-b" in make.done(project, "log", "-n", "50")
    assert not (project / ".assay" / "ledger.db").exists()


def test_experiments_of_the_hub_are_listed(project: Path):
    train("counted")
    [default] = [one for one in said(project, "runs", "experiments") if one["name"] == "Default"]
    assert default["n_runs"] >= 1
    shown = make.assay(project, "runs", "list", "--experiment", "Defualt")
    assert (shown.code, "did you mean 'Default'?" in shown.err) == (255, True)


def test_files_of_a_run_come_from_the_hub(project: Path, hub: mlflow.Server, tmp_path: Path):
    run = train("files")
    other = made(tmp_path / "other", hub)
    out = tmp_path / "out"
    make.done(other, "runs", "artifacts", run, "notes", "--out", str(out))
    assert (out / "notes" / "a.txt").read_text() == "hello"


def test_a_run_that_is_deleted_at_the_hub_can_be_restored(project: Path):
    run = train("gone")
    make.done(project, "runs", "delete", run)
    refused = make.assay(project, "runs", "show", run)
    assert refused.code == 255
    assert "is deleted" in refused.err
    assert run in {one["id"] for one in said(project, "runs", "list", "--deleted")}
    make.done(project, "runs", "restore", run)
    assert said(project, "runs", "show", run)["run"]["name"] == "gone"


def test_what_the_hub_refuses_is_said_as_here(project: Path):
    missing = make.assay(project, "runs", "show", "never")
    assert (missing.code, missing.out) == (255, "")
    assert "there is no run 'never'" in missing.err
    bad = make.assay(project, "runs", "search", "metrics.a <")
    assert "at column 12" in bad.err
    with pytest.raises(NotFound, match="there is no model 'never'"):
        assay.load("models:/never/1")


def test_a_bundle_is_registered_at_the_hub_and_loaded_from_it_elsewhere(
    project: Path, hub: mlflow.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = train("line")
    done = said(project, "model", "register", run, "--alias", "live")
    assert (done["is_new"], done["version"]["run"]) == (True, run)
    assert said(project, "model", "register", f"runs:/{run}")["is_new"] is False
    other = made(tmp_path / "other", hub)
    [shown] = said(other, "model", "show", "line")["versions"]
    assert shown["metrics"] == {"loss": 1 / 3, "worst": "inf"}
    monkeypatch.chdir(other)
    for address in ("models:/line@live", "models:/line/1", "models:/line/latest", f"runs:/{run}"):
        assert assay.load(address).predict([{"a": 3.0}])[0] == pytest.approx(6.0)
    monkeypatch.chdir(tmp_path)  # no project at all
    monkeypatch.setenv("ASSAY_HUB", hub.url)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert assay.load("line@live").predict([{"a": 1.0}])[0] == pytest.approx(2.0)


def test_versions_are_named_tagged_compared_and_deleted_at_the_hub(project: Path):
    for slope in (2.0, 3.0):
        make.done(project, "model", "register", train("two", slope))
    make.done(project, "model", "alias", "two@1", "old")
    make.done(project, "model", "tag", "two@old", "team=ops")
    assert said(project, "model", "tag", "two@1")["tags"]["team"] == "ops"
    diff = said(project, "model", "diff", "two@old", "two@2")
    assert [one["key"] for one in diff["params"]] == ["slope"]
    assert "two" in make.done(project, "model", "list")
    refused = make.assay(project, "model", "delete", "two@1")
    assert refused.code == 1
    make.done(project, "model", "delete", "two", "--force")
    assert "there is no model 'two'" in make.assay(project, "model", "show", "two").err


def pipeline(root: Path) -> None:
    make.write(
        root,
        {
            "dvc.yaml": "stages:\n  a:\n    cmd: cp in.txt a.txt\n    deps: [in.txt]\n"
            "    outs: [a.txt]\n  b:\n    cmd: test ! -e bad\n    deps: [a.txt]\n",
            "in.txt": "1",
        },
    )
    make.commit(root)


def test_what_repro_records_is_at_the_hub_when_it_ends_and_once(project: Path):
    pipeline(project)
    make.done(project, "repro")
    with open_ledger(project / ".assay" / "ledger.db") as ledger:
        [own] = runs.list_(ledger)
    shown = said(project, "runs", "show", own.id)
    assert [child["stage"] for child in shown["children"]] == ["a", "b"]
    assert make.done(project, "runs", "sync") == "Nothing waits.\n"
    make.write(project, {"in.txt": "2", "bad": ""})
    assert make.assay(project, "repro").code == 255
    newest, before = said(project, "runs", "list", "-n", "2")
    assert (newest["status"], before["id"]) == ("failed", own.id)


def test_repro_goes_on_without_the_hub_which_gets_the_runs_later(
    project: Path, hub: mlflow.Server
):
    pipeline(project)
    make.done(project, "config", "hub.url", "http://127.0.0.1:9")
    shown = make.assay(project, "repro")
    assert shown.code == 0
    assert "does not have this run yet" in shown.out
    assert "'assay runs sync' sends it" in shown.out
    make.done(project, "config", "hub.url", hub.url)
    assert make.done(project, "runs", "sync") == "Sent 1 run of this project's own ledger.\n"
    assert make.done(project, "runs", "sync") == "Nothing waits.\n"
    own = json.loads(make.done(project, "runs", "list", "--directory", ".", "--json"))
    assert own[0]["id"] in {one["id"] for one in said(project, "runs", "list")}


def test_without_sharing_nothing_of_repro_goes_to_the_hub(project: Path):
    make.done(project, "config", "run.share", "false")
    pipeline(project)
    make.done(project, "repro")
    own = json.loads(make.done(project, "runs", "list", "--directory", ".", "--json"))
    assert own[0]["id"] not in {one["id"] for one in said(project, "runs", "list", "-n", "100")}


def test_a_hub_that_is_away_is_named_and_the_own_ledger_can_be_listed(project: Path):
    make.done(project, "config", "hub.url", "http://127.0.0.1:9")
    refused = make.assay(project, "runs", "list")
    assert refused.code == 255
    assert "http://127.0.0.1:9" in refused.err
    pipeline(project)
    make.done(project, "repro")
    assert "pipeline" in make.done(project, "runs", "list", "--directory", ".")


def test_a_run_that_loads_a_version_descends_from_it(project: Path, hub: mlflow.Server):
    parent = train("parent")
    make.done(project, "model", "register", parent)
    with assay.run("child") as run:
        bundle = assay.load("models:/parent/1")
        run.log_metric("child_score", 1.0)
    channels._channels.clear()
    with places.find(places.find_project()).open() as ledger:
        read = {one.source for one in lineage.edges_to(ledger, f"run:{run.id}")}
    assert {f"bundle:{bundle.id}", "version:parent/1"} <= read
    upwards = make.done(project, "trace", "child_score")
    assert "read version parent@1" in upwards
    assert "run " + parent[:13] in upwards
    assert f"read by run {run.id[:13]}" in make.done(project, "trace", "parent@1")


def test_a_file_and_a_run_are_traced_at_the_hub(project: Path):
    make.write(project, {"rows.csv": "a,b\n1,2\n"})
    make.done(project, "add", "rows.csv")
    with assay.run("reader") as run:
        run.log_dataset("rows.csv")
        run.log_metric("seen", 1.0)
    channels._channels.clear()
    assert f"read by run {run.id[:13]}" in make.done(project, "trace", "rows.csv")
    assert "rows.csv" in make.done(project, "trace", run.id[:13])
    assert said(project, "trace", "seen")["thing"]["kind"] == "metric"
    refused = make.assay(project, "trace", "nothing-of-that-name")
    assert "is neither a path" in refused.err


def test_a_run_at_the_hub_is_reproduced_in_any_clone(
    project: Path, hub: mlflow.Server, tmp_path: Path
):
    make.write(project, {"train.py": TRAIN})
    make.commit(project)
    make.git(project, "remote", "add", "origin", str(project))
    python(project, "train.py")
    run = said(project, "runs", "list", "-n", "1")[0]["id"]
    other = tmp_path / "other"
    make.git(tmp_path, "clone", "-q", str(project), str(other))
    make.done(other, "config", "hub.url", hub.url)
    shown = make.assay(other, "reproduce", run, "--environment", "current")
    assert shown.code == 0, shown
    assert f"Run {run}: identical to the bit" in shown.out
    kinds = {one["kind"] for one in said(other, "runs", "list", "-n", "100")}
    assert "reproduction" in kinds


def test_tags_that_assay_keeps_are_not_changed_nor_shown(project: Path):
    make.done(project, "model", "register", train("kept"))
    refused = make.assay(project, "model", "tag", "kept@1", "metrics=foo")
    assert refused.code == 2
    assert "is kept by Assay itself" in refused.err
    assert said(project, "model", "tag", "kept@1", "team=ops")["tags"] == {"team": "ops"}
    assert said(project, "model", "show", "kept")["versions"][0]["metrics"]["loss"] == 1 / 3

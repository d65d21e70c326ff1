"""Records that come from a hub to be done again: what comes, what stays there, what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assay.base.errors import Error
from assay.ledger import hub, runs
from assay.ledger.database import open_ledger
from assay.ledger.exchange import gathering, packs
from assay.ledger.hub import HubSink
from assay.ledger.sdk import places
from assay.ledger.sinks import Unavailable
from assay.ledger.writer import Metric, Writer
from assay.pipeline.reproduction import part
from assay.project.workspace import Project
from assay.workflows import hub_records
from tests import make, mlflow

AWAY = "http://127.0.0.1:9"
TRAIN = """\
import json
import os

import assay

with assay.run("train") as run:
    noise = float(os.environ.get("NOISE", 0))
    run.log_metric("loss", 0.25)
    run.log_text(json.dumps({"weight": 1 + noise}), "weights.json")
    run.log_text("x" * 100_000, "large.txt")
    with assay.run("part"):
        assay.log_metric("loss", 0.5)
if os.environ.get("FAILS"):
    raise SystemExit(3)
"""
PIPELINE = """\
stages:
  a:
    cmd: cp in.txt a.txt
    deps: [in.txt]
    outs: [a.txt]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mlflow.Server]:
    with mlflow.hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture
def ada(server: mlflow.Server, tmp_path: Path) -> Path:
    """A project that records to the hub, with a script and a pipeline."""
    root = make.project(tmp_path / "ada")
    make.write(root, {"train.py": TRAIN, "dvc.yaml": PIPELINE, "in.txt": "1"})
    make.commit(root)
    make.done(root, "config", "hub.url", server.url)
    return root


@pytest.fixture
def bob(ada: Path, server: mlflow.Server) -> Path:
    """A colleague's clone."""
    make.git(ada.parent, "clone", "-q", str(ada), "bob")
    root = ada.parent / "bob"
    make.done(root, "config", "hub.url", server.url)
    return root


def trained(root: Path) -> str:
    """Run the script, and return the id of its run at the hub."""
    subprocess.run([sys.executable, "train.py"], cwd=root, check=True, timeout=120)
    return str(said(root, "runs", "list", "-n", "1")[0]["id"])


def repro(root: Path) -> str:
    """Run the pipeline, and return the id of its run in the own ledger."""
    make.done(root, "repro")
    [found] = said(root, "runs", "list", "--directory", ".")
    return str(found["id"])


def said(root: Path, *arguments: str) -> Any:
    return json.loads(make.done(root, *arguments, "--json"))


def own(root: Path) -> dict[str, str]:
    """The runs of a project's own ledger, and how they ended."""
    found = said(root, "runs", "list", "--directory", ".", "--all", "-n", "100")
    return {one["id"]: one["status"] for one in found}


def bring(root: Path, name: str) -> tuple[str, list[str]]:
    lines: list[str] = []
    return hub_records.bring(Project(root), name, say=lines.append), lines


def objects(root: Path) -> set[str]:
    return set(Project(root).objects)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What hubs are asked for."""
    found: list[tuple[str, str]] = []
    ask = HubSink._ask

    def noted(self: HubSink, method: str, path: str, *rest: Any, **more: Any) -> bytes:
        found.append((method, path.split("/")[2]))
        return ask(self, method, path, *rest, **more)

    monkeypatch.setattr(HubSink, "_ask", noted)
    return found


@pytest.mark.parametrize("purges", [False, True])
def test_a_colleagues_run_stays_at_the_hub_when_its_copy_is_tidied_away(
    ada: Path, bob: Path, purges: bool
):
    run = trained(ada)
    assert bring(bob, run) == (run, [])
    make.done(bob, "runs", "delete", "--directory", ".", run)
    if purges:
        make.done(bob, "runs", "purge", "--force", run)
    assert make.done(bob, "runs", "sync") == "Nothing waits.\n"
    assert said(ada, "runs", "show", run)["run"]["status"] == "finished"
    assert run not in {one["id"] for one in said(ada, "runs", "list", "--deleted")}


def test_what_came_from_the_hub_is_not_sent_back(
    ada: Path, bob: Path, asked: list[tuple[str, str]]
):
    run = trained(ada)
    asked.clear()
    bring(bob, run)
    assert asked == [("POST", "ledger"), ("GET", "packs")]
    asked.clear()
    hub_records.at_end(Project(bob), print)
    assert asked == []


def test_an_own_run_that_the_hub_has_too_still_tells_it_of_changes(ada: Path):
    run = repro(ada)
    bring(ada, run)
    make.done(ada, "runs", "delete", "--directory", ".", run)
    make.done(ada, "runs", "sync")
    assert run in {one["id"] for one in said(ada, "runs", "list", "--deleted")}


def test_what_is_brought_while_another_command_sends_is_not_forgotten(
    ada: Path, bob: Path, monkeypatch: pytest.MonkeyPatch
):
    run = trained(ada)
    post = hub_records._post

    def meanwhile(*arguments: Any) -> Any:
        bring(bob, run)
        return post(*arguments)

    monkeypatch.setattr(hub_records, "_post", meanwhile)
    make.done(bob, "repro")
    assert run in own(bob)
    make.done(bob, "runs", "delete", "--directory", ".", run)
    make.done(bob, "runs", "sync")
    assert said(ada, "runs", "show", run)["run"]["status"] == "finished"


def test_an_own_run_is_done_again_while_the_hub_is_away_or_lacks_it(
    ada: Path, server: mlflow.Server
):
    make.done(ada, "config", "hub.url", AWAY)
    run = repro(ada)
    make.commit(ada)
    shown = make.assay(ada, "reproduce", run, "--environment", "current")
    assert shown.code == 0, shown
    assert f"note: {AWAY}: the hub does not answer (connection refused)" in shown.out
    assert "the record in this project's own ledger is used" in shown.out
    make.done(ada, "config", "hub.url", server.url)
    shown = make.assay(ada, "reproduce", run, "--environment", "current")
    assert shown.code == 0, shown
    assert f"note: {server.url}: there is no run '{run}'; the record in" in shown.out
    assert run in {one["id"] for one in said(ada, "runs", "list", "-n", "100")}


def test_a_run_that_neither_the_hub_nor_the_own_ledger_has_is_missing(ada: Path):
    shown = make.assay(ada, "reproduce", "never")
    assert (shown.code, "there is no run 'never'" in shown.err) == (255, True)
    make.done(ada, "config", "hub.url", AWAY)
    shown = make.assay(ada, "reproduce", "never")
    assert (shown.code, "the hub does not answer" in shown.err) == (255, True)
    assert not Project(ada).ledger_path.exists()


def test_of_a_run_that_was_purged_or_deleted_here_that_is_said(ada: Path, bob: Path):
    run = trained(ada)
    bring(bob, run)
    make.done(bob, "runs", "delete", "--directory", ".", run)
    shown = make.assay(bob, "reproduce", run)
    assert shown.code == 255
    assert f"the run {run} is deleted here" in shown.err
    assert f"assay runs restore --directory . {run}" in shown.err
    make.done(bob, "runs", "purge", "--force", run)
    before = own(bob)
    shown = make.assay(bob, "reproduce", run)
    assert shown.code == 255
    assert f"the run {run} is purged here, and does not come back" in shown.err
    assert "hint: do it again in another clone" in shown.err
    assert own(bob) == before


def pack(root: Path, ids: list[str]) -> bytes:
    """The records of runs of a ledger, packed."""
    path = root.parent / "pack"
    with open_ledger(Project(root).ledger_path) as ledger, ledger.read() as connection:
        packs.write(path, gathering.records(connection, ids, []))
    return path.read_bytes()


def test_a_record_that_cannot_be_taken_in_whole_is_refused_with_the_reason(ada: Path, bob: Path):
    run = repro(ada)
    with open_ledger(Project(ada).ledger_path) as ledger:
        [child] = runs.get(ledger, run).children
    place = places.find(Project(bob))
    with pytest.raises(Error, match=r"cannot be taken in whole: the run .* is refused") as found:
        hub_records._unite(Project(bob), place, child, pack(ada, [child]))
    assert str(found.value.where) == place.where
    assert "has this version of Assay" in str(found.value.hint)
    hub_records._unite(Project(bob), place, run, pack(ada, [run, child]))
    assert run in own(bob)


def test_only_what_it_takes_to_do_a_run_again_comes(ada: Path, bob: Path):
    with (ada / "train.py").open("a") as script:
        script.write("# not committed\n")
    make.write(ada, {"notes.py": "# untracked\n"})
    run = trained(ada)
    with places.find(Project(ada)).open() as ledger:
        found = runs.get(ledger, run)
    bring(bob, run)
    kept = {found.code.diff, *(one.oid for one in found.code.untracked)}
    assert {f"sha256:{oid}" for oid in objects(bob)} == kept
    assert len(kept) == 2
    shown = make.assay(bob, "reproduce", run, "--environment", "current")
    assert shown.code == 0, shown


def test_an_artifact_comes_where_it_has_to_be_compared(
    ada: Path, bob: Path, monkeypatch: pytest.MonkeyPatch
):
    run = trained(ada)
    monkeypatch.setenv("NOISE", "1e-9")
    shown = make.assay(bob, "reproduce", run, "--environment", "current", "--rtol", "0.01")
    assert shown.code == 0, shown
    assert "weights.json: close" in shown.out


def test_how_close_an_artifact_is_stays_open_where_the_hub_is_away(
    ada: Path, monkeypatch: pytest.MonkeyPatch
):
    project = Project(ada)
    here = f"sha256:{project.objects.add(b'1')}"
    assert part._recorded(project, here) == b"1"
    gone = f"sha256:{'0' * 64}"
    assert part._recorded(project, gone) is None
    make.done(ada, "config", "hub.url", AWAY)
    assert part._recorded(Project(ada), here) == b"1"
    with pytest.raises(Unavailable, match="the hub does not answer"):
        part._recorded(Project(ada), gone)


def test_a_run_with_many_points_may_take_its_time(
    ada: Path, server: mlflow.Server, monkeypatch: pytest.MonkeyPatch
):
    project = Project(ada)
    with open_ledger(project.ledger_path) as ledger:
        writer = Writer(ledger)
        run = writer.start_run(name="long", kind="script")
        points = [Metric(key="loss", value=1 / (n + 1), step=n, at=n) for n in range(60_000)]
        writer.log_metrics(run, points)
        writer.finish_run(run, status="finished")
    sent = pack(ada, [run])
    sink = HubSink(server.url, objects=None, token=None)
    monkeypatch.setattr(hub, "TIMEOUT", 0.05)
    try:
        assert sink.send_pack(sent).runs == 1
        assert len(sink.pack(run)) > len(sent) // 2
    finally:
        sink.rest()


def test_a_reproduction_that_fails_is_at_the_hub(
    ada: Path, bob: Path, monkeypatch: pytest.MonkeyPatch
):
    run = trained(ada)
    monkeypatch.setenv("FAILS", "1")
    shown = make.assay(bob, "reproduce", run, "--environment", "current")
    assert (shown.code, "failed with exit status 3" in shown.err) == (255, True)
    newest = said(ada, "runs", "list", "-n", "1")[0]
    assert (newest["kind"], newest["status"]) == ("reproduction", "failed")
    assert own(bob)[newest["id"]] == "failed"


def test_a_trace_at_a_hub_reads_the_patches_that_it_has(ada: Path, bob: Path):
    with (ada / "train.py").open("a") as script:
        script.write("# not committed\n")
    trained(ada)
    assert "with uncommitted changes to it" in make.done(bob, "trace", "train.py")

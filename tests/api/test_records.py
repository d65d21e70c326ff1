"""A hub takes what `assay.run()` sends: once, in order, with its files, or it says why not."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import assay
from assay.ledger import operations, runs
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.operations import Batch, SetTags, StartRun
from assay.ledger.process import describe
from assay.ledger.sdk import channel, channels, spool
from assay.ledger.writer import Artifact
from tests import make, mlflow
from tests.objects.remotes.servers import free_port


@pytest.fixture(autouse=True)
def impatient(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(project)
    monkeypatch.setattr(channel, "PATIENCE", 2.0)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    yield
    channels._channels.clear()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[mlflow.Server]:
    with mlflow.hub(tmp_path) as server:
        monkeypatch.setenv("ASSAY_HUB", server.url)
        yield server


@contextlib.contextmanager
def ledger_of(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path / "hub" / "ledger.db", create=False) as opened:
        yield opened


def batch(number: int, **tags: str) -> bytes:
    started = StartRun(
        run="r1", name="train", kind="script", experiment="churn", at=1, process=describe(1)
    )
    told = SetTags(run="r1", tags=tags)
    found = (started, told) if number == 1 else (told,)
    return operations.encode(Batch(sender="s", number=number, operations=found))


def post(hub: mlflow.Server, body: bytes) -> mlflow.Answered:
    return hub.ask("POST", "/api/records", body, {"Content-Type": "application/json"})


def test_a_run_is_recorded_at_the_hub_with_its_files(
    hub: mlflow.Server, tmp_path: Path, project: Path
):
    make.write(project, {"plot.svg": "<svg/>", "params.yaml": "lr: 0.1\n"})
    with assay.run("first", experiment="churn", params={"lr": 0.1}) as run:
        for step in range(2500):
            assay.log_metric("loss", step, step=step)
        assay.log_metric("bad", float("inf"))
        assay.log_artifact("plot.svg", to="plots")
        assay.set_tag("team", "a")
        with assay.run("inner"):
            assay.log_metric("in", 1)
    with ledger_of(tmp_path) as ledger:
        found = runs.get(ledger, run.id)
        assert len(runs.history(ledger, run.id, "loss")) == 2500
        assert runs.get(ledger, found.children[0]).status == "finished"
    assert (found.name, found.experiment, found.status) == ("first", "churn", "finished")
    assert (found.params, found.tags) == ({"lr": 0.1}, {"team": "a"})
    assert found.metrics["bad"].value == float("inf")
    assert [one.path for one in found.artifacts] == ["plots/plot.svg"]
    assert [one.path for one in found.inputs] == ["params.yaml"]
    assert {one.path for one in found.code.untracked} >= {"plot.svg"}
    for oid in (found.artifacts[0].oid, found.inputs[0].oid):
        answer = hub.ask("GET", f"/api/objects/{oid.replace(':', '/')}")
        assert (answer.status, hashlib.sha256(answer.body).hexdigest()) == (200, oid[7:])
    assert not (project / ".assay" / "ledger.db").exists()


def test_a_batch_that_comes_twice_is_applied_once(hub: mlflow.Server, tmp_path: Path):
    assert post(hub, batch(1, team="a")).json() == {"refused": []}
    assert post(hub, batch(2, team="b")).status == 200
    assert post(hub, batch(1, team="a")).json() == {"refused": []}
    with ledger_of(tmp_path) as ledger:
        assert runs.get(ledger, "r1").tags == {"team": "b"}


def test_a_bad_batch_is_refused_and_changes_nothing(hub: mlflow.Server, tmp_path: Path):
    assert post(hub, batch(1, team="a")).status == 200
    for body, said in (
        (b"{", "this is no batch"),
        (b'{"sender": "s", "number": 2}', "missing required field `operations`"),
        (batch(2, team="b").replace(b'"tags"', b'"tugs"', 1), "Invalid value 'tugs'"),
        (batch(2, team="b").replace(b'"run":"r1"', b'"run":"r2"'), "there is no run 'r2'"),
    ):
        answer = post(hub, body)
        assert answer.status in {400, 404}
        assert said in answer.json()["message"]
    with ledger_of(tmp_path) as ledger:
        assert runs.get(ledger, "r1").tags == {"team": "a"}


def test_a_file_of_the_hub_itself_is_never_given_moved_or_named(
    hub: mlflow.Server, tmp_path: Path
):
    assert post(hub, batch(1)).status == 200
    assert hub.ask("PUT", f"/api/objects/sha256/{hashlib.sha256(b'x').hexdigest()}", b"x").status
    ledger = tmp_path / "hub" / "ledger.db"
    inode = ledger.stat().st_ino
    outside = tmp_path / "victim.bin"
    outside.write_bytes(b"v" * 3_000_000)
    there, absent = hashlib.sha256(b"x").hexdigest(), "0" * 64
    bad = [
        ("evil", "../../ledger.db", 1, "is no hash"),
        ("evil", "sha256:../../../../victim.bin", 3_000_000, "is no hash"),
        ("../../evil", f"sha256:{there}", 1, "leaves its folder"),
        ("evil", f"sha256:{there}", 400, "has 1 bytes, not 400"),
        ("evil", f"sha256:{absent}", 1, "was not sent"),
    ]
    for number, (path, oid, size, said) in enumerate(bad, start=2):
        given = Artifact(path=path, oid=oid, size=size)
        named = operations.AddArtifacts(run="r1", artifacts=(given,), at=1)
        told = SetTags(run="r1", tags={"n": str(number)})
        body = operations.encode(Batch(sender="s", number=number, operations=(named, told)))
        answer = post(hub, body)
        assert answer.status == 200
        (refused,) = answer.json()["refused"]
        assert (refused["index"], said in refused["what"]) == (0, True), refused
        assert hub.ask("GET", "/get-artifact?run_id=r1&path=evil").status == 404
    assert hub.ask("GET", "/api/records/r1/artifacts").json() == {"artifacts": []}
    assert (ledger.stat().st_ino, outside.stat().st_size) == (inode, 3_000_000)
    with ledger_of(tmp_path) as opened:
        assert runs.get(opened, "r1").tags == {"n": "6"}


def test_a_file_is_kept_under_the_hash_that_it_has(hub: mlflow.Server):
    content = b"x" * 3_000_000
    oid = hashlib.sha256(content).hexdigest()
    path = f"/api/objects/sha256/{oid}"
    assert hub.ask("HEAD", path).status == 404
    refused = hub.ask("PUT", path, content[:-1])
    assert (refused.status, "Nothing was stored" in refused.json()["message"]) == (400, True)
    assert hub.ask("HEAD", path).status == 404
    assert hub.ask("PUT", path, content).status == 204
    assert hub.ask("PUT", path, content).status == 204
    assert hub.ask("HEAD", path).headers["content-length"] == "3000000"
    assert hub.ask("GET", path).body == content
    for bad in ("..%2f..%2fledger.db", oid.upper(), oid[:-1]):
        assert hub.ask("GET", f"/api/objects/sha256/{bad}").status in {400, 404}


def test_a_run_that_says_more_than_a_body_holds_arrives_whole(
    hub: mlflow.Server, tmp_path: Path, project: Path
):
    folder = project / ".assay" / "spool"
    with assay.run("large") as run:
        for number in range(400):
            assay.set_tag(f"big{number}", "x" * 100_000)
        assay.log_params({f"huge{number}": "y" * 990_000 for number in range(40)})  # one operation
        for step in range(50):
            assay.log_metric("loss", step, step=step)
    deadline = time.monotonic() + 60
    while spool.files(folder) and time.monotonic() < deadline:
        channels.channel(hub.url, folder=folder).resend()
    assert not spool.files(folder)
    with ledger_of(tmp_path) as ledger:
        found = runs.get(ledger, run.id)
        assert len(runs.history(ledger, run.id, "loss")) == 50
    assert (found.status, len(found.tags), len(found.params)) == ("finished", 400, 40)


def test_a_value_that_is_too_large_is_an_error_at_the_call(hub: mlflow.Server, tmp_path: Path):
    with assay.run("one") as run:
        for log in (assay.log_param, assay.set_tag):
            with pytest.raises(assay.Error, match="40,000,000 characters, more than 1,000,000"):
                log("huge", "x" * 40_000_000)
        assay.log_metric("loss", 1)
    with ledger_of(tmp_path) as ledger:
        found = runs.get(ledger, run.id)
    assert (found.status, found.params, found.tags) == ("finished", {}, {})


def test_a_run_does_not_notice_that_the_hub_is_away(
    tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):  # fmt: skip
    port = free_port()
    monkeypatch.setenv("ASSAY_HUB", f"http://127.0.0.1:{port}")
    began = time.monotonic()
    with assay.run("alone", params={"lr": 1}) as run:
        assay.log_metric("loss", 1, step=1)
        assay.log_text("hello", "note.txt")
    assert time.monotonic() - began < 20
    assert "cannot be written to now" in capfd.readouterr().err
    assert spool.files(project / ".assay" / "spool")
    with mlflow.hub(tmp_path, port=port):
        report = channels.channel(
            f"http://127.0.0.1:{port}", folder=project / ".assay" / "spool"
        ).resend()  # fmt: skip
        assert report.sent == (run.id,)
    with ledger_of(tmp_path) as ledger:
        found = runs.get(ledger, run.id)
    assert (found.status, found.params, found.metrics["loss"].value) == ("finished", {"lr": 1}, 1)
    assert not spool.files(project / ".assay" / "spool")


def test_a_hub_that_goes_and_comes_back_in_the_midst_misses_nothing(
    tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
):
    port = free_port()
    monkeypatch.setenv("ASSAY_HUB", f"http://127.0.0.1:{port}")
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(mlflow.hub(tmp_path, port=port))
        with assay.run() as run:
            assay.log_metric("loss", 0, step=0)
            run.flush()
            first.kill()
            for step in range(1, 100):
                assay.log_metric("loss", step, step=step)
            run.flush()
            assert spool.files(project / ".assay" / "spool")
            stack.enter_context(mlflow.hub(tmp_path, port=port))
            assay.log_metric("loss", 100, step=100)
        assert not spool.files(project / ".assay" / "spool")
    with ledger_of(tmp_path) as ledger:
        assert [point.value for point in runs.history(ledger, run.id, "loss")] == [*range(101)]
        assert runs.get(ledger, run.id).status == "finished"


def test_a_wrong_token_is_an_error_that_says_where_to_put_the_right_one(
    tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
):
    with mlflow.hub(tmp_path, env={"ASSAY_TOKEN": "rightright"}) as server:
        monkeypatch.setenv("ASSAY_HUB", server.url)
        monkeypatch.setenv("ASSAY_TOKEN", "wrongwrong")
        said = r"no token, or a wrong one\n.*set ASSAY_TOKEN"
        with pytest.raises(assay.Error, match=said), assay.run():
            pass
        assert not spool.files(project / ".assay" / "spool")
        monkeypatch.setenv("ASSAY_TOKEN", "rightright")
        channels._channels.clear()
        with assay.run() as run:
            pass
    with ledger_of(tmp_path) as ledger:
        assert runs.get(ledger, run.id).status == "finished"


def test_a_table_at_the_hub_gets_the_rows_of_another_machine(
    hub: mlflow.Server, tmp_path: Path, project: Path
):
    with assay.run() as run:
        assay.log_table({"x": [1]}, "t.csv")
    shutil.rmtree(project / ".assay" / "objects")
    with assay.run(resume=run.id):
        assay.log_table({"x": [2], "y": [3]}, "t.csv")
        assay.log_table({"x": [4]}, "u.csv")
    with ledger_of(tmp_path) as ledger:
        oids = {one.path: one.oid for one in runs.get(ledger, run.id).artifacts}
    kept = [hashlib.sha256(text).hexdigest() for text in (b"x,y\n1,\n2,3\n", b"x\n4\n")]
    assert oids == {"t.csv": f"sha256:{kept[0]}", "u.csv": f"sha256:{kept[1]}"}


def test_a_table_of_a_hub_that_is_away_is_not_replaced(
    hub: mlflow.Server, tmp_path: Path, project: Path
):
    with assay.run() as run:
        assay.log_table({"x": [1]}, "t.csv")
    with assay.run(resume=run.id):
        hub.kill()
        with pytest.raises(assay.Error, match=r"'t\.csv' .* cannot be read .*\n.*try again later"):
            assay.log_table({"x": [2]}, "t.csv")
    with ledger_of(tmp_path) as ledger:
        assert [one.size for one in runs.get(ledger, run.id).artifacts] == [4]


def test_a_run_at_the_hub_goes_on_in_another_process(hub: mlflow.Server, tmp_path: Path):
    with assay.run("first", params={"lr": 1}) as run:
        pass
    code = f"import assay\nwith assay.run(resume={run.id!r}): assay.log_metric('late', 2)"
    subprocess.run([sys.executable, "-c", code], check=True)
    with ledger_of(tmp_path) as ledger:
        found = runs.get(ledger, run.id)
    assert (found.status, found.metrics["late"].value) == ("finished", 2)
    with assay.run(resume=run.id), pytest.raises(assay.Error, match="cannot become '2'"):
        assay.log_param("lr", 2)
    with (
        pytest.raises(assay.Error, match="there is no run 'nothing'"),
        assay.run(resume="nothing"),
    ):
        pass


def test_outside_a_project_a_hub_is_enough(
    hub: mlflow.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    bare = tmp_path / "bare"
    bare.mkdir()
    monkeypatch.chdir(bare)
    with assay.run() as run:
        assay.log_text("hello", "a.txt")
    with ledger_of(tmp_path) as ledger:
        found = runs.get(ledger, run.id)
    assert [one.path for one in found.artifacts] == ["a.txt"]
    assert (
        hub.ask("GET", f"/api/objects/{found.artifacts[0].oid.replace(':', '/')}").body == b"hello"
    )


def test_runs_at_the_hub_are_found_and_their_files_come_back(
    hub: mlflow.Server, tmp_path: Path, project: Path
):
    with assay.run("train", params={"lr": 0.1, "fill": "NaN"}) as run:
        assay.log_metric("loss", 2)
        assay.log_metric("bad", float("nan"))
        assay.log_text("hello", "notes/a.txt")
        assay.log_text("x" * 3_000_000, "notes/large.txt")
    with assay.run("other"):
        assay.log_metric("loss", 3)
    found = assay.search_runs(
        "metrics.loss < 3", columns=["run_name", "metrics.bad", "params.fill"]
    )
    assert (found["run_name"], found["params.fill"]) == (["train"], ["NaN"])
    assert found["metrics.bad"][0] != found["metrics.bad"][0]
    whole = assay.search_runs(order_by=["metrics.loss"])
    assert (whole["run_name"], whole["params.lr"]) == (["train", "other"], ["0.1", None])
    assert assay.search_runs(limit=1).n_rows == 1
    for file in (project / ".assay" / "objects").rglob("*"):
        if file.is_file():
            file.unlink()  # as on another machine
    folder = assay.load(f"runs:/{run.id}/notes")
    assert (folder / "a.txt").read_text() == "hello"
    assert (folder / "large.txt").stat().st_size == 3_000_000
    with pytest.raises(assay.Error, match="keeps nothing at 'nota'"):
        assay.load(f"runs:/{run.id}/nota")

"""The Python API: what a script logs is in the ledger, however the script ends."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import assay
from assay.base.errors import Error, NotFound
from assay.ledger import runs
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.writer import Writer
from assay.project import workspace
from tests.databases import SLOW_IN_POSTGRESQL


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> workspace.Project:
    commit = ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty"]
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    subprocess.run(["git", *commit, "-m", "x"], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ASSAY_RUN", raising=False)
    monkeypatch.delenv("ASSAY_LEDGER", raising=False)
    return workspace.init(tmp_path)


@pytest.fixture
def ledger(project: workspace.Project, recorded: str | None) -> Iterator[Ledger]:
    with open_ledger(recorded or project.ledger_path) as opened:
        yield opened


@pytest.fixture
def stage(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> str:
    run = Writer(ledger).start_run(name="train", kind="stage")
    monkeypatch.setenv("ASSAY_RUN", run)
    monkeypatch.setenv("ASSAY_LEDGER", ledger.where)
    return run


def script(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", f"import assay\n{code}"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_run_records_what_its_block_logs(project: workspace.Project, ledger: Ledger):
    (project.root / "new.py").write_text("x = 1")
    (project.root / "plot.svg").write_text("<svg/>")
    with assay.run("first", experiment="churn", params={"train": {"lr": 0.1}}) as run:
        assay.log_param("seed", 1)
        assay.log_metric("loss", np.float32(0.5), step=1)
        assay.log_metrics({"loss": 0.25, "auc": 1}, step=np.int64(2))  # type: ignore[arg-type]
        assay.set_tag("team", "a")
        assay.log_artifact("plot.svg", to="plots")
        assert runs.get(ledger, run.id).status == "running"
    found = runs.get(ledger, "latest")
    assert (found.id, found.name, found.experiment) == (run.id, "first", "churn")
    assert (found.status, found.kind) == ("finished", "script")
    assert found.params == {"train.lr": 0.1, "seed": 1}
    assert {key: metric.value for key, metric in found.metrics.items()} == {"loss": 0.25, "auc": 1}
    assert found.tags == {"team": "a"}
    assert [artifact.path for artifact in found.artifacts] == ["plots/plot.svg"]
    assert "new.py" in [file.path for file in found.code.untracked]
    assert found.code.reproducible
    assert found.environment is not None
    (artifact,) = found.artifacts
    assert project.objects.read(artifact.oid.removeprefix("sha256:")) == b"<svg/>"


def test_a_run_inside_a_run_is_a_part_of_it(ledger: Ledger):
    with assay.run("outer", experiment="churn") as outer:
        with assay.run("inner") as inner:
            assay.log_metric("in", 1)
        assay.log_metric("out", 1)
    found = runs.get(ledger, outer.id)
    assert found.children == (inner.id,)
    assert set(found.metrics) == {"out"}
    assert set(runs.get(ledger, inner.id).metrics) == {"in"}
    assert runs.get(ledger, inner.id).experiment == "churn"


@pytest.mark.parametrize(
    ("raised", "status", "reason"),
    [
        (ValueError("bad"), "failed", "ValueError: bad"),
        (KeyboardInterrupt(), "killed", "interrupted"),
        (SystemExit(0), "finished", None),
        (SystemExit(3), "failed", "SystemExit: 3"),
    ],
)
def test_an_exception_is_recorded_and_goes_on(
    ledger: Ledger, raised: BaseException, status: str, reason: str | None
):
    def train() -> None:
        with assay.run():
            assay.log_metric("loss", math.nan)
            raise raised

    with pytest.raises(type(raised)):
        train()
    found = runs.get(ledger, "latest")
    assert (found.status, found.reason) == (status, reason)
    assert math.isnan(found.metrics["loss"].value)


def test_without_a_run_logging_says_what_to_do(project: workspace.Project):
    with pytest.raises(Error, match=r"no run is active\n.*with assay\.run\(\):"):
        assay.log_metric("loss", 1)


def test_outside_a_project_a_run_says_what_to_do(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path_factory.mktemp("bare"))
    with pytest.raises(NotFound, match="assay init"), assay.run():
        pass


@SLOW_IN_POSTGRESQL
@pytest.mark.parametrize("value", ["1", None, [1, 2], np.ones(2), 1j, 10**400])
def test_a_metric_that_is_no_number_is_an_error_that_names_it(ledger: Ledger, value: object):
    with assay.run() as run:
        with pytest.raises(Error, match="metric 'loss'"):
            assay.log_metrics({"good": 1, "loss": value})
        with pytest.raises(Error, match="step of metric 'loss'"):
            assay.log_metric("loss", 1, step=1.5)  # type: ignore[arg-type]
    assert runs.get(ledger, run.id).metrics == {}


@SLOW_IN_POSTGRESQL
def test_in_a_stage_the_functions_write_to_its_run(ledger: Ledger, stage: str):
    done = script("assay.log_metric('loss', 1)\nassay.log_param('lr', 0.1)")
    assert (done.returncode, done.stderr) == (0, "")
    found = runs.get(ledger, stage)
    assert (found.metrics["loss"].value, found.params) == (1.0, {"lr": 0.1})
    assert found.status == "running"


def test_in_a_stage_the_outermost_run_is_that_of_the_stage(ledger: Ledger, stage: str):
    done = script(
        "with assay.run('mine', params={'a': 1}) as run:\n"
        "    print(run.id)\n"
        "    assay.log_metric('loss', 1)\n"
        "    with assay.run('part'): assay.log_metric('inner', 1)\n"
        "    raise SystemExit(1)"
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (1, stage, "")
    found = runs.get(ledger, stage)
    assert (found.status, found.params) == ("running", {"a": 1})
    assert set(found.metrics) == {"loss"}
    assert runs.get(ledger, found.children[0]).name == "part"


def test_what_was_logged_is_there_when_the_process_is_killed(ledger: Ledger, stage: str):
    code = """if True:
        import assay, sys
        for i in range(1000):
            assay.log_metric('loss', i, step=i)
        assay.log_metric('late', 1)
        sys.stdin.read()
    """
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as logger:
        while "late" not in runs.get(ledger, stage).metrics:
            assert logger.poll() is None
        logger.send_signal(signal.SIGKILL)
    assert len(runs.history(ledger, stage, "loss")) == 1000


def test_threads_log_to_the_run_that_is_open(ledger: Ledger):
    def log(start: int) -> None:
        for i in range(start, start + 300):
            assay.log_metric("loss", i, step=i)

    with assay.run() as run:
        threads = [threading.Thread(target=log, args=(start,)) for start in (0, 300, 600)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    steps = sorted(point.step for point in runs.history(ledger, run.id, "loss"))
    assert steps == list(range(900))


def test_threads_with_a_run_each_do_not_mix(ledger: Ledger):
    both_open = threading.Barrier(3)

    def train(name: str) -> None:
        with assay.run(name):
            both_open.wait()
            assay.log_metric(name, 1)
            both_open.wait()

    threads = [threading.Thread(target=train, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    both_open.wait()
    with pytest.raises(Error, match=r"several threads .*\n.*run\.log_metric"):
        assay.log_metric("mine", 1)
    both_open.wait()
    for thread in threads:
        thread.join()
    found = [runs.get(ledger, row.id) for row in runs.list_(ledger)]
    assert sorted((run.name, *run.metrics) for run in found) == [("a", "a"), ("b", "b")]


def log_in_worker(step: int) -> None:
    assay.log_metric("loss", step, step=step)


@SLOW_IN_POSTGRESQL
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_worker_processes_log_to_the_run_of_their_stage(ledger: Ledger, stage: str, method: str):
    code = f"""if True:
        import assay, multiprocessing
        from tests.ledger.sdk.test_recorder import log_in_worker
        assay.log_metric('parent', 1)
        context = multiprocessing.get_context('{method}')
        workers = [context.Process(target=log_in_worker, args=(i,)) for i in range(3)]
        for worker in workers: worker.start()
        for worker in workers: worker.join()
    """
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert {point.step for point in runs.history(ledger, stage, "loss")} == {0, 1, 2}
    assert len(runs.history(ledger, stage, "parent")) == 1


def test_a_forked_worker_does_not_end_the_run(ledger: Ledger):
    with assay.run() as run:
        assay.log_metric("parent", 1)
        worker = multiprocessing.get_context("fork").Process(target=log_in_worker, args=(7,))
        worker.start()
        worker.join()
        assert worker.exitcode == 0
        assert runs.get(ledger, run.id).status == "running"
    assert set(runs.get(ledger, run.id).metrics) == {"parent", "loss"}


def test_a_thousand_points_are_a_few_transactions(ledger: Ledger):
    from sqlalchemy import Connection, Engine, event

    begun = []

    def count(connection: Connection) -> None:
        if connection.get_execution_options().get("writes"):
            begun.append(connection)

    with assay.run() as run:
        event.listen(Engine, "begin", count)
        for i in range(1000):
            assay.log_metric("loss", i, step=i)
        run.flush()
        event.remove(Engine, "begin", count)
    assert 1 <= len(begun) < 10


def test_a_folder_of_artifacts_keeps_its_paths(project: workspace.Project, ledger: Ledger):
    (project.root / "out" / "deep").mkdir(parents=True)
    (project.root / "out" / "a").write_text("a")
    (project.root / "out" / "deep" / "b").write_text("")
    with assay.run() as run:
        assay.log_artifacts("out", to="kept")
        assay.log_artifacts(project.root / "out")
    kept = [(artifact.path, artifact.size) for artifact in runs.get(ledger, run.id).artifacts]
    assert kept == [("a", 1), ("deep/b", 0), ("kept/a", 1), ("kept/deep/b", 0)]


@SLOW_IN_POSTGRESQL
def test_links_of_a_folder_are_followed_and_what_is_no_file_is_named(
    project: workspace.Project, ledger: Ledger, capsys: pytest.CaptureFixture[str]
):
    root = project.root
    for folder in ("sl/real", "outside/deep"):
        (root / folder).mkdir(parents=True)
    (root / "sl" / "real" / "f").write_text("f")
    (root / "outside" / "deep" / "g").write_text("g")
    for name, target in {
        "ln": "../outside", "twice": "../outside", "lf": "real/f", "dangle": "nowhere",
        "real/up": "..", "self": "self",
    }.items():  # fmt: skip
        (root / "sl" / name).symlink_to(target)
    os.mkfifo(root / "sl" / "pipe")
    with assay.run() as run:
        assay.log_artifacts("sl")
    kept = [artifact.path for artifact in runs.get(ledger, run.id).artifacts]
    assert kept == ["lf", "ln/deep/g", "real/f", "twice/deep/g"]
    assert [line for line in capsys.readouterr().err.splitlines() if "not kept" in line] == [
        (
            "assay: not kept with the run: sl/dangle (a broken link), "
            "sl/pipe (neither file nor folder), "
            "sl/real/up (leads back to a folder around it), sl/self (a broken link)"
        )
    ]


@SLOW_IN_POSTGRESQL
def test_a_run_shows_its_name_its_id_and_whether_it_is_open(
    project: workspace.Project, ledger: Ledger
):
    with assay.run("first") as run:
        assert repr(run) == f"<run 'first', {run.id}, open>"
    assert repr(run) == f"<run 'first', {run.id}, ended>"
    with assay.run(resume=run.id) as again:
        assert repr(again) == f"<run {run.id}, open>"


@SLOW_IN_POSTGRESQL
def test_an_artifact_that_cannot_be_kept_is_an_error_with_the_next_step(
    project: workspace.Project, ledger: Ledger
):
    (project.root / "a").write_text("a")
    with assay.run() as run:
        with pytest.raises(NotFound, match="no such file"):
            assay.log_artifact("missing")
        with pytest.raises(NotFound, match="no such folder"):
            assay.log_artifacts("a")
        with pytest.raises(Error, match=r"assay\.log_artifacts"):
            assay.log_artifact(project.root)
        for to in ("../x", "/x"):
            with pytest.raises(Error, match="leaves the run's artifacts"):
                assay.log_artifact("a", to=to)
    assert runs.get(ledger, run.id).artifacts == ()
    with pytest.raises(Error, match="has ended"):
        run.log_metric("loss", 1)


@SLOW_IN_POSTGRESQL
def test_too_many_untracked_bytes_make_a_run_not_reproducible(
    project: workspace.Project, ledger: Ledger
):
    with (project.root / "big").open("wb") as file:
        file.truncate(11_000_000)
    with assay.run() as run:
        pass
    code = runs.get(ledger, run.id).code
    assert not code.reproducible
    assert "11.0 MB are untracked" in (code.reason or "")
    assert code.untracked == ()

"""A run as a block, as a decorator, gone on with later; what is recorded without being asked."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

import assay
from assay.base.errors import Error, NotFound, Usage
from assay.ledger import environment, liveness, process, runs, system, tables
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.operations import Beat
from assay.ledger.process import Process
from assay.ledger.sdk import batches, channel, channels
from assay.ledger.writer import Writer
from tests import make
from tests.databases import SLOW_IN_POSTGRESQL


@pytest.fixture
def ledger(
    project: Path, recorded: str | None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Ledger]:
    monkeypatch.chdir(project)
    with open_ledger(recorded or project / ".assay" / "ledger.db") as opened:
        yield opened
    channels._channels.clear()


def latest(ledger: Ledger, back: int = 0) -> runs.Run:
    return runs.get(ledger, f"latest~{back}")


def test_each_call_of_a_decorated_function_is_a_run(ledger: Ledger):
    @assay.run(experiment="churn", tags={"team": "a"})
    def train(lr: float, *, fails: bool = False) -> float:
        """Train."""
        assay.log_param("lr", lr)
        if fails:
            raise ValueError("bad")
        return lr * 2

    assert [train(0.1), train(0.2)] == [0.2, 0.4]
    with pytest.raises(ValueError, match="bad"):
        train(0.3, fails=True)
    assert (train.__name__, train.__doc__) == ("train", "Train.")
    found = [latest(ledger, back) for back in (2, 1, 0)]
    assert [run.params["lr"] for run in found] == [0.1, 0.2, 0.3]
    assert [run.status for run in found] == ["finished", "finished", "failed"]
    assert {(run.name, run.experiment, run.tags["team"]) for run in found} == {
        ("train", "churn", "a")
    }


def test_coroutines_that_are_decorated_do_not_mix(ledger: Ledger):
    @assay.run
    async def train(number: int) -> int:
        await asyncio.sleep(0.01)
        assay.log_metric("number", number)
        await asyncio.sleep(0.01)
        return number

    async def both() -> list[int]:
        return list(await asyncio.gather(train(1), train(2)))

    assert asyncio.run(both()) == [1, 2]
    found = [latest(ledger, back) for back in (0, 1)]
    assert sorted(run.metrics["number"].value for run in found) == [1, 2]
    assert {run.name for run in found} == {"train"}


@SLOW_IN_POSTGRESQL
def test_a_generator_cannot_be_a_run(ledger: Ledger):
    def steps() -> Iterator[int]:
        yield 1

    with pytest.raises(Usage, match="'steps' is a generator"):
        assay.run()(steps)


def test_a_run_goes_on_where_it_was(ledger: Ledger):
    with (  # noqa: PT012 -- the block is what fails
        pytest.raises(ValueError, match="stop"),
        assay.run("long", params={"lr": 1}) as run,
    ):
        assay.log_metric("loss", 3, step=1)
        raise ValueError("stop")
    assert runs.get(ledger, run.id).status == "failed"
    with assay.run(resume=run.id[:14], tags={"again": True}) as again:
        assert runs.get(ledger, run.id).status == "running"
        assay.log_metric("loss", 2, step=2)
        with pytest.raises(Error, match="cannot become '2'"):
            assay.log_param("lr", 2)
    found = runs.get(ledger, run.id)
    assert (again.id, found.status, found.reason, found.exit_status) == (
        run.id, "finished", None, 0,
    )  # fmt: skip
    assert len(runs.history(ledger, run.id, "loss")) == 2
    assert found.tags == {"again": "True"}


def test_a_run_that_goes_on_elsewhere_is_joined_and_its_end_is_not_ours(ledger: Ledger):
    with assay.run("mine") as run:
        code = f"import assay\nwith assay.run(resume={run.id!r}): assay.log_metric('theirs', 1)"
        subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
        found = runs.get(ledger, run.id)
        assert (found.status, found.pid, set(found.metrics)) == (
            "running",
            os.getpid(),
            {"theirs"},
        )
    assert runs.get(ledger, run.id).status == "finished"


def test_what_cannot_go_on_is_an_error_that_says_why(ledger: Ledger):
    with assay.run() as run:
        pass
    with ledger.write() as connection:
        connection.exec_driver_sql("UPDATE run SET deleted = 1")
    with pytest.raises(Error, match=r"is deleted\n.*assay runs restore"), assay.run(resume=run.id):
        pass
    with pytest.raises(NotFound, match="there is no run 'abc'"), assay.run(resume="abc"):
        pass
    with pytest.raises(Usage, match="has its name and experiment already"):
        assay.run("name", resume=run.id)


def test_what_is_recorded_without_being_asked_for(project: Path, ledger: Ledger):
    make.write(project, {"params.yaml": "lr: 0.1\n", "train.py": SCRIPT})
    make.commit(project)
    make.write(project, {"train.py": SCRIPT + "# changed\n"})
    done = subprocess.run(
        [sys.executable, "train.py", "--fast"], cwd=project, check=False, capture_output=True
    )
    assert done.returncode == 3
    found = latest(ledger)
    assert (found.name, found.status, found.exit_status) == ("train", "failed", 3)
    assert found.command == "train.py --fast"
    assert found.code.commit is not None
    assert found.code.diff is not None
    assert found.code.reproducible
    assert [one.path for one in found.inputs] == ["params.yaml"]
    objects = project / ".assay" / "objects" / "sha256"
    oid = found.inputs[0].oid.removeprefix("sha256:")
    assert (objects / oid[:2] / oid[2:]).read_text() == "lr: 0.1\n"
    assert found.environment is not None
    assert found.environment.host.cores >= 1
    assert f"numpy=={np.__version__}" in found.environment.software.packages
    assert found.tags == {"seed.random": "1", "seed.numpy": "2"}
    assert found.log_tail == "epoch 1\nto stderr\nepoch 2\n"
    assert found.end is not None
    assert found.end >= found.start
    assert (found.peak_memory or 0) > 1_000_000
    assert (found.cpu_seconds or 0) > 0
    assert found.owner
    assert found.host == process.host()


SCRIPT = """
import random, sys
import numpy as np
import assay
print("before")
with assay.run():
    random.seed(1)
    np.random.seed(2)
    print("epoch 1")
    print("to stderr", file=sys.stderr)
    print("epoch 2")
    sys.exit(3)
"""


@SLOW_IN_POSTGRESQL
def test_after_a_run_streams_are_the_originals_and_seeds_do_what_they_do(ledger: Ledger):
    before = sys.stdout, sys.stderr
    with assay.run(), assay.run():
        assert sys.stdout is not before[0]
        random.seed(7)
        first = random.random()
    assert (sys.stdout, sys.stderr) == before
    random.seed(7)
    assert random.random() == first


@SLOW_IN_POSTGRESQL
def test_one_seed_for_all_is_recorded_and_repeats(ledger: Ledger):
    with assay.run():
        assay.seed(2**33)
        first = random.random(), float(np.random.uniform())  # noqa: NPY002 -- what is seeded
    assert latest(ledger).tags == {"seed.random": str(2**33), "seed.numpy": "0"}
    assay.seed(2**33)
    assert (random.random(), float(np.random.uniform())) == first  # noqa: NPY002


def test_nothing_of_the_output_is_kept_where_no_lines_are_wanted(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ASSAY_RUN_LOG_TAIL", "1")
    with assay.run():
        sys.stdout.write("one\n")
        sys.stdout.write("two\n")
    assert latest(ledger).log_tail == "two\n"
    monkeypatch.setenv("ASSAY_RUN_LOG_TAIL", "0")
    before = sys.stdout
    with assay.run():
        assert sys.stdout is before
        sys.stdout.write("three\n")
    assert latest(ledger).log_tail is None


def test_the_machine_is_measured_while_a_run_goes_on(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("ASSAY_RUN_SYSTEM_METRICS")
    monkeypatch.setattr(system, "EVERY", 0.05)
    monkeypatch.setattr(liveness, "BEAT", 0.02)
    with assay.run() as run:
        until = time.monotonic() + 20
        while len(runs.history(ledger, run.id, "system/disk_percent")) < 2:
            assert time.monotonic() < until
            time.sleep(0.02)
    found = latest(ledger).metrics
    names = {"process_cpu_percent", "process_memory_bytes", "cpu_percent", "memory_bytes"}
    names |= {"memory_percent", "disk_free_bytes", "disk_percent"}
    assert set(found) == {f"system/{name}" for name in names}
    assert 0 < found["system/memory_percent"].value < 100
    assert found["system/process_memory_bytes"].value > 1_000_000
    assert {point.step for point in runs.history(ledger, run.id, "system/cpu_percent")} >= {0, 1}
    monkeypatch.setenv("ASSAY_RUN_SYSTEM_METRICS", "false")
    with assay.run() as run:
        time.sleep(0.2)
    assert latest(ledger).metrics == {}


@SLOW_IN_POSTGRESQL
def test_a_run_of_a_second_or_more_is_measured_at_its_end(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("ASSAY_RUN_SYSTEM_METRICS")
    monkeypatch.setattr(system, "FIRST", 0.1)
    with assay.run():
        pass
    assert latest(ledger).metrics == {}
    with assay.run():
        time.sleep(0.15)
    assert latest(ledger).metrics["system/process_memory_bytes"].value > 1_000_000


PRINTS = """
import os, signal, sys
import assay
from assay.ledger import liveness
liveness.BEAT = 60  # the run is young when it is ended
with assay.run() as run:
    print("line 1")
    print("line 2", flush=True)
    signal.pause()
"""


@SLOW_IN_POSTGRESQL
def test_a_run_that_is_ended_by_a_signal_has_its_last_lines(project: Path, ledger: Ledger):
    make.write(project, {"train.py": PRINTS})
    with subprocess.Popen(
        [sys.executable, "train.py"], cwd=project, stdout=subprocess.DEVNULL
    ) as script:
        until = time.monotonic() + 30
        while not _tail(ledger):
            assert time.monotonic() < until
            time.sleep(0.02)
        script.terminate()
    assert latest(ledger).status == "running"
    assert set(assay.search_runs("", columns=["status"])["status"]) == {"killed"}
    assert latest(ledger).log_tail == "line 1\nline 2\n"


def _tail(ledger: Ledger) -> str | None:
    return next((runs.get(ledger, one.id).log_tail for one in runs.list_(ledger)), None)


def test_a_run_says_that_it_lives(ledger: Ledger, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(liveness, "BEAT", 0.02)
    with assay.run() as run:
        until = time.monotonic() + 20
        first = _seen(ledger, run.id)
        assert first is not None
        while _seen(ledger, run.id) == first:
            assert time.monotonic() < until
            time.sleep(0.02)


def _seen(ledger: Ledger, run: str) -> int | None:
    with ledger.read() as connection:
        query = select(tables.run.c.seen).where(tables.run.c.id == run)
        found: int | None = connection.execute(query).scalar()
        return found


def test_a_run_of_another_host_counts_as_killed_after_five_minutes_without_a_heartbeat(
    ledger: Ledger,
):
    writer = Writer(ledger)
    who = Process(host="elsewhere", boot="b", pid=1, start="1")
    run = writer.start_run(name="a", kind="script", who=who, at=0)
    other = Process(host="elsewhere", boot="b", pid=2, start="1")
    silent = writer.start_run(name="never heard of", kind="pipeline", who=other, at=0)
    child = writer.start_run(name="b", kind="script", parent=run, who=who, at=0)
    _beat(ledger, run, at=1000)
    assert writer.mark_killed(at=liveness.LOST) == []
    assert writer.mark_killed(at=1000 + liveness.LOST) == [silent]
    assert writer.mark_killed(at=1001 + liveness.LOST) == [run, child]
    found = runs.get(ledger, run)
    assert found.status == "killed"
    assert found.reason == "its process 1 on elsewhere was not heard of for 5 minutes"
    _beat(ledger, run, at=2000 + liveness.LOST)
    again = runs.get(ledger, run)
    assert (again.status, again.end, again.reason) == ("running", None, None)
    writer.finish_run(run, status="finished", at=5)
    _beat(ledger, run, at=3000 + liveness.LOST)
    assert runs.get(ledger, run).status == "finished"


def _beat(ledger: Ledger, run: str, *, at: int) -> None:
    from assay.ledger import operations

    with ledger.write() as connection:
        assert operations.apply_all(connection, [Beat(run=run, at=at)]) == []


def test_the_graphics_cards_are_those_that_the_driver_tells(tmp_path: Path):
    make.write(
        tmp_path,
        {
            "gpus/0000:01:00.0/information": "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ: 1\n",
            "version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19\n",
        },
    )
    assert environment._nvidia_cards(tmp_path) == ("NVIDIA H100 80GB HBM3",)
    assert environment._nvidia_driver(tmp_path) == "535.129.03"
    opened = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.15  Release Build\n"
    make.write(tmp_path, {"version": opened})
    assert environment._nvidia_driver(tmp_path) == "550.54.15"
    assert environment._nvidia_driver(tmp_path / "none") is None
    assert environment._nvidia_cards(tmp_path / "none") == ()


def test_a_process_that_forks_while_it_logs_loses_nothing_and_repeats_nothing(ledger: Ledger):
    with assay.run() as run:
        children = []
        for number in range(4):
            for step in range(100):
                assay.log_metric("parent", step, step=100 * number + step)
            child = os.fork()
            if child == 0:
                try:
                    for step in range(50):
                        assay.log_metric(f"child {number}", step, step=step)
                    run.flush()
                finally:
                    os._exit(0)
            children.append(child)
        for child in children:
            assert os.waitpid(child, 0)[1] == 0
        assay.log_metric("late", 1)
        until = time.monotonic() + 20
        while "late" not in runs.get(ledger, run.id).metrics:  # the threads go on after a fork
            assert time.monotonic() < until
            time.sleep(0.02)
    assert len(runs.history(ledger, run.id, "parent")) == 400
    for number in range(4):
        assert len(runs.history(ledger, run.id, f"child {number}")) == 50


@SLOW_IN_POSTGRESQL
@pytest.mark.parametrize(
    "end",
    ["pass", "sys.exit(0)", "raise SystemExit", "raise ValueError", "os.kill(os.getpid(), 2)"],
)
def test_however_a_process_ends_all_is_written(project: Path, ledger: Ledger, end: str):
    code = f"""if True:
        import assay, os, sys
        with assay.run():
            for step in range(500): assay.log_metric("loss", step, step=step)
            assay.set_tag("last", 1)
            {end}
    """
    subprocess.run([sys.executable, "-c", code], cwd=project, check=False, capture_output=True)
    found = latest(ledger)
    assert len(runs.history(ledger, found.id, "loss")) == 500
    assert found.tags == {"last": "1"}
    assert found.status != "running"


@SLOW_IN_POSTGRESQL
@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("s = contextlib.ExitStack(); s.enter_context(assay.run())", "finished"),
        ("s = assay.run(); s.__enter__(); sys.exit(4)", "finished"),
        ("s = assay.run(); s.__enter__(); raise ValueError('no')", "failed"),
        ("s = steps(); next(s)", "finished"),
    ],
)
def test_a_run_that_is_open_when_the_process_ends_has_ended(
    project: Path, ledger: Ledger, script: str, status: str
):
    code = f"""if True:
        import assay, contextlib, sys
        def steps():
            with assay.run():
                yield 1
        def log():
            for step in range(500): assay.log_metric("loss", step, step=step)
        {script.replace("sys.exit", "log(); sys.exit").replace("raise", "log(); raise")}
        log()
    """
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, check=False, capture_output=True, timeout=60
    )
    assert b"ignored" not in done.stderr, done.stderr
    found = latest(ledger)
    assert (found.status, len(runs.history(ledger, found.id, "loss"))) == (status, 500)


@SLOW_IN_POSTGRESQL
def test_no_thread_is_left_after_the_last_run(ledger: Ledger):
    with assay.run():
        assay.log_metric("loss", 1)
        assert [one for one in threading.enumerate() if one.name.startswith("assay-")]
    assert not [one for one in threading.enumerate() if one.name.startswith("assay-")]


def test_a_moment_of_ones_own_is_kept_and_a_bad_one_is_an_error(ledger: Ledger):
    with assay.run() as run:
        assay.log_metric("loss", 1, at=5)
        assay.log_metrics({"auc": 1}, at=6)
        for bad in (-1, "now", 2**63):
            with pytest.raises(Error, match="expected are milliseconds since 1970"):
                assay.log_metric("loss", 2, at=bad)  # type: ignore[arg-type]
    assert [point.at for point in runs.history(ledger, run.id, "loss")] == [5]
    assert latest(ledger).metrics["auc"].at == 6


def test_more_than_memory_should_hold_is_written_on_the_way(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(channel, "_MOST", 50)
    monkeypatch.setattr(batches, "N_POINTS", 20)
    with assay.run() as run:
        for step in range(1000):
            run.log_metric("loss", step, step=step)
            assert len(run.channel._queue) <= 51
    assert len(runs.history(ledger, run.id, "loss")) == 1000


@SLOW_IN_POSTGRESQL
def test_tracked_data_that_a_script_reads_is_recorded_by_its_content(
    project: Path, ledger: Ledger
):
    make.write(
        project,
        {
            "data/a.csv": "x\n1\n", "folder/one.csv": "1", "folder/two.csv": "2",
            "other.csv": "not read", "made.csv": "old", "plain.txt": "in git",
        },
    )  # fmt: skip
    for name in ("data/a.csv", "folder", "other.csv", "made.csv"):
        make.done(project, "add", name)
    make.commit(project)
    with assay.run() as run:
        np.loadtxt("data/a.csv", skiprows=1)
        (project / "folder" / "two.csv").read_text()
        (project / "plain.txt").read_text()
        (project / "made.csv").unlink()
        (project / "made.csv").write_text("new")
        (project / "made.csv").read_text()
        with assay.run("inner"):
            pass
    found = runs.get(ledger, run.id)
    assert [(one.path, one.kind, one.n_files) for one in found.inputs] == [
        ("data/a.csv", "dep", None), ("folder", "dep", 2),
    ]  # fmt: skip
    assert found.inputs[0].oid in (project / "data" / "a.csv.dvc").read_text().replace(
        "md5: ", "md5:"
    )
    assert runs.get(ledger, found.children[0]).inputs == ()
    with assay.run() as run:
        pass
    assert runs.get(ledger, run.id).inputs == ()


@SLOW_IN_POSTGRESQL
@pytest.mark.parametrize("key", ["", " ", "a\0b", "\ud800", 5, None, ["a"]])
def test_a_name_that_is_no_text_is_an_error_at_once(ledger: Ledger, key: Any):
    with assay.run() as run:
        for log in (assay.log_metric, assay.set_tag, assay.log_param)[: 2 + isinstance(key, str)]:
            with pytest.raises((Error, TypeError)):
                log(key, 1)
        with pytest.raises((Error, TypeError)):
            assay.log_metrics({"good": 1, key: 2})
    found = runs.get(ledger, run.id)
    assert (found.metrics, found.params, found.tags) == ({}, {}, {})


def test_odd_names_and_long_values_come_back_and_what_is_too_long_is_an_error(ledger: Ledger):
    odd = "a/b:c #?%é\n" + "x" * 1000
    with assay.run(params={odd: "v" * 100_000}, tags={odd: "t" * 100_000}) as run:
        assay.log_metric(odd, 1)
        for log in (assay.log_param, assay.set_tag):
            with pytest.raises(Error, match=r"has 1,000,001 characters.*\n.*assay\.log_text"):
                log("long", "v" * 1_000_001)
            with pytest.raises(Error, match="no text of UTF-8"):
                log("bad", "\ud800")
    found = runs.get(ledger, run.id)
    assert found.metrics[odd].value == 1
    assert (len(found.params[odd]), len(found.tags[odd])) == (100_000, 100_000)

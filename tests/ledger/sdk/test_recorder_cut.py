"""Connections to a database that are cut, and locks in it: nothing is lost, nothing is twice."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import assay
from assay.ledger import runs
from assay.ledger.database import open_ledger
from assay.ledger.operations import Batch, Refusal
from assay.ledger.sdk import channel, channels, spool
from assay.ledger.sinks import LedgerSink
from assay.ledger.writer import Writer
from tests import databases
from tests.databases import Postgres

ADVISORY = "SELECT pg_advisory_xact_lock(418548769145)"  # what each writer waits for
WAITS = "wait_event_type = 'Lock'"


@pytest.fixture
def where(postgres: Postgres, project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    url = postgres.database()
    monkeypatch.chdir(project)
    monkeypatch.setenv("ASSAY_LEDGER", url)
    monkeypatch.setattr(channel, "PATIENCE", 0.5)
    yield url
    channels._channels.clear()
    postgres.drop(url)


def until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def settle(project: Path, where: str) -> None:
    """Send what waits in files, by hand."""
    folder = project / ".assay" / "spool"

    def is_sent() -> bool:
        channels.channel(where, folder=folder).resend()
        return not spool.files(folder)

    until(is_sent)


def history(where: str, run: str, key: str = "loss") -> list[float]:
    with open_ledger(where) as ledger:
        return [point.value for point in runs.history(ledger, run, key)]


def test_connections_that_are_cut_again_and_again_lose_nothing(
    postgres: Postgres, project: Path, where: str
):
    cut = 0
    with assay.run("cut", params={"lr": 0.1}) as run:
        for step in range(1500):
            assay.log_metric("loss", step, step=step)
            if step % 100 == 50:
                assay.set_tag(f"at {step}", "x")
                assay.log_text(f"{step}", f"{step}.txt")
                cut += postgres.cut(where)
                time.sleep(0.05)
    assert cut > 2
    settle(project, where)
    assert history(where, run.id) == [*range(1500)]
    with open_ledger(where) as ledger:
        assert [one.id for one in runs.list_(ledger, top_level=False)] == [run.id]
        found = runs.get(ledger, run.id)
    assert (found.status, found.params) == ("finished", {"lr": 0.1})
    assert sorted(found.tags) == sorted(f"at {step}" for step in range(50, 1500, 100))
    assert len(found.artifacts) == 15


@pytest.mark.parametrize(
    ("lock", "is_cut"),
    [
        (ADVISORY, False),
        ("LOCK TABLE metric IN ACCESS EXCLUSIVE MODE", True),  # after a part was written
        pytest.param(ADVISORY, True, marks=pytest.mark.slow),
        pytest.param("LOCK TABLE run IN ACCESS EXCLUSIVE MODE", True, marks=pytest.mark.slow),
        pytest.param("LOCK TABLE batch IN ACCESS EXCLUSIVE MODE", True, marks=pytest.mark.slow),
        pytest.param("LOCK TABLE metric IN SHARE MODE", False, marks=pytest.mark.slow),
    ],
)
def test_a_run_goes_on_while_others_hold_a_lock_for_seconds(
    postgres: Postgres, project: Path, where: str, lock: str, is_cut: bool
):
    with assay.run("outer") as outer:
        assay.log_metric("loss", 0, step=0)
        outer.flush()
        with databases.holding(where, lock):
            for step in range(1, 100):
                assay.log_metric("loss", step, step=step)
            if is_cut:
                until(lambda: postgres.cut(where, WAITS))
            with assay.run("inner", params={"lr": 0.1}) as inner:
                assay.log_metric("loss", 5)
                assay.set_tag("team", "a")
            assert spool.files(project / ".assay" / "spool")
            time.sleep(1)
        assay.log_metric("loss", 100, step=100)
    settle(project, where)
    assert history(where, outer.id) == [*range(101)]
    assert history(where, inner.id) == [5]
    with open_ledger(where) as ledger:
        assert {one.id for one in runs.list_(ledger, top_level=False)} == {outer.id, inner.id}
        found = runs.get(ledger, inner.id)
        assert runs.get(ledger, outer.id).status == "finished"
    assert (found.status, found.params, found.tags) == ("finished", {"lr": 0.1}, {"team": "a"})


def test_a_run_that_begins_and_ends_while_a_lock_is_held_is_written_once(
    project: Path, where: str
):
    with databases.holding(where, ADVISORY), assay.run("short", params={"lr": 0.1}) as run:
        assay.log_metric("loss", 1)
    settle(project, where)
    with open_ledger(where) as ledger:
        assert [one.id for one in runs.list_(ledger, top_level=False)] == [run.id]
        found = runs.get(ledger, run.id)
    assert (found.status, found.params) == ("finished", {"lr": 0.1})
    assert history(where, run.id) == [1]


def test_what_was_written_though_its_answer_was_cut_is_not_written_twice(
    postgres: Postgres, project: Path, where: str, monkeypatch: pytest.MonkeyPatch
):
    send = LedgerSink.send
    cut: list[int] = []
    tags: list[str] = []

    def send_and_be_cut(sink: LedgerSink, batch: Batch) -> list[Refusal]:
        """Commit, and lose the connection before anybody knows."""
        refused = send(sink, batch)
        cut.append(postgres.cut(where))
        run_id = batch.operations[0].run
        with open_ledger(where) as other:
            Writer(other).set_tags(run_id, {"last": "theirs"})
            send(sink, batch)  # as the channel does that was told of an error
            tags.append(runs.get(other, run_id).tags["last"])
        return refused

    with assay.run("answer") as run:
        run.flush()
        monkeypatch.setattr(LedgerSink, "send", send_and_be_cut)
        for step in range(3):
            assay.log_metric("loss", step, step=step)
            assay.set_tag("last", str(step))
            run.flush()
    assert len(cut) >= 3
    assert set(tags) == {"theirs"}
    settle(project, where)
    assert history(where, run.id) == [0, 1, 2]
    with open_ledger(where) as ledger:
        found = runs.get(ledger, run.id)
    assert (found.status, found.tags) == ("finished", {"last": "theirs"})


WORK = """if True:
    import assay, sys, time
    with assay.run(resume=sys.argv[1]):
        print("ready", flush=True)
        for step in range(400):
            assay.log_metric(sys.argv[2], step, step=step)
            time.sleep(0.005)
"""


@pytest.mark.slow
def test_processes_of_one_run_whose_connections_are_cut_lose_nothing(
    postgres: Postgres, project: Path, where: str
):
    with assay.run("shared") as run:
        command = [sys.executable, "-W", "error", "-c", WORK, run.id]
        workers = [
            subprocess.Popen([*command, f"w{n}"], stdout=subprocess.PIPE, text=True)
            for n in range(3)
        ]
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        while any(worker.poll() is None for worker in workers):
            postgres.cut(where)
            time.sleep(0.1)
        assert [worker.communicate()[0] for worker in workers] == ["", "", ""]
        assert [worker.returncode for worker in workers] == [0, 0, 0]
    settle(project, where)
    for n in range(3):
        assert history(where, run.id, f"w{n}") == [*range(400)]
    with open_ledger(where) as ledger:
        assert [one.id for one in runs.list_(ledger, top_level=False)] == [run.id]
        assert runs.get(ledger, run.id).status == "finished"

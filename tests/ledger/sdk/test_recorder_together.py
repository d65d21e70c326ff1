"""Several processes and threads of one run at once: all that each says is there, once."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import assay
from assay.ledger import runs
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.sdk import channels
from assay.ledger.sdk.active import ActiveRun

WORK = """if True:
    import assay, sys, threading
    run, name = sys.argv[1:]
    def log(thread):
        for step in range(200):
            assay.log_metric(f"{name}.{thread}", step, step=step)
    with assay.run(resume=run, tags={name: "here"}):
        threads = [threading.Thread(target=log, args=(n,)) for n in range(3)]
        for one in threads: one.start()
        for one in threads: one.join()
"""


@pytest.fixture
def where(ledger_where: Path | str, project: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(project)
    monkeypatch.setenv("ASSAY_LEDGER", str(ledger_where))
    return str(ledger_where)


@pytest.fixture
def ledger(where: str) -> Iterator[Ledger]:
    with open_ledger(where) as opened:
        yield opened
    channels._channels.clear()


def log(run: ActiveRun, number: int) -> None:
    for step in range(200):
        run.log_metric(f"own.{number}", step, step=step)


def test_processes_and_threads_of_one_run_lose_nothing(ledger: Ledger):
    with assay.run("shared") as run:
        command = [sys.executable, "-W", "error", "-c", WORK, run.id]
        workers = [
            subprocess.Popen([*command, f"w{n}"], stderr=subprocess.PIPE, text=True)
            for n in range(3)
        ]
        threads = [threading.Thread(target=log, args=(run, n)) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for worker in workers:
            assert worker.communicate(timeout=100)[1] == ""
            assert worker.returncode == 0
    found = runs.get(ledger, run.id)
    assert found.status == "finished"
    assert found.tags == {"w0": "here", "w1": "here", "w2": "here"}
    names = [f"{who}.{n}" for who in ("own", "w0", "w1", "w2") for n in range(3)]
    assert sorted(found.metrics) == sorted(names)
    for name in names:
        assert len(runs.history(ledger, run.id, name)) == 200

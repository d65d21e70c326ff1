"""A hub marks a run whose process is gone before somebody reads runs; nobody has to write."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from assay.api import looking
from assay.api.hub import Hub
from assay.base.clock import now_ms
from assay.base.ids import uuid7
from assay.ledger import askable, liveness, operations, runs
from assay.ledger.database import open_ledger
from assay.ledger.operations import Batch, StartRun
from assay.ledger.process import Process
from assay.objects.cache import Cache
from tests import mlflow


def status_of(hub: mlflow.Server, run: str, way: str) -> str:
    """Ask for a run's status in one of the ways that clients have."""
    found: Any
    if way == "get":
        found = hub.call("GET", "runs/get", run_id=run)["run"]["info"]["status"]
    elif way == "search":
        asked = {"experiment_ids": ["0"], "filter": f"attributes.run_id = '{run}'"}
        found = hub.call("POST", "runs/search", **asked)["runs"][0]["info"]["status"]
    elif way == "dialect":
        asked = {"query": f"run_id = '{run}'", "columns": ["status"]}
        found = hub.ask("POST", "/api/runs/search", asked).json()["runs"][0]["status"]
    else:
        head = {"Content-Type": "application/msgpack"}
        body = msgspec.msgpack.encode({"name": run})
        answered = hub.ask("POST", f"{askable.PATH}ledger.runs.get", body, head)
        value = msgspec.msgpack.decode(answered.body, type=askable.Answer).value
        found = msgspec.msgpack.decode(value)["status"]
    return str(found).lower()


@pytest.mark.parametrize("way", ["get", "search", "dialect", "function"])
def test_a_run_that_was_never_heard_of_again_is_killed_in_each_answer(
    hub: mlflow.Server, way: str
):
    run, lively = uuid7(), uuid7()
    who = Process(host="elsewhere", boot="b", pid=1, start="1")
    begun = [
        StartRun(
            run=one, name="a", kind="script", experiment="Default", at=at,
            process=msgspec.structs.replace(who, pid=pid),
        )
        for pid, one, at in ((1, run, now_ms() - liveness.LOST - 60_000), (2, lively, now_ms()))
    ]  # fmt: skip
    batch = Batch(sender=uuid7(), number=1, operations=tuple(begun))
    answered = hub.ask("POST", "/api/records", operations.encode(batch))
    assert answered.json() == {"refused": []}
    until = time.monotonic() + 30
    while status_of(hub, run, way) != "killed":
        assert time.monotonic() < until
        time.sleep(0.1)
    assert status_of(hub, lively, way) == "running"


def test_a_reader_does_not_wait_for_another_writer_and_the_marks_come_later(tmp_path: Path):
    run = uuid7()
    who = Process(host="elsewhere", boot="b", pid=1, start="1")
    begun = StartRun(run=run, name="a", kind="script", experiment="Default", at=1, process=who)
    with Hub(open_ledger(tmp_path / "ledger.db"), Cache(tmp_path, algorithm="sha256")) as hub:
        batch = Batch(sender=uuid7(), number=1, operations=(begun,))
        hub.write(lambda one: operations.apply(one, batch, at=1, problems={}))
        other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        looking.look(hub)
        assert runs.get(hub.ledger, run).status == "running"
        other.execute("ROLLBACK")
        other.close()
        until = time.monotonic() + 30
        while runs.get(hub.ledger, run).status != "killed":
            assert time.monotonic() < until
            time.sleep(0.01)

"""`assay runs sync`: what could not be recorded is recorded, or it is said what still waits."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

import assay
from assay.ledger import runs
from assay.ledger.database import open_ledger
from assay.ledger.sdk import channel, channels, spool
from tests import make


@pytest.fixture(autouse=True)
def impatient(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(project)
    monkeypatch.setattr(channel, "PATIENCE", 0.3)
    yield
    channels._channels.clear()


def leave(project: Path, **params: object) -> str:
    """Record a run while the ledger is locked."""
    ledger = project / ".assay" / "ledger.db"
    open_ledger(ledger).close()
    with contextlib.closing(sqlite3.connect(ledger, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with assay.run("train", params=params) as run:
            pass
        connection.execute("ROLLBACK")
    channels._channels.clear()
    return run.id


def test_what_waits_is_sent_once(project: Path):
    assert make.done(project, "runs", "sync") == "Nothing waits.\n"
    run = leave(project, lr=0.1)
    assert make.done(project, "runs", "sync") == "Sent what waited of 1 run.\n"
    assert make.done(project, "runs", "sync") == "Nothing waits.\n"
    with open_ledger(project / ".assay" / "ledger.db") as ledger:
        assert runs.get(ledger, run).params == {"lr": 0.1}


def test_what_waits_for_a_hub_that_is_away_goes_on_waiting(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ASSAY_HUB", "http://127.0.0.1:9")
    with assay.run("train"):
        pass
    channels._channels.clear()
    monkeypatch.delenv("ASSAY_HUB")
    shown = make.assay(project, "runs", "sync")
    assert shown.code == 1
    assert "Waits: " in shown.out
    assert "http://127.0.0.1:9: the hub does not answer (connection refused)" in shown.out
    assert spool.files(project / ".assay" / "spool")
    facts = json.loads(make.assay(project, "runs", "sync", "--json").out)
    assert (facts["sent"], len(facts["waiting"]), len(facts["problems"])) == ([], 1, 1)


def test_what_is_refused_is_said_and_kept(project: Path):
    run = leave(project)
    (left,) = spool.files(project / ".assay" / "spool")
    lines = left.read_bytes().splitlines()
    again = json.loads(lines[-1])
    again["number"] += 1
    again["operations"] = [
        {"do": "params", "run": run, "params": {"lr": ["1", "int"]}},
        {"do": "params", "run": run, "params": {"lr": ["2", "int"]}},
        {"do": "tags", "run": run, "tags": {"team": "a"}},
    ]
    left.write_bytes(b"\n".join([*lines, json.dumps(again).encode(), b""]))
    shown = make.assay(project, "runs", "sync")
    assert shown.code == 1
    assert "Refused: parameter 'lr' of the run is '1' already; it cannot become '2'" in shown.out
    kept = (project / ".assay" / "spool" / "refused.json-lines").read_text()
    assert json.loads(kept)["operation"]["params"] == {"lr": ["2", "int"]}
    with open_ledger(project / ".assay" / "ledger.db") as ledger:
        found = runs.get(ledger, run)
    assert (found.params, found.tags) == ({"lr": 1}, {"team": "a"})


def test_a_file_of_a_run_that_nobody_knows_waits_and_is_left_as_it_is(project: Path):
    leave(project)
    (left,) = spool.files(project / ".assay" / "spool")
    end = left.read_bytes().splitlines()[-1]
    other = {"do": "tags", "run": "another", "tags": {"team": "a"}}
    header = {"to": str(project / ".assay" / "ledger.db")}
    lines = [header, json.loads(end) | {"sender": "s", "operations": [other]}]
    left.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    before = left.read_bytes()
    shown = make.assay(project, "runs", "sync")
    assert shown.code == 1
    assert "there is no run 'another'" in shown.out
    assert left.read_bytes() == before


def test_files_of_runs_that_wait_are_not_collected(project: Path):
    make.write(project, {"f": "1"})
    make.done(project, "add", "f")
    make.commit(project)
    ledger = project / ".assay" / "ledger.db"
    open_ledger(ledger).close()
    with contextlib.closing(sqlite3.connect(ledger, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with assay.run("train") as run:
            assay.log_text("kept", "note.txt")
        connection.execute("ROLLBACK")
    channels._channels.clear()
    for file in (project / ".assay" / "objects").rglob("*"):
        if file.is_file():
            os.utime(file, (1, 1))
    make.done(project, "gc", "-w", "-f")
    make.done(project, "runs", "sync")
    assert assay.load(f"runs:/{run.id}/note.txt").read_text() == "kept"

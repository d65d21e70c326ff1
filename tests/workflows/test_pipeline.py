"""`status`, the graph and the stages as documents; `repro` with the profiles of what it made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assay.ledger import runs
from assay.ledger.database import open_ledger
from assay.pipeline.repro import Events
from assay.project import workspace
from assay.workflows import pipeline
from tests import make, stages

SILENT = Events(lambda line: None, lambda content: None)


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    return stages.three_ran(tmp_path)[0]


def test_a_status_writes_nothing_but_what_was_hashed(tmp_path: Path):
    folder, _ = stages.three(tmp_path)
    before = make.snapshot(folder, without=(".git",))
    found = pipeline.status(workspace.find(folder), [], cwd=folder)
    assert list(found.changes) == ["prep", "train", "evaluate"]
    assert all(changes.unrecorded for changes in found.changes.values())
    after = make.snapshot(folder, without=(".git",))
    assert {n for n in {*before, *after} if before.get(n) != after.get(n)} <= {
        ".assay/index.db", ".assay/index.db-wal", ".assay/index.db-shm",
    }  # fmt: skip


def test_a_status_of_targets_is_of_those_alone(ran: Path):
    make.write(ran, {"params.yaml": "lr: 1\nseed: 7\n", "data.csv": "x,1\n"})
    project = workspace.find(ran)
    assert list(pipeline.status(project, ["train"], cwd=ran).changes) == ["train"]
    assert list(pipeline.status(project, ["data.csv"], cwd=ran).changes) == ["data.csv.dvc"]
    assert set(pipeline.status(project, [], cwd=ran).changes) == {
        "data.csv.dvc", "prep", "train",
    }  # fmt: skip


def test_paths_in_a_status_are_relative_to_where_a_person_is(ran: Path):
    make.write(ran, {"data.csv": "x,1\n", "sub/.keep": ""})
    found = pipeline.status(workspace.find(ran), [], cwd=ran / "sub")
    assert found.document() == {
        "../dvc.yaml:prep": [{"changed deps": {"../data.csv": "modified"}}],
        "../data.csv.dvc": [{"changed outs": {"../data.csv": "modified"}}],
    }


def test_frozen_stages_are_said_to_be(ran: Path):
    text = (ran / "dvc.yaml").read_text()
    make.write(ran, {"dvc.yaml": text.replace("  train:", "  train:\n    frozen: true")})
    assert pipeline.status(workspace.find(ran), [], cwd=ran).frozen == ["train"]


def test_stages_are_described_by_their_outputs_or_their_own_words(tmp_path: Path):
    text = """
stages:
  said: {cmd: x, desc: "\\n first line\\nsecond", outs: [o]}
  both: {cmd: x, outs: [a, b], metrics: [m.json], plots: [p.csv]}
  reads: {cmd: x, deps: [in.txt]}
  nothing: {cmd: x}
"""
    folder = stages.pipeline(tmp_path / "project", text)
    document, rows = pipeline.stages(workspace.find(folder))
    assert rows == [
        ("said", "first line"),
        ("both", "Outputs a, b; Reports m.json, p.csv"),
        ("reads", "Depends on in.txt"),
        ("nothing", "No outputs or dependencies"),
    ]
    assert [out["kind"] for out in document["stages"]["both"]["outs"]] == [
        "out", "out", "metric", "plot",
    ]  # fmt: skip


TABLES = """
stages:
  makes:
    cmd: |
      printf 'a,b\\n1,x\\n2,y\\n' > table.csv
      echo text > text.txt
      printf 'a,b\\n1\\n2,3,4\\n"' > broken.csv
    params: [k]
    outs: [table.csv, text.txt, broken.csv]
"""


def test_a_repro_profiles_the_tables_that_it_made_and_says_which_it_could_not(tmp_path: Path):
    folder = stages.pipeline(tmp_path / "project", TABLES, {"params.yaml": "k: 1\n"})
    project = workspace.find(folder)
    outcome, complaints = pipeline.repro(project, [], cwd=folder, events=SILENT)
    assert len(complaints) == 1
    assert "broken.csv" in complaints[0]
    with open_ledger(project.ledger_path) as ledger:
        run = runs.get(ledger, outcome.run or "")
        child = runs.get(ledger, run.children[0])
    for one in (run, child):
        profiled = {data.path: data.profile for data in one.outputs}
        assert profiled["text.txt"] is profiled["broken.csv"] is None
        stored = (profiled["table.csv"] or "").removeprefix("sha256:")
        assert json.loads(project.objects.read(stored))["n_rows"] == 2


def test_a_repro_without_profiles_makes_none(tmp_path: Path):
    folder = stages.pipeline(tmp_path / "project", TABLES, {"params.yaml": "k: 1\n"})
    shown = make.assay(folder, "repro", "--no-profile")
    assert shown.code == 0
    assert "broken.csv'" not in shown.err
    project = workspace.find(folder)
    assert project.index.derived(stages.out_oid(folder, "table.csv"), "profile") is None

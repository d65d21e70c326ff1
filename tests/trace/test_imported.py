"""A run that was imported from MLflow is traced as one of ours: its data sets, and its parts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import make

PARENT, CHILD = "1" * 32, "2" * 32
STORE = {  # as MLflow 3 writes its files
    "mlruns/0/meta.yaml": "experiment_id: '0'\nname: Default\nlifecycle_stage: active\n",
    "mlruns/0/datasets/d1/meta.yaml": "digest: a581ccc7\nname: wine\nprofile: '{}'\nschema: '{}'\n"
    'source: \'{"uri": "s3://wines/a.csv"}\'\nsource_type: s3\n',
    "mlruns/0/datasets/d2/meta.yaml": "digest: 1e443497\nname: beer\nprofile: '{}'\nschema: '{}'\n"
    "source: '{\"tags\": {}}'\nsource_type: code\n",
    **{
        f"mlruns/0/{run}/meta.yaml": f"run_id: {run}\nrun_name: {name}\nstatus: 3\n"
        "start_time: 1\nend_time: 2\nlifecycle_stage: active\n"
        for run, name in ((PARENT, "parent"), (CHILD, "child"))
    },
    f"mlruns/0/{CHILD}/tags/mlflow.parentRunId": PARENT,
    **{
        f"mlruns/0/{run}/inputs/i/meta.yaml": f"source_type: DATASET\nsource_id: {data}\n"
        f"destination_type: RUN\ndestination_id: {run}\ntags:\n  mlflow.data.context: train\n"
        for run, data in ((PARENT, "d1"), (CHILD, "d2"))
    },
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = make.project(tmp_path / "project")
    make.commit(made)
    make.done(made, "runs", "import", "--mlflow", str(make.write(tmp_path, STORE) / "mlruns"))
    return made


def came_from(folder: Path, thing: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(make.done(folder, "trace", "--json", thing))[
        "came_from"
    ]
    return found


def shown(nodes: list[dict[str, Any]]) -> list[Any]:
    """Return a tree as relations and labels without the code, which nobody recorded."""
    return [
        (node["relation"], node["label"].rpartition(": ")[2], *shown(node["children"]))
        for node in nodes
        if node["relation"] != "code of"
    ]


def test_the_data_sets_of_an_imported_run_and_where_they_are_said_to_be_from(folder: Path):
    assert shown(came_from(folder, PARENT)) == [
        ("read", "wine  a581ccc7", ("said to be from", "s3://wines/a.csv")),
        ("has part", "script 'child'", ("read", "beer  1e443497")),
    ]


def test_a_nested_run_that_was_imported_leads_up_to_its_parent(folder: Path):
    assert shown(came_from(folder, CHILD[:8])) == [
        ("read", "beer  1e443497"),
        ("part of", "script 'parent'", (
            "read", "wine  a581ccc7", ("said to be from", "s3://wines/a.csv"),
        )),
    ]  # fmt: skip


def test_an_imported_run_that_is_deleted_is_said_to_be_so(folder: Path):
    make.done(folder, "runs", "delete", PARENT)
    refused = make.assay(folder, "trace", PARENT)
    assert refused.code == 255
    assert f"the run {PARENT} (parent) is deleted" in refused.err
    assert f"assay runs restore {PARENT[:13]}" in refused.err

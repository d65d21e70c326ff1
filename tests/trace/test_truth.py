"""A prediction's trace shows what it should have been, and how far it was from that."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from assay.project import workspace
from assay.traffic import feedback, ids
from assay.traffic.record import Record
from assay.traffic.roll import roll
from assay.traffic.spool import Spool
from tests import make


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make.project(tmp_path / "project")


def predict(folder: Path, outputs: Mapping[str, Sequence[Any]]) -> str:
    id_ = ids.new_id()
    n_rows = len(outputs["predict"])
    with Spool(workspace.find(folder).traffic_dir) as spool:
        spool.append(
            Record(
                id=id_, endpoint="e", version="m/1", bundle="sha256:1", at=ids.time_of(id_),
                latency=0.001, n_rows=n_rows, inputs={"x": [*range(n_rows)]}, outputs=outputs,
            )
        )  # fmt: skip
    return id_


def learn(folder: Path, id_: str, target: object, *, at: int = 5, **other: Any) -> None:
    truth = feedback.truth(target, at=at, prediction_id=id_, **other)
    feedback.add(workspace.find(folder).traffic_dir, [truth])


def thing(folder: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(make.done(folder, "trace", "--json", f"{name}"))["thing"]
    return found


@pytest.fixture(autouse=True)
def version(project: Path) -> None:
    from assay.ledger import models
    from assay.ledger.database import open_ledger

    with open_ledger(workspace.find(project).ledger_path) as ledger:
        models.register(ledger, "m", bundle="sha256:1")


def test_a_prediction_without_a_truth_says_that_none_came_yet(project: Path):
    id_ = predict(project, {"predict": [1.5]})
    assert thing(project, id_)["truth"] is None
    shown = make.done(project, "trace", id_)
    assert shown.splitlines()[0].endswith("predict=1.5; truth: none yet")


@pytest.mark.parametrize("rolled", [False, True], ids=["spool", "parquet"])
def test_a_number_s_error_is_the_answer_less_the_truth(project: Path, *, rolled: bool):
    id_ = predict(project, {"predict": [10.0, 20.0]})
    predict(project, {"predict": [99.0]})
    learn(project, f"{id_}/1", 17.5, at=7, source="meter")
    if rolled:
        roll(workspace.find(project).traffic_dir)

    found = thing(project, f"{id_}/1")

    assert found["truth"] == {
        "target": 17.5, "at": 7, "source": "meter", "error": 2.5, "n_corrections": 0,
    }  # fmt: skip
    assert found["label"].endswith("predict=20.0; truth: 17.5, error +2.5")
    assert thing(project, f"{id_}/0")["truth"] is None


def test_the_truth_that_counts_is_the_latest_one(project: Path):
    id_ = predict(project, {"predict": [10]})
    for at, target in ((1, 8), (3, 12), (2, 9)):
        learn(project, id_, target, at=at)
    found = thing(project, id_)
    assert (found["truth"]["target"], found["truth"]["error"]) == (12, -2)
    assert found["label"].endswith("truth: 12, error -2, corrected 2 times")


def test_a_class_is_right_or_wrong_and_has_no_error(project: Path):
    id_ = predict(project, {"predict": ["cat", "dog"], "predict_proba": [[0.9, 0.1], [0.2, 0.8]]})
    for row in range(2):
        learn(project, f"{id_}/{row}", "cat")
    assert thing(project, f"{id_}/0")["label"].endswith("truth: cat, right")
    assert thing(project, f"{id_}/1")["label"].endswith("truth: cat, wrong")
    assert thing(project, f"{id_}/1")["truth"]["error"] is None


def test_a_truth_that_cannot_be_compared_is_unreadable_for_its_row_only(project: Path):
    id_ = predict(project, {"predict": [10.0, 20.0, 30.0]})
    learn(project, f"{id_}/0", 12.0)
    learn(project, f"{id_}/1", "yes")
    learn(project, f"{id_}/2", [1, 2])
    assert thing(project, f"{id_}/0")["label"].endswith("truth: 12, error -2")
    said = "truth: unreadable ('yes' is text, the answer a number)"
    assert thing(project, f"{id_}/1")["label"].endswith(said)
    assert "truth: unreadable ([1, 2] is a list" in thing(project, f"{id_}/2")["label"]

"""A truth that is given by hand is for one row that there is, and can be true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from assay.ledger import deployments, models
from assay.ledger.database import open_ledger
from assay.project import workspace
from assay.traffic import feedback, ids
from assay.traffic.record import Record
from assay.traffic.spool import Spool
from tests import make

DECLARED = """
model: {name: m, task: binary, target: y, classes: [0, 1]}
deploy: {endpoint: scores}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = make.write(make.project(tmp_path / "project"), {"assay.yaml": DECLARED})
    with open_ledger(workspace.find(root).ledger_path) as ledger:
        models.register(ledger, "m", bundle="sha256:1")
        for endpoint in ("scores", "staging"):
            deployments.add_deployment(ledger, endpoint, version="m/1")
    return root


def predict(root: Path, outputs: Mapping[str, Sequence[Any]]) -> str:
    id_ = ids.new_id()
    n_rows = len(outputs["predict"])
    with Spool(workspace.find(root).traffic_dir) as spool:
        spool.append(
            Record(
                id=id_, endpoint="scores", version="m/1", bundle="sha256:1",
                at=ids.time_of(id_), latency=0.001, n_rows=n_rows,
                inputs={"x": [*range(n_rows)]}, outputs=outputs,
            )
        )  # fmt: skip
    return id_


def give(root: Path, id_: str, value: str, *, to: str = "scores") -> make.Shown:
    return make.assay(root, "feedback", to, "--id", id_, "--value", value)


def test_one_truth_is_said_to_be_one(root: Path):
    shown = give(root, predict(root, {"predict": [1]}), "0")
    assert (shown.code, shown.out) == (0, "kept 1 truth\n")
    assert shown.err == "of all 1 truth: 1 row has one, 0 corrected, 0 without a prediction\n"


def test_the_id_of_several_rows_is_not_enough(root: Path):
    id_ = predict(root, {"predict": [1, 0]})
    for said in (id_, id_.upper()):
        shown = give(root, said, "1")
        assert (shown.code, shown.out) == (2, "")
        assert f"'{id_}' has 2 rows: say {id_}/0 or {id_}/1" in shown.err
    shown = give(root, f"{id_}/2", "1")
    assert shown.code == 255
    assert f"there is no prediction '{id_}/2'" in shown.err
    assert f"say {id_}/0 or {id_}/1" in shown.err
    assert feedback.counts(workspace.find(root).traffic_dir).n_truths == 0
    assert give(root, f"{id_}/1", "1").code == 0


def test_a_truth_of_an_unknown_prediction_is_kept_and_said_to_wait(root: Path):
    id_ = ids.new_id()
    shown = give(root, f"{id_}/7", "1")
    assert (shown.code, shown.out) == (0, "kept 1 truth\n")
    assert f"no prediction '{id_}/7' is in the log so far" in shown.err
    assert "1 without a prediction" in shown.err


def test_what_is_no_class_of_the_declared_model_is_refused_for_its_endpoint(root: Path):
    id_ = predict(root, {"predict": [1]})
    shown = give(root, id_, "yes")
    assert (shown.code, shown.out) == (255, "")
    assert "'yes' is none of the classes 0, 1" in shown.err
    make.write(root, {"truth.csv": f"prediction_id,value\n{id_},1\n{id_},2\n"})
    shown = make.assay(root, "feedback", "scores", "truth.csv")
    assert shown.code == 255
    assert "truth.csv: data row 2: 2 is none of the classes 0, 1" in shown.err
    assert feedback.counts(workspace.find(root).traffic_dir).n_truths == 0
    assert give(root, id_, "yes", to="staging").code == 0

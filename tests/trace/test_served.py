"""An answer followed down to its run, and a bundle up to the endpoints that it answers for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assay.ledger import deployments, models, runs
from assay.ledger.database import open_ledger
from assay.ledger.writer import Writer
from assay.project import workspace
from assay.traffic import ids
from assay.traffic.record import Record
from assay.traffic.spool import Spool
from tests import make, stages

BUNDLE = "sha256:" + "ab" * 32


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run that made a bundle, which is registered and deployed, and the id of one answer."""
    folder, _ = stages.three_ran(tmp_path_factory.mktemp("served"))
    make.commit(folder, "ran")
    project = workspace.find(folder)
    with open_ledger(project.ledger_path) as ledger:
        whole = runs.get(ledger, "latest")
        train = next(c for c in whole.children if runs.get(ledger, c).stage == "train")
        Writer(ledger).add_edge(f"run:{train}", "made", f"bundle:{BUNDLE}")
        models.register(ledger, "m", bundle=BUNDLE, run=train)
        live = deployments.add_deployment(ledger, "e", version="m/1", reason="the first")
    prediction = ids.new_id()
    with Spool(project.traffic_dir) as spool:
        spool.append(
            Record(
                id=prediction, endpoint="e", version="m/1", bundle=BUNDLE, deployment=live.id,
                at=ids.time_of(prediction), latency=0.001, n_rows=2,
                inputs={"x": [1, 2]}, outputs={"predict": [10.0, 20.0]},
            )
        )  # fmt: skip
    return folder, prediction


def test_a_row_of_an_answer_leads_to_deployment_version_bundle_run_and_commit(served):
    folder, prediction = served

    shown = make.done(folder, "trace", f"{prediction}/1")

    assert "predict=20.0" in shown.splitlines()[0]
    order = ["endpoint 'e'", "version m@1", "bundle sha256:abab", "stage 'train'", "tracked by"]
    places = [shown.index(words) for words in order]
    assert places == sorted(places)
    assert "the first" in shown


@pytest.mark.parametrize("name", [BUNDLE, BUNDLE[:20], f"bundle:{BUNDLE}"])
def test_a_bundle_leads_to_its_versions_and_deployments(served, name):
    folder, _ = served

    found = json.loads(make.done(folder, "trace", name, "--json"))

    (version,) = found["led_to"]
    assert version["id"] == "version:m/1"
    assert version["children"][0]["label"].startswith("endpoint 'e'")


def test_a_run_leads_to_the_bundle_that_it_made(served):
    folder, _ = served

    shown = make.done(folder, "trace", "latest")

    assert "made bundle sha256:abab" in shown


def test_a_prediction_or_a_row_that_is_not_there_is_said_to_be_none(served):
    folder, prediction = served
    unknown = ids.new_id()

    for name, hint in [
        (f"{prediction}/9", f"has 2 rows: say {prediction}/0 or {prediction}/1"),
        (f"{unknown}/0", "Assay-Prediction-Id"),
    ]:
        shown = make.assay(folder, "trace", name)
        assert shown.code == 255
        assert f"there is no prediction '{name}'" in shown.err
        assert hint in shown.err
    shown = make.assay(folder, "trace", unknown)
    assert f"there is no prediction, run, alert or decision '{unknown}'" in shown.err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nosuch@1", "there is no model 'nosuch'"),
        ("nosuch@production", "there is no model 'nosuch'"),
        ("m@9", "the model 'm' has no such version"),
        ("m/9", "the model 'm' has no such version"),
        ("m@nope", "the model 'm' has no alias 'nope'"),
        ("params.yaml@nope", "git knows no revision 'nope'"),
        ("nosuch", "nor a model"),
    ],
)
def test_a_model_or_version_that_is_not_there_is_named(served, name, said):
    shown = make.assay(served[0], "trace", name)

    assert shown.code == 255
    assert said in shown.err


@pytest.mark.parametrize("name", ["m", "m@1", "m@v1", "m/1"])
def test_a_model_s_name_is_that_of_its_newest_version(served, name):
    found = json.loads(make.done(served[0], "trace", name, "--json"))

    assert found["thing"]["id"] == "version:m/1"

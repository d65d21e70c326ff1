"""Data sets over HTTP: inputs of runs, and which of them experiments know."""

from __future__ import annotations

from typing import Any

import pytest

from tests import mlflow

WINE = {
    "dataset": {
        "name": "wine", "digest": "ab12", "source_type": "code", "source": "{}", "schema": "[]",
        "profile": "{}",
    },
    "tags": [{"key": "mlflow.data.context", "value": "train"}],
}  # fmt: skip
SEARCH = "/ajax-api/2.0/mlflow/experiments/search-datasets"


@pytest.fixture
def experiment(hub: mlflow.Server, request: pytest.FixtureRequest) -> str:
    return str(hub.call("POST", "experiments/create", name=request.node.name)["experiment_id"])


@pytest.fixture
def run(hub: mlflow.Server, experiment: str) -> str:
    info = hub.call("POST", "runs/create", experiment_id=experiment)["run"]["info"]
    return str(info["run_id"])


def inputs(hub: mlflow.Server, run: str) -> Any:
    return hub.call("GET", "runs/get", run_id=run)["run"]["inputs"]


def test_a_data_set_is_in_the_run_as_it_was_told(
    hub: mlflow.Server, run: str, experiment: str
) -> None:
    other = {**WINE, "tags": [{"key": "mlflow.data.context", "value": "eval"}]}
    hub.call("POST", "runs/log-inputs", run_id=run, datasets=[WINE])
    hub.call("POST", "runs/log-inputs", run_id=run, datasets=[other, WINE])
    assert inputs(hub, run) == {"dataset_inputs": [WINE]}
    found = hub.ask("POST", SEARCH, {"experiment_ids": [experiment]}).json()
    summary = {"experiment_id": experiment, "name": "wine", "digest": "ab12", "context": "train"}
    assert found == {"dataset_summaries": [summary]}


def test_without_data_sets_the_answer_is_empty(hub: mlflow.Server, experiment: str) -> None:
    assert hub.ask("POST", SEARCH, {"experiment_ids": [experiment, "99"]}).json() == {}


@pytest.mark.parametrize("ids", [[], None, ["x"], [str(n) for n in range(21)]])
def test_experiments_that_cannot_be_are_refused(hub: mlflow.Server, ids: Any) -> None:
    found = hub.ask("POST", SEARCH, {"experiment_ids": ids})
    assert (found.status, found.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize(
    "changed",
    [{"name": None}, {"digest": None}, {"source": None}, {"source_type": None}, {"name": 5},
     {"name": "x" * 501}, {"digest": "x" * 37}],
)  # fmt: skip
def test_a_data_set_that_is_not_whole_is_refused_with_all_of_them(
    hub: mlflow.Server, run: str, changed: dict[str, Any]
) -> None:
    bad = {"dataset": WINE["dataset"] | changed}  # type: ignore[operator] # a dictionary
    ask = {"run_id": run, "datasets": [WINE, bad]}
    found = hub.ask("POST", "/api/2.0/mlflow/runs/log-inputs", ask)
    assert (found.status, found.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert inputs(hub, run) == {}

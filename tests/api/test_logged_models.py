"""Logged models over HTTP: as MLflow's API has them, and refused as it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests import mlflow

MODELS = "/api/2.0/mlflow/logged-models"


@pytest.fixture
def run(hub: mlflow.Server) -> str:
    info = hub.call("POST", "runs/create", experiment_id="0")["run"]["info"]
    return str(info["run_id"])


def create(hub: mlflow.Server, **fields: Any) -> Any:
    ask = {"experiment_id": "0", "name": "boat"} | fields
    return hub.call("POST", "logged-models", **ask)["model"]


def get(hub: mlflow.Server, model: str) -> Any:
    return hub.ask("GET", f"{MODELS}/{model}").json()["model"]


def refused(found: mlflow.Answered) -> tuple[int, str]:
    return found.status, found.json()["error_code"]


INVALID, MISSING = (400, "INVALID_PARAMETER_VALUE"), (404, "RESOURCE_DOES_NOT_EXIST")


def test_a_new_model_is_pending(hub: mlflow.Server, run: str) -> None:
    found = create(
        hub,
        model_type="agent",
        source_run_id=run,
        params=[{"key": "lr", "value": "1"}],
        tags=[{"key": "t", "value": "x"}],
    )
    info, id_ = found["info"], found["info"]["model_id"]
    assert id_.startswith("m-")
    assert len(id_) == 34
    assert info["creation_timestamp_ms"] == info["last_updated_timestamp_ms"]
    del info["creation_timestamp_ms"], info["last_updated_timestamp_ms"]
    assert found == {
        "info": {
            "model_id": id_, "experiment_id": "0", "name": "boat", "model_type": "agent",
            "artifact_uri": f"mlflow-artifacts:/0/models/{id_}/artifacts",
            "status": "LOGGED_MODEL_PENDING", "source_run_id": run,
            "tags": [{"key": "t", "value": "x"}],
        },
        "data": {"params": [{"key": "lr", "value": "1"}]},
    }  # fmt: skip


@pytest.mark.parametrize("fields", [{}, {"name": ""}, {"name": None}])
def test_a_model_without_a_name_gets_one(hub: mlflow.Server, fields: dict[str, Any]) -> None:
    found = hub.call("POST", "logged-models", experiment_id="0", **fields)
    assert found["model"]["info"]["name"]


@pytest.mark.parametrize(
    ("fields", "answer"),
    [({"name": "a/b"}, INVALID), ({"name": "a.b"}, INVALID), ({"experiment_id": "x"}, INVALID),
     ({"experiment_id": None}, INVALID), ({"experiment_id": "77"}, MISSING),
     ({"source_run_id": "no"}, MISSING), ({"params": "x"}, INVALID),
     ({"params": [{"value": "1"}]}, INVALID),
     ({"params": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]}, (400, "BAD_REQUEST"))],
)  # fmt: skip
def test_what_cannot_be_made_is_refused(
    hub: mlflow.Server, fields: dict[str, Any], answer: tuple[int, str]
) -> None:
    ask = {"experiment_id": "0", "name": "boat"} | fields
    assert refused(hub.ask("POST", MODELS, ask)) == answer


@pytest.mark.parametrize(
    ("sent", "status"),
    [("LOGGED_MODEL_READY", "LOGGED_MODEL_READY"), (2, "LOGGED_MODEL_READY"),
     ("2", "LOGGED_MODEL_READY"), (3, "LOGGED_MODEL_UPLOAD_FAILED")],
)  # fmt: skip
def test_it_becomes_ready_or_fails(hub: mlflow.Server, sent: Any, status: str) -> None:
    id_ = create(hub)["info"]["model_id"]
    found = hub.ask("PATCH", f"{MODELS}/{id_}", {"status": sent}).json()["model"]
    assert found["info"]["status"] == status
    assert get(hub, id_) == found


@pytest.mark.parametrize("sent", [None, 0, 9, "READY", "x"])
def test_a_status_that_is_none_is_refused(hub: mlflow.Server, sent: Any) -> None:
    id_ = create(hub)["info"]["model_id"]
    assert refused(hub.ask("PATCH", f"{MODELS}/{id_}", {"status": sent})) == INVALID
    assert get(hub, id_)["info"]["status"] == "LOGGED_MODEL_PENDING"


def test_tags_and_params(hub: mlflow.Server) -> None:
    id_ = create(hub)["info"]["model_id"]
    pairs = [{"key": "a", "value": "1"}, {"key": "b/c", "value": ""}]
    for _ in range(2):
        assert hub.ask("PATCH", f"{MODELS}/{id_}/tags", {"tags": pairs}).body == b"{}"
        assert hub.ask("POST", f"{MODELS}/{id_}/params", {"params": pairs}).body == b"{}"
    assert get(hub, id_)["info"]["tags"] == pairs
    assert get(hub, id_)["data"]["params"] == pairs
    assert hub.ask("DELETE", f"{MODELS}/{id_}/tags/b%2Fc", {}).status == 200
    assert refused(hub.ask("DELETE", f"{MODELS}/{id_}/tags/b%2Fc", {})) == MISSING
    other = {"params": [{"key": "a", "value": "2"}]}
    assert refused(hub.ask("POST", f"{MODELS}/{id_}/params", other)) == (400, "BAD_REQUEST")
    assert get(hub, id_)["info"]["tags"] == pairs[:1]


def test_a_deleted_model_is_not_found(hub: mlflow.Server) -> None:
    id_ = create(hub)["info"]["model_id"]
    assert hub.ask("DELETE", f"{MODELS}/{id_}", {}).body == b"{}"
    for found in (
        hub.ask("GET", f"{MODELS}/{id_}"),
        hub.ask("DELETE", f"{MODELS}/{id_}", {}),
        hub.ask("PATCH", f"{MODELS}/{id_}", {"status": 2}),
        hub.ask("PATCH", f"{MODELS}/{id_}/tags", {"tags": []}),
        hub.ask("GET", f"{MODELS}/{id_}/artifacts/directories"),
    ):
        assert refused(found) == MISSING
        assert found.json()["message"] == f"Logged model with ID '{id_}' not found."
    assert hub.ask("GET", f"{MODELS}/{id_}?allow_deleted=true").status == 200


def test_metrics_of_a_run_count_for_the_model_they_name(hub: mlflow.Server, run: str) -> None:
    id_ = create(hub)["info"]["model_id"]
    point = {"key": "f1", "value": 0.5, "timestamp": 7, "step": 2, "model_id": id_}
    hub.call("POST", "runs/log-metric", run_id=run, **point)
    of_data = point | {"key": "auc", "dataset_name": "d", "dataset_digest": "x"}
    for _ in range(2):
        hub.call(
            "POST",
            "runs/log-batch",
            run_id=run,
            metrics=[of_data, {"key": "n", "value": 1, "timestamp": 1}],
        )
    assert get(hub, id_)["data"]["metrics"] == [
        of_data | {"run_id": run},
        point | {"run_id": run},
    ]
    found = hub.call("GET", "runs/get", run_id=run)["run"]["data"]["metrics"]
    assert sorted(one["key"] for one in found) == ["auc", "f1", "n"]


def test_a_metric_of_an_unknown_model_is_refused_with_its_batch(
    hub: mlflow.Server, run: str
) -> None:
    points = [
        {"key": "a", "value": 1, "timestamp": 1},
        {"key": "b", "value": 1, "timestamp": 1, "model_id": "m-no"},
    ]
    ask = {"run_id": run, "metrics": points}
    assert refused(hub.ask("POST", "/api/2.0/mlflow/runs/log-batch", ask)) == MISSING
    assert hub.call("GET", "runs/get", run_id=run)["run"]["data"].get("metrics") is None


def test_outputs_and_inputs_are_in_the_run(hub: mlflow.Server, run: str) -> None:
    made, read = (create(hub)["info"]["model_id"] for _ in range(2))
    for _ in range(2):
        hub.call("POST", "runs/outputs", run_id=run, models=[{"model_id": made, "step": 4}])
        hub.call("POST", "runs/log-inputs", run_id=run, models=[{"model_id": read}])
    found = hub.call("GET", "runs/get", run_id=run)["run"]
    assert found["outputs"] == {"model_outputs": [{"model_id": made, "step": 4}]}
    assert found["inputs"] == {"model_inputs": [{"model_id": read}]}


@pytest.mark.parametrize("path", ["runs/outputs", "runs/log-inputs"])
def test_links_to_what_is_not_there_are_refused(hub: mlflow.Server, run: str, path: str) -> None:
    address = f"/api/2.0/mlflow/{path}"
    good = create(hub)["info"]["model_id"]
    models = [{"model_id": good}, {"model_id": "m-no"}]
    assert refused(hub.ask("POST", address, {"run_id": run, "models": models})) == MISSING
    assert refused(hub.ask("POST", address, {"run_id": "no", "models": models})) == MISSING
    assert refused(hub.ask("POST", address, {"models": models})) == INVALID
    found = hub.call("GET", "runs/get", run_id=run)["run"]
    assert not found.get("outputs")
    assert found["inputs"] == {}
    hub.call("POST", "runs/delete", run_id=run)
    assert refused(hub.ask("POST", address, {"run_id": run, "models": models[:1]})) == INVALID


def test_files_are_listed_and_sent_to_a_browser(hub: mlflow.Server) -> None:
    id_ = create(hub)["info"]["model_id"]
    tree = f"/api/2.0/mlflow-artifacts/artifacts/0/models/{id_}/artifacts"
    hub.ask("PUT", f"{tree}/MLmodel", b"flavors: {}")
    hub.ask("PUT", f"{tree}/data/w.bin", b"12")
    listed = hub.ask("GET", f"{MODELS}/{id_}/artifacts/directories?artifact_directory_path=data")
    assert listed.json() == {
        "root_uri": f"mlflow-artifacts:/0/models/{id_}/artifacts",
        "files": [{"path": "data/w.bin", "is_dir": False, "file_size": 2}],
    }
    files = f"/ajax-api/2.0/mlflow/logged-models/{id_}/artifacts/files"
    assert hub.ask("GET", f"{files}?artifact_file_path=MLmodel").body == b"flavors: {}"
    assert refused(hub.ask("GET", files)) == (400, "BAD_REQUEST")
    assert refused(hub.ask("GET", f"{files}?artifact_file_path=../x")) == INVALID
    assert refused(hub.ask("GET", f"{files}?artifact_file_path=no")) == MISSING


HISTORY = "mlflow.log-model.history"


def test_models_of_clients_of_mlflow_2_go_to_their_tag(hub: mlflow.Server, run: str) -> None:
    one = {
        "run_id": run, "artifact_path": "m", "utc_time_created": "2024-01-01", "model_uuid": "u",
        "flavors": {"sklearn": {"config": 1, "code": None}}, "signature": {"inputs": "[]"},
    }  # fmt: skip
    for _ in range(2):
        hub.call("POST", "runs/log-model", run_id=run, model_json=json.dumps(one))
    other = one | {"model_uuid": "v"}
    hub.call("POST", "runs/log-model", run_id=run, model_json=json.dumps(other))
    tags = hub.call("GET", "runs/get", run_id=run)["run"]["data"]["tags"]
    (history,) = [json.loads(tag["value"]) for tag in tags if tag["key"] == HISTORY]
    kept = {key: value for key, value in one.items() if key != "signature"}
    kept["flavors"] = {"sklearn": {"code": None}}
    assert history == [kept, kept | {"model_uuid": "v"}]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"run_id": "a"}'])
def test_a_model_that_is_none_is_refused(hub: mlflow.Server, run: str, text: str) -> None:
    ask = {"run_id": run, "model_json": text}
    assert refused(hub.ask("POST", "/api/2.0/mlflow/runs/log-model", ask)) == INVALID
    tags = hub.call("GET", "runs/get", run_id=run)["run"]["data"]["tags"]
    assert HISTORY not in [tag["key"] for tag in tags]

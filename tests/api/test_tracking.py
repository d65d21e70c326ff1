"""Experiments, runs and batches over HTTP, as any client may put them."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.api.asking import API, history, point, post, read, refused
from tests.mlflow import Server


@pytest.fixture
def run(hub: Server) -> str:
    return str(hub.call("POST", "runs/create", experiment_id="0")["run"]["info"]["run_id"])


def test_each_path_is_there_for_clients_and_for_browsers(hub: Server):
    for prefix in ("/api/2.0", "/ajax-api/2.0"):
        answer = hub.ask("GET", f"{prefix}/mlflow/experiments/get?experiment_id=0")
        assert answer.json()["experiment"]["name"] == "Default"
    assert hub.ask("GET", "/api/3.0/mlflow/server-info").json()["artifact_serving_enabled"]
    assert hub.ask("GET", "/health").body == b"OK"
    assert hub.ask("GET", "/version").body.count(b".") == 2


def test_head_is_answered_as_get_without_its_body(hub: Server):
    answer = hub.ask("HEAD", "/health")
    assert (answer.status, answer.body) == (200, b"")


def test_an_answer_leaves_out_what_is_not_there(hub: Server, run: str):
    found = read(hub, run)
    assert "end_time" not in found["info"]
    assert set(found["data"]) == {"tags"}
    assert found["inputs"] == {}
    assert next(iter(found["info"])) == "run_uuid"


@pytest.mark.parametrize(
    "fields",
    [
        {"runId": "RUN"},
        {"run_uuid": "RUN"},
        {"run_id": "RUN", "run_uuid": "RUN"},
        {"run_id": "RUN", "unknown": {"a": [1]}},
    ],
)
def test_fields_have_several_spellings(hub: Server, run: str, fields: dict[str, Any]):
    given = {name: run if value == "RUN" else value for name, value in fields.items()}
    given |= {"key": "p", "value": "1"}
    assert post(hub, "runs/log-parameter", given).status == 200
    assert read(hub, run)["data"]["params"] == [{"key": "p", "value": "1"}]


def test_numbers_may_be_texts_and_a_boolean_a_number(hub: Server, run: str):
    given = point(run, value="1.5", timestamp="12", step="-3")
    assert post(hub, "runs/log-metric", given).status == 200
    assert post(hub, "runs/log-metric", point(run, key="b", value=True)).status == 200
    assert history(hub, run, "m") == [{"key": "m", "value": 1.5, "timestamp": 12, "step": -3}]
    assert history(hub, run, "b")[0]["value"] == 1.0


def test_json_in_json_and_a_body_of_get_are_read(hub: Server, run: str):
    twice = json.dumps(json.dumps({"run_id": run, "key": "p", "value": "1"})).encode()
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert hub.ask("POST", f"{API}runs/log-parameter", twice, headers).status == 200
    assert hub.ask("GET", f"{API}runs/get", {"run_id": run}).status == 200


@pytest.mark.parametrize(
    ("status", "name"), [("FAILED", "FAILED"), (5, "KILLED"), ("2", "SCHEDULED")]
)
def test_a_status_is_a_name_or_a_number(hub: Server, run: str, status: Any, name: str):
    answer = post(hub, "runs/update", {"run_id": run, "status": status, "end_time": 7})
    info = answer.json()["run_info"]
    assert (info["status"], info["end_time"]) == (name, 7)


def test_the_same_point_twice_is_one(hub: Server, run: str):
    for _ in range(3):
        assert post(hub, "runs/log-metric", point(run, value="NaN")).status == 200
        assert post(hub, "runs/log-metric", point(run, value="Infinity")).status == 200
    assert [one["value"] for one in history(hub, run, "m")] == ["NaN", "Infinity"]


def test_the_latest_point_has_the_greatest_step(hub: Server, run: str):
    for step, at, value in ((3, 1, 5.0), (2, 9, 6.0), (3, 0, 7.0), (3, 1, 4.0)):
        post(hub, "runs/log-metric", point(run, step=step, timestamp=at, value=value))
    [found] = read(hub, run)["data"]["metrics"]
    assert (found["step"], found["timestamp"], found["value"]) == (3, 1, 5.0)


def test_a_finished_run_can_still_be_written(hub: Server, run: str):
    post(hub, "runs/update", {"run_id": run, "status": "FINISHED", "end_time": 5})
    assert post(hub, "runs/log-metric", point(run)).status == 200
    assert post(hub, "runs/update", {"run_id": run, "status": "RUNNING"}).status == 200
    assert read(hub, run)["info"]["status"] == "RUNNING"


def test_a_run_is_created_with_its_name_or_gets_one(hub: Server):
    def create(**fields: Any) -> Any:
        return hub.call("POST", "runs/create", experiment_id="0", **fields)["run"]

    tag = {"key": "mlflow.runName", "value": "tagged"}
    assert create(run_name="named")["info"]["run_name"] == "named"
    assert create(tags=[tag])["info"]["run_name"] == "tagged"
    assert create(run_name="tagged", tags=[tag])["info"]["run_name"] == "tagged"
    drawn = create(start_time=0)
    assert len(drawn["info"]["run_name"].split("-")) == 3
    assert drawn["info"]["start_time"] == 0
    assert {"key": "mlflow.runName", "value": drawn["info"]["run_name"]} in drawn["data"]["tags"]
    given = {"experiment_id": "0", "run_name": "named", "tags": [tag]}
    message = refused(post(hub, "runs/create", given), 400, "INVALID_PARAMETER_VALUE")
    assert "with different values" in message


def test_a_part_of_itself_is_no_parent(hub: Server, run: str):
    tag = {"key": "mlflow.parentRunId", "value": run}
    child = hub.call("POST", "runs/create", experiment_id="0", tags=[tag])["run"]["info"]["run_id"]
    for above in (child, run, "not there"):
        given = {"run_id": run, "key": "mlflow.parentRunId", "value": above}
        assert post(hub, "runs/set-tag", given).status == 200
    assert {tag["key"]: tag["value"] for tag in read(hub, child)["data"]["tags"]}[
        "mlflow.parentRunId"
    ] == run


def test_an_experiment_of_another_place_gives_its_runs_a_place_there(hub: Server):
    given = {"name": "elsewhere", "artifact_location": "s3://bucket/models"}
    number = post(hub, "experiments/create", given).json()["experiment_id"]
    info = hub.call("POST", "runs/create", experiment_id=number)["run"]["info"]
    assert info["artifact_uri"] == f"s3://bucket/models/{info['run_id']}/artifacts"


def test_a_history_comes_in_pages_of_the_size_that_is_asked_for(hub: Server, run: str):
    metrics = [{"key": "m", "value": i, "timestamp": i, "step": i} for i in range(10)]
    post(hub, "runs/log-batch", {"run_id": run, "metrics": metrics})
    asked = {"run_id": run, "metric_key": "m", "max_results": 4}
    steps: list[int] = []
    found = hub.call("GET", "metrics/get-history", **asked)
    while True:
        steps += [one["step"] for one in found["metrics"]]
        token = found.get("next_page_token")
        if token is None:
            break
        found = hub.call("GET", "metrics/get-history", **asked, page_token=token)
    assert steps == list(range(10))
    odd: list[dict[str, Any]] = [{"max_results": 0}, {"max_results": -1}, {"page_token": "x"}]
    for wrong in odd:
        query = urlencode(asked | wrong)
        answer = hub.ask("GET", f"{API}metrics/get-history?{query}")
        refused(answer, 400, "INVALID_PARAMETER_VALUE")
    none = hub.call("GET", "metrics/get-history", run_id=run, metric_key="none")
    assert none == {}


def test_histories_of_several_runs_are_sampled(hub: Server, run: str):
    metrics = [{"key": "m", "value": i, "timestamp": i, "step": i} for i in range(20)]
    post(hub, "runs/log-batch", {"run_id": run, "metrics": metrics})
    asked = {"run_ids": [run], "metric_key": "m", "max_results": 3}
    path = "metrics/get-history-bulk-interval"
    found = hub.call("GET", path, **asked, start_step=2, end_step=8)["metrics"]
    assert [one["step"] for one in found] == [2, 5, 8]
    assert {one["run_id"] for one in found} == {run}
    odd: list[dict[str, Any]] = [
        {"start_step": 1}, {"start_step": 5, "end_step": 1}, {"max_results": 0},
        {"max_results": 2501}, {"run_ids": [run] * 101}, {"run_ids": []},
    ]  # fmt: skip
    for wrong in odd:
        query = urlencode({**asked, **wrong}, doseq=True)
        refused(hub.ask("GET", f"{API}{path}?{query}"), 400, "INVALID_PARAMETER_VALUE")
    bulk = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"
    query = urlencode({"run_id": [run, run], "metric_key": "m", "max_results": 5}, doseq=True)
    found = hub.ask("GET", f"{bulk}?{query}").json()["metrics"]
    assert [one["step"] for one in found] == [0, 1, 2, 3, 4]


def test_what_is_counted_is_scraped(hub: Server, run: str):
    post(hub, "runs/log-metric", point(run))
    text = hub.ask("GET", "/metrics").body.decode()
    assert 'assay_requests_total{route="mlflow/runs/log-metric",status="200"}' in text
    assert "assay_transactions_total" in text
    assert run not in text


@pytest.mark.parametrize(
    "value", ["", " ", "😀", "\u2028", "'; DROP TABLE run; --", "%s %(a)s ?", "\\"]
)
def test_values_of_any_text_are_kept(hub: Server, run: str, value: str):
    batch = {
        "run_id": run,
        "params": [{"key": "p", "value": value}],
        "tags": [{"key": "t", "value": value}],
    }
    assert post(hub, "runs/log-batch", batch).status == 200
    data = read(hub, run)["data"]
    assert data["params"] == [{"key": "p", "value": value}]
    assert {"key": "t", "value": value} in data["tags"]

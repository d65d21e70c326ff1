"""Experiments, runs and batches over HTTP, as any client may put them."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.mlflow import Answered, Server

API = "/api/2.0/mlflow/"


def post(hub: Server, path: str, fields: Any) -> Answered:
    return hub.ask("POST", API + path, fields)


def refused(answer: Answered, status: int, code: str) -> str:
    assert answer.status == status, answer.body
    found = answer.json()
    assert found["error_code"] == code
    return str(found["message"])


@pytest.fixture
def run(hub: Server) -> str:
    return str(hub.call("POST", "runs/create", experiment_id="0")["run"]["info"]["run_id"])


def read(hub: Server, run: str) -> Any:
    return hub.call("GET", "runs/get", run_id=run)["run"]


def history(hub: Server, run: str, key: str) -> list[Any]:
    found = hub.call("GET", "metrics/get-history", run_id=run, metric_key=key)
    return list(found.get("metrics", []))


def point(run: str, **fields: Any) -> dict[str, Any]:
    return {"run_id": run, "key": "m", "value": 1, "timestamp": 1} | fields


def test_each_path_is_there_for_clients_and_for_browsers(hub: Server):
    for prefix in ("/api/2.0", "/ajax-api/2.0"):
        answer = hub.ask("GET", f"{prefix}/mlflow/experiments/get?experiment_id=0")
        assert answer.json()["experiment"]["name"] == "Default"
    assert hub.ask("GET", "/api/3.0/mlflow/server-info").json()["artifact_serving_enabled"]
    assert hub.ask("GET", "/health").body == b"OK"
    assert hub.ask("GET", "/version").body.count(b".") == 2


@pytest.mark.parametrize(
    "path",
    ["/none", "/api/2.0/preview/mlflow/runs/get", "/api/2.0/mlflow/runs/get/", "/api/2.0/mlflow"],
)
def test_a_path_that_is_not_there_is_404(hub: Server, path: str):
    assert hub.ask("GET", path).status == 404


def test_a_wrong_method_says_which_are_right(hub: Server):
    answer = hub.ask("GET", f"{API}runs/create")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


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


def test_a_batch_is_kept_as_a_whole_or_not_at_all(hub: Server, run: str):
    post(hub, "runs/log-parameter", {"run_id": run, "key": "p", "value": "1"})
    batch = {
        "run_id": run,
        "metrics": [{"key": "m", "value": 1, "timestamp": 1}],
        "params": [{"key": "new", "value": "x"}, {"key": "p", "value": "2"}],
        "tags": [{"key": "t", "value": "x"}],
    }
    message = refused(post(hub, "runs/log-batch", batch), 400, "INVALID_PARAMETER_VALUE")
    assert message.startswith("Changing param values is not allowed. Param with key='p' was")
    data = read(hub, run)["data"]
    assert data["params"] == [{"key": "p", "value": "1"}]
    assert "metrics" not in data
    assert "t" not in {tag["key"] for tag in data["tags"]}
    assert post(hub, "runs/log-batch", batch | {"params": []}).status == 200
    assert post(hub, "runs/log-batch", {"run_id": run}).status == 200


def test_a_batch_has_limits(hub: Server, run: str):
    metrics = [{"key": f"m{i}", "value": i, "timestamp": 1} for i in range(10_000)]
    answer = post(hub, "runs/log-batch", {"run_id": run, "metrics": metrics})
    message = refused(answer, 400, "INVALID_PARAMETER_VALUE")
    assert "at most 1000 metrics. Got 10000 metrics" in message
    pairs = [{"key": f"p{i}", "value": "x"} for i in range(101)]
    for kind in ("params", "tags"):
        answer = post(hub, "runs/log-batch", {"run_id": run, kind: pairs})
        assert f"at most 100 {kind}" in refused(answer, 400, "INVALID_PARAMETER_VALUE")
    both = {"run_id": run, "metrics": metrics[:1000], "tags": pairs[:1]}
    answer = post(hub, "runs/log-batch", both)
    assert "metrics, params, and tags" in refused(answer, 400, "INVALID_PARAMETER_VALUE")
    twice = {"run_id": run, "params": [{"key": "a", "value": "1"}] * 2}
    answer = post(hub, "runs/log-batch", twice)
    assert "Duplicate parameter keys" in refused(answer, 400, "INVALID_PARAMETER_VALUE")
    assert set(read(hub, run)["data"]) == {"tags"}
    assert post(hub, "runs/log-batch", {"run_id": run, "metrics": metrics[:1000]}).status == 200
    assert len(read(hub, run)["data"]["metrics"]) == 1000


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("a*b", "Names may only contain"),
        ("a\nb", "Names may only contain"),
        ("/a", "must not resolve to other names"),
        ("a/", "would resolve to 'a'"),
        ("a//b", "would resolve to 'a/b'"),
        ("..", "must not resolve"),
        (".", "must not resolve"),
        ("../a", "must not resolve"),
        ("..a/b", "must not resolve"),
        ("k" * 251, "exceeds the maximum length of 250 characters"),
        ("k" * 1000, "exceeds the maximum length of 250 characters"),
        ("", "Missing value for required parameter 'key'"),
    ],
)
def test_odd_keys_are_refused_everywhere(hub: Server, run: str, key: str, words: str):
    calls = {
        "runs/log-metric": point(run, key=key),
        "runs/log-parameter": {"run_id": run, "key": key, "value": "1"},
        "runs/set-tag": {"run_id": run, "key": key, "value": "1"},
        "experiments/set-experiment-tag": {"experiment_id": "0", "key": key, "value": "1"},
    }
    for path, fields in calls.items():
        assert words in refused(post(hub, path, fields), 400, "INVALID_PARAMETER_VALUE"), path
    assert set(read(hub, run)["data"]) == {"tags"}


@pytest.mark.parametrize("key", ["a b", "a/b.c-d_e:f", "数", " ", "k" * 250, "ü"])
def test_odd_keys_that_mlflow_takes_are_taken(hub: Server, run: str, key: str):
    assert post(hub, "runs/log-metric", point(run, key=key)).status == 200
    assert history(hub, run, key)[0]["key"] == key


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"value": "x"}, "Invalid value \"x\" for parameter 'value' supplied"),
        ({"value": [1]}, "Invalid value [1] for parameter 'value' supplied"),
        ({"value": None}, "Missing value for required parameter 'value'"),
        ({"timestamp": None}, "Missing value for required parameter 'timestamp'"),
        ({"timestamp": 1.5}, "Invalid value 1.5 for parameter 'timestamp'"),
        ({"timestamp": 2**63}, "for parameter 'timestamp'"),
        ({"timestamp": -1}, "Timestamp must be a nonnegative long"),
        ({"step": 1.5}, "Invalid value 1.5 for parameter 'step'"),
        ({"step": "x"}, "Invalid value \"x\" for parameter 'step'"),
        ({"key": 5}, "Invalid value 5 for parameter 'key'"),
        ({"run_id": ""}, "Missing value for required parameter 'run_id'"),
        ({"runId": "other"}, "given twice"),
    ],
)
def test_what_mlflow_would_keep_as_zero_is_refused(
    hub: Server, run: str, fields: dict[str, Any], words: str
):
    answer = post(hub, "runs/log-metric", point(run) | fields)
    assert words in refused(answer, 400, "INVALID_PARAMETER_VALUE")
    in_batch = {name: value for name, value in fields.items() if not name.startswith("run")}
    if in_batch:
        metrics = [{"key": "m", "value": 1, "timestamp": 1} | in_batch]
        answer = post(hub, "runs/log-batch", {"run_id": run, "metrics": metrics})
        refused(answer, 400, "INVALID_PARAMETER_VALUE")
    assert "metrics" not in read(hub, run)["data"]


@pytest.mark.parametrize("body", [b"{", b"[]", b"1", b'"x"', b"\xff", b'{"value": NaN}', b"null"])
def test_a_body_that_is_no_json_object_is_refused(hub: Server, body: bytes):
    headers = {"Content-Type": "application/json"}
    answer = hub.ask("POST", f"{API}runs/log-metric", body, headers)
    assert "JSON" in refused(answer, 400, "INVALID_PARAMETER_VALUE")


def test_a_body_of_another_type_is_refused(hub: Server, run: str):
    body = json.dumps({"run_id": run, "key": "t", "value": "1"}).encode()
    for headers in ({}, {"Content-Type": "text/plain"}):
        answer = hub.ask("POST", f"{API}runs/set-tag", body, headers)
        assert "application/json" in refused(answer, 400, "INVALID_PARAMETER_VALUE")


def test_a_body_that_is_too_large_is_refused_and_the_hub_lives_on(hub: Server, run: str):
    body = b'{"run_id": "' + b"x" * (33 * 1024 * 1024) + b'"}'
    answer = hub.ask("POST", f"{API}runs/set-tag", body, {"Content-Type": "application/json"})
    assert "larger than" in refused(answer, 413, "INVALID_PARAMETER_VALUE")
    assert hub.ask("GET", "/health").status == 200


def test_an_unknown_status_is_refused(hub: Server, run: str):
    for status in ("DONE", 9, ""):
        answer = post(hub, "runs/update", {"run_id": run, "status": status})
        assert "'status'" in refused(answer, 400, "INVALID_PARAMETER_VALUE")
    assert read(hub, run)["info"]["status"] == "RUNNING"


def test_a_run_that_is_not_there_is_404_for_every_call(hub: Server):
    calls = {
        "runs/log-metric": point("none"),
        "runs/log-parameter": {"run_id": "none", "key": "p", "value": "1"},
        "runs/set-tag": {"run_id": "none", "key": "t", "value": "1"},
        "runs/delete-tag": {"run_id": "none", "key": "t"},
        "runs/log-batch": {"run_id": "none"},
        "runs/update": {"run_id": "none"},
        "runs/delete": {"run_id": "none"},
        "runs/restore": {"run_id": "none"},
    }
    for path, fields in calls.items():
        message = refused(post(hub, path, fields), 404, "RESOURCE_DOES_NOT_EXIST")
        assert message == "Run with id=none not found"
    refused(hub.ask("GET", f"{API}runs/get?run_id=none"), 404, "RESOURCE_DOES_NOT_EXIST")
    assert history(hub, "none", "m") == []


def test_a_deleted_run_refuses_every_write_and_can_be_read(hub: Server, run: str):
    post(hub, "runs/log-metric", point(run))
    assert [post(hub, "runs/delete", {"run_id": run}).status for _ in range(2)] == [200, 200]
    calls = {
        "runs/log-metric": point(run),
        "runs/log-parameter": {"run_id": run, "key": "p", "value": "1"},
        "runs/set-tag": {"run_id": run, "key": "t", "value": "1"},
        "runs/delete-tag": {"run_id": run, "key": "t"},
        "runs/log-batch": {"run_id": run},
        "runs/update": {"run_id": run, "status": "FINISHED"},
    }
    for path, fields in calls.items():
        message = refused(post(hub, path, fields), 400, "INVALID_PARAMETER_VALUE")
        assert message == f"The run {run} must be in the 'active' state. Current state is deleted."
    assert read(hub, run)["info"]["lifecycle_stage"] == "deleted"
    assert len(history(hub, run, "m")) == 1
    assert [post(hub, "runs/restore", {"run_id": run}).status for _ in range(2)] == [200, 200]
    assert read(hub, run)["info"]["lifecycle_stage"] == "active"


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


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({}, 400, "BAD_REQUEST"),
        ({"experiment_id": "99"}, 404, "RESOURCE_DOES_NOT_EXIST"),
        ({"experiment_id": "9" * 40}, 404, "RESOURCE_DOES_NOT_EXIST"),
        ({"experiment_id": "a"}, 400, "INVALID_PARAMETER_VALUE"),
        ({"experiment_id": "0", "start_time": "x"}, 400, "INVALID_PARAMETER_VALUE"),
        ({"experiment_id": "0", "tags": {"a": "b"}}, 400, "INVALID_PARAMETER_VALUE"),
        ({"experiment_id": "0", "tags": [{"key": "a*"}]}, 400, "INVALID_PARAMETER_VALUE"),
    ],
)
def test_a_run_that_cannot_be_created_says_why(
    hub: Server, fields: dict[str, Any], status: int, code: str
):
    refused(post(hub, "runs/create", fields), status, code)


def test_a_part_of_itself_is_no_parent(hub: Server, run: str):
    tag = {"key": "mlflow.parentRunId", "value": run}
    child = hub.call("POST", "runs/create", experiment_id="0", tags=[tag])["run"]["info"]["run_id"]
    for above in (child, run, "not there"):
        given = {"run_id": run, "key": "mlflow.parentRunId", "value": above}
        assert post(hub, "runs/set-tag", given).status == 200
    assert {tag["key"]: tag["value"] for tag in read(hub, child)["data"]["tags"]}[
        "mlflow.parentRunId"
    ] == run


def test_experiments_are_refused_as_by_mlflow(hub: Server):
    def create(**fields: Any) -> Answered:
        return post(hub, "experiments/create", fields)

    number = create(name="refused").json()["experiment_id"]
    message = refused(create(name="refused"), 400, "RESOURCE_ALREADY_EXISTS")
    assert message == "Experiment(name=refused) already exists."
    for fields in (
        {}, {"name": ""}, {"name": "  "}, {"name": "n" * 501}, {"name": 5},
        {"name": "l", "artifact_location": "runs:/a"},
        {"name": "l", "artifact_location": "s3://b/#c"},
        {"name": "l", "artifact_location": "s3://" + "b" * 2048},
        {"name": "t", "tags": [{"key": "k", "value": "v" * 20_001}]},
    ):  # fmt: skip
        refused(create(**fields), 400, "INVALID_PARAMETER_VALUE")
    of = {"experiment_id": number}
    assert post(hub, "experiments/delete", of).status == 200
    for path in ("experiments/delete", "experiments/restore"):
        refused(post(hub, path, {"experiment_id": "98"}), 404, "RESOURCE_DOES_NOT_EXIST")
    refused(post(hub, "experiments/delete", of), 404, "RESOURCE_DOES_NOT_EXIST")
    refused(post(hub, "experiments/update", of | {"new_name": "x"}), 400, "INVALID_STATE")
    tag = of | {"key": "a", "value": "b"}
    refused(post(hub, "experiments/set-experiment-tag", tag), 400, "INVALID_PARAMETER_VALUE")
    refused(post(hub, "runs/create", of), 400, "INVALID_PARAMETER_VALUE")
    refused(create(name="refused"), 400, "RESOURCE_ALREADY_EXISTS")
    found = hub.call("GET", "experiments/get-by-name", experiment_name="refused")["experiment"]
    assert found["lifecycle_stage"] == "deleted"
    assert post(hub, "experiments/restore", of).status == 200
    refused(post(hub, "experiments/restore", of), 404, "RESOURCE_DOES_NOT_EXIST")
    refused(
        post(hub, "experiments/update", of | {"new_name": "Default"}), 400,
        "RESOURCE_ALREADY_EXISTS",
    )  # fmt: skip
    refused(
        post(hub, "experiments/delete-experiment-tag", of | {"key": "no"}), 404,
        "RESOURCE_DOES_NOT_EXIST",
    )  # fmt: skip
    answer = hub.ask("GET", f"{API}experiments/get-by-name?experiment_name=none")
    refused(answer, 404, "RESOURCE_DOES_NOT_EXIST")


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

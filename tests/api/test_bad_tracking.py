"""What a hub does not take: each with MLflow's code, and nothing is changed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.asking import API, history, point, post, read, refused
from tests.mlflow import Answered, Server


@pytest.fixture
def run(hub: Server) -> str:
    return str(hub.call("POST", "runs/create", experiment_id="0")["run"]["info"]["run_id"])


@pytest.mark.parametrize(
    "path",
    ["/none", "/api/2.0/preview/mlflow/runs/get", "/api/2.0/mlflow/runs/get/", "/api/2.0/mlflow"],
)
def test_a_path_that_is_not_there_is_404(hub: Server, path: str):
    assert hub.ask("GET", path).status == 404


def test_a_wrong_method_says_which_are_right(hub: Server):
    answer = hub.ask("GET", f"{API}runs/create")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


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


def test_experiments_are_refused_as_by_mlflow(hub: Server):
    def create(**fields: Any) -> Answered:
        return post(hub, "experiments/create", fields)

    number = create(name="refused").json()["experiment_id"]
    message = refused(create(name="refused"), 400, "RESOURCE_ALREADY_EXISTS")
    assert message == "Experiment(name=refused) already exists."
    wrong: tuple[dict[str, Any], ...] = (
        {}, {"name": ""}, {"name": "  "}, {"name": "n" * 501}, {"name": 5},
        {"name": "l", "artifact_location": "runs:/a"},
        {"name": "l", "artifact_location": "s3://b/#c"},
        {"name": "l", "artifact_location": "s3://" + "b" * 2048},
        {"name": "t", "tags": [{"key": "k", "value": "v" * 20_001}]},
        *(
            {"name": "l", "artifact_location": one}
            for one in ("http://x/%2e%2e/y", "HTTPS://x", "ftp:/x", "hdfs:x", "sftp://u@h/x",
                        "mlflow-artifacts://h/x", "r2://b@h", "abfss://f@h/x")
        ),
    )  # fmt: skip
    for fields in wrong:
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


def test_a_place_that_names_no_host_or_a_store_is_taken(hub: Server):
    for number, place in enumerate(
        ("mlflow-artifacts:///x", "file:///tmp/x", "gs://a", "dbfs:/x", "foo://x", "s3://b/x")
    ):
        fields = {"name": f"taken{number}", "artifact_location": place}
        made = post(hub, "experiments/create", fields).json()["experiment_id"]
        found = hub.call("GET", "experiments/get", experiment_id=made)["experiment"]
        assert found["artifact_location"] == place


@pytest.mark.parametrize("values", [("1", "2"), ("1", "1")])
def test_a_tag_that_is_given_twice_makes_nothing(hub: Server, values: tuple[str, str]):
    tags = [{"key": "twice", "value": value} for value in values]
    runs = post(hub, "runs/search", {"experiment_ids": ["0"]}).json()
    for path, fields in (
        ("runs/create", {"experiment_id": "0"}),
        ("experiments/create", {"name": "twice"}),
    ):
        message = refused(post(hub, path, fields | {"tags": tags}), 400, "BAD_REQUEST")
        assert message == "The tag 'twice' is given twice; give it once"
    assert post(hub, "runs/search", {"experiment_ids": ["0"]}).json() == runs
    answer = hub.ask("GET", f"{API}experiments/get-by-name?experiment_name=twice")
    refused(answer, 404, "RESOURCE_DOES_NOT_EXIST")


def test_a_text_with_a_zero_is_kept_or_refused_and_nothing_else_fails(hub: Server, run: str):
    answer = post(hub, "runs/set-tag", {"run_id": run, "key": "t", "value": "a\0b"})
    tags = {tag["key"]: tag["value"] for tag in read(hub, run)["data"]["tags"]}
    if answer.status == 200:
        assert tags["t"] == "a\0b"
    else:  # PostgreSQL has no such text
        refused(answer, 400, "INVALID_PARAMETER_VALUE")
        assert "t" not in tags
    assert post(hub, "runs/set-tag", {"run_id": run, "key": "u", "value": "x"}).status == 200

"""Searches over HTTP: MLflow's five, and ours; their limits, pages and errors."""

from __future__ import annotations

import urllib.parse
from typing import Any

import pytest

from tests import mlflow


def run(
    hub: mlflow.Server, experiment: str, name: str, *, params: dict[str, str], **metrics: Any
) -> str:
    asked = {"experiment_id": experiment, "run_name": name, "start_time": int(params["n"])}
    created = hub.call("POST", "runs/create", **asked)
    made: str = created["run"]["info"]["run_id"]
    points = [
        {"key": key, "value": value, "timestamp": 1, "step": 0} for key, value in metrics.items()
    ]
    texts = [{"key": key, "value": value} for key, value in params.items()]
    hub.call("POST", "runs/log-batch", run_id=made, metrics=points, params=texts)
    return made


@pytest.fixture(scope="module")
def experiment(hub: mlflow.Server) -> str:
    """An experiment with four runs, the first two of which are parts of the third."""
    made = hub.call(
        "POST", "experiments/create", name="searched", tags=[{"key": "t", "value": "1"}]
    )
    number: str = made["experiment_id"]
    ids = [
        run(hub, number, "a", params={"n": "1", "lr": "0.1"}, rmse=0.5),
        run(hub, number, "b", params={"n": "2", "lr": "0.02"}, rmse="NaN"),
        run(hub, number, "c", params={"n": "3", "model": "tree"}),
        run(hub, number, "d", params={"n": "4", "lr": "auto"}, rmse=0.1),
    ]
    for child in ids[:2]:
        hub.call("POST", "runs/set-tag", run_id=child, key="mlflow.parentRunId", value=ids[2])
    return number


def names(answer: Any) -> list[str]:
    return [one["info"]["run_name"] for one in answer.get("runs", [])]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["d", "c", "b", "a"]),
        ({"filter": "metrics.rmse < 1"}, ["d", "a"]),
        ({"filter": "metrics.rmse != 9"}, ["d", "b", "a"]),
        ({"order_by": ["metrics.rmse ASC"]}, ["d", "a", "b", "c"]),
        ({"order_by": ["metrics.rmse DESC"]}, ["a", "d", "b", "c"]),
        ({"filter": "params.lr LIKE '0%'", "max_results": "1"}, ["b"]),
        ({"run_view_type": "DELETED_ONLY"}, []),
        ({"run_view_type": 3}, ["d", "c", "b", "a"]),
        ({"filter": "tags.mlflow.runName = 'c'"}, ["c"]),
        ({"filter": "attributes.status = 'RUNNING' AND attributes.run_name IN ('a')"}, None),
    ],
)
def test_runs_are_searched(
    hub: mlflow.Server, experiment: str, asked: dict[str, Any], found: list[str] | None
) -> None:
    body = {"experiment_ids": [experiment], **asked}
    answer = hub.ask("POST", "/api/2.0/mlflow/runs/search", body)
    if found is None:
        assert answer.status == 400
        assert answer.json()["error_code"] == "INVALID_PARAMETER_VALUE"
        assert "at column 55: IN does not go with" in answer.json()["message"]
    else:
        assert (answer.status, names(answer.json())) == (200, found)


def test_no_experiment_is_no_run(hub: mlflow.Server, experiment: str) -> None:
    assert hub.call("POST", "runs/search") == {}
    assert hub.call("POST", "runs/search", experiment_ids=["999999"]) == {}


def test_pages_of_runs_follow_each_other(hub: mlflow.Server, experiment: str) -> None:
    for orders in ([], ["metrics.rmse"]):
        whole = names(
            hub.call("POST", "runs/search", experiment_ids=[experiment], order_by=orders)
        )
        found, token = [], None
        while True:
            answer = hub.call(
                "POST", "runs/search", experiment_ids=[experiment], order_by=orders,
                max_results=3, page_token=token,
            )  # fmt: skip
            found += names(answer)
            token = answer.get("next_page_token")
            if token is None:
                break
        assert found == whole


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("runs/search", {"max_results": 0}, "Invalid value 0 for parameter 'max_results'"),
        ("runs/search", {"max_results": 50_001}, "at most 50000"),
        ("runs/search", {"page_token": "zz"}, "page token cannot be read"),
        ("runs/search", {"experiment_ids": ["x"]}, "Invalid experiment ID 'x'"),
        ("runs/search", {"order_by": ["metrics.a", "metric.a"]}, "names 'a' twice"),
        ("runs/search", {"order_by": [f"metrics.m{n}" for n in range(31)]}, "at most 30 keys"),
        ("runs/search", {"filter": "metrics.a > 1 OR metrics.b > 1"}, "at column 15: OR is found"),
        ("runs/search", {"run_view_type": "SOME"}, "run_view_type"),
        ("experiments/search", {}, "Invalid value 0 for parameter 'max_results'"),
        ("experiments/search", {"max_results": 1, "filter": "name IN ('a')"}, "at column 6: IN"),
        ("logged-models/search", {}, "experiment_ids"),
        ("logged-models/search", {"experiment_ids": ["0"], "filter": "x = 'a'"}, "at column 1"),
        (
            "logged-models/search",
            {"experiment_ids": ["0"], "order_by": [{"field_name": "params.a"}]},
            "Only metrics are supported",
        ),
    ],
)
def test_a_bad_search_is_refused_by_name(
    hub: mlflow.Server, path: str, body: dict[str, Any], message: str
) -> None:
    answer = hub.ask("POST", f"/api/2.0/mlflow/{path}", body)
    assert answer.status == 400
    assert answer.json()["error_code"] == "INVALID_PARAMETER_VALUE"
    assert message in answer.json()["message"]


def test_a_token_of_another_query_is_refused(hub: mlflow.Server, experiment: str) -> None:
    first = hub.call("POST", "runs/search", experiment_ids=[experiment], max_results=1)
    other = {"experiment_ids": [experiment], "max_results": 1, "filter": "metrics.rmse < 1"}
    other["page_token"] = first["next_page_token"]
    answer = hub.ask("POST", "/api/2.0/mlflow/runs/search", other)
    assert answer.status == 400
    assert "belongs to another query" in answer.json()["message"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_experiments_are_searched(hub: mlflow.Server, experiment: str, method: str) -> None:
    asked = {"max_results": 5, "filter": "tags.t = '1' AND name ILIKE 'SEARCH%'"}
    found = hub.call(method, "experiments/search", **asked)
    assert [one["experiment_id"] for one in found["experiments"]] == [experiment]
    first = hub.call(method, "experiments/search", max_results=1)
    second = hub.call(
        method, "experiments/search", max_results=1, page_token=first["next_page_token"]
    )
    ids = [first["experiments"][0]["experiment_id"], second["experiments"][0]["experiment_id"]]
    assert ids == [experiment, "0"]
    assert hub.call(method, "experiments/search", max_results=1, view_type="DELETED_ONLY") == {}


def test_models_are_searched_without_prompts(hub: mlflow.Server) -> None:
    hub.call("POST", "registered-models/create", name="forest", tags=[{"key": "k", "value": "v"}])
    prompt = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
    hub.call("POST", "registered-models/create", name="greeting", tags=prompt)
    hub.call("POST", "registered-models/create", name="Tree")

    def search(text: str, **more: Any) -> list[str]:
        found = hub.call("GET", "registered-models/search", filter=text, **more)
        return [one["name"] for one in found.get("registered_models", [])]

    assert search("") == ["Tree", "forest"]
    assert search("tag.`mlflow.prompt.is_prompt` != 'true'") == ["Tree", "forest"]
    assert search("tag.`mlflow.prompt.is_prompt` = 'true'") == ["greeting"]
    assert search("name ILIKE 't%'") == ["Tree"]
    assert search("name LIKE 't%'") == []
    assert search("tags.k = 'v'") == ["forest"]
    assert search("", order_by="name DESC") == ["forest", "Tree"]


def test_versions_are_searched(hub: mlflow.Server) -> None:
    hub.call("POST", "registered-models/create", name="many")
    for number in (1, 2, 3):
        hub.call("POST", "model-versions/create", name="many", source=f"s3://b/{number}")
    hub.call("POST", "model-versions/set-tag", name="many", version="2", key="k", value="v")

    def search(text: str, **more: Any) -> list[str]:
        found = hub.call("GET", "model-versions/search", filter=text, **more)
        return [one["version"] for one in found.get("model_versions", [])]

    assert sorted(search("name = 'many'")) == ["1", "2", "3"]
    assert search("name = 'many' AND version_number > 1", order_by="version_number") == ["2", "3"]
    assert search("source_path LIKE 's3://b/_' AND tags.k = 'v'") == ["2"]
    page = hub.call("GET", "model-versions/search", max_results=2, filter="name = 'many'")
    rest = search("name = 'many'", max_results=2, page_token=page["next_page_token"])
    assert len(page["model_versions"]) + len(rest) == 3


def test_logged_models_are_searched_by_metrics_of_a_dataset(
    hub: mlflow.Server, experiment: str
) -> None:
    made = {}
    owner = run(hub, experiment, "maker", params={"n": "9"})
    for name, value in (("one", 0.3), ("two", 0.2), ("three", None)):
        model = hub.call("POST", "logged-models", experiment_id=experiment, name=name)["model"]
        made[name] = model["info"]["model_id"]
        if value is not None:
            hub.call(
                "POST", "runs/log-metric", run_id=owner, key="f1", value=value, timestamp=1,
                model_id=made[name], dataset_name="d", dataset_digest="x",
            )  # fmt: skip

    def search(**asked: Any) -> list[str]:
        found = hub.call("POST", "logged-models/search", experiment_ids=[experiment], **asked)
        return [one["info"]["name"] for one in found.get("models", [])]

    by_metric = [{"field_name": "metrics.f1", "ascending": False}]
    assert search(order_by=by_metric) == ["one", "two", "three"]
    assert search(filter="metrics.f1 < 0.25") == ["two"]
    assert search(datasets=[{"dataset_name": "d"}], order_by=by_metric) == ["one", "two"]
    assert search(datasets=[{"dataset_name": "e"}]) == []
    assert search(datasets=[{"dataset_name": "d", "dataset_digest": "y"}]) == []
    assert search(filter="status = 'PENDING' AND name IN ('three')") == ["three"]
    assert search(max_results=0, filter="name = 'one'") == ["one"]


def ours(hub: mlflow.Server, **asked: Any) -> Any:
    answer = hub.ask("POST", "/api/runs/search", asked)
    assert answer.status == 200, answer.body
    return answer.json()


def test_our_search_has_or_columns_counts_and_parents(hub: mlflow.Server, experiment: str) -> None:
    query = "experiment = 'searched' AND (metrics.rmse < 0.2 OR params.lr > 0.05)"
    columns = ["name", "metrics.rmse", "params.lr"]
    found = ours(hub, query=query, order_by=["metrics.rmse"], columns=columns)
    assert found == {
        "runs": [
            {"run_name": "d", "metrics.rmse": 0.1, "params.lr": "auto"},
            {"run_name": "a", "metrics.rmse": 0.5, "params.lr": "0.1"},
        ]
    }
    assert ours(hub, query=query, count_only=True) == {"count": 2}
    found = ours(hub, query=query, children=True, columns=["name"])
    assert found == {"runs": [{"run_name": "c"}]}
    whole = ours(hub, query="name = 'b' AND experiment = 'searched'")["runs"][0]
    assert (whole["metrics"], whole["params"]["lr"]) == ({"rmse": "NaN"}, "0.02")


def test_our_search_has_pages(hub: mlflow.Server, experiment: str) -> None:
    query = "experiment = 'searched' AND params.n < 5"
    first = ours(hub, query=query, limit=3, columns=["name"])
    second = ours(hub, query=query, limit=3, columns=["name"], page_token=first["next_page_token"])
    shown = [one["run_name"] for one in first["runs"] + second["runs"]]
    assert shown == ["d", "c", "b", "a"]
    assert "next_page_token" not in second


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"query": "metrics.a >"}, "at column 12: the end is found where a number"),
        ({"columns": ["colour"]}, "invalid attribute key 'colour'"),
        ({"limit": 0}, "limit"),
        ({"order_by": ["a b"]}, "at column"),
    ],
)
def test_a_bad_search_of_ours_is_refused(
    hub: mlflow.Server, asked: dict[str, Any], message: str
) -> None:
    answer = hub.ask("POST", "/api/runs/search", asked)
    assert answer.status == 400
    assert message in answer.json()["message"]


def test_a_query_may_have_any_characters(hub: mlflow.Server, experiment: str) -> None:
    text = "name = 'ü & + % # \" \\'"
    path = "/api/2.0/mlflow/registered-models/search?filter=" + urllib.parse.quote(text)
    assert hub.ask("GET", path).json() == {}

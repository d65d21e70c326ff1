"""How tests ask a hub for experiments and runs, and what they expect to be refused."""

from __future__ import annotations

from typing import Any

from tests.mlflow import Answered, Server

API = "/api/2.0/mlflow/"


def post(hub: Server, path: str, fields: Any) -> Answered:
    return hub.ask("POST", API + path, fields)


def refused(answer: Answered, status: int, code: str) -> str:
    assert answer.status == status, answer.body
    found = answer.json()
    assert found["error_code"] == code
    return str(found["message"])


def read(hub: Server, run: str) -> Any:
    return hub.call("GET", "runs/get", run_id=run)["run"]


def history(hub: Server, run: str, key: str) -> list[Any]:
    found = hub.call("GET", "metrics/get-history", run_id=run, metric_key=key)
    return list(found.get("metrics", []))


def point(run: str, **fields: Any) -> dict[str, Any]:
    return {"run_id": run, "key": "m", "value": 1, "timestamp": 1} | fields

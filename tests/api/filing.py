"""Files of a run on a hub, as tests ask for them."""

from __future__ import annotations

import base64
import hashlib
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

from tests import mlflow

TREE = "/api/2.0/mlflow-artifacts/artifacts"


class Files:
    """The files of one run."""

    def __init__(self, hub: mlflow.Server, *, run: str | None = None) -> None:
        self.hub = hub
        if run is None:
            made = hub.call("POST", "runs/create", experiment_id="0")
            run = str(made["run"]["info"]["run_id"])
        self.run = run
        self.root = f"0/{self.run}/artifacts"

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Any:
        """Ask for a path that is sent as it is."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.hub.ask(method, f"{TREE}/{self.root}/{path}", body, named)

    def put(self, path: str, body: bytes) -> None:
        found = self.ask("PUT", urllib.parse.quote(path), body)
        assert (found.status, found.body) == (200, b"")

    def get(self, path: str) -> bytes:
        found = self.ask("GET", urllib.parse.quote(path))
        assert found.status == 200, found
        return bytes(found.body)

    def list(self, path: str = "") -> Any:
        query = urllib.parse.urlencode({"run_id": self.run, "path": path})
        found = self.hub.ask("GET", f"/api/2.0/mlflow/artifacts/list?{query}")
        assert found.status == 200, found
        return found.json().get("files", [])


def until(answer: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not answer():
        assert time.monotonic() < end
        time.sleep(0.02)


def digest(content: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"

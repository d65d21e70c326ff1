"""Files of a run on a hub, as tests ask for them."""

from __future__ import annotations

import base64
import hashlib
import os
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests import mlflow

TREE = "/api/2.0/mlflow-artifacts/artifacts"
LARGE = os.urandom(1 << 20) * 3 + b"end"
"""More than what is read at a time."""


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


def oid(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def place(store: Path, content: bytes) -> Path:
    return store / oid(content)[:2] / oid(content)[2:]


def kept(store: Path) -> list[Path]:
    return sorted(path for path in store.rglob("*") if path.is_file())


def gone(hub: mlflow.Server) -> int:
    """Return how many requests ended before their body."""
    lines = hub.ask("GET", "/metrics").body.decode().splitlines()
    counts = [line for line in lines if line.startswith("assay_requests_total{")]
    return sum(int(float(line.split()[-1])) for line in counts if 'status="499"' in line)


def left_over(store: Path) -> list[Path]:
    return [path for path in store.rglob("tmp.*/*") if path.name != "lock"]

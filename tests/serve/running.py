"""Servers that run: a project with deployed bundles, `assay serve` as a process, plain HTTP."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from assay.bundle import contents
from assay.bundle.load import Bundle
from assay.bundle.make import make
from assay.deploy.deploy import Deployed, deploy
from assay.ledger import models
from assay.ledger.database import Ledger, open_ledger
from assay.project.workspace import Project
from tests import make as making
from tests.bundle import trained

ENDPOINT, MODEL = "rentals", "bikes"


class Answered(NamedTuple):
    """What a server said."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Served:
    """A running server; `ask` asks it over a connection of its own."""

    def __init__(self, process: subprocess.Popen[str], url: str, log: Path) -> None:
        self.process, self.url, self.log = process, url, log
        host, port = url.removeprefix("http://").split(":")
        self.address = (host, int(port))

    def connect(self, timeout: float = 60) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self.address, timeout=timeout)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answered:
        with contextlib.closing(self.connect()) as connection:
            return ask(connection, method, path, body, headers)

    def predict(self, rows: Any, **headers: str) -> Answered:
        given = {"Content-Type": "application/json"} | headers
        return self.ask("POST", "/predict", json.dumps(rows), given)

    def raw(self, content: bytes, *, timeout: float = 30) -> bytes:
        """Send bytes and return all that comes back until the server closes."""
        with socket.create_connection(self.address, timeout=timeout) as connection:
            with contextlib.suppress(OSError):  # it may close before all is sent
                connection.sendall(content)
            return read_all(connection)

    def wait(self, what: str = "/v2/health/ready", *, seconds: float = 60) -> None:
        until = time.monotonic() + seconds
        while self.ask("GET", what).status != 200:
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.05)

    def metric(self, name: str) -> float:
        lines = self.ask("GET", "/metrics").body.decode().splitlines()
        return sum(
            float(line.split()[-1]) for line in lines if line.split("{")[0].split()[0] == name
        )

    def lives(self) -> bool:
        return self.process.poll() is None and self.ask("GET", "/v2/health/live").status == 200

    def end(self, how: int = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(60)


def ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes | str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answered:
    connection.request(method, path, body, dict(headers or {}))
    response = connection.getresponse()
    content = response.read()
    return Answered(
        response.status, {k.lower(): v for k, v in response.getheaders()}, content
    )  # fmt: skip


def read_all(connection: socket.socket) -> bytes:
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            found += part
    return found


def split(answer: bytes) -> Answered:
    """Return the parts of an answer that came over a plain socket."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return Answered(int(first.split()[1]), headers, body)


class Models:
    """A project with versions of one model that differ by a known number."""

    def __init__(self, root: Path) -> None:
        self.root, self.project = root, Project(root)
        self.bundles: dict[int, Bundle] = {}

    def ledger(self) -> Ledger:
        return open_ledger(self.project.ledger_path)

    def add(self, *, offset: float = 0.0, model: Any = None, **given: Any) -> int:
        """Register a version whose answers are `offset` above those of the table, about."""
        from sklearn.tree import DecisionTreeRegressor

        whole = trained.whole()
        if model is None:
            model = DecisionTreeRegressor(max_depth=3, random_state=0)
            model.fit(trained.matrix(whole), trained.target(trained.table()) + offset)
        options = {"X": whole, "y": trained.target(trained.table()), "time": trained.times()}
        folder = self.root.parent / f"bundle-{len(self.bundles)}"
        made = make(model, **(options | {"to": folder} | given))
        return self.register(made)

    def register(self, made: Bundle) -> int:
        contents.keep(made.contents, self.project.objects)
        with self.ledger() as ledger:
            number = models.register(ledger, MODEL, bundle=made.id).number
        self.bundles[number] = made
        return number

    def deploy(self, number: int, **options: Any) -> Deployed:
        with self.ledger() as ledger:
            return deploy(
                ledger, ENDPOINT, version=f"{MODEL}/{number}", objects=self.project.objects,
                **options,
            )  # fmt: skip


def project(folder: Path, *offsets: float) -> Models:
    """Return a project with a version for each offset; the first is deployed."""
    found = Models(making.project(folder / "project"))
    for offset in offsets:
        found.add(offset=offset)
    if offsets:
        found.deploy(1)
    return found


@contextlib.contextmanager
def serving(
    root: Path,
    *options: str,
    endpoint: str = ENDPOINT,
    wait: bool = True,
    env: Mapping[str, str] | None = None,
) -> Iterator[Served]:
    """Run `assay serve` on a free port."""
    log = root.parent / "serve.log"
    with log.open("a") as said:
        process = subprocess.Popen(
            making.command("serve", endpoint, "--port", "0", *options),
            cwd=root,
            env={**os.environ, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url, log.read_text()
        served = Served(process, url, log)
        if wait:
            served.wait()
        yield served
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(30)
        finally:
            process.kill()
            if process.stdout is not None:
                process.stdout.close()


def rows(n: int = 1) -> list[dict[str, Any]]:
    """Return rows as JSON has them."""
    return [
        {name: values[at].item() for name, values in trained.whole().items()} for at in range(n)
    ]


def tensors(n: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a request of the Open Inference Protocol in JSON."""
    datatypes = {"b": "BOOL", "i": "INT64", "f": "FP64"}
    inputs = [
        {
            "name": name, "shape": [n], "datatype": datatypes[values.dtype.kind],
            "data": values[:n].tolist(),
        }
        for name, values in trained.whole().items()
    ]  # fmt: skip
    return {"inputs": inputs} | changes


def expected(bundle: Bundle, n: int = 1) -> list[float]:
    table = {name: values[:n] for name, values in trained.whole().items()}
    return list(np.asarray(bundle.predict(table)).tolist())

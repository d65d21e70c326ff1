"""Real servers and real clients of MLflow's API: `assay hub`, `mlflow server`, `mlflow` scripts.

A server is a process of its own on a free port, ended with its block. A script runs in the Python
of a peer (`.peers/mlflow`, `.peers/mlflow-skinny`), which has nothing of ours: a `Session` keeps
one such process, since importing MLflow takes seconds, and `client` makes one for one script.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests import databases, make
from tests.objects.remotes.servers import free_port

PEERS = Path(__file__).parents[1] / ".peers"
ON_CI = os.environ.get("CI") == "true"
_SESSION = str(Path(__file__).with_name("mlflow_session.py"))
CLIENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
    "PYTHONWARNINGS": "ignore",
}
SERVER = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


def needs(peer: str = "mlflow") -> pytest.MarkDecorator:
    """Return the mark of tests that are skipped where a peer is not installed."""
    return pytest.mark.skipif(
        not python(peer).exists() and not ON_CI,
        reason=f"{peer} is not in .peers/{peer}: 'make test' installs it",
    )


def python(peer: str = "mlflow") -> Path:
    """Return the Python of a peer's environment."""
    return PEERS / peer / "bin" / "python"


class Answered(NamedTuple):
    """What came back of one request."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """A running server; `ask` asks it over a connection of its own."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, log: Path) -> None:
        self.process, self.url, self.log = process, url, log

    def connect(self, timeout: float = 60) -> http.client.HTTPConnection:
        parts = urllib.parse.urlsplit(self.url)
        return http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=timeout)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answered:
        """Send one request; a body that is neither bytes nor None goes as JSON."""
        given = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            given = {"Content-Type": "application/json"} | given
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, path, body, given)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answered(answer.status, found, answer.read())

    def call(self, method: str, path: str, **fields: Any) -> Any:
        """Send MLflow's request of `/api/2.0/mlflow/PATH`; expect 200 and return its JSON."""
        address = f"/api/2.0/mlflow/{path}"
        if method == "GET":
            address += "?" + urllib.parse.urlencode(fields, doseq=True)
        found = self.ask(method, address, None if method == "GET" else fields)
        assert found.status == 200, (found.status, found.body, self.said())
        return found.json()

    def said(self) -> str:
        """Return what the server wrote so far."""
        return self.log.read_text(errors="replace")

    def lives(self) -> bool:
        return self.process.poll() is None

    def wait(self, *, seconds: float = 120) -> None:
        """Wait for the first answer."""
        until = time.monotonic() + seconds
        while True:
            assert self.lives(), self.said()
            with contextlib.suppress(OSError):
                if self.ask("GET", "/health").status == 200:
                    return
            assert time.monotonic() < until, self.said()
            time.sleep(0.02)

    def end(self, how: int = signal.SIGTERM) -> int:
        """Tell the server to end, and return its exit code."""
        if self.lives():
            self.process.send_signal(how)
        try:
            return self.process.wait(30)
        finally:
            self.kill()

    def kill(self) -> None:
        """Kill the server and all processes that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)


def start(
    command: list[str], folder: Path, *, port: int, env: Mapping[str, str] | None = None
) -> Server:
    """Start a server of HTTP in a folder; what it says goes to `server.log` there."""
    log = folder / "server.log"
    with log.open("ab") as said:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    return Server(process, f"http://127.0.0.1:{port}", log)


@contextlib.contextmanager
def _ended(server: Server, *, wait: bool) -> Iterator[Server]:
    try:
        if wait:
            server.wait()
        yield server
    finally:
        server.kill()


@contextlib.contextmanager
def hub(
    folder: Path,
    *options: str,
    port: int = 0,
    env: Mapping[str, str] | None = None,
    wait: bool = True,
) -> Iterator[Server]:
    """Run `assay hub` on a free port; ledger and objects lie in `folder/hub`.

    `options` may begin with `--ledger` and a URL. The same folder again is the same hub again.
    """
    port = port or free_port()
    where = str(folder / "hub")
    command = make.command(
        "hub", "--host", "127.0.0.1", "--port", str(port), "--directory", where, *options
    )
    with _ended(start(command, folder, port=port, env=env), wait=wait) as server:
        yield server


@contextlib.contextmanager
def hub_of_kind(request: pytest.FixtureRequest, folder: Path) -> Iterator[Server]:
    """Run an empty `assay hub` on the database that the fixture's parameter names."""
    if request.param == "sqlite":
        with hub(folder) as server:
            yield server
        return
    postgres: databases.Postgres = request.getfixturevalue("postgres")
    url = postgres.database()
    with hub(folder, "--ledger", url) as server:
        yield server
    postgres.drop(url)


@contextlib.contextmanager
def mlflow_server(
    folder: Path, *options: str, store: str | None = None, wait: bool = True
) -> Iterator[Server]:
    """Run the real `mlflow server`, one worker, on SQLite in `folder/mlflow` (or on `store`)."""
    port, place = free_port(), folder / "mlflow"
    place.mkdir(exist_ok=True)
    command = [
        str(python().with_name("mlflow")), "server", "--host", "127.0.0.1", "--port", str(port),
        "--workers", "1", "--backend-store-uri", store or f"sqlite:///{place}/mlflow.db",
        "--artifacts-destination", str(place / "artifacts"), *options,
    ]  # fmt: skip
    env = CLIENT | SERVER | {"PATH": f"{python().parent}{os.pathsep}{os.environ['PATH']}"}
    with _ended(start(command, folder, port=port, env=env), wait=wait) as server:
        yield server


class Failed(AssertionError):
    """A client's script raised; `kind` and `code` are of its exception."""

    def __init__(self, kind: str, code: str | None, shown: str) -> None:
        super().__init__(shown)
        self.kind, self.code = kind, code


class Session:
    """A process of a peer that runs scripts against one server, one after another.

    In a script there are `mlflow`, `client` (an `MlflowClient`), `json`, `os`, `url` and the
    arguments by their names. What it gives to `give(value)` comes back, as JSON has it. Between
    scripts no run is active and no experiment is set.
    """

    def __init__(
        self, url: str, *, peer: str = "mlflow", env: Mapping[str, str] | None = None
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mlflow-client-"))
        ours = ("PYTHONPATH", "VIRTUAL_ENV", "MLFLOW_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        self._errors = (self.folder / "errors.log").open("w+b")
        self.process = subprocess.Popen(
            [str(python(peer)), "-P", _SESSION],  # or our `mlflow.py` would be theirs
            cwd=self.folder,
            env={**kept, **CLIENT, "MLFLOW_TRACKING_URI": url, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def run(self, script: str, **arguments: Any) -> Any:
        """Run a script and return what it gave.

        Raises
        ------
        Failed
            If it raises; with the whole traceback.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # said below
            self.process.stdin.write(json.dumps([script, arguments]) + "\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the client ended: {(self.folder / 'errors.log').read_text()}"
        found = json.loads(line)
        if "error" in found:
            raise Failed(found["kind"], found["code"], found["error"])
        return found["gave"]

    def close(self) -> None:
        """End the process."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(30)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._errors.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def session(
    url: str, *, peer: str = "mlflow", env: Mapping[str, str] | None = None
) -> Iterator[Session]:
    """Keep a process of a peer for scripts against a server."""
    opened = Session(url, peer=peer, env=env)
    try:
        yield opened
    finally:
        opened.close()


def client(
    url: str,
    script: str,
    *,
    peer: str = "mlflow",
    env: Mapping[str, str] | None = None,
    **arguments: Any,
) -> Any:
    """Run one script in a process of its own, and return what it gave; see `Session`."""
    with session(url, peer=peer, env=env) as opened:
        return opened.run(script, **arguments)


if __name__ == "__main__":  # a look by hand: `python -m tests.mlflow hub FOLDER`
    with (hub if sys.argv[1] == "hub" else mlflow_server)(Path(sys.argv[2])) as running:
        print(running.url, flush=True)  # noqa: T201
        running.process.wait()

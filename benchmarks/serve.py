"""How long an answer to one row takes: ours, MLServer's, and what no server can be under.

The floor is a bare ASGI application under the same uvicorn that sends back what it got, plus the
bundle's own `predict` on the decoded request, measured in the same run. MLServer gets the same
model and the row as one tensor, which is its cheapest form. The cost of the traffic log is that of
our server beside the same one that logs nothing: by the client's clock, and by CPU time.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from assay.base.errors import Error
from assay.render.tables import text_table
from benchmarks import Wrong, programs

MLSERVER = programs.ROOT / ".peers" / "mlserver" / "bin" / "mlserver"
N_COLUMNS, N_ROWS = 12, 4_000
AIM_FLOOR, AIM_LOG = 1.5, 0.1
INFER = "/v2/models/bikes/infer"

ECHO = """
import sys, socket, uvicorn
async def app(scope, receive, send):
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
listening = socket.create_server(("127.0.0.1", 0))
print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
config = uvicorn.Config(app, lifespan="off", access_log=False, log_level="warning")
uvicorn.Server(config).run(sockets=[listening])
"""
TRAIN = """
import sys
from pathlib import Path
import joblib, numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
import assay
from assay.bundle import contents
from assay.deploy.deploy import deploy
from assay.ledger import models
from assay.ledger.database import open_ledger
from assay.project.workspace import Project
root, n_rows, n_columns = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
rng = np.random.default_rng(0)
X = rng.normal(size=(n_rows, n_columns))
y = X @ rng.normal(size=n_columns) + np.sin(X[:, 0])
model = HistGradientBoostingRegressor(max_iter=100, random_state=0).fit(X, y)
table = {f"c{at}": X[:, at] for at in range(n_columns)}
made = assay.bundle(model, X=table, y=y, to=root / "bundle")
project = Project(root)
contents.keep(made.contents, project.objects)
with open_ledger(project.ledger_path) as ledger:
    models.register(ledger, "bikes", bundle=made.id)
    deploy(ledger, "bench", version="bikes/1", objects=project.objects)
(root / "mlserver").mkdir()
joblib.dump(model, root / "mlserver" / "model.joblib")
"""
PREDICT = """
import sys, time, statistics, json
from pathlib import Path
import numpy as np
import assay
bundle = assay.load(Path(sys.argv[1]))
row = {name: np.array([value]) for name, value in json.loads(sys.argv[2]).items()}
for line in sys.stdin:
    seconds = []
    for _ in range(int(line)):
        began = time.perf_counter()
        found = bundle.predict(row)
        seconds.append(time.perf_counter() - began)
    print(json.dumps([float(found[0]), seconds]), flush=True)
"""
NO_LOG = """
import sys
from assay.serve.traffic import Traffic
Traffic.log = lambda self, record: None
from assay.cli import run
sys.exit(run(sys.argv[1:]))
"""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A server under measure, and what it is asked."""

    name: str
    url: str
    path: str
    body: bytes
    pid: int
    check: Callable[[bytes], None]
    headers: Mapping[str, str] = {}

    def seconds(self, n_requests: int) -> list[float]:
        """Ask over one connection, each answer checked."""
        found = []
        with contextlib.closing(_connection(self.url)) as connection:
            for number in range(n_requests + 20):  # the first ones warm up
                began = time.perf_counter()
                connection.request("POST", self.path, self.body, dict(self.headers))
                body = connection.getresponse().read()
                if number >= 20:
                    found.append(time.perf_counter() - began)
                self.check(body)
        return found

    def cpu(self) -> float:
        """Return the CPU seconds that the server has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Medians by name, in seconds, and CPU seconds a request."""

    p50: dict[str, float]
    cpu: dict[str, float]


def measure(folder: Path, *, rounds: int, n_requests: int) -> Result:
    """Ask all servers in turn, round after round, and the bundle itself between."""
    project = folder / "project"
    _train(project)
    row = {f"c{at}": 0.1 * at for at in range(N_COLUMNS)}
    with contextlib.ExitStack() as stack:
        predict = stack.enter_context(_predictor(project / "bundle", row))
        value, _ = predict(1)
        questions = [
            stack.enter_context(server)
            for server in (
                _echo(folder, row),
                _ours(project, row, value, "assay"),
                _ours(project, row, value, "assay, no log"),
                *(
                    [_mlserver(project, row, value, n_workers=n) for n in (1, 0)]
                    if MLSERVER.exists()
                    else []
                ),
            )
        ]
        seconds: dict[str, list[float]] = {question.name: [] for question in questions}
        cpu = {question.name: 0.0 for question in questions}
        seconds["predict"] = []
        for number in range(rounds):
            seconds["predict"] += predict(n_requests)[1]
            for question in questions[:: 1 if number % 2 else -1]:
                before = question.cpu()
                seconds[question.name] += question.seconds(n_requests)
                cpu[question.name] += question.cpu() - before
    asked = rounds * (n_requests + 20)
    return Result(
        p50={name: statistics.median(values) for name, values in seconds.items()},
        cpu={name: value / asked for name, value in cpu.items()},
    )


def _train(project: Path) -> None:
    project.mkdir(parents=True)
    environ = programs.environment(project.parent)
    for arguments in (
        ("git", "init", "-q", "-b", "main"),
        (str(programs.ASSAY), "init"),
        (sys.executable, "-c", TRAIN, str(project), str(N_ROWS), str(N_COLUMNS)),
    ):
        done = subprocess.run(
            arguments, cwd=project, env=environ, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Wrong(done.stderr.strip()[-500:], where=arguments[0])


@contextlib.contextmanager
def _predictor(
    bundle: Path, row: Mapping[str, float]
) -> Iterator[Callable[[int], tuple[float, list[float]]]]:
    process = subprocess.Popen(
        [sys.executable, "-c", PREDICT, str(bundle), json.dumps(row)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip

    def predict(n_times: int) -> tuple[float, list[float]]:
        print(n_times, file=process.stdin, flush=True)
        assert process.stdout is not None
        value, seconds = json.loads(process.stdout.readline())
        return value, seconds

    with process:
        yield predict
        process.kill()


def _tensors(row: Mapping[str, float]) -> bytes:
    inputs = [
        {"name": name, "shape": [1], "datatype": "FP64", "data": [value]}
        for name, value in row.items()
    ]
    return json.dumps({"inputs": inputs}).encode()


def _gives(value: float) -> Callable[[bytes], None]:
    def check(body: bytes) -> None:
        found = json.loads(body).get("outputs", [{}])[0].get("data")
        if found != [value]:
            raise Wrong(f"the answer is {body[:200]!r}, not {value}")

    return check


@contextlib.contextmanager
def _running(
    arguments: list[str], folder: Path, environ: Mapping[str, str], url: str | None = None
) -> Iterator[tuple[str, int]]:
    """Run a server until it is ready; it prints its URL where that is not given."""
    with (folder / "server.log").open("a") as log:
        process = subprocess.Popen(
            arguments, cwd=folder, env=environ, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if url is None else log, stderr=log,
        )  # fmt: skip
    try:
        if url is None:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
        _wait(url, process)
        yield url, process.pid
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
        if process.stdout is not None:
            process.stdout.close()


def _wait(url: str, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), contextlib.closing(_connection(url)) as connection:
            connection.request("GET", "/v2/health/ready")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.1)
    raise Wrong("the server did not become ready", where=" ".join(map(str, process.args))[:60])  # type: ignore[arg-type]


@contextlib.contextmanager
def _echo(folder: Path, row: Mapping[str, float]) -> Iterator[Question]:
    body = _tensors(row)

    def check(found: bytes) -> None:
        if found != body:
            raise Wrong(f"the echo is {found[:200]!r}")

    environ = programs.environment(folder)
    with _running([sys.executable, "-c", ECHO], folder, environ) as (url, pid):
        yield Question(name="echo", url=url, path=INFER, body=body, pid=pid, check=check)


@contextlib.contextmanager
def _ours(project: Path, row: Mapping[str, float], value: float, name: str) -> Iterator[Question]:
    program = ["-m", "assay"] if name == "assay" else ["-c", NO_LOG]
    arguments = [sys.executable, *program, "serve", "bench", "--port", "0"]
    environ = programs.environment(project.parent)
    with _running(arguments, project, environ) as (url, pid):
        yield Question(
            name=name, url=url, path=INFER, body=_tensors(row), pid=pid, check=_gives(value)
        )


@contextlib.contextmanager
def _mlserver(
    project: Path, row: Mapping[str, float], value: float, *, n_workers: int
) -> Iterator[Question]:
    folder = project / f"mlserver-{n_workers}"
    shutil.copytree(project / "mlserver", folder)
    http_port, grpc_port, metrics_port = _free_ports(3)
    settings: dict[str, Any] = {
        "host": "127.0.0.1", "http_port": http_port, "grpc_port": grpc_port,
        "metrics_port": metrics_port, "debug": False, "parallel_workers": n_workers,
    }  # fmt: skip
    model = {
        "name": "bikes", "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": "./model.joblib", "version": "1"},
    }  # fmt: skip
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(model))
    one = {"name": "x", "shape": [1, len(row)], "datatype": "FP64", "data": [*row.values()]}
    url = f"http://127.0.0.1:{http_port}"
    environ = programs.environment(project.parent) | {"OMP_NUM_THREADS": "1"}
    with _running([str(MLSERVER), "start", str(folder)], folder, environ, url) as (_, pid):
        yield Question(
            name=f"mlserver, {n_workers} workers", url=url, path=INFER,
            body=json.dumps({"inputs": [one]}).encode(),
            pid=pid, check=_gives(value), headers={"Content-Type": "application/json"},
        )  # fmt: skip


def _free_ports(n_ports: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(n_ports)
        ]
        return [int(one.getsockname()[1]) for one in sockets]


def _connection(url: str) -> http.client.HTTPConnection:
    host, port = url.removeprefix("http://").split(":")
    return http.client.HTTPConnection(host, int(port), timeout=30)


def rows(result: Result) -> list[list[str]]:
    """Return what was measured as a table."""
    p50, cpu = result.p50, result.cpu
    floor = p50["echo"] + p50["predict"]
    found = [
        [name, f"{seconds * 1e6:,.0f}", f"{seconds / floor:.2f}", _micro(cpu.get(name))]
        for name, seconds in p50.items()
    ]
    return [*found, ["echo + predict", f"{floor * 1e6:,.0f}", "1.00", ""]]


def verdicts(result: Result) -> list[str]:
    """Return the aims, and whether they are reached."""
    p50, cpu = result.p50, result.cpu
    over = p50["assay"] / (p50["echo"] + p50["predict"])
    log = p50["assay"] / p50["assay, no log"] - 1
    work = cpu["assay"] / cpu["assay, no log"] - 1
    peers = [seconds for name, seconds in p50.items() if name.startswith("mlserver")]
    said = [f"ours / (echo + predict): {over:.2f}, aim {AIM_FLOOR}: {_reached(over <= AIM_FLOOR)}"]
    said.append(
        f"the traffic log: {log:+.1%} of the p50, {work:+.1%} of the CPU time, aim "
        f"{AIM_LOG:.0%}: {_reached(max(log, work) <= AIM_LOG)}"
    )
    if peers:
        said.append(f"mlserver, its faster setting / ours: {min(peers) / p50['assay']:.1f}")
    else:
        said.append("MLServer is not installed: 'make bench' installs it")
    return said


def _micro(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1e6:,.0f}"


def _reached(reached: bool) -> str:
    return "reached" if reached else "missed"


HEADER = ("one row", "p50 us", "/ (echo + predict)", "CPU us a request")


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--requests", type=int, default=500)
    given = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="assay-bench-"))
    (folder / "home").mkdir()
    try:
        result = measure(folder, rounds=given.rounds, n_requests=given.requests)
    except (Wrong, Error) as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{N_COLUMNS} columns, {given.rounds} rounds of {given.requests} requests over one "
          f"connection, {os.cpu_count()} cores, load {programs.load()}")  # fmt: skip
    print(text_table(HEADER, rows(result)))
    print("\n".join(verdicts(result)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

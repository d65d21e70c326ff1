"""How fast runs are recorded and found: `assay hub` and our SDK beside MLflow's, both on SQLite.

Requests come over plain sockets, so that the client does not hide what the server costs; both
servers get the same bytes in turn. What was written is counted afterwards, and what a search
answers is compared with what it has to be; both databases of a search are filled by SQL.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from assay.base.errors import Error, NotFound
from assay.render.tables import text_table
from benchmarks import Wrong, ledger_fill, programs
from benchmarks.ledger_load import ask, drive, request
from benchmarks.ledger_sdk import imports, installed, metrics
from tests import mlflow

SIZES = (1_000, 10_000, 100_000)
N_RUNS, N_BATCH, N_CLIENTS = 1_000, 1_000, 8
Unit = Literal["/s", "ms", "MB"]


class Case(msgspec.Struct, kw_only=True):
    """A question, what both sides took for one of it (seconds or bytes), and what is wanted."""

    name: str
    unit: Unit = "ms"
    aim: float | None = None  # how many times MLflow's speed, or a part of its size
    limit: float | None = None  # seconds
    ours: list[float] = []
    peer: list[float] = []

    @property
    def ratio(self) -> float:
        """How many times longer MLflow takes."""
        return statistics.median(self.peer) / statistics.median(self.ours)

    @property
    def verdict(self) -> str:
        """What was wanted, and whether it is reached."""
        said = []
        if self.aim is not None:
            said.append(f"{self.aim:g}x: {_reached(self.ratio >= self.aim)}")
        if self.limit is not None:
            is_under = statistics.median(self.ours) < self.limit
            said.append(f"under {self.limit:g} s: {_reached(is_under)}")
        return "; ".join(said)

    def shown(self, values: list[float]) -> str:
        """Return the median in the unit of the case."""
        value = statistics.median(values)
        if self.unit == "/s":
            return f"{1 / value:,.0f} /s"
        if self.unit == "MB":
            return f"{value / 1e6:,.0f} MB"
        return f"{value * 1000:,.2f} ms" if value < 0.1 else f"{value * 1000:,.0f} ms"


class Servers(msgspec.Struct, frozen=True):
    """Both servers, and where their databases lie."""

    ours: mlflow.Server
    peer: mlflow.Server
    our_file: Path
    peer_file: Path

    def both(self, case: Case, measure: Callable[[str], float], *, rounds: int) -> Case:
        """Measure both in turn; the first round does not count."""
        for number in range(rounds + 1):
            turn = [(self.ours, case.ours), (self.peer, case.peer)]
            for server, seconds in turn[:: 1 if number % 2 else -1]:
                took = measure(server.url)
                if number:
                    seconds.append(took)
        return case


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Servers]:
    """Start both servers, with one worker each."""
    with mlflow.hub(folder) as ours, mlflow.mlflow_server(folder) as peer:
        yield Servers(ours, peer, folder / "hub" / "ledger.db", folder / "mlflow" / "mlflow.db")


def start(folder: Path, *, rounds: int) -> Case:
    """From the start of the process to the first answer, with a database that is there."""
    case = Case(name="server: start to first answer", aim=None, limit=1.0)
    ways: list[tuple[Callable[..., Any], list[float]]] = [
        (mlflow.hub, case.ours), (mlflow.mlflow_server, case.peer),
    ]  # fmt: skip
    for number in range(rounds + 1):
        for server, seconds in ways:
            began = time.perf_counter()
            with server(folder):
                if number:
                    seconds.append(time.perf_counter() - began)
    return case


def new_run(url: str) -> str:
    found = ask(url, "POST", "runs/create", {"experiment_id": "0", "start_time": 1})
    return str(found["run"]["info"]["run_id"])


def n_points(url: str, run: str, key: str) -> int:
    found = ask(url, "GET", "metrics/get-history", {"run_id": run, "metric_key": key})
    return len(found.get("metrics", []))


def log_metric(url: str, *, n_calls: int, n_clients: int) -> float:
    """Seconds a call of log-metric; all points are there afterwards."""
    run = new_run(url)
    points = (
        request("POST", "runs/log-metric", {
            "run_id": run, "run_uuid": run, "key": "loss", "value": 1 / (1 + step),
            "timestamp": ledger_fill.START + step, "step": step,
        })
        for step in range(n_calls)
    )  # fmt: skip
    seconds = drive(url, points, n_connections=n_clients)
    _expect(n_points(url, run, "loss"), n_calls, "points")
    return seconds / n_calls


def log_batch(url: str, *, n_calls: int) -> float:
    """Seconds a call of log-batch with 1,000 points of ten keys."""
    run = new_run(url)
    bodies = [
        {"run_id": run, "metrics": [
            {"key": f"m{at % 10}", "value": at / 7, "timestamp": call,
             "step": call * 100 + at // 10}
            for at in range(N_BATCH)
        ]}
        for call in range(n_calls)
    ]  # fmt: skip
    requests = [request("POST", "runs/log-batch", body) for body in bodies]
    seconds = drive(url, requests)
    _expect(n_points(url, run, "m3"), n_calls * N_BATCH // 10, "points")
    return seconds / n_calls


def create_runs(url: str, *, n_runs: int) -> float:
    """Seconds a new run; each has an id of its own, and a search finds them all."""
    made = ask(url, "POST", "experiments/create", {"name": f"bench-{time.time_ns()}"})
    experiment, ids = str(made["experiment_id"]), set()
    one = request("POST", "runs/create", {
        "experiment_id": experiment, "user_id": "ada", "start_time": 1, "run_name": "",
        "tags": [{"key": "mlflow.user", "value": "ada"},
                 {"key": "mlflow.source.name", "value": "train.py"}],
    })  # fmt: skip

    def check(body: bytes) -> None:
        ids.add(json.loads(body)["run"]["info"]["run_id"])

    seconds = drive(url, itertools.repeat(one, n_runs), check=check)
    found = ask(url, "POST", "runs/search", {
        "experiment_ids": [experiment], "max_results": 50_000,
    })["runs"]  # fmt: skip
    _expect({run["info"]["run_id"] for run in found}, ids, "runs")
    _expect(len(ids), n_runs, "runs")
    return seconds / n_runs


def searches(servers: Servers, *, sizes: tuple[int, ...], rounds: int) -> Iterator[Case]:
    """Two filters over experiments of several sizes in one database."""
    first = 0
    for size in sizes:
        made = [ledger_fill.Made(number) for number in range(first + 1, first + size + 1)]
        first += size
        ids = [
            int(ask(url, "POST", "experiments/create", {"name": f"{size} runs"})["experiment_id"])
            for url in (servers.ours.url, servers.peer.url)
        ]
        ledger_fill.ours(servers.our_file, made, experiment=ids[0])
        ledger_fill.mlflow(servers.peer_file, made, experiment=ids[1])
        for name, body, wanted in _questions(made):
            case = Case(name=f"search {size:,} runs: {name}", aim=10)
            yield servers.both(
                case,
                _search(servers, ids, body, wanted, n_times=min(50, max(1, 50_000 // size))),
                rounds=rounds,
            )


def _questions(made: list[ledger_fill.Made]) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
    """Yield what is asked, and the ids that have to come, in their order."""
    best = [one for one in made if one.metrics["loss"] < 0.25 and one.params["depth"] == "3"]
    best.sort(key=lambda one: (-one.metrics["accuracy"], -one.start))
    yield (
        "100 best of metric < x and param = y",
        {"filter": "metrics.loss < 0.25 and params.depth = '3'", "max_results": 100,
         "order_by": ["metrics.accuracy DESC"]},
        [one.id for one in best[:100]],
    )  # fmt: skip
    team = [one.id for one in reversed(made) if one.tags["team"] == "team-2"]
    yield (
        "1,000 newest of a tag",
        {"filter": "tags.team = 'team-2'", "max_results": 1000},
        team[:1000],
    )


def _search(
    servers: Servers,
    experiments: list[int],
    body: dict[str, Any],
    wanted: list[str],
    *,
    n_times: int,
) -> Callable[[str], float]:
    def measure(url: str) -> float:
        experiment = experiments[0 if url == servers.ours.url else 1]
        said: list[bytes] = []
        content = request("POST", "runs/search", {"experiment_ids": [str(experiment)], **body})
        seconds = drive(url, [content] * n_times, check=said.append) / n_times
        found = json.loads(said[-1]).get("runs", [])
        _expect([run["info"]["run_id"] for run in found], wanted, "runs")
        for run in found[:1]:  # whole ones
            _expect((len(run["data"]["params"]), len(run["data"]["metrics"])), (5, 5), "values")
        return seconds

    return measure


def history(servers: Servers, *, rounds: int) -> Case:
    """A metric of 100,000 points, as the client asks for it: in pages of 25,000."""
    made = [ledger_fill.Made(10**9)]
    ledger_fill.ours(servers.our_file, made, experiment=0)
    ledger_fill.mlflow(servers.peer_file, made, experiment=0)
    run = made[0].id
    total = ledger_fill.history(servers.our_file, servers.peer_file, run, "long")

    def measure(url: str) -> float:
        seconds, token, values = 0.0, "", []
        while True:
            said: list[bytes] = []
            fields = {"run_id": run, "metric_key": "long", "max_results": 25_000}
            fields |= {"page_token": token} if token else {}
            seconds += drive(
                url, [request("GET", "metrics/get-history", fields)], check=said.append
            )
            found = json.loads(said[0])
            values += [point["value"] for point in found["metrics"]]
            token = found.get("next_page_token", "")
            if not token:
                break
        _expect((len(values), sum(values)), (ledger_fill.N_POINTS, total), "points")
        return seconds

    return servers.both(Case(name="history of 100,000 points", aim=10), measure, rounds=rounds)


def short_histories(servers: Servers, *, rounds: int, n_calls: int) -> Case:
    """The history of a metric of one point, which `log_model` asks for of each metric."""
    made = [ledger_fill.Made(10**9 + 1)]
    ledger_fill.ours(servers.our_file, made, experiment=0)
    ledger_fill.mlflow(servers.peer_file, made, experiment=0)
    run, (key, value) = made[0].id, next(iter(made[0].metrics.items()))
    one = request("GET", "metrics/get-history", {"run_id": run, "metric_key": key})

    def measure(url: str) -> float:
        said: list[bytes] = []
        seconds = drive(url, itertools.repeat(one, n_calls), check=said.append) / n_calls
        for body in said:
            _expect([point["value"] for point in json.loads(body)["metrics"]], [value], "points")
        return seconds

    return servers.both(Case(name="history of one point", unit="/s"), measure, rounds=rounds)


def _expect(found: object, wanted: object, what: str) -> None:
    if found != wanted:
        raise Wrong(f"{what}: {str(found)[:300]}, not {str(wanted)[:300]}")


def _reached(reached: bool) -> str:
    return "reached" if reached else "missed"


def over_http(servers: Servers, *, rounds: int, n_calls: int) -> Iterator[Case]:
    """Each way to write of a client that waits for its answer."""

    def case(name: str, measured: Callable[[str], float], **options: Any) -> Case:
        return servers.both(Case(name=name, aim=10, **options), measured, rounds=rounds)

    for n_clients in (1, N_CLIENTS):
        yield case(
            f"log_metric over HTTP, {n_clients} client{'s' if n_clients > 1 else ''}",
            functools.partial(log_metric, n_calls=n_calls, n_clients=n_clients),
            unit="/s",
        )
    yield case("log_batch of 1,000", functools.partial(log_batch, n_calls=10))
    n_runs = min(N_RUNS, n_calls)
    create = functools.partial(create_runs, n_runs=n_runs)
    yield case("runs created over HTTP", create, unit="/s")


def sdk(folder: Path, *, rounds: int, n_calls: int) -> Iterator[Case]:
    """What the loop of a training script waits for, and when its points are on the disk."""
    call = Case(name="SDK: log_metric, a call", unit="/s", aim=100)
    whole = Case(name="SDK: log_metric, until all is written", unit="/s")
    metrics(folder, call, whole, rounds=rounds, n_calls=n_calls)
    yield from (call, whole)


def measure(
    folder: Path, *, rounds: int, sizes: tuple[int, ...], n_calls: int, parts: tuple[str, ...]
) -> Iterator[Case]:
    """Yield the cases of some parts, or of all."""
    if {"http", "search", "history"} & set(parts):
        with running(folder) as servers:
            if "http" in parts:
                yield from over_http(servers, rounds=rounds, n_calls=n_calls)
            if "search" in parts:
                yield from searches(servers, sizes=sizes, rounds=rounds)
            if "history" in parts:
                yield short_histories(servers, rounds=rounds, n_calls=min(n_calls, 500))
                yield history(servers, rounds=rounds)
    if "start" in parts:
        yield start(folder, rounds=max(2, rounds))
    if "sdk" in parts:
        yield from sdk(folder, rounds=rounds, n_calls=n_calls)
    if "size" in parts:
        yield imports(Case(name="python -c 'import ...'", aim=20), rounds=max(3, rounds))
        yield installed(Case(name="installed, base", unit="MB", aim=5))


PARTS = ("http", "search", "history", "start", "sdk", "size")
HEADER = ("case", "ours", "mlflow", "mlflow/ours", "aim")


def row(case: Case) -> list[str]:
    """Return a case as a row of the table."""
    shown = [case.shown(case.ours), case.shown(case.peer)]
    return [case.name, *shown, f"{case.ratio:,.1f}", case.verdict]


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=1_000, help="(default: %(default)s)")
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, help="runs of a search")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    given = parser.parse_args(arguments)
    before, rows = programs.load(), []
    try:
        if not mlflow.python().exists():
            raise NotFound("MLflow is not installed", hint="run 'make bench'")
        with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder:
            for case in measure(
                Path(folder), rounds=given.rounds, sizes=tuple(given.sizes), n_calls=given.calls,
                parts=tuple(given.parts),
            ):  # fmt: skip
                rows.append(row(case))
                print("  ".join(rows[-1]), file=sys.stderr, flush=True)
    except (Wrong, Error) as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{given.rounds} rounds, {given.calls:,} calls, {os.cpu_count()} cores, load {before} "
          f"before and {programs.load()} after, SQLite on both sides")  # fmt: skip
    print(text_table(HEADER, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())

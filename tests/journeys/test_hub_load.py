"""Eight processes write to one hub at once: nothing is lost, nothing comes twice."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from assay.ledger import tables
from assay.ledger.database import open_ledger
from tests import databases, make, mlflow
from tests.objects.remotes.servers import free_port

pytestmark = [pytest.mark.peer, mlflow.needs("mlflow-skinny")]

HERE = Path(__file__).parent
N_CLIENTS, N_SDK = 5, 3


@pytest.fixture(params=databases.KINDS)
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The ledger of a hub, in a file and in a database."""
    if request.param == "sqlite":
        yield str(tmp_path / "ledger.db")
        return
    server: databases.Postgres = request.getfixturevalue("postgres")
    url = server.database()
    yield url
    server.drop(url)


class Writers:
    """Processes that write; `journals` hold what has to be there."""

    def __init__(
        self, folder: Path, url: str, *, seconds: float, n_clients: int, n_sdk: int
    ) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        client = {**os.environ, **mlflow.CLIENT, "MLFLOW_TRACKING_URI": url}
        for number in range(n_clients):
            program = [str(mlflow.python("mlflow-skinny")), "-P", str(HERE / "hub_writer.py")]
            self._start(program, f"client-{number}", seconds, client, folder)
        for number in range(n_sdk):
            project = make.project(folder / f"project-{number}")
            program = [sys.executable, "-P", str(HERE / "sdk_writer.py")]
            self._start(
                program,
                f"sdk-{number}",
                seconds,
                {**os.environ, "ASSAY_HUB": url, "ASSAY_RUN_SYSTEM_METRICS": "false"},
                project,
            )

    def _start(
        self, program: list[str], name: str, seconds: float, env: dict[str, str], cwd: Path
    ) -> None:
        journal = self.folder / f"{name}.journal"
        journal.touch()
        with (self.folder / f"{name}.log").open("wb") as said:
            self.processes.append(
                subprocess.Popen(
                    [*program, name, str(seconds), str(journal)], cwd=cwd, env=env,
                    stdout=said, stderr=said,
                )
            )  # fmt: skip

    def wait(self) -> None:
        """Wait for all, and expect that none failed."""
        for process in self.processes:
            process.wait(300)
        said = "\n".join(log.read_text() for log in sorted(self.folder.glob("*.log")))
        assert [process.returncode for process in self.processes] == [0] * len(self.processes), (
            said
        )

    def wait_for_lines(self, n_lines: int) -> None:
        """Wait until clients have written down so many answers."""
        until = time.monotonic() + 120
        while sum(1 for _ in self.answered("client-*")) < n_lines:
            assert time.monotonic() < until
            time.sleep(0.05)

    def answered(self, names: str = "*") -> Iterator[dict[str, Any]]:
        for journal in sorted(self.folder.glob(f"{names}.journal")):
            for line in journal.read_text().splitlines():
                yield json.loads(line)

    def kill(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait(30)


@contextlib.contextmanager
def writers(folder: Path, url: str, *, seconds: float, n_sdk: int = N_SDK) -> Iterator[Writers]:
    started = Writers(folder, url, seconds=seconds, n_clients=N_CLIENTS, n_sdk=n_sdk)
    try:
        yield started
    finally:
        started.kill()


class Found:
    """What a ledger holds, counted."""

    def __init__(self, where: str) -> None:
        with open_ledger(where) as ledger, ledger.read() as connection:
            latest = tables.latest_metric
            points = select(
                latest.c.run_id, latest.c.key, tables.metric.c.step, tables.metric.c.value
            ).join(tables.metric, tables.metric.c.series_id == latest.c.id)
            self.metrics = collections.Counter(map(tuple, connection.execute(points)))
            self.params = {
                (row.run_id, row.key, row.value)
                for row in connection.execute(tables.param.select())
            }
            self.tags = {
                (row.run_id, row.key, row.value) for row in connection.execute(tables.tag.select())
            }
            self.status = {row.id: row.status for row in connection.execute(tables.run.select())}


def expected(answered: Iterator[dict[str, Any]]) -> dict[str, Any]:
    """Return what has to be there, in the form of `Found`."""
    wanted: dict[str, Any] = {"metrics": set(), "params": set(), "tags": set(), "status": {}}
    for one in answered:
        run = one["run"]
        if "metric" in one:
            wanted["metrics"].add((run, one["metric"], one["step"], one["value"]))
        for kind in ("param", "tag"):
            if kind in one:
                wanted[f"{kind}s"].add((run, one[kind], one["value"]))
        wanted["status"].setdefault(run, "running")
        if "status" in one:
            wanted["status"][run] = one["status"]
    return wanted


def options(ledger: str, n_workers: int) -> tuple[str, ...]:
    return ("--ledger", ledger, "--workers", str(n_workers))


@pytest.mark.parametrize("n_workers", [pytest.param(1, marks=pytest.mark.slow), 2])
@pytest.mark.parametrize("seconds", [4, pytest.param(60, marks=pytest.mark.slow)])
def test_nothing_that_eight_processes_write_is_lost_or_comes_twice(
    ledger_url: str, tmp_path: Path, n_workers: int, seconds: int
):
    with mlflow.hub(tmp_path, *options(ledger_url, n_workers)) as server:
        with writers(tmp_path, server.url, seconds=seconds) as writing:
            writing.wait()
            wanted = expected(writing.answered())
        assert "Traceback" not in server.said()
        assert server.end() == 0

    found = Found(ledger_url)
    assert len(wanted["status"]) >= N_CLIENTS + N_SDK
    assert found.status == wanted["status"]
    assert set(found.metrics) == wanted["metrics"]
    assert set(found.metrics.values()) == {1}
    assert {one for one in found.params if one[0] in wanted["status"]} == wanted["params"]
    assert wanted["tags"] <= found.tags


@pytest.mark.parametrize("n_workers", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_what_was_answered_is_there_after_the_server_was_killed(
    ledger_url: str, tmp_path: Path, n_workers: int
):
    port = free_port()
    with writers(tmp_path, f"http://127.0.0.1:{port}", seconds=6, n_sdk=1) as writing:
        for _ in range(2):
            before = sum(1 for _ in writing.answered("client-*"))
            with mlflow.hub(tmp_path, *options(ledger_url, n_workers), port=port) as server:
                writing.wait_for_lines(before + 300)
                server.kill()
        with mlflow.hub(tmp_path, *options(ledger_url, n_workers), port=port) as server:
            writing.wait()
            assert "Traceback" not in server.said()
            wanted = expected(writing.answered())
            make.assay(tmp_path / "project-0", "runs", "sync")  # it ended while the hub was away
            found = Found(ledger_url)

    n_kills, n_writers = 2, N_CLIENTS + 1
    assert wanted["metrics"] <= set(found.metrics)
    assert set(found.metrics.values()) == {1}
    assert wanted["params"] <= found.params
    assert wanted["tags"] <= found.tags
    assert wanted["status"].items() <= found.status.items()
    # a run may have begun whose answer nobody heard
    assert len(found.status) - len(wanted["status"]) <= n_kills * n_writers

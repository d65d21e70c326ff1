"""The loop replaces a model under real servers: killed, frozen, away, and asked meanwhile.

What training makes comes from the run cache, so that most of a retraining's time is that of its
deployment. The gate's margin is wide, so each retraining ends in one.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from assay.base.clock import now_ms
from assay.bundle.load import load
from assay.deploy import endpoints, servers
from assay.ledger import decisions, deployments, models
from assay.ledger.database import open_ledger
from assay.monitor import watch
from assay.project import workspace
from tests import make
from tests.kill import kill_repeatedly
from tests.loop.offers import DECLARED, FEATURES, Offers
from tests.serve.running import Served, serving

ROWS: list[dict[str, Any]] = [
    {"age": 0.1 * n, "visits": 1 - 0.2 * n, "discount": 0.3 * n - 1, "offer": f"new-{n}"}
    for n in range(10)
]
PERIOD = 0.02  # seconds between two requests


@pytest.fixture(scope="module")
def due(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which a retraining is due that will be deployed; its training is cached."""
    declared = DECLARED.replace("  hold_out: 14d", "  every: 28d\n  hold_out: 14d")
    parent = tmp_path_factory.mktemp("served")
    world = Offers(
        parent / "due", seed=5, declared=declared.replace("max_drop: 0.01", "max_drop: 0.5")
    )
    world.days(29)  # the day after the 28th closes its window
    watch.watch(world.project, world.ledger, now_ms=now_ms(), endpoint="offers")
    world.ledger.close()
    done = copied(world.root, parent / "done")
    assert "deployed: offers/2" in make.done(done, "loop", "--once")
    shutil.copytree(done / ".dvc/cache", world.root / ".dvc/cache", dirs_exist_ok=True)
    shutil.rmtree(done)
    return world.root


def copied(template: Path, target: Path) -> Path:
    return Path(shutil.copytree(template, target, symlinks=True))


def whole(project: Path) -> str:
    """Expect one retraining that was deployed once, and return the version that answers."""
    with open_ledger(project / ".assay/ledger.db") as ledger:
        (decision,) = decisions.list_decisions(ledger, "offers")
        assert (decision.state, decision.outcome) == ("finished", "deployed"), decision
        newest, oldest = deployments.list_deployments(ledger, "offers")
        live = endpoints.live(ledger, "offers")
        alias = models.get_model(ledger, "offers").aliases["production"]
    assert (newest.details or {})["decision"] == decision.id
    assert (decision.deployment, decision.version) == (newest.id, "offers/2")
    assert newest.end is None
    assert oldest.end == newest.start
    assert live is not None
    assert (live.deployment, live.bundle, alias) == (newest.id, decision.candidate, 2)
    return live.name


def numbers(project: Path, version: str) -> list[list[float]]:
    """Return what a version's own bundle answers to the rows."""
    found = workspace.find(project)
    with open_ledger(found.ledger_path) as ledger:
        bundle = models.get_version(ledger, version).bundle
    columns = {name: [row[name] for row in ROWS] for name in FEATURES}
    probabilities: list[list[float]] = (
        load(bundle or "", project=found).answers(columns)["predict_proba"].tolist()
    )
    return probabilities


def expect(project: Path, version: str) -> None:
    """Expect that a server that is started now answers with a version."""
    with serving(project, endpoint="offers") as served:
        found = served.predict(ROWS).json
    assert f"{found['model_name']}/{found['model_version']}" == version
    assert found["probabilities"] == numbers(project, version)


def loop_once(project: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        make.command("loop", "--once"), cwd=project, capture_output=True, text=True, check=False
    )


def conduct(project: Path) -> subprocess.CompletedProcess[str]:
    """Run the loop once a server is ready, and end that server after it, if it still lives."""
    until = time.monotonic() + 60
    while not any(one.state == "ready" for one in living(project)):
        assert time.monotonic() < until, "no server became ready"
        time.sleep(0.05)
    done = loop_once(project)
    for server in living(project):
        os.kill(server.pid, signal.SIGTERM)
    return done


def living(project: Path) -> list[servers.Server]:
    with open_ledger(project / ".assay/ledger.db") as ledger:
        return servers.alive(ledger, "offers", at=now_ms(), within_ms=60_000)


def is_retraining(project: Path) -> bool:
    """Say whether a retraining has begun and not ended; it is asked all the time."""
    query = "SELECT count(*) FROM decision WHERE state = 'started'"
    with contextlib.closing(sqlite3.connect(project / ".assay/ledger.db")) as connection:
        return bool(connection.execute(query).fetchone()[0])


def kill_server(template: Path, tmp_path: Path, n: int) -> None:
    """Kill the server at moments drawn over a retraining; the loop goes on all the same."""
    number = count()
    loops: dict[Path, Future[subprocess.CompletedProcess[str]]] = {}

    def fresh() -> Path:
        project = copied(template, tmp_path / f"killed-{next(number)}" / "project")
        loops[project] = pool.submit(conduct, project)
        return project

    def check(project: Path) -> None:
        done = loops.pop(project).result()
        assert done.returncode == 0, done.stderr
        expect(project, whole(project))
        shutil.rmtree(project.parent)

    with ThreadPoolExecutor() as pool:
        kill_repeatedly(
            make.command("serve", "offers", "--port", "0"),
            fresh=fresh, inside=is_retraining, check=check, count=n, seed=11,
        )  # fmt: skip


def test_a_server_that_is_killed_leaves_one_whole_deployment(due: Path, tmp_path: Path):
    kill_server(due, tmp_path, 5)


@pytest.mark.slow
def test_a_server_that_is_killed_fifty_times_leaves_one_whole_deployment(
    due: Path, tmp_path: Path
):
    kill_server(due, tmp_path, 50)


def test_without_a_server_the_loop_deploys_and_the_next_one_answers_with_it(
    due: Path, tmp_path: Path
):
    project = copied(due, tmp_path / "project")
    done = loop_once(project)
    assert done.returncode == 0, done.stderr
    assert "'offers' goes to offers/2; no server answers for offers yet" in done.stdout
    expect(project, whole(project))


def test_a_server_that_is_frozen_does_not_hold_the_loop_and_follows_later(
    due: Path, tmp_path: Path
):
    project = copied(due, tmp_path / "project")
    with serving(project, endpoint="offers") as served:
        served.process.send_signal(signal.SIGSTOP)
        try:
            done = loop_once(project)
        finally:
            served.process.send_signal(signal.SIGCONT)
        assert done.returncode == 0, done.stderr
        version = whole(project)
        until = time.monotonic() + 30
        while served.predict(ROWS).json["model_version"] != "2":
            assert time.monotonic() < until, served.log.read_text()
            time.sleep(0.05)
        assert served.predict(ROWS).json["probabilities"] == numbers(project, version)


def answers_with(project: Path, version: str) -> float:
    """Run the loop, and return when it said that its server answers with a version."""
    said = 0.0
    with subprocess.Popen(
        make.command("loop", "--once"), cwd=project, stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout or ():
            if f"'offers' answers with {version} on 1 server" in line:
                said = time.monotonic()
    assert process.returncode == 0
    assert said
    return said


class Reply(NamedTuple):
    """An answer of a server; `sent` is when it was asked for, by the monotonic clock."""

    sent: float
    status: int
    version: str
    numbers: list[list[float]]


@contextlib.contextmanager
def asking(served: Served, replies: list[Reply]) -> Iterator[None]:
    """Ask a server at a steady pace, whether or not it has answered what came before."""
    stop = threading.Event()

    def ask() -> Reply:
        sent = time.monotonic()
        answered = served.predict(ROWS)
        found = answered.json
        return Reply(sent, answered.status, found.get("model_version", ""),
                     found.get("probabilities", []))  # fmt: skip

    def pace() -> None:
        at = time.monotonic()
        while not stop.is_set():
            waiting.append(pool.submit(ask))
            at = max(at + PERIOD, time.monotonic())  # on a busy machine fewer, never a burst
            stop.wait(at - time.monotonic())

    waiting: list[Future[Reply]] = []
    with ThreadPoolExecutor(8) as pool:
        thread = threading.Thread(target=pace)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
        replies += [future.result() for future in waiting]  # one that got no answer raises


def test_no_request_is_lost_while_the_loop_deploys(due: Path, tmp_path: Path):
    project = copied(due, tmp_path / "project")
    replies: list[Reply] = []
    with serving(project, endpoint="offers") as served:
        with asking(served, replies):
            said = answers_with(project, "offers/2")
            time.sleep(0.5)
        assert served.end() == 0
    assert whole(project) == "offers/2"
    assert len(replies) > 50
    assert {reply.status for reply in replies} == {200}
    versions = {reply.version for reply in replies}
    assert versions == {"1", "2"}
    expected = {version: numbers(project, f"offers/{version}") for version in versions}
    assert expected["1"] != expected["2"]
    assert all(reply.numbers == expected[reply.version] for reply in replies)
    assert {reply.version for reply in replies if reply.sent > said} == {"2"}
    logged = json.loads(make.done(project, "monitor", "offers", "--json"))
    assert logged["watched"]["n_untimed"] == len(replies) * len(ROWS)  # each one is in the log

"""What follows the deployments goes on whatever happens to the ledger or takes long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from assay.bundle.load import Bundle
from assay.deploy import servers
from assay.deploy.deploy import NotReady
from assay.ledger import deployments
from assay.serve.limits import Refused
from assay.serve.versions import Versions
from tests.serve import running


def until(true: Callable[[], object], *, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_server_that_loads_for_long_still_counts_as_alive_and_is_waited_for(tmp_path: Path):
    models = running.project(tmp_path, 0.0, 1000.0)
    may_go_on = threading.Event()

    def load(id_: str) -> Bundle:
        if id_ == models.bundles[2].id:
            assert may_go_on.wait(60)
        return next(one for one in models.bundles.values() if one.id == id_)

    with models.ledger() as ledger:
        versions = Versions(ledger, running.ENDPOINT, url="http://here", load=load)
        versions.start()
        until(lambda: versions.now)
        done: list[object] = []
        thread = threading.Thread(target=lambda: done.append(models.deploy(2)))
        thread.start()
        until(lambda: versions.state == "loading")
        time.sleep(2.5)
        (server,) = servers.alive(
            ledger, running.ENDPOINT, at=time.time_ns() // 1_000_000, within_ms=2_000
        )
        assert (server.state, server.wanted is None, done) == ("loading", False, [])
        assert server.cpu_seconds
        assert server.memory
        assert versions.ready().version == "1"
        may_go_on.set()
        thread.join(60)
        assert versions.ready().version == "2"
        assert len(done) == 1
        versions.stop()
        assert servers.alive(ledger, running.ENDPOINT, at=0) == []


def test_a_server_that_cannot_load_makes_the_deploy_go_back(tmp_path: Path):
    models = running.project(tmp_path, 0.0, 1000.0)

    def load(id_: str) -> Bundle:
        if id_ == models.bundles[2].id:
            raise MemoryError("no room for it")
        return models.bundles[1]

    with models.ledger() as ledger:
        versions = Versions(ledger, running.ENDPOINT, url="http://here", load=load)
        with pytest.raises(Refused, match="no version is ready"):
            versions.ready()
        versions.start()
        until(lambda: versions.now)
        with pytest.raises(NotReady, match="no room for it"):
            models.deploy(2)
        until(lambda: versions.state == "ready")
        assert (versions.ready().version, versions.problem) == ("1", None)
        newest = deployments.list_deployments(ledger, running.ENDPOINT, live=True)
        assert [one.version for one in newest] == [1]
        versions.stop()


def test_a_ledger_that_is_away_stops_nothing(tmp_path: Path):
    models = running.project(tmp_path, 0.0, 1000.0)
    path, away = models.project.ledger_path, tmp_path / "away.db"
    with models.ledger() as ledger:
        versions = Versions(
            ledger, running.ENDPOINT, url="http://here",
            load=lambda id_: next(b for b in models.bundles.values() if b.id == id_),
        )  # fmt: skip
        versions.start()
        until(lambda: versions.now)
        ledger.engine.dispose()
        path.rename(away)
        path.mkdir()
        ledger.engine.dispose()
        until(lambda: versions.ledger_problem)
        assert versions.ready().version == "1"
        path.rmdir()
        away.rename(path)
        until(lambda: versions.ledger_problem is None)
        models.deploy(2)
        assert versions.ready().version == "2"
        versions.stop()

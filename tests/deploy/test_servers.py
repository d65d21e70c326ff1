"""Servers say that they live, and what they answer with; the dead are not waited for."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from assay.base.clock import now_ms
from assay.base.errors import NotFound
from assay.deploy import servers
from assay.ledger.database import Ledger
from tests.deploy import fake


def test_a_server_is_alive_from_its_start_to_its_end(ledger: Ledger):
    one = servers.enter(ledger, "scores", url="http://a", at=1_000)
    (found,) = servers.alive(ledger, "scores", at=1_000)
    assert (found.id, found.url, found.state, found.started) == (one, "http://a", "starting", 1000)
    assert found.deployment is found.wanted is found.problem is None
    servers.beat(
        ledger, one, deployment="d1", wanted="d2", state="failed", problem="why", at=7_000
    )  # fmt: skip
    (found,) = servers.alive(ledger, "scores", at=12_000)
    assert (found.deployment, found.wanted, found.problem) == ("d1", "d2", "why")
    assert (found.state, found.seen, found.started) == ("failed", 7_000, 1_000)
    assert servers.alive(ledger, "other", at=7_000) == []
    for _ in range(2):
        servers.leave(ledger, one)
    assert servers.alive(ledger, "scores", at=7_000) == []


def test_a_server_says_with_each_beat_what_it_uses_by_then(ledger: Ledger):
    one = servers.enter(ledger, "scores", url="http://a", at=1)
    (found,) = servers.alive(ledger, "scores", at=1)
    assert found.cpu_seconds is found.memory is None
    used, held = [0.0], bytearray()
    for at in (2, 3):
        sum(range(200_000))
        held += bytes(50_000_000)
        servers.beat(
            ledger, one, deployment=None, wanted=None, state="ready", problem=None, at=at
        )  # fmt: skip
        (found,) = servers.alive(ledger, "scores", at=at)
        assert found.cpu_seconds is not None
        assert found.memory is not None
        assert found.memory > len(held) / 2
        used.append(found.cpu_seconds)
    assert used[0] < used[1] < used[2]


def test_a_server_that_was_not_seen_lately_does_not_count(ledger: Ledger):
    servers.enter(ledger, "scores", url="http://a", at=1_000)
    assert len(servers.alive(ledger, "scores", at=6_000)) == 1
    assert servers.alive(ledger, "scores", at=6_001) == []
    assert len(servers.alive(ledger, "scores", at=6_001, within_ms=9_000)) == 1


def test_a_server_whose_row_is_gone_is_told_so(ledger: Ledger):
    with pytest.raises(NotFound, match="no server 'x'"):
        servers.beat(ledger, "x", deployment=None, wanted=None, state="ready", problem=None, at=1)


def test_a_killed_server_is_not_alive_and_the_next_one_takes_its_row_away(
    ledger: Ledger, ledger_path: Path | str
):
    with fake.process(ledger_path, hangs=0) as started:
        assert len(fake.seen(ledger, "scores")) == 1
        started.send_signal(signal.SIGKILL)
        started.wait()
    assert servers.alive(ledger, "scores", at=now_ms(), within_ms=10**9) == []
    with ledger.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM server").scalar() == 1
    servers.enter(ledger, "scores", url="http://b", at=now_ms())
    with ledger.read() as connection:
        urls = connection.exec_driver_sql("SELECT url FROM server").scalars().all()
    assert urls == ["http://b"]

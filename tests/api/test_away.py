"""A database that is away, or held by another process, is a 503 until it is back."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from assay.api import app as apps
from assay.api.hub import Hub
from assay.ledger.committer import Away
from assay.ledger.database import Ledger, open_ledger
from assay.objects.cache import Cache
from tests import databases
from tests.api.test_app import ask

CREATE = "/api/2.0/mlflow/runs/create"
FIND = "/api/2.0/mlflow/experiments/get"
DEFAULT = b'{"experiment_id": "0"}'
AWAY = {"error_code": "TEMPORARILY_UNAVAILABLE", "message": "the ledger cannot be reached now"}


@pytest.fixture(scope="module")
def server() -> Iterator[databases.Postgres]:
    """A server that may be stopped: nobody else uses it."""
    with databases.running() as running:
        yield running


def opened(ledger: Ledger, folder: Path) -> Hub:
    hub = Hub(ledger, Cache(folder / "objects", algorithm="sha256"))
    hub.committer.patience = 0.2
    return hub


def read(hub: Hub) -> tuple[int, object]:
    return ask(apps.app(hub), "GET", FIND, DEFAULT, headers={"content-length": "22"})


def test_a_database_that_stops_is_a_503_that_does_not_tell_where_it_is(
    server: databases.Postgres, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    url = server.database()
    with opened(open_ledger(url), tmp_path) as hub:
        assert read(hub)[0] == 200
        with server.stopped():
            for _ in range(2):  # the connections that were open, and new ones
                assert read(hub) == (503, AWAY)
            assert ask(apps.app(hub), "POST", CREATE, DEFAULT) == (503, AWAY)
        assert f"port {server.port} failed: Connection refused" in caplog.text
        assert read(hub)[0] == 200
        assert ask(apps.app(hub), "POST", CREATE, DEFAULT)[0] == 200


def test_a_person_is_told_where_it_is_and_what_to_check(server: databases.Postgres):
    url = server.database()
    with (
        open_ledger(url) as ledger,
        server.stopped(),
        pytest.raises(Away) as caught,
        ledger.read(),
    ):
        pass
    assert "the ledger says: connection failed" in caught.value.what
    assert f"port {server.port} failed" in caught.value.what
    assert caught.value.hint == "check the host and the port in the ledger's URL"


def test_a_file_that_another_process_holds_is_a_503_for_readers_and_writers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    path = tmp_path / "ledger.db"
    with opened(open_ledger(path), tmp_path) as hub:

        @event.listens_for(hub.ledger.engine, "connect", insert=True)
        def be_impatient(connection: Any, _: object) -> None:
            connection.execute("PRAGMA busy_timeout = 50")

        hub.ledger.engine.dispose()
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("PRAGMA locking_mode = exclusive")
            other.execute("BEGIN EXCLUSIVE")
            assert read(hub) == (503, AWAY)
            assert ask(apps.app(hub), "POST", CREATE, DEFAULT) == (503, AWAY)
        assert "database is locked" in caplog.text
        assert read(hub)[0] == 200
        assert ask(apps.app(hub), "POST", CREATE, DEFAULT)[0] == 200

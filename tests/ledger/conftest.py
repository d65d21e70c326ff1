from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.ledger.database import Ledger, open_ledger
from assay.ledger.writer import Writer
from tests import databases


@pytest.fixture
def ledger(ledger_where: Path | str) -> Iterator[Ledger]:
    """An open ledger, once as a file and once in PostgreSQL."""
    with open_ledger(ledger_where) as opened:
        yield opened


@pytest.fixture(scope="module")
def database_of_module(
    postgres: databases.Postgres,
) -> Iterator[tuple[databases.Postgres, str]]:
    """A server, and a database that the tests of a module have one after the other."""
    url = postgres.database()
    yield postgres, url
    postgres.drop(url)


@pytest.fixture(params=databases.KINDS)
def recorded(
    request: pytest.FixtureRequest, project: object, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str | None]:
    """Where scripts record: the file of their project (None), or the URL of an empty ledger."""
    if request.param == "sqlite":
        yield None
        return
    server, url = request.getfixturevalue("database_of_module")
    monkeypatch.setenv("ASSAY_LEDGER", url)
    yield url
    server.clear(url)


@pytest.fixture
def writer(ledger: Ledger) -> Writer:
    return Writer(ledger)


@pytest.fixture
def run(writer: Writer) -> str:
    return writer.start_run(name="train", kind="script", at=1_000)

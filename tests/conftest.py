"""What every test can rely on: an identity for git, and nothing of this machine's settings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from assay.ledger.sdk import seeds
from tests import browser as browsers
from tests import databases, make
from tests.objects.remotes import servers

# CI asks the same examples every time: a new one must not fail somebody else's change
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


_LONGEST = ("tests/loop/", "tests/test_docs.py", "tests/journeys/", "tests/peers/", "tests/serve/")
"""Begun first, so that no process is left with a long file when the others have none."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest files begin, each whole: they are dealt out to processes by file."""

    def place(item: pytest.Item) -> int:
        found = (at for at, start in enumerate(_LONGEST) if item.nodeid.startswith(start))
        return next(found, len(_LONGEST))

    items.sort(key=place)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name packed bytes by their argument: they can hold the second they were packed in,
    and processes that collect one test under two names run nothing."""
    if isinstance(val, bytes) and not val.isascii():
        return argname
    return None


@pytest.fixture(scope="session", autouse=True)
def _clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith(("ASSAY_", "DVC_", "GIT_"))]:
            patch.delenv(name)
        for name, value in make.environment(home).items():
            patch.setenv(name, value)
        yield


@pytest.fixture(autouse=True)
def _no_seeds_of_another_test() -> Iterator[None]:
    yield
    seeds._heard.clear()
    seeds._listeners.clear()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty project in a git repository of its own."""
    return make.project(tmp_path / "project")


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """A service that speaks S3."""
    with servers.moto() as url:
        yield url


@pytest.fixture(scope="module")
def azurite() -> Iterator[str]:
    """A service that speaks Azure's Blob Storage."""
    with servers.azurite() as url:
        yield url


@pytest.fixture(scope="session")
def postgres() -> Iterator[databases.Postgres]:
    """A PostgreSQL of the tests' own."""
    with databases.running() as server:
        yield server


@pytest.fixture(params=databases.KINDS)
def ledger_where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path | str]:
    """Where a new ledger may be opened: a file that is not there yet, and a database."""
    if request.param == "sqlite":
        yield tmp_path / "ledger.db"
        return
    server: databases.Postgres = request.getfixturevalue("postgres")
    url = server.database()
    yield url
    server.drop(url)


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """A headless Chromium."""
    with browsers.opened() as found:
        yield found

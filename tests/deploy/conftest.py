from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.bundle import contents
from assay.bundle.contents import Contents
from assay.ledger import models
from assay.ledger.database import Ledger, open_ledger
from assay.objects.cache import Cache
from tests.bundle import trained


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Contents]:
    """Three bundles that differ in what their training was told."""
    folder = tmp_path_factory.mktemp("bundles")
    return [trained.bundle(folder / str(n), params={"n": n}).contents for n in range(3)]


@pytest.fixture
def ledger_path(ledger_where: Path | str) -> Path | str:
    """A file, and a database: endpoints and servers meet in either."""
    return ledger_where


@pytest.fixture
def ledger(ledger_path: Path | str) -> Iterator[Ledger]:
    with open_ledger(ledger_path) as opened:
        yield opened


@pytest.fixture
def objects(tmp_path: Path, ledger: Ledger, bundles: list[Contents]) -> Cache:
    """The store with the bundles, which are the versions 1 to 3 of the model 'bikes'."""
    cache = Cache(tmp_path / "sha256", algorithm="sha256")
    for one in bundles:
        contents.keep(one, cache)
        models.register(ledger, "bikes", bundle=one.id)
    return cache

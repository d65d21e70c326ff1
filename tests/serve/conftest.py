"""One running server for all tests of a file that only ask."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.serve import running
from tests.serve.running import Models, Served


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return running.project(tmp_path_factory.mktemp("serve"), 0.0)


@pytest.fixture(scope="module")
def served(models: Models) -> Iterator[Served]:
    with running.serving(models.root) as found:
        yield found
        assert found.lives()  # whatever the tests sent

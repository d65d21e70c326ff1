"""One hub a module: a real process on a port of its own, on a file and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import databases, mlflow


@pytest.fixture(scope="module", params=databases.KINDS)
def hub(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[mlflow.Server]:
    """An empty `assay hub`."""
    with mlflow.hub_of_kind(request, tmp_path_factory.mktemp("hub")) as server:
        yield server

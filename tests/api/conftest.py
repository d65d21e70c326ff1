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
    folder = tmp_path_factory.mktemp("hub")
    if request.param == "sqlite":
        with mlflow.hub(folder) as server:
            yield server
        return
    postgres: databases.Postgres = request.getfixturevalue("postgres")
    url = postgres.database()
    with mlflow.hub(folder, "--ledger", url) as server:
        yield server
    postgres.drop(url)

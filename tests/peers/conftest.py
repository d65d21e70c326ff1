"""One server and one client a module: importing MLflow takes seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import mlflow


@pytest.fixture(
    scope="module",
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)],
)
def hub(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[mlflow.Server]:
    """An empty `assay hub`, on a file; at full count also on PostgreSQL."""
    with mlflow.hub_of_kind(request, tmp_path_factory.mktemp("hub")) as server:
        yield server


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mlflow.Server]:
    """An empty `mlflow server`."""
    with mlflow.mlflow_server(tmp_path_factory.mktemp("theirs")) as server:
        yield server


@pytest.fixture(scope="module")
def client(hub: mlflow.Server) -> Iterator[mlflow.Session]:
    """The real client, at our hub."""
    with mlflow.session(hub.url) as session:
        yield session


@pytest.fixture(scope="module")
def skinny(hub: mlflow.Server) -> Iterator[mlflow.Session]:
    """The real client of mlflow-skinny, at our hub."""
    with mlflow.session(hub.url, peer="mlflow-skinny") as session:
        yield session


@pytest.fixture(scope="module")
def client_of_theirs(theirs: mlflow.Server) -> Iterator[mlflow.Session]:
    """The real client, at MLflow's own server."""
    with mlflow.session(theirs.url) as session:
        yield session

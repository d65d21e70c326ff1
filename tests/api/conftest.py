"""One hub a module: a real process on a port of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import mlflow


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mlflow.Server]:
    """An empty `assay hub`."""
    with mlflow.hub(tmp_path_factory.mktemp("hub")) as server:
        yield server

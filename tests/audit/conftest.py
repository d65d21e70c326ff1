"""The project that went the whole way, made once and copied for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.audit import built


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built.build(tmp_path_factory.mktemp("built"))


@pytest.fixture
def root(template: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    copy = tmp_path / "project"
    shutil.copytree(template, copy, symlinks=True)
    return copy

"""What every test can rely on: an identity for git, and nothing of this machine's settings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests import browser as browsers
from tests import make

# CI asks the same examples every time: a new one must not fail somebody else's change
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


@pytest.fixture(scope="session", autouse=True)
def _clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith(("ASSAY_", "DVC_", "GIT_"))]:
            patch.delenv(name)
        for name, value in make.environment(home).items():
            patch.setenv(name, value)
        yield


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty project in a git repository of its own."""
    return make.project(tmp_path / "project")


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """A headless Chromium."""
    with browsers.opened() as found:
        yield found

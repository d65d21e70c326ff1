"""What two tools leave in a repository, to be compared: status, locks, objects, run cache."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests import make
from tests.stages import dvc


def pair(folder: Path, files: Mapping[str, str], tracked: tuple[str, ...]) -> tuple[Path, Path]:
    """Make one project twice: the first is for us, the second for DVC."""
    ours = make.write(make.project(folder / "ours"), files)
    for path in tracked:
        make.done(ours, "add", path)
    make.commit(ours)
    theirs = folder / "theirs"
    shutil.copytree(ours, theirs, symlinks=True)
    return ours, theirs


def status(folder: Path, *targets: str) -> Any:
    return json.loads(make.done(folder, "status", "--json", *targets))


def their_status(folder: Path, *targets: str) -> Any:
    return json.loads(dvc(folder, "status", "--json", *targets))


def cache(folder: Path) -> dict[str, bytes]:
    """Return all objects and all entries of the run cache."""
    top = folder / ".dvc" / "cache"
    return {str(p.relative_to(top)): p.read_bytes() for p in top.rglob("*") if p.is_file()}


def lock(folder: Path) -> str:
    return (folder / "dvc.lock").read_text()


def assert_alike(ours: Path, theirs: Path) -> None:
    """Compare what both made of the same project, and ask for the status of both."""
    for path in sorted(theirs.rglob("dvc.lock")):
        assert (ours / path.relative_to(theirs)).read_text() == path.read_text(), path.parent.name
    assert cache(ours) == cache(theirs)
    assert status(ours) == status(theirs)

"""Files that share their bytes with the cache become a person's own."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from assay.base.errors import NotFound
from assay.project.unprotecting import unprotect
from assay.project.workspace import Project
from tests import make, stages


@pytest.fixture(params=["hardlink", "symlink"])
def linked(project: Path, request: pytest.FixtureRequest) -> Path:
    make.done(project, "config", "cache.type", request.param)
    make.write(project, {"a": "1", "d/x": "22", "run": "#!/bin/sh\n"})
    (project / "run").chmod(0o755)
    make.done(project, "add", "--no-profile", "a", "d", "run")
    return project


def test_files_can_be_written_to_and_the_cache_keeps_its_bytes(linked: Path):
    assert unprotect(Project(linked), [linked / "a", linked / "d", linked / "run"]) == 3
    for name in ("a", "d/x", "run"):
        path = linked / name
        assert not path.is_symlink()
        assert path.stat().st_nlink == 1
        assert path.stat().st_mode & stat.S_IWUSR
        path.write_text("mine")
    assert (linked / "run").stat().st_mode & stat.S_IXUSR
    kept = stages.object_of(linked, "c4ca4238a0b923820dcc509a6f75849b")
    assert kept.read_text() == "1"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o444


def test_what_is_a_persons_already_is_left_alone(project: Path):
    make.write(project, {"a": "1", "target": "2"})
    (project / "link").symlink_to("target")
    assert unprotect(Project(project), [project / "a", project / "link"]) == 0
    assert (project / "link").is_symlink()


def test_unprotected_files_are_not_hashed_again(linked: Path):
    project = Project(linked)
    make.done(linked, "status")
    unprotect(project, [linked / "a"])
    status = (linked / "a").stat()
    assert project.index.get(str(linked / "a"), status) == "c4ca4238a0b923820dcc509a6f75849b"


def test_a_path_that_is_not_there_changes_nothing(linked: Path):
    before = make.state(linked)
    with pytest.raises(NotFound, match="no such file"):
        unprotect(Project(linked), [linked / "a", linked / "nope"])
    assert make.state(linked) == before


def test_the_mode_is_the_umasks(linked: Path):
    before = os.umask(0o027)
    try:
        unprotect(Project(linked), [linked / "a"])
    finally:
        os.umask(before)
    assert stat.S_IMODE((linked / "a").stat().st_mode) == 0o640

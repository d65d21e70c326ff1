"""Data under version control: what is recorded can be had again."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests import make

LINKS = ["copy", "hardlink", "symlink", "reflink,copy"]


@pytest.mark.parametrize("link", LINKS)
def test_an_old_version_comes_back_whatever_the_link_type(project: Path, link: str):
    make.done(project, "config", "cache.type", link)
    make.write(project, {"d/a": "1", "d/s/b": "2", "f": "1"})
    make.done(project, "add", "d", "f")
    first = make.commit(project)
    for name, text in {"d/a": "9", "f": "2", "d/new": "3"}.items():
        (project / name).unlink(missing_ok=True)  # a link is replaced, not written through
        make.write(project, {name: text})
    make.done(project, "add", "d", "f")
    make.commit(project)
    make.git(project, "checkout", "-q", first)
    assert make.done(project, "checkout") == "M\td/\nM\tf\n"
    files = {p.relative_to(project).as_posix(): p.read_text() for p in (project / "d").rglob("?")
             if p.is_file()}  # fmt: skip
    assert files == {"d/a": "1", "d/s/b": "2"}
    assert (project / "f").read_text() == "1"
    assert make.done(project, "checkout") == ""
    assert "No changes." in make.done(project, "data", "status")


@pytest.mark.parametrize("link", LINKS)
def test_adding_again_changes_nothing(project: Path, link: str):
    make.done(project, "config", "cache.type", link)
    make.write(project, {"d/a": "1", "f": "1"})
    make.done(project, "add", "d", "f")
    before = make.snapshot(project)
    assert make.done(project, "add", "d", "f").count("(unchanged)") == 2
    assert make.snapshot(project) == before


def test_a_path_inside_a_tracked_folder_records_the_folder(project: Path):
    make.write(project, {"d/a": "1"})
    make.done(project, "add", "d")
    make.write(project, {"d/b": "2"})
    make.done(project, "add", "d/b")
    assert "nfiles: 2" in (project / "d.dvc").read_text()
    assert not (project / "d" / "b.dvc").exists()


def test_only_what_changed_is_committed(project: Path):
    make.write(project, {"a": "1", "b": "1"})
    make.done(project, "add", "a", "b")
    make.write(project, {"a": "2"})
    assert "md5:c81e728d" in make.done(project, "commit")
    assert "c81e728d" in (project / "a.dvc").read_text()
    assert make.done(project, "commit") == ""


@pytest.mark.parametrize("link", LINKS)
def test_an_executable_file_stays_one_and_comes_back_as_one(project: Path, link: str):
    make.done(project, "config", "cache.type", link)
    make.write(project, {"run.sh": "#!/bin/sh\n"})
    (project / "run.sh").chmod(0o755)
    make.done(project, "add", "run.sh")
    assert "isexec: true" in (project / "run.sh.dvc").read_text()
    assert os.access(project / "run.sh", os.X_OK)
    assert "(unchanged)" in make.done(project, "add", "run.sh")
    (project / "run.sh").unlink()
    assert make.done(project, "checkout") == "A\trun.sh\n"
    assert os.access(project / "run.sh", os.X_OK)
    assert make.done(project, "checkout") == ""


def test_a_link_to_a_file_is_recorded_as_its_content_and_stays(project: Path):
    make.write(project, {"f": "1"})
    (project / "link").symlink_to("f")
    make.done(project, "add", "link")
    assert (project / "link").is_symlink()
    assert "c4ca4238a0b923820dcc509a6f75849b" in (project / "link.dvc").read_text()


def test_the_git_add_hint_is_sorted_and_staging_can_be_automatic(project: Path):
    make.write(project, {"s/b": "1", "a b": "1"})
    shown = make.assay(project, "add", "s/b", "a b")
    assert shown.err.endswith("git add .gitignore 'a b.dvc' s/.gitignore s/b.dvc\n")
    make.done(project, "config", "core.autostage", "true")
    make.write(project, {"c": "1"})
    assert make.assay(project, "add", "c").err == ""
    assert "A  c.dvc" in make.git(project, "status", "--porcelain")


def hostile(project: Path, path: str) -> None:
    """Write a record as a repository of somebody else's may have it, its object in the cache."""
    make.write(project, {"x": "evil"})
    make.done(project, "add", "x")
    text = (project / "x.dvc").read_text()
    for name in ("x", "x.dvc"):
        (project / name).unlink()
    make.write(project, {"evil.dvc": text.replace("path: x", f"path: {path}")})


@pytest.mark.parametrize(
    "path",
    ["../x", "/tmp/assay-evil", ".", "''", ".git/hooks/post-checkout", ".dvc/config", "l/x"],
)
def test_a_record_cannot_write_outside_the_projects_data(project: Path, path: str):
    outside = project.parent / "outside"
    outside.mkdir()
    (project / "l").symlink_to(outside)
    hostile(project, path)
    before = make.snapshot(project.parent, without=(".assay",))
    shown = make.assay(project, "checkout", "--force")
    assert shown.code == 255
    assert "does not lie in the project's own folders" in shown.err
    assert shown.err.startswith("error: evil.dvc: ")
    assert "nothing was written" in shown.err
    assert make.snapshot(project.parent, without=(".assay",)) == before
    assert not Path("/tmp/assay-evil").exists()


def test_a_link_within_the_project_may_be_written_through(project: Path):
    (project / "real").mkdir()
    (project / "l").symlink_to("real")
    hostile(project, "l/x")
    make.done(project, "checkout")
    assert (project / "real" / "x").read_text() == "evil"


def test_deleted_data_is_seen_and_brought_back(project: Path):
    make.write(project, {"d/a": "1", "f": "1"})
    make.done(project, "add", "d", "f")
    shutil.rmtree(project / "d")
    (project / "f").unlink()
    assert make.done(project, "data", "status").count("deleted: ") == 2
    assert make.done(project, "checkout", "f") == "A\tf\n"
    assert make.done(project, "checkout") == "A\td/\n"

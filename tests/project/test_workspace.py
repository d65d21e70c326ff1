"""Where a project is, what is in it, and what is not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from assay.base.errors import Error, NotFound, Usage
from assay.project import workspace
from assay.project.workspace import Project
from tests import make


def test_a_project_is_found_from_any_folder_below_it(project: Path):
    make.write(project, {"a/b/c": ""})
    assert workspace.find(project / "a" / "b").root == project
    (project.parent / "link").symlink_to(project / "a")
    assert workspace.find(project.parent / "link").root == project


def test_outside_a_project_the_way_to_one_is_told(tmp_path: Path):
    with pytest.raises(NotFound, match=r"no '\.dvc' here or above") as caught:
        workspace.find(tmp_path)
    assert "assay init" in (caught.value.hint or "")


def test_a_project_is_made_once(project: Path):
    before = make.snapshot(project)
    with pytest.raises(Error, match="a project here already"):
        workspace.init(project)
    assert make.snapshot(project) == before
    (project / ".dvcignore").unlink()
    make.write(project, {".dvc/config": "[core]\n    autostage = true\n"})
    workspace.init(project, force=True)
    assert (project / ".dvcignore").exists()
    assert "autostage" in (project / ".dvc" / "config").read_text()  # what is there stays


def test_a_project_needs_the_root_of_a_git_repository(tmp_path: Path):
    with pytest.raises(Error, match="not a git repository") as caught:
        workspace.init(tmp_path)
    assert "git init" in (caught.value.hint or "")
    inner = make.repository(tmp_path / "repo") / "inner"
    inner.mkdir()
    with pytest.raises(Error, match="not the root") as caught:
        workspace.init(inner)
    assert str(tmp_path / "repo") in (caught.value.hint or "")
    assert not (inner / ".dvc").exists()


def test_git_gets_the_projects_files_and_none_of_our_own(project: Path):
    make.done(project, "remote", "add", "-d", "st", "../store")
    make.write(project, {"a.txt": "1"})
    make.done(project, "add", "a.txt")
    listed = make.git(project, "status", "--porcelain", "-uall").split("\n")
    names = {line[3:] for line in listed if line}
    assert names == {".dvc/.gitignore", ".dvc/config", ".dvcignore", ".gitignore", "a.txt.dvc"}


@pytest.mark.parametrize("path", ["..", "../x", "/etc/passwd", "a/../../x"])
def test_a_path_outside_the_project_is_refused(project: Path, path: str):
    with pytest.raises(Usage, match="outside the project") as caught:
        Project(project).resolve(path, cwd=project)
    assert caught.value.where == path
    assert str(project) in (caught.value.hint or "")


def test_a_path_through_a_link_is_refused_and_a_link_itself_is_not(project: Path, tmp_path: Path):
    (project / "link").symlink_to(tmp_path)
    with pytest.raises(Usage, match="goes through the link 'link'") as caught:
        Project(project).resolve("link/x", cwd=project)
    assert caught.value.hint
    assert Project(project).resolve("link", cwd=project) == project / "link"


def test_a_path_is_the_same_however_it_is_written(project: Path, tmp_path: Path):
    make.write(project, {"s/a": ""})
    (tmp_path / "alias").symlink_to(project)
    found = Project(project)
    for cwd, path in (
        (project, "s/a"),
        (project / "s", "a"),
        (project / "s", "../s/./a"),
        (tmp_path, str(project / "s" / "a")),
        (tmp_path, "alias/s/a"),
    ):
        assert found.resolve(path, cwd=cwd) == project / "s" / "a"
    assert found.relative(project / "s" / "a") == "s/a"
    assert found.shown(project / "a", cwd=project / "s") == "../a"


def test_a_linked_work_tree_shares_the_clones_cache_and_settings(project: Path, tmp_path: Path):
    make.write(project, {"a.txt": "1"})
    make.done(project, "add", "a.txt")
    make.commit(project)
    make.done(project, "remote", "add", "--local", "-d", "st", str(tmp_path / "store"))
    make.git(project, "worktree", "add", "-q", "--detach", str(tmp_path / "tree"))
    linked = workspace.find(tmp_path / "tree")
    assert (linked.root, linked.home) == (tmp_path / "tree", project)
    assert linked.cache.folder == project / ".dvc" / "cache" / "files" / "md5"
    assert linked.config.remote().name == "st"
    make.done(tmp_path / "tree", "checkout")
    assert (tmp_path / "tree" / "a.txt").read_text() == "1"
    assert not (tmp_path / "tree" / ".assay").exists()


def test_the_cache_lies_where_the_configuration_says(project: Path, tmp_path: Path):
    make.done(project, "config", "cache.dir", str(tmp_path / "cache"))
    make.write(project, {"a.txt": "1"})
    make.done(project, "add", "a.txt")
    assert (tmp_path / "cache" / "files" / "md5" / "c4").is_dir()
    make.write(project, {".dvc/config": "[cache]\n    dir = ../../other\n"})
    assert Project(project).cache.folder == tmp_path / "other" / "files" / "md5"


def test_a_project_that_moved_works_where_it_is_now(project: Path, tmp_path: Path):
    make.write(project, {"d/a": "1"})
    make.done(project, "add", "d")
    make.commit(project)
    moved = tmp_path / "moved"
    project.rename(moved)
    assert "No changes." in make.done(moved, "data", "status")
    shutil.rmtree(moved / "d")
    assert make.done(moved, "checkout") == "A\td/\n"


def test_a_folder_with_an_odd_name_is_a_project_too(tmp_path: Path):
    for name in ("with space", "ünï", "a'b\"c", "[x]*"):
        folder = make.project(tmp_path / name)
        make.write(folder, {"d/a": "1"})
        make.done(folder, "add", "d")
        (folder / "d" / "a").unlink()
        make.done(folder, "checkout")
        assert (folder / "d" / "a").read_text() == "1"

"""Git calls Assay at the right moments, and a person's own hooks are never touched."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from assay.base.errors import Error, Negative
from assay.project import hooks
from assay.project.workspace import Project
from tests import make


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (folder / ".git" / "hooks").iterdir()}


def test_hooks_can_be_run_and_twice_is_as_good_as_once(project: Path):
    assert len(hooks.install(Project(project)).files) == 3
    for name in hooks.HOOKS:
        path = project / ".git" / "hooks" / name
        assert path.stat().st_mode & 0o111 == 0o111
        assert f"assay git-hook {name}" in path.read_text()
    again = hooks.install(Project(project))
    assert (again.files, again.driver) == ([], False)


@pytest.mark.parametrize("name", hooks.HOOKS)
def test_a_persons_hook_is_left_and_nothing_else_is_written(project: Path, name: str):
    make.write(project, {f".git/hooks/{name}": "#!/bin/sh\necho mine\n"})
    before = contents(project), make.git(project, "config", "--list")
    with pytest.raises(Negative, match="left as it is") as caught:
        hooks.install(Project(project))
    assert f"assay git-hook {name}" in (caught.value.hint or "")
    assert (contents(project), make.git(project, "config", "--list")) == before


def test_a_merge_driver_of_somebody_else_is_left(project: Path):
    make.git(project, "config", "merge.dvc.driver", "dvc git-hook merge-driver")
    before = contents(project)
    with pytest.raises(Negative, match="another merge driver"):
        hooks.install(Project(project))
    assert contents(project) == before


def test_hooks_go_where_git_looks_for_them(project: Path):
    make.git(project, "config", "core.hooksPath", "my-hooks")
    hooks.install(Project(project))
    assert sorted(p.name for p in (project / "my-hooks").iterdir()) == sorted(hooks.HOOKS)


def test_without_git_there_are_no_hooks(tmp_path: Path):
    make.done(tmp_path, "init", "--no-scm")
    with pytest.raises(Error, match="does without git"):
        hooks.install(Project(tmp_path))


def test_the_configuration_of_pre_commit_keeps_what_is_in_it(project: Path):
    text = "# ours\nrepos:\n- repo: local\n  hooks:\n  - id: mine # why\n    entry: x\n"
    make.write(project, {".pre-commit-config.yaml": text})
    hooks.install_for_tool(Project(project))
    after = (project / ".pre-commit-config.yaml").read_text()
    assert after.startswith(text)
    assert after.count("entry: assay git-hook") == 3
    hooks.install_for_tool(Project(project))
    assert (project / ".pre-commit-config.yaml").read_text() == after


def test_a_configuration_that_is_none_is_named(project: Path):
    make.write(project, {".pre-commit-config.yaml": "- just a list\n"})
    with pytest.raises(Error, match="no list 'repos'"):
        hooks.install_for_tool(Project(project))


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", *arguments], cwd=folder, check=False, capture_output=True, text=True
    )


def test_git_brings_data_along_shows_changes_and_pushes(project: Path, tmp_path: Path):
    make.write(project, {"a": "1"})
    make.done(project, "add", "--no-profile", "a")
    make.commit(project)
    make.done(project, "install")
    assert run(project, "checkout", "-q", "-b", "side").returncode == 0
    make.write(project, {"a": "2"})
    shown = run(project, "commit", "--allow-empty", "-m", "unrecorded")
    assert shown.returncode == 0
    assert "modified" in shown.stdout + shown.stderr
    make.done(project, "add", "--no-profile", "a")
    make.commit(project)
    assert run(project, "checkout", "-q", "main").returncode == 0
    assert (project / "a").read_text() == "1"
    run(project, "checkout", "-q", "side")
    assert (project / "a").read_text() == "2"
    make.git(tmp_path, "init", "-q", "--bare", "team.git")
    make.git(project, "remote", "add", "origin", str(tmp_path / "team.git"))
    refused = run(project, "push", "-q", "origin", "main", "side")
    assert refused.returncode != 0
    assert "assay remote add" in refused.stderr
    make.done(project, "remote", "add", "-d", "st", str(tmp_path / "store"))
    assert run(project, "push", "-q", "origin", "main", "side").returncode == 0
    assert (tmp_path / "store" / "files" / "md5" / "c8").is_dir()


def test_in_another_repository_the_hooks_are_silent(project: Path, tmp_path: Path):
    make.done(project, "install")
    other = make.repository(tmp_path / "other")
    shutil.copytree(project / ".git" / "hooks", other / ".git" / "hooks", dirs_exist_ok=True)
    done = run(other, "commit", "--allow-empty", "-m", "x")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_conflict_is_left_to_a_person_with_the_next_step(project: Path):
    make.write(project, {"a": "1", ".gitattributes": "*.dvc merge=dvc\n"})
    make.done(project, "add", "--no-profile", "a")
    make.done(project, "install")
    make.commit(project)
    for branch, content in (("side", "2"), ("main", "3")):
        run(project, "checkout", "-q", *(["-b"] if branch == "side" else []), branch)
        make.write(project, {"a": content})
        make.done(project, "add", "--no-profile", "a")
        make.commit(project)
    merged = run(project, "merge", "side")
    assert merged.returncode == 1
    assert "two files cannot be merged" in merged.stderr
    assert "UU a.dvc" in make.git(project, "status", "--short")
    assert "eccbc87e4b5ce2fe28308fd9f2a7baf3" in (project / "a.dvc").read_text()


def test_the_hooks_of_a_project_in_a_sub_folder_find_it(tmp_path: Path):
    top = make.repository(tmp_path / "r")
    (top / "my sub").mkdir()
    make.done(top / "my sub", "init", "--subdir")
    make.write(top, {"my sub/d/a": "1", ".gitattributes": "*.dvc merge=dvc\n"})
    make.done(top / "my sub", "add", "--no-profile", "d")
    make.done(top / "my sub", "install")
    make.commit(top)
    for branch, name in (("side", "b"), ("main", "c")):
        run(top, "checkout", "-q", *(["-b"] if branch == "side" else []), branch)
        make.write(top, {f"my sub/d/{name}": name})
        make.done(top / "my sub", "add", "--no-profile", "d")
        make.commit(top)
    merged = run(top, "merge", "-q", "-m", "both", "side")
    assert merged.returncode == 0, merged.stderr
    make.done(top / "my sub", "checkout")
    assert sorted(p.name for p in (top / "my sub" / "d").iterdir()) == ["a", "b", "c"]
    assert run(top, "checkout", "-q", "side").returncode == 0
    assert sorted(p.name for p in (top / "my sub" / "d").iterdir()) == ["a", "b"]

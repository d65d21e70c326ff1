"""A project without git: what needs none works, what needs it says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import make

STAGE = "stages:\n  s:\n    cmd: sort a.csv > b.csv\n    deps: [a.csv]\n    outs: [b.csv]\n"


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    folder = tmp_path / "plain"
    folder.mkdir()
    make.done(folder, "init", "--no-scm")
    make.write(folder, {"a.csv": "b,2\na,1\n", "dvc.yaml": STAGE})
    make.done(folder, "add", "a.csv")
    return folder


def test_data_and_pipelines_work(plain: Path, tmp_path: Path):
    assert not (plain / ".gitignore").exists()
    make.done(plain, "repro")
    assert "up to date" in make.done(plain, "status")
    make.done(plain, "remote", "add", "-d", "st", str(tmp_path / "store"))
    make.done(plain, "push")
    make.write(plain, {"a.csv": "c,3\n"})
    assert make.assay(plain, "data", "status").code == 0
    make.done(plain, "commit")
    make.done(plain, "repro")
    (plain / "b.csv").unlink()
    make.done(plain, "checkout")
    assert (plain / "b.csv").read_text() == "c,3\n"
    make.done(plain, "pull")
    make.done(plain, "move", "a.csv", "c.csv")
    make.done(plain, "remove", "c.csv.dvc", "s")
    shown = make.assay(plain, "add", "c.csv")
    assert (shown.code, shown.err) == (0, "")


@pytest.mark.parametrize("arguments", [("install",), ("diff", "HEAD~1")])
def test_what_needs_git_says_so(plain: Path, arguments: tuple[str, ...]):
    shown = make.assay(plain, *arguments)
    assert shown.code == 255
    assert "git init" in shown.err


def test_a_project_gets_git_later(plain: Path):
    make.repository(plain)
    make.done(plain, "init", "-f")
    make.write(plain, {"new": "1"})
    make.done(plain, "add", "new")
    assert (plain / ".gitignore").read_text() == "/new\n"


def test_a_project_can_do_without_the_git_around_it(tmp_path: Path):
    folder = make.repository(tmp_path / "r") / "sub"
    folder.mkdir()
    shown = make.assay(folder, "init")
    assert shown.code == 255
    assert "--subdir" in shown.err
    make.done(folder, "init", "--no-scm")
    make.write(folder, {"a": "1"})
    shown = make.assay(folder, "add", "a")
    assert (shown.code, shown.err) == (0, "")
    assert not (folder / ".gitignore").exists()
    assert make.git(folder, "status", "--short", "--untracked-files=no") == ""


def test_no_scm_and_subdir_exclude_each_other(tmp_path: Path):
    shown = make.assay(tmp_path, "init", "--no-scm", "--subdir")
    assert shown.code == 2
    assert not (tmp_path / ".dvc").exists()


def test_a_project_in_a_sub_folder_keeps_to_itself(tmp_path: Path):
    top = make.repository(tmp_path / "r")
    (top / "sub").mkdir()
    make.done(top / "sub", "init", "--subdir")
    make.write(top, {"sub/d/x": "1"})
    make.done(top / "sub", "add", "d")
    make.commit(top)
    assert make.done(top / "sub", "data", "status") == "No changes.\n"
    assert make.assay(top, "data", "status").code == 255
    make.write(top, {"sub/d/x": "2"})
    make.done(top / "sub", "add", "d")
    assert "d/x" in make.done(top / "sub", "diff")


def test_without_git_nothing_counts_as_committed(plain: Path):
    assert make.done(plain, "data", "status") == "No changes.\n"

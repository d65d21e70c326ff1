"""What git says of a repository, in all its states."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.base.errors import NotFound
from assay.project import git
from tests import make


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return make.repository(tmp_path / "repo")


def test_before_the_first_commit_there_is_no_head(repo: Path):
    assert git.head(repo) is None
    assert git.branch(repo) == "main"
    make.write(repo, {"a": "1"})
    assert git.snapshot(repo) == git.Snapshot(
        commit=None, branch="main", patch=b"", untracked=["a"]
    )


def test_a_snapshot_brings_the_code_back(repo: Path, tmp_path: Path):
    make.write(repo, {"a": "1\n", "bin": b"\0\1", ".gitignore": "log\n"})
    commit = make.commit(repo)
    make.write(repo, {"a": "2\n", "bin": b"\0\2", "new ü": "x", "log": "x"})
    taken = git.snapshot(repo)
    assert (taken.commit, taken.untracked) == (commit, ["new ü"])
    git.add_worktree(repo, tmp_path / "tree", commit)
    git.apply(tmp_path / "tree", taken.patch)
    assert (tmp_path / "tree" / "a").read_text() == "2\n"
    assert (tmp_path / "tree" / "bin").read_bytes() == b"\0\2"
    assert git.branch(tmp_path / "tree") is None
    assert git.main_root(tmp_path / "tree") == repo
    git.remove_worktree(repo, tmp_path / "tree")
    assert not (tmp_path / "tree").exists()


def test_a_revision_is_resolved_or_named(repo: Path):
    commit = make.commit(repo)
    make.git(repo, "tag", "v1")
    assert {git.resolve(repo, r) for r in ("HEAD", "v1", "main", commit[:8])} == {commit}
    for wrong in ("nope", "--all", ""):
        with pytest.raises(NotFound, match="git knows no revision") as caught:
            git.resolve(repo, wrong)
        assert "git log" in (caught.value.hint or "")


def test_before_the_first_commit_there_is_no_revision(repo: Path):
    with pytest.raises(NotFound, match="'HEAD': nothing was committed yet") as caught:
        git.resolve(repo, "HEAD")
    assert "git commit" in (caught.value.hint or "")


def test_files_of_a_commit_are_read_without_checking_it_out(repo: Path):
    make.write(repo, {"s/ü x": "1"})
    first = make.commit(repo)
    make.write(repo, {"s/ü x": "2"})
    make.commit(repo)
    assert git.list_files(repo, first) == ["s/ü x"]
    assert git.read_file(repo, first, "s/ü x") == b"1"
    assert git.read_file(repo, first, "nope") is None


def test_names_are_names_and_never_patterns(repo: Path):
    make.write(repo, {"a": "", "[a]*": ""})
    git.stage(repo, ["[a]*"])
    assert git.tracked(repo, "[a]*")
    assert not git.tracked(repo, "a")
    assert not git.tracked(repo, "*")
    assert git.is_dirty(repo)


def test_the_top_is_found_without_running_git(repo: Path, tmp_path: Path):
    (repo / "s").mkdir()
    assert git.top(repo / "s") == repo
    assert git.top(tmp_path) is None


def test_what_git_says_is_passed_on(tmp_path: Path):
    with pytest.raises(git.Failed, match=r"'git log' failed: .*not a git repository"):
        git.git("log", cwd=tmp_path)


def test_without_git_the_way_out_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(git.Failed, match="not installed") as caught:
        git.git("log", cwd=tmp_path)
    assert "install git" in (caught.value.hint or "")

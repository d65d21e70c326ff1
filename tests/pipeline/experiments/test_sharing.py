"""`exp push` and `exp pull`: references to another git repository, data to a remote."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests import make
from tests.pipeline.experiments import tried


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two experiments, a bare repository `origin`, and a remote of data."""
    root = tried.two(tmp_path)
    make.git(tmp_path, "init", "-q", "--bare", "-b", "main", "origin.git")
    make.git(root, "remote", "add", "origin", str(tmp_path / "origin.git"))
    make.git(root, "push", "-q", "origin", "main")
    make.done(root, "remote", "add", "-d", "--local", "store", str(tmp_path / "store"))
    return root


@pytest.fixture
def other(root: Path, tmp_path: Path) -> Path:
    """A colleague's clone, with a cache of its own."""
    make.git(tmp_path, "clone", "-q", str(tmp_path / "origin.git"), "other")
    make.done(
        tmp_path / "other", "remote", "add", "-d", "--local", "store", str(tmp_path / "store")
    )
    return tmp_path / "other"


def refs(root: Path, *, where: str | None = None) -> list[str]:
    out = make.git(root, "ls-remote", where or str(root), "refs/exps/*")
    return sorted(line.rpartition("/")[2] for line in out.splitlines())


def test_a_colleague_gets_an_experiment_with_its_data(root, other):
    out = make.done(root, "exp", "push", "origin", "one")
    assert out.startswith("Pushed one.\n")
    assert make.done(other, "exp", "list", "origin", "--name-only") == "one\n"
    assert make.done(other, "exp", "pull", "origin", "one").startswith("Pulled one.\n")
    make.done(other, "exp", "apply", "one")
    assert (other / "model.txt").read_text() == "lr: 0.5 # how fast\nn: 1\n"


def test_only_what_is_named_is_moved_and_of_the_workspace_nothing(root, tmp_path):
    make.done(root, "repro")
    make.done(root, "exp", "push", "origin", "one")
    assert refs(root, where="origin") == ["one"]
    stored = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert len(stored) == 1


def test_without_names_those_of_the_last_commit_are_moved(root, other):
    make.done(root, "exp", "push", "origin")
    make.done(other, "exp", "pull", "origin")
    assert tried.names(other) == ["one", "two"]


def test_data_can_be_left_where_they_are(root, tmp_path):
    make.done(root, "exp", "push", "origin", "--no-cache")
    assert not (tmp_path / "store").exists()
    assert refs(root, where="origin") == ["one", "two"]


def test_what_is_there_already_is_up_to_date(root):
    make.done(root, "exp", "push", "origin", "one")
    assert "one: up to date." in make.done(root, "exp", "push", "origin", "one")


def test_one_of_the_same_name_with_other_content_is_kept_there(root, other):
    make.done(root, "exp", "push", "origin", "one")
    make.done(other, "exp", "run", "--temp", "-n", "one", "-S", "lr=0.2")
    before = make.git(root, "ls-remote", "origin")
    shown = make.assay(other, "exp", "push", "origin", "one")
    assert shown.code == 255
    assert "'--force'" in shown.err
    assert make.git(root, "ls-remote", "origin") == before
    mine = make.git(other, "for-each-ref", "refs/exps")
    assert make.assay(other, "exp", "pull", "origin", "one").code == 255
    assert make.git(other, "for-each-ref", "refs/exps") == mine
    make.done(other, "exp", "push", "-f", "origin", "one")
    make.done(root, "exp", "pull", "-f", "origin", "one")
    assert "lr: 0.2" in tried.show(root, "one", "params.yaml")


def test_a_repository_that_refuses_is_told_with_its_words(root, tmp_path):
    hook = tmp_path / "origin.git" / "hooks" / "update"
    hook.write_text('#!/bin/sh\ncase $1 in *two) echo "no two here" >&2; exit 1;; esac\n')
    hook.chmod(0o755)
    shown = make.assay(root, "exp", "push", "origin")
    assert shown.code == 255
    assert "'two': [remote rejected] (hook declined)" in shown.err
    assert "Pushed one." in shown.out
    assert refs(root, where="origin") == ["one"]


def test_experiments_are_removed_there(root):
    make.done(root, "exp", "push", "origin", "--no-cache")
    assert make.done(root, "exp", "remove", "-g", "origin", "one") == "Removed one.\n"
    assert refs(root, where="origin") == ["two"]
    assert tried.names(root) == ["one", "two"]


def test_what_happens_to_the_data_is_told_when_the_references_went(root, tmp_path):
    (tmp_path / "store").write_text("a file, no folder")
    shown = make.assay(root, "exp", "push", "origin", "one")
    assert shown.code == 255
    assert "the references of one were moved, their data not" in shown.err
    assert refs(root, where="origin") == ["one"]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["push", "nowhere", "one"], "git cannot use the repository 'nowhere'"),
        (["pull", "nowhere"], "git remote -v"),
        (["push", "origin", "onee"], "did you mean 'one'?"),
        (["pull", "origin", "zzz"], "there is no experiment 'zzz'"),
        (["pull", "origin", "zzz"], "see 'assay exp list origin --all-commits'"),
        (["remove", "-g", "origin", "zzz"], "see 'assay exp list origin --all-commits'"),
        (["push", "origin", "zzz"], "see 'assay exp list --all-commits'"),
        (["list", "nowhere"], "git cannot use the repository 'nowhere'"),
        (["list", "nowhere"], "'nowhere' does not appear to be a git repository\n"),
        (["pull", "nowhere"], "'nowhere' does not appear to be a git repository\n"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(root, command, said):
    before = make.git(root, "for-each-ref"), make.git(root, "ls-remote", "origin")
    shown = make.assay(root, "exp", *command)
    assert shown.code == 255
    assert said in shown.err
    assert (make.git(root, "for-each-ref"), make.git(root, "ls-remote", "origin")) == before


def test_where_the_last_commit_has_none_all_commits_are_pointed_to(root, other):
    make.done(root, "exp", "push", "origin")
    for one in (root, other):
        make.commit(one, "next")
    for command in (["push", "origin"], ["pull", "origin"]):
        shown = make.assay(other, "exp", *command)
        assert (shown.code, shown.out) == (0, "There are no experiments to move.\n")
        assert "add '--all-commits'" in shown.err
    listed = make.assay(other, "exp", "list", "origin")
    assert "no experiments in 'origin'" in listed.err
    assert "see 'assay exp list origin --all-commits'" in listed.err
    make.done(other, "exp", "pull", "origin", "--all-commits")
    assert sorted(make.done(other, "exp", "list", "-A", "--name-only").split()) == ["one", "two"]


def test_each_is_pushed_at_once_where_that_is_asked_for(root, tmp_path):
    make.done(root, "config", "exp.auto_push", "true")
    shown = make.assay(root, "exp", "run", "--temp", "-n", "three", "-S", "lr=0.3")
    assert "pushed to 'origin'" in shown.err
    assert refs(root, where="origin") == ["three"]
    make.done(root, "config", "exp.git_remote", "nowhere")
    shown = make.assay(root, "exp", "run", "--temp", "-n", "four", "-S", "lr=0.4")
    assert shown.code == 0
    assert "it was not pushed" in shown.err
    assert "four" in tried.names(root)


def test_a_password_in_an_address_is_not_shown(root):
    shown = make.assay(root, "exp", "list", "http://ada:secret@127.0.0.1:9/x.git")
    assert shown.code == 255
    assert "secret" not in shown.err


def test_a_pull_gets_data_again_that_went_missing(root, other):
    make.done(root, "exp", "push", "origin", "one")
    make.done(other, "exp", "pull", "origin", "one", "--no-cache")
    shutil.rmtree(other / ".dvc" / "cache", ignore_errors=True)
    shown = make.assay(other, "exp", "apply", "one")
    assert "1 file of its data not in the cache" in shown.err
    make.done(other, "exp", "pull", "origin", "one")
    make.done(other, "exp", "apply", "one")
    assert (other / "model.txt").exists()

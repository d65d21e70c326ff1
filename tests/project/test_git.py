"""What git says of a repository, in all its states."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


_ODD = ["café.py", "my b/t.py", 'q"uo.py', "ta\tb.py", "n\nl.py", "back\\n.py", "x b/x b/y", "a b"]
_NAMES = st.sampled_from(_ODD) | st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=6
).map(lambda name: f"n {name}")


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(_NAMES, st.sampled_from(["edit", "delete", "mode", "new", "binary"])))
def test_the_files_of_a_patch_are_those_that_git_names(changes: dict[str, str]):
    with tempfile.TemporaryDirectory(dir=make.memory()) as folder:
        repo = make.repository(Path(folder))
        make.write(repo, {name: "1\n" for name, how in changes.items() if how != "new"})
        make.commit(repo)
        for name, how in changes.items():
            if how == "delete":
                (repo / name).unlink()
            elif how == "mode":
                (repo / name).chmod(0o755)
            else:
                make.write(repo, {name: b"\0\1" if how == "binary" else "2\n"})
        make.git(repo, "add", "-A")
        names = make.git(repo, "diff", "-z", "--name-only", "HEAD").split("\0")[:-1]
        assert git.patched(git.diff(repo)) == {name: name for name in names}


def test_the_patch_of_a_renamed_file_says_what_it_was_called(repo: Path):
    lines = "".join(f"{number}\n" for number in range(20))
    make.write(repo, {"é old.py": lines, "a.py": "1\n", "empty": ""})
    make.commit(repo)
    (repo / "new b").mkdir()
    make.git(repo, "mv", "é old.py", "new b/é.py")
    make.git(repo, "mv", "empty", "void")
    make.write(repo, {"new b/é.py": lines + "20\n"})
    assert git.patched(git.diff(repo)) == {
        "new b/é.py": "é old.py", "é old.py": None, "void": "empty", "empty": None,
    }  # fmt: skip
    assert git.patched(b"") == {}
    assert git.patched(b"\xff no patch\n") == {}


@pytest.mark.parametrize(
    "setting",
    [("noprefix", "true"), ("mnemonicPrefix", "true"), ("context", "0"), ("srcPrefix", "x")],
)
def test_a_persons_settings_of_git_do_not_change_what_a_patch_is(
    repo: Path, tmp_path: Path, setting: tuple[str, str]
):
    make.write(repo, {"s/a": "1\n2\n3\n"})
    commit = make.commit(repo)
    make.write(repo, {"s/a": "1\nII\n3\n"})
    plain = git.diff(repo)
    make.git(repo, "config", f"diff.{setting[0]}", setting[1])
    assert git.diff(repo) == plain
    git.add_worktree(repo, tmp_path / "tree", commit)
    git.apply(tmp_path / "tree", plain)
    assert (tmp_path / "tree" / "s" / "a").read_text() == "1\nII\n3\n"


@pytest.mark.parametrize("name", ["a[1].py", "s*/?", "b\\c", "plain"])
def test_of_a_patch_one_file_is_applied_whatever_its_name_and_where(repo: Path, name: str):
    make.write(repo, {name: "1 \n", "a1.py": "1\n", "sx/y": "1\n"})
    make.commit(repo)
    make.write(repo, {name: "2 \n", "a1.py": "2\n", "sx/y": "2\n"})
    make.git(repo, "config", "apply.whitespace", "fix")
    beside = repo / "in a repository"
    make.write(beside, {name: "1 \n", "a1.py": "1\n", "sx/y": "1\n"})
    git.apply_to(beside, git.diff(repo), name)
    assert (beside / name).read_text() == "2 \n"
    assert [(beside / one).read_text() for one in ("a1.py", "sx/y")] == ["1\n", "1\n"]

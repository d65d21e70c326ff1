"""Another repository as one tree of files and data; nothing in it is believed unchecked."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from assay.base.errors import Error, NotFound
from assay.objects.cache import Cache
from assay.project import clones, holding
from assay.project.external import Repository
from tests import make
from tests.workflows import others


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return others.repository(tmp_path / "other", store=tmp_path / "store")


def opened(other: Path, *, rev: str | None = None) -> Repository:
    folder = other.parent
    return clones.open_repository(
        str(other), cwd=folder, clones=folder / "clones", cache=Cache(folder / "passing"), rev=rev
    )


def below(source: Repository, path: str = "") -> list[str]:
    return [node.path for node in source.files(source.find(path))]


def test_data_and_code_are_one_tree_in_the_workspace_and_in_a_commit(other):
    for rev in (None, "v1"):
        source = opened(other, rev=rev)
        assert below(source, "code") == [
            "code/.gitignore", "code/data/q", "code/deep/y.txt", "code/x.py",
        ]  # fmt: skip
        assert [n.name for n in source.children(source.find("d"))] == ["a", "sub"]
        assert source.find("d/sub/b").oid == "2fc57d6f63a9ee7e2f21a26fa522e3b6"
        assert source.find("m.json").oid is None


def test_a_path_is_looked_up_as_it_is_meant(other):
    source = opened(other)
    assert source.find("./d//sub/../a").path == "d/a"
    assert source.find("").is_dir
    for path in ("..", "../other", "/", "d/../../x"):
        with pytest.raises(Error, match="leads out of the repository"):
            source.find(path)
    with pytest.raises(NotFound, match="did you mean 's"):
        source.find("s.csw")


def test_a_list_of_files_that_climbs_out_of_its_folder_is_refused(project, other):
    evil = b'[{"md5": "b026324c6904b2a9cb4b88d6d61c81d1", "relpath": "../../out"}]'
    oid = make.cache(other).add(evil, suffix=".dir")
    (other / "d.dvc").write_text(f"outs:\n- md5: {oid}\n  hash: md5\n  path: d\n")
    make.commit(other)
    for command in (["import", "../other", "d"], ["get", "../other", "d"]):
        shown = make.assay(project, *command)
        assert shown.code == 255
        assert "a path that leaves its folder" in shown.err
    assert not (project / "d").exists()
    assert not (project.parent.parent / "out").exists()


def test_a_record_that_names_a_place_outside_of_its_repository_is_passed_by(other, tmp_path):
    (tmp_path / "secret").write_text("s")
    (other / "evil.dvc").write_text(
        "outs:\n- md5: b026324c6904b2a9cb4b88d6d61c81d1\n  hash: md5\n  path: ../secret\n"
    )
    make.commit(other)
    assert not any("secret" in path for path in below(opened(other, rev="HEAD")))


def test_a_name_that_only_git_can_hold_is_not_written(project, tmp_path):
    plain = make.repository(tmp_path / "plain")
    blob = make.git(plain, "hash-object", "-w", "--stdin", "-t", "blob").strip()
    inner = _tree(plain, f"100644 blob {blob}\tevil\n")
    top = _tree(plain, f"040000 tree {inner}\t..\n")
    folder = _tree(plain, f"040000 tree {top}\tfolder\n")
    commit = make.git(plain, "commit-tree", "-m", "evil", folder).strip()
    make.git(plain, "update-ref", "refs/heads/main", commit)
    for command in ("import", "get"):
        shown = make.assay(project, command, "../plain", "folder")
        assert shown.code == 255, shown
    assert not (project / "evil").exists()
    assert not (project / "folder").exists()


def _tree(folder: Path, text: str) -> str:
    import subprocess

    done = subprocess.run(
        ["git", "mktree"], cwd=folder, input=text, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_a_commit_that_is_no_longer_there_is_named(project, other):
    make.done(project, "import", "../other", "s.csv")
    make.git(other, "reset", "-q", "--hard", "v1")
    make.git(other, "reflog", "expire", "--expire=now", "--all")
    make.git(other, "gc", "-q", "--prune=now")
    commit = next(
        line.split()[1]
        for line in (project / "s.csv.dvc").read_text().splitlines()
        if "rev_lock" in line
    )
    with pytest.raises(NotFound, match="the repository has no revision"):
        opened(other, rev=commit)


def test_two_branches_of_one_address_share_a_clone(other, tmp_path):
    make.git(other, "branch", "side", "v1")
    for rev in (None, "side", "v1", "main"):
        source = clones.open_repository(
            other.as_uri(), cwd=tmp_path, clones=tmp_path / "clones",
            cache=Cache(tmp_path / "passing"), rev=rev,
        )  # fmt: skip
        assert source.find("code/x.py").size == 6
    assert len(list((tmp_path / "clones").iterdir())) == 1


def test_a_clone_that_was_broken_off_is_finished_by_the_next(other, tmp_path):
    clones.latest(other.as_uri(), cwd=tmp_path, clones=tmp_path / "clones", rev=None)
    clone = next((tmp_path / "clones").iterdir())
    shutil.rmtree(clone / ".git" / "refs")
    (clone / ".git" / "packed-refs").unlink(missing_ok=True)
    (clone / ".git" / "refs").mkdir()
    found = clones.latest(other.as_uri(), cwd=tmp_path, clones=tmp_path / "clones", rev="v1")
    assert found == make.git(other, "rev-parse", "v1").strip()


def test_a_clone_that_nobody_asked_for_in_a_long_time_goes_with_the_next_one(other, tmp_path):
    kept = tmp_path / "clones"

    def ask(name: str) -> str | None:
        url = shutil.copytree(other, tmp_path / name, dirs_exist_ok=True).as_uri()
        return clones.latest(url, cwd=tmp_path, clones=kept, rev="v1")

    ask("old")
    [old] = kept.iterdir()
    ask("used")
    [used] = set(kept.iterdir()) - {old}
    month = time.time() - (clones.KEPT_DAYS + 1) * 86_400
    for path in (old / "lock", used / "lock"):
        os.utime(path, (month, month))
    ask("used")  # keeps it, whatever its age was
    assert used.exists()
    assert not old.exists()
    assert ask("old") == make.git(other, "rev-parse", "v1").strip()
    os.utime(old / "lock", (month, month))
    with holding.holding(tmp_path / "clones.lock", shared=True):  # somebody reads one
        ask("used")
        assert old.exists()
    ask("third")
    assert not old.exists()

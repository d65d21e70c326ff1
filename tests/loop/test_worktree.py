"""The loop's work tree: a person's is never touched, and a kill leaves nothing half."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from assay.base.errors import Error
from assay.loop import worktree
from assay.objects import scan
from assay.pipeline import kept
from assay.project import tracking
from assay.project.workspace import Project
from tests import make, stages

DATA = "day,x\n2012-01-01,1\n"
FILES = {"data.csv": DATA, "params.yaml": "lr: 0.1\nseed: 7\n", "code.py": "print(1)\n"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project of three stages that ran, all committed, and edits of a person on top."""
    root = stages.pipeline(tmp_path / "project", stages.THREE, FILES)
    make.done(root, "repro")
    make.commit(root, "ran")
    make.write(root, {"code.py": "print('in the midst of it')\n", "notes.txt": "mine\n"})
    make.git(root, "add", "code.py")
    make.write(root, {"code.py": "print('and more')\n"})
    return Project(root)


def of_person(project: Project) -> tuple[object, ...]:
    """Return all that is a person's, to the byte."""
    root = project.root
    return (
        (root / ".git" / "index").read_bytes(),
        (root / ".git" / "HEAD").read_bytes(),
        make.git(root, "--no-optional-locks", "status", "--porcelain=v2", "--branch"),
        make.git(root, "rev-parse", "main"),
        make.git(root, "stash", "list"),
        make.snapshot(root, without=(".git", ".assay", "tmp", "cache")),
    )


def opened(project: Project) -> Project:
    """Return the loop's work tree of the endpoint 'shop'."""
    return worktree.open_worktree(project, "shop", branch="main")


def head(project: Project, name: str = "main") -> str:
    """Return the commit of a branch."""
    return make.git(project.root, "rev-parse", name).strip()


def grow(tree: Project, line: str) -> None:
    """Add a row to the data and record it, as the growth does: by another file in its place."""
    path = tree.root / "data.csv"
    text = path.read_text() + line
    path.unlink()
    path.write_text(text)
    tracking.add(tree, path)


def retrain(project: Project, decision: str, line: str) -> Project:
    """Go through a retraining: code, data, commit, run, commit."""
    tree = opened(project)
    if (
        worktree.start(tree, source=head(project), decision=decision, keep=["data.csv.dvc"])
        is None
    ):
        grow(tree, line)
        worktree.commit(tree, "More rows", decision=decision, parents=[head(project)])
    shown = make.assay(tree.root, "repro")
    assert shown.code == 0, shown
    worktree.commit(tree, "What the run made of it")
    return tree


def log(project: Project, *options: str) -> list[str]:
    """Return the loop's commits, the newest first: subject and trailer."""
    form = "%s|%(trailers:key=Assay-Decision,valueonly,separator=%x2C)"
    return make.git(
        project.root, "log", "--first-parent", f"--format={form}", *options, "main..assay/shop"
    ).splitlines()


def test_a_retraining_leaves_a_persons_index_head_and_files_as_they_are(project: Project) -> None:
    before = of_person(project)
    retrain(project, "d1", "2012-01-02,2\n")
    retrain(project, "d2", "2012-01-03,3\n")
    assert of_person(project) == before
    assert (project.root / "data.csv").read_text() == DATA


def test_a_hook_that_names_a_persons_index_changes_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = of_person(project)
    with monkeypatch.context() as patch:
        patch.setenv("GIT_DIR", str(project.root / ".git"))
        patch.setenv("GIT_INDEX_FILE", str(project.root / ".git" / "index"))
        tree = opened(project)
        worktree.start(tree, source=head(project), decision="d1")
        grow(tree, "2012-01-02,2\n")
        worktree.commit(tree, "More rows", decision="d1")
    assert of_person(project) == before
    assert log(project) == ["More rows|d1"]


def test_each_retraining_is_one_commit_of_two_parents_and_one_of_its_lock(
    project: Project,
) -> None:
    retrain(project, "d1", "2012-01-02,2\n")
    make.git(project.root, "stash", "-q", "-u")
    make.write(project.root, {"code.py": "print(2)\n"})
    source = make.commit(project.root, "better code")
    tree = retrain(project, "d2", "2012-01-03,3\n")

    assert log(project) == [
        "What the run made of it|", "More rows|d2", "What the run made of it|", "More rows|d1",
    ]  # fmt: skip
    data = worktree.find_commit(tree, "d2")
    assert data is not None
    parents = make.git(project.root, "rev-list", "--parents", "-n1", data).split()[1:]
    assert parents == [head(project, f"{data}^"), source]
    assert worktree.tip(tree) == head(project, "assay/shop")
    assert (tree.root / "code.py").read_text() == "print(2)\n"
    rows = "2012-01-02,2\n2012-01-03,3\n"
    assert (tree.root / "data.csv").read_text() == DATA + rows
    assert make.git(tree.root, "status", "--porcelain") == ""


def test_the_commit_has_an_identity_of_its_own_and_runs_no_hook(project: Project) -> None:
    hook = project.root / ".git" / "hooks" / "reference-transaction"
    make.write(hook.parent, {hook.name: "#!/bin/sh\nexit 1\n"})
    hook.chmod(0o755)
    make.git(project.root, "config", "commit.gpgsign", "true")
    tree = opened(project)
    worktree.start(tree, source=head(project), decision="d1")
    made = worktree.commit(tree, "More rows", decision="d1")
    assert make.git(project.root, "log", "-1", "--format=%an %cn", made) == "Assay Assay\n"


def test_code_that_a_person_deleted_is_gone_and_leftovers_go(project: Project) -> None:
    tree = retrain(project, "d1", "2012-01-02,2\n")
    left = {"junk.txt": "x", "work/deep.bin": "x", "__pycache__/a.pyc": "x", "code.py": "changed"}
    make.write(tree.root, left)
    make.git(project.root, "stash", "-q", "-u")
    make.git(project.root, "rm", "-q", "code.py")
    make.write(project.root, {"other.py": "pass\n"})
    source = make.commit(project.root, "moved")
    worktree.start(opened(project), source=source, decision="d2", keep=["data.csv.dvc"])
    files = set(make.snapshot(tree.root, without=(".git", ".dvc")))
    assert files == {
        ".dvcignore", ".git", ".gitignore", "clean.csv", "data.csv", "data.csv.dvc", "dvc.lock",
        "dvc.yaml", "metrics.json", "model.txt", "other.py", "params.yaml",
    }  # fmt: skip


def test_a_lock_is_the_branchs_until_the_source_has_all_of_the_branch(project: Project) -> None:
    tree = retrain(project, "d1", "2012-01-02,2\n")
    make.git(project.root, "stash", "-q", "-u")
    make.write(project.root, {"params.yaml": "lr: 0.2\nseed: 7\n"})
    make.done(project.root, "repro")
    source = make.commit(project.root, "tried by hand")
    by_hand, by_loop = stages.lock(project.root), stages.lock(tree.root)
    worktree.start(tree, source=source, decision="d2", keep=["data.csv.dvc"])
    assert stages.lock(tree.root) == by_loop != by_hand
    assert "lr: 0.2" in (tree.root / "params.yaml").read_text()

    make.git(project.root, "merge", "-q", "-s", "ours", "assay/shop")
    worktree.start(tree, source=head(project), decision="d2", keep=["data.csv.dvc"])
    assert stages.lock(tree.root) == by_hand
    assert (tree.root / "data.csv").read_text() == DATA


def test_a_decision_that_has_its_commit_is_resumed(project: Project) -> None:
    tree = opened(project)
    assert worktree.find_commit(tree, "d1") is None
    assert worktree.start(tree, source=head(project), decision="d1") is None
    grow(tree, "2012-01-02,2\n")
    made = worktree.commit(tree, "More rows", decision="d1", parents=[head(project)])
    (tree.root / "data.csv").unlink()

    again = opened(project)
    assert worktree.start(again, source=head(project), decision="d1") == made
    assert (again.root / "data.csv").read_text() == f"{DATA}2012-01-02,2\n"
    assert worktree.commit(again, "More rows", decision="d1", parents=[head(project)]) == made


def test_a_decision_without_a_change_has_a_commit_all_the_same(project: Project) -> None:
    tree = opened(project)
    worktree.start(tree, source=head(project), decision="d1")
    made = worktree.commit(tree, "By hand", decision="d1", parents=[head(project)])
    assert worktree.find_commit(tree, "d1") == made
    assert worktree.commit(tree, "Nothing new") == made


def test_a_branch_that_a_person_has_checked_out_is_refused(project: Project) -> None:
    opened(project)
    shutil.rmtree(project.assay_dir / "worktrees")
    make.git(project.root, "worktree", "prune")
    make.git(project.root, "stash", "-q", "-u")
    make.git(project.root, "switch", "-q", "assay/shop")
    with pytest.raises(Error, match=r"'assay/shop' is checked out in .*project") as caught:
        opened(project)
    assert "check out another branch" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("endpoint", "branch", "what"),
    [
        ("a..b", "main", "git takes no branch 'assay/a..b'"),
        ("shop", "assay/shop", "which the loop itself commits to"),
        ("shop", "nowhere", "git knows no revision 'nowhere'"),
    ],
)
def test_names_that_cannot_be_are_refused(
    project: Project, endpoint: str, branch: str, what: str
) -> None:
    with pytest.raises(Error, match=what):
        worktree.open_worktree(project, endpoint, branch=branch)


def test_a_branch_that_is_in_the_way_is_named(project: Project) -> None:
    make.git(project.root, "branch", "assay")
    with pytest.raises(Error, match="there is a branch 'assay'"):
        opened(project)


def test_a_source_without_a_project_changes_nothing(project: Project) -> None:
    tree = retrain(project, "d1", "2012-01-02,2\n")
    empty = make.git(
        project.root, "commit-tree", "4b825dc642cb6eb9a060e54bf8d69288fbee4904", "-m", "x"
    )
    before = make.snapshot(tree.root)
    with pytest.raises(Error, match="has no project in it"):
        worktree.start(tree, source=empty.strip(), decision="d2")
    assert make.snapshot(tree.root) == before


def test_a_project_in_a_folder_of_the_repository_has_its_work_tree(tmp_path: Path) -> None:
    whole = stages.pipeline(tmp_path / "p", stages.THREE, FILES)
    inner = make.repository(tmp_path / "repository") / "ml"
    shutil.copytree(whole, inner, ignore=shutil.ignore_patterns(".git", ".assay"))
    make.commit(inner.parent)
    project = Project(inner)
    tree = retrain(project, "d1", "2012-01-02,2\n")
    assert tree.root == project.assay_dir / "worktrees" / "loop-shop" / "ml"
    assert (tree.root / "data.csv").read_text() == f"{DATA}2012-01-02,2\n"
    start = worktree.start(tree, source=head(project), decision="d2", keep=["data.csv.dvc"])
    assert start is None
    assert (tree.root / "data.csv").read_text() == f"{DATA}2012-01-02,2\n"


@pytest.mark.parametrize("type_", ["hardlink", "symlink", "copy"])
def test_data_that_is_gone_from_the_cache_comes_from_the_second_store(
    project: Project, type_: str
) -> None:
    make.done(project.root, "config", "--local", "cache.type", type_)
    tree = retrain(Project(project.root), "d1", "2012-01-02,2\n")
    oid = scan.scan(tree.root / "data.csv", tree.index).oid
    kept.store(project).verify(oid)
    shutil.rmtree(project.root / ".dvc" / "cache")
    (tree.root / "data.csv").unlink()
    worktree.start(tree, source=head(project), decision="d2", keep=["data.csv.dvc"])
    assert (tree.root / "data.csv").read_text() == f"{DATA}2012-01-02,2\n"
    assert (tree.root / "data.csv").is_symlink() == (type_ == "symlink")


def test_half_a_work_tree_is_replaced(project: Project) -> None:
    tree = opened(project)
    admin = project.root / ".git" / "worktrees" / "loop-shop"
    broken = {
        "no admin": lambda: shutil.rmtree(admin),
        "no folder": lambda: shutil.rmtree(tree.root),
        "no .git": (tree.root / ".git").unlink,
        "empty .git": lambda: (tree.root / ".git").write_text(""),
        "being made": lambda: (admin / "locked").write_text("initializing"),
        "no gitdir": (admin / "gitdir").unlink,
        "detached": lambda: make.git(tree.root, "checkout", "-q", "--detach"),
        "no files": lambda: shutil.rmtree(tree.root / ".dvc"),
        "no index": (admin / "index").unlink,
        "locked": lambda: [
            path.write_text("")
            for path in (
                admin / "index.lock",
                admin / "HEAD.lock",
                project.root / ".git" / "refs" / "heads" / "assay" / "shop.lock",
            )
        ],
    }
    for number, (name, breaking) in enumerate(broken.items()):
        breaking()
        tree = opened(project)
        worktree.start(tree, source=head(project), decision=f"d{number}", keep=["data.csv.dvc"])
        grow(tree, f"2012-01-02,{number}\n")
        worktree.commit(tree, "More rows", decision=f"d{number}")
        assert make.git(project.root, "worktree", "list").count("\n") == 2, name
        assert make.git(tree.root, "status", "--porcelain") == "", name
    assert len(log(project)) == len(broken)


_RETRAIN = """
import sys
from pathlib import Path
from tests.loop.test_worktree import retrain
from assay.project.workspace import Project
retrain(Project(Path(sys.argv[1])), "d1", "2012-01-02,2\\n")
"""


def test_killed_at_any_moment_it_is_done_once_and_a_persons_tree_is_untouched(
    project: Project, tmp_path: Path
) -> None:
    root = Path(__file__).parents[2]
    copies = [tmp_path / str(number) / "project" for number in range(6)]
    for copy in copies:
        shutil.copytree(project.root, copy, symlinks=True)
    command = [sys.executable, "-c", _RETRAIN]
    began = time.monotonic()
    subprocess.run([*command, str(copies[0])], cwd=root, check=True)
    seconds = time.monotonic() - began
    draw = random.Random(5)
    for number, copy in enumerate(copies[1:]):
        here = Project(copy)
        before = of_person(here)
        process = subprocess.Popen([*command, str(copy)], cwd=root, start_new_session=True)
        time.sleep(seconds * (0.4 + 0.6 * (number + draw.random()) / 5))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        make.git(copy, "fsck", "--no-dangling")
        tree = retrain(here, "d1", "2012-01-02,2\n")
        assert log(here) == ["What the run made of it|", "More rows|d1"]
        assert (tree.root / "data.csv").read_text() == f"{DATA}2012-01-02,2\n"
        assert make.git(tree.root, "status", "--porcelain") == ""
        assert of_person(here) == before


@pytest.mark.peer
@pytest.mark.skipif(not stages.DVC.exists(), reason="real DVC is not in .peers/dvc")
def test_real_dvc_works_in_the_work_tree_and_its_gc_in_the_main_tree_loses_nothing(
    project: Project,
) -> None:
    make.git(project.root, "stash", "-q", "-u")
    tree = retrain(project, "d1", "2012-01-02,2\n")
    assert json.loads(stages.dvc(tree.root, "status", "--json")) == {}
    assert "data.csv" in stages.dvc(tree.root, "data", "status", "--json", "--unchanged")
    stages.dvc(project.root, "gc", "-w", "-f")
    assert json.loads(stages.dvc(project.root, "status", "--json")) == {}
    for path in ("data.csv", "model.txt", "clean.csv"):
        (tree.root / path).unlink()
    worktree.start(tree, source=head(project), decision="d2", keep=["data.csv.dvc"])
    stages.dvc(tree.root, "checkout")
    assert json.loads(stages.dvc(tree.root, "status", "--json")) == {}
    assert (tree.root / "data.csv").read_text() == f"{DATA}2012-01-02,2\n"

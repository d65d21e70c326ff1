"""`kill -9` of an `exp run` at moments drawn over its work; then another one."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest

from tests import kill, make
from tests.pipeline.experiments import tried

NEW = "lr: 0.5 # how fast\nn: 1\n"


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A project with a staged edit, one that is not, and a file that git does not know."""
    root = tried.project(tmp_path)
    pipeline = tried.PIPELINE.replace("python train.py", "sleep 0.3; python train.py")
    make.write(root, {"dvc.yaml": pipeline, "other.py": "1\n"})
    make.commit(root)
    make.write(root, {"other.py": "2\n"})
    make.git(root, "add", "other.py")
    make.write(root, {"other.py": "3\n", "note.txt": "mine"})
    return root


def is_kept(root: Path) -> bool:
    commit = tried.head(root)
    return (root / ".git/refs/exps" / commit[:2] / commit[2:] / "one").exists()


def begun(root: Path) -> bool:
    return (root / "params.yaml").read_text() == NEW and not is_kept(root)


def begun_apart(root: Path) -> bool:
    trees = root / ".assay" / "worktrees"
    return trees.is_dir() and any(trees.iterdir())


@pytest.mark.parametrize(
    "count", [5, pytest.param(60, marks=pytest.mark.slow)], ids=["some", "many"]
)
@pytest.mark.parametrize("where", ["workspace", "temp"])
def test_whenever_one_is_killed_a_persons_files_are_safe_and_the_next_runs(
    template, tmp_path, where, count
):
    numbers = itertools.count()
    staged = make.git(template, "diff", "--cached")
    options = ["--temp"] if where == "temp" else []

    def fresh() -> Path:
        return Path(shutil.copytree(template, tmp_path / str(next(numbers)), symlinks=True))

    def check(root: Path) -> None:
        assert (root / "other.py").read_text() == "3\n"
        assert (root / "note.txt").read_text() == "mine"
        assert (root / "params.yaml").read_text() in {tried.PARAMS, NEW}
        assert make.git(root, "diff", "--cached") == staged
        assert not (root / ".git" / "index.lock").exists()
        if is_kept(root):
            assert tried.show(root, "one", "m.json") == '{"acc": 0.5}'
        make.done(root, "exp", "run", *options, "-n", "two", "-S", "lr=0.7")
        assert tried.show(root, "two", "m.json") == '{"acc": 0.7}'
        assert tried.show(root, "two", "other.py") == "3\n"
        assert make.git(root, "worktree", "list").count("\n") == 1
        shutil.rmtree(root)

    kill.kill_repeatedly(
        make.command("exp", "run", *options, "-n", "one", "-S", "lr=0.5"),
        fresh=fresh,
        inside=begun_apart if where == "temp" else begun,
        check=check,
        count=count,
        seed=11,
    )

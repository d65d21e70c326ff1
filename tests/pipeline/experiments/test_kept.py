"""`exp list`, `apply`, `branch`, `rename`, `remove`, `clean`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import make
from tests.pipeline.experiments import tried


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two experiments, and the workspace as the commit has it."""
    return tried.two(tmp_path)


def test_experiments_are_listed_by_baseline(root):
    lines = make.done(root, "exp", "list").splitlines()
    assert lines[0] == "main:"
    assert sorted(line.split()[1] for line in lines[1:]) == ["[one]", "[two]"]
    make.commit(root, "next")
    shown = make.assay(root, "exp", "list")
    assert shown.out == ""
    assert "--all-commits" in shown.err
    assert set(make.done(root, "exp", "list", "-A", "--name-only").split()) == {"one", "two"}
    assert set(make.done(root, "exp", "list", "-n", "2", "--name-only").split()) == {"one", "two"}
    assert len(make.done(root, "exp", "ls", "--rev", "HEAD~1", "--sha-only").split()[0]) == 40


def test_applying_brings_files_and_data(root):
    make.done(root, "exp", "apply", "one")
    assert (root / "params.yaml").read_text() == "lr: 0.5 # how fast\nn: 1\n"
    assert (root / "m.json").read_text() == '{"acc": 0.5}'
    assert (root / "model.txt").read_text() == (root / "params.yaml").read_text()
    assert make.assay(root, "status", "-q").code == 0


def test_applying_moves_neither_head_nor_index(root):
    make.write(root, {"train.py": tried.TRAIN + "# staged\n"})
    make.git(root, "add", "train.py")
    before = tried.head(root), make.git(root, "diff", "--cached"), make.git(root, "branch")
    make.done(root, "exp", "apply", "one")
    after = tried.head(root), make.git(root, "diff", "--cached"), make.git(root, "branch")
    assert after == before


def test_what_was_edited_is_in_a_commit_before_it_is_written_over(root):
    make.write(root, {"params.yaml": "lr: 0.77\nn: 5\n", "m.json": "mine", "note.txt": "n"})
    shown = make.assay(root, "exp", "apply", "one")
    assert shown.code == 0
    assert "refs/assay/before-apply" in shown.err
    assert (root / "params.yaml").read_text() == "lr: 0.5 # how fast\nn: 1\n"
    assert (root / "note.txt").read_text() == "n"
    make.git(root, "restore", "--source", "refs/assay/before-apply", ":/")
    assert (root / "params.yaml").read_text() == "lr: 0.77\nn: 5\n"
    assert (root / "m.json").read_text() == "mine"


def test_each_backup_can_be_had_again(root):
    for name in ("one", "two"):
        make.write(root, {"params.yaml": f"lr: 0.77 # {name}\nn: 5\n"})
        make.done(root, "exp", "apply", name)
    for number, name in ((0, "two"), (1, "one")):
        text = make.git(root, "show", f"refs/assay/before-apply@{{{number}}}:params.yaml")
        assert text == f"lr: 0.77 # {name}\nn: 5\n"


def test_nothing_is_backed_up_where_nothing_would_be_lost(root):
    shown = make.assay(root, "exp", "apply", "one")
    assert "before-apply" not in shown.err
    assert make.git(root, "for-each-ref", "refs/assay") == ""


def test_data_that_is_in_no_cache_is_not_written_over(root):
    make.write(root, {"model.txt": "by hand"})
    before = make.state(root), make.git(root, "for-each-ref")
    shown = make.assay(root, "exp", "apply", "one")
    assert shown.code != 0
    assert "model.txt" in shown.err
    assert (make.state(root), make.git(root, "for-each-ref", "refs/exps", "refs/heads")) == (
        before[0],
        make.git(root, "for-each-ref", "refs/exps", "refs/heads"),
    )
    make.done(root, "exp", "apply", "one", "--force")
    assert "0.5" in (root / "model.txt").read_text()


def test_files_that_the_experiment_has_not_stay(root):
    make.write(root, {"new.py": "x"})
    make.git(root, "add", "new.py")
    make.done(root, "exp", "apply", "one")
    assert (root / "new.py").read_text() == "x"


def test_a_file_that_the_experiment_deleted_goes(root):
    make.git(root, "rm", "-q", "--cached", ".gitignore")
    (root / ".gitignore").unlink()
    make.done(root, "exp", "run", "-n", "less")
    make.git(root, "reset", "-q", "--hard")
    (root / "model.txt").unlink()
    make.done(root, "exp", "apply", "less")
    assert "env.txt" not in (
        (root / ".gitignore").read_text() if (root / ".gitignore").exists() else ""
    )


def test_a_folder_in_the_way_is_refused_before_anything_is_written(root):
    make.write(root, {"m.json/file": "x"})
    before = make.state(root)
    shown = make.assay(root, "exp", "apply", "one")
    assert shown.code == 255
    assert "a folder stands where" in shown.err
    assert make.state(root) == before


@pytest.fixture
def each(tmp_path: Path) -> Path:
    """Two experiments that make other files in a folder; the workspace has those of the last."""
    return tried.each(tmp_path)


def data(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "d").iterdir() if path.name != ".gitignore")


def test_applying_takes_outputs_away_that_the_experiment_has_not(each):
    for name, files in (("e1", ["1", "3"]), ("e2", ["1", "2"]), ("e1", ["1", "3"])):
        make.done(each, "exp", "apply", name)
        assert data(each) == files
        assert make.assay(each, "status", "-q").code == 0
        assert "d/1" not in make.git(each, "status", "--porcelain", "-uall")
        assert "d/2" not in make.git(each, "status", "--porcelain", "-uall")
    assert (each / "z.txt").read_text() == "1\n3\n"


def test_an_output_that_was_edited_stays_and_is_named(each):
    (each / "d" / "2").unlink()
    make.write(each, {"d/2": "by hand", "d/mine": "mine"})
    shown = make.assay(each, "exp", "apply", "e1")
    assert shown.code == 0
    assert "the cache has not what lies there: d/2\n" in shown.err
    assert (each / "d" / "2").read_text() == "by hand"
    assert data(each) == ["1", "2", "3", "mine"]


def test_what_became_a_file_of_git_is_not_taken_away(each):
    pipeline = "stages:\n  z:\n    cmd: ls d > z.txt\n    outs: [z.txt]\n"
    make.write(each, {"dvc.yaml": pipeline, "d/.gitignore": ""})
    make.git(each, "add", "-f", "d/1", "d/2")
    make.done(each, "exp", "run", "-n", "plain")
    make.git(each, "stash", "-q")
    make.done(each, "exp", "apply", "e1")
    make.done(each, "exp", "apply", "plain")
    assert data(each) == ["1", "2"]
    assert (each / "d" / "2").read_text() == "2\n"


def test_data_whose_record_stays_is_not_taken_away(each):
    make.write(each, {"more.csv": "a\n"})
    make.done(each, "add", "more.csv")
    make.done(each, "exp", "apply", "e1")
    assert (each / "more.csv").read_text() == "a\n"
    assert data(each) == ["1", "3"]


def test_one_of_another_baseline_is_applied_with_a_note(root):
    make.write(root, {"later.txt": "x"})
    make.commit(root)
    shown = make.assay(root, "exp", "apply", "one")
    assert shown.code == 0
    assert "not on HEAD" in shown.err


def test_a_task_that_waits_can_be_applied(root):
    make.done(root, "exp", "run", "--queue", "-n", "later", "-S", "lr=0.2")
    make.done(root, "exp", "apply", "later")
    assert (root / "params.yaml").read_text() == "lr: 0.2 # how fast\nn: 1\n"


def test_a_branch_is_made_of_an_experiment(root):
    assert "git switch one-branch" in make.done(root, "exp", "branch", "one")
    assert "lr: 0.5" in make.git(root, "show", "one-branch:params.yaml")
    make.done(root, "exp", "branch", "one", "feature/x")
    assert make.git(root, "rev-parse", "feature/x") == make.git(root, "rev-parse", "one-branch")


def test_another_name(root):
    make.done(root, "exp", "rename", "one", "first")
    assert tried.names(root) == ["first", "two"]
    shown = make.assay(root, "exp", "rename", "first", "two")
    assert shown.code == 255
    assert "'--force'" in shown.err
    make.done(root, "exp", "rename", "-f", "first", "two")
    assert tried.names(root) == ["two"]
    assert "lr: 0.5" in tried.show(root, "two", "params.yaml")


def test_experiments_are_removed_by_name_and_by_baseline(root):
    assert make.done(root, "exp", "remove", "one") == "Removed one.\n"
    assert tried.names(root) == ["two"]
    make.done(root, "exp", "run", "--temp", "-n", "three", "-S", "lr=0.2")
    assert make.done(root, "exp", "remove", "--keep", "three") == "Removed two.\n"
    make.commit(root, "next")
    assert make.done(root, "exp", "rm", "--rev", "HEAD") == "There is nothing to remove.\n"
    assert make.done(root, "exp", "remove", "-A") == "Removed three.\n"


@pytest.mark.parametrize(
    ("command", "said", "code"),
    [
        (["apply", "onee"], "did you mean 'one'?", 255),
        (["branch", "onee"], "did you mean 'one'?", 255),
        (["branch", "one", "main"], "there is a branch 'main' already", 255),
        (["branch", "one", "a..b"], "git takes no branch", 2),
        (["rename", "onee", "x"], "did you mean 'one'?", 255),
        (["rename", "one", "a/b"], "cannot be the name", 2),
        (["remove", "one", "zzz"], "there is no experiment 'zzz'", 255),
        (["remove", "one", "-A"], "one of them is enough", 2),
        (["remove"], "nothing says which experiments", 2),
        (["remove", "one", "-n", "2"], "'--num' counts from a revision", 2),
        (["diff", "onee"], "did you mean 'one'?", 255),
        (["list", "--rev", "nope"], "git knows no revision 'nope'", 255),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(root, command, said, code):
    before = make.state(root), make.git(root, "for-each-ref")
    shown = make.assay(root, "exp", *command)
    assert shown.code == code, shown
    assert said in shown.err
    assert (make.state(root), make.git(root, "for-each-ref")) == before


def test_a_name_on_several_baselines_is_the_one_on_head(root):
    make.write(root, {"later.txt": "x"})
    make.commit(root)
    make.done(root, "exp", "run", "--temp", "-n", "one", "-S", "lr=0.3")
    make.done(root, "exp", "branch", "one", "b")
    assert "lr: 0.3" in make.git(root, "show", "b:params.yaml")
    make.write(root, {"later.txt": "y"})
    make.commit(root)
    shown = make.assay(root, "exp", "branch", "one", "c")
    assert shown.code == 255
    assert "several experiments are called 'one'" in shown.err


def test_leftovers_are_cleaned(root):
    make.done(root, "exp", "show")
    assert "of 3 commits" in make.done(root, "exp", "clean")

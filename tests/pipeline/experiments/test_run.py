"""`exp run` and `exp save`: what an experiment keeps, and what it leaves as it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import make
from tests.pipeline.experiments import tried

TEMP = pytest.mark.parametrize("where", [[], ["--temp"]], ids=["workspace", "temp"])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tried.project(tmp_path)


@TEMP
def test_an_experiment_is_one_commit_on_its_baseline(root, where):
    make.done(root, "exp", "run", *where, "-n", "one", "-S", "lr=0.5")
    body = make.git(root, "cat-file", "-p", tried.ref(root, "one"))
    assert body.count("parent ") == 1
    assert f"parent {tried.head(root)}" in body
    assert "\n\ndvc: commit experiment " in body
    assert not body.endswith("\n")
    assert tried.show(root, "one", "params.yaml") == "lr: 0.5 # how fast\nn: 1\n"
    assert tried.show(root, "one", "m.json") == '{"acc": 0.5}'
    assert "lr: 0.5" in tried.show(root, "one", "dvc.lock")


@TEMP
def test_head_branch_and_index_stay_as_they_are(root, where):
    make.write(root, {"train.py": tried.TRAIN + "# staged\n"})
    make.git(root, "add", "train.py")
    make.write(root, {"train.py": tried.TRAIN + "# edited\n"})
    before = (tried.head(root), make.git(root, "diff", "--cached"), make.git(root, "branch"))
    make.done(root, "exp", "run", *where, "-n", "one")
    after = (tried.head(root), make.git(root, "diff", "--cached"), make.git(root, "branch"))
    assert after == before
    assert "# edited" in tried.show(root, "one", "train.py")


def test_in_the_workspace_results_are_uncommitted_changes(root):
    make.done(root, "exp", "run", "-n", "one", "-S", "lr=0.5")
    assert (root / "params.yaml").read_text() == "lr: 0.5 # how fast\nn: 1\n"
    assert (root / "model.txt").exists()
    assert make.git(root, "stash", "list") == ""


def test_a_temporary_one_leaves_the_workspace_as_it_was(root):
    before = make.state(root)
    make.done(root, "exp", "run", "--temp", "-n", "one", "-S", "lr=0.5")
    assert make.state(root) == before
    assert make.git(root, "worktree", "list").count("\n") == 1
    assert not list((root / ".assay" / "worktrees").iterdir())


@TEMP
def test_stages_are_told_name_and_baseline(root, where):
    make.write(root, {"dvc.yaml": tried.PIPELINE.replace("> env.txt", "> model.txt")})
    make.done(root, "exp", "run", *where, "-n", "one")
    make.done(root, "exp", "apply", "one")
    told = dict(line.split("=", 1) for line in (root / "model.txt").read_text().splitlines())
    assert told == {"DVC_EXP_NAME": "one", "DVC_EXP_BASELINE_REV": tried.head(root)}
    assert "DVC_EXP_NAME" not in os.environ


def test_its_run_is_in_the_ledger_with_name_and_baseline(root):
    found = json.loads(make.done(root, "exp", "run", "-n", "one", "--json"))
    run = json.loads(make.done(root, "runs", "show", found["run"], "--json"))["run"]
    assert run["name"] == run["tags"]["experiment"] == "one"
    assert run["tags"]["baseline"] == tried.head(root) == found["baseline"]
    assert run["tags"]["experiment_commit"] == found["commit"]


def runs(root: Path) -> list[dict[str, Any]]:
    """Return the runs of experiments, the newest first."""
    listed = json.loads(make.done(root, "runs", "list", "--json"))
    return [json.loads(make.done(root, "runs", "show", r["id"], "--json"))["run"] for r in listed]


@TEMP
def test_one_that_failed_has_name_and_baseline_too(root, where):
    make.assay(root, "exp", "run", *where, "-n", "one", "-S", "lr=0.9")
    (run,) = runs(root)
    assert (run["status"], run["name"]) == ("failed", "one")
    assert run["tags"] == {"experiment": "one", "baseline": tried.head(root)}


def test_its_run_is_recorded_with_the_command_that_began_it(root):
    make.done(root, "exp", "run", "--temp", "-n", "one", "-S", "n=[1,2]", "train")
    make.done(root, "exp", "run", "--queue", "-n", "s", "-S", "lr=0.2,0.3")
    make.done(root, "exp", "run", "--run-all")
    assert {run["name"]: run["command"] for run in runs(root)} == {
        "one": "assay exp run --name one --set-param 'n=[1,2]' train",
        "s-1": "assay exp run --name s-1 --set-param lr=0.2",
        "s-2": "assay exp run --name s-2 --set-param lr=0.3",
    }


def test_the_id_of_the_run_is_printed(root):
    out = make.done(root, "exp", "run", "-n", "one")
    assert "Recorded as run 01" in out


def test_untracked_files_that_the_pipeline_does_not_name_are_left_out_and_named(root):
    make.write(root, {"note.txt": "mine"})
    shown = make.assay(root, "exp", "run", "-n", "one")
    assert "1 untracked file not kept with it: note.txt" in shown.err
    assert "note.txt" not in make.git(root, "ls-tree", "--name-only", tried.ref(root, "one"))


def test_untracked_code_that_a_stage_depends_on_is_kept(root):
    make.git(root, "rm", "-q", "--cached", "train.py")
    make.done(root, "exp", "run", "-n", "one")
    assert tried.show(root, "one", "train.py") == tried.TRAIN


def test_a_temporary_one_has_what_is_copied_for_it(root):
    pipeline = tried.PIPELINE.replace("cp params.yaml", "cp secret/key")
    make.write(root, {"secret/key": "k", "dvc.yaml": pipeline})
    (root / ".git" / "info" / "exclude").write_text("/secret\n")
    assert make.assay(root, "exp", "run", "--temp", "-n", "one").code == 255
    make.done(root, "exp", "run", "--temp", "-n", "one", "-C", "secret")
    make.done(root, "exp", "apply", "one")
    assert (root / "model.txt").read_text() == "k"


def test_a_temporary_one_has_the_data_that_is_recorded(root):
    pipeline = tried.PIPELINE.replace("cp params.yaml", "cp data/a.csv")
    make.write(root, {"data/a.csv": "1\n", "dvc.yaml": pipeline})
    make.done(root, "add", "data")
    make.commit(root)
    make.done(root, "exp", "run", "--temp", "-n", "one")
    make.done(root, "exp", "apply", "one")
    assert (root / "model.txt").read_text() == "1\n"


def test_real_git_hooks_do_not_run(root):
    for name in ("pre-commit", "post-checkout", "commit-msg"):
        hook = root / ".git" / "hooks" / name
        hook.write_text("#!/bin/sh\ntouch ../hooked hooked; exit 1\n")
        hook.chmod(0o755)
    make.done(root, "exp", "run", "--temp", "-n", "one")
    make.done(root, "exp", "run", "-n", "two")
    assert not list(root.parent.rglob("hooked"))


def test_a_name_is_made_up(root):
    make.done(root, "exp", "run")
    (name,) = tried.names(root)
    assert name.count("-") == 1


def test_a_message_of_ones_own(root):
    make.done(root, "exp", "run", "-n", "one", "-m", "what I tried")
    assert make.git(root, "log", "-1", "--format=%s", tried.ref(root, "one")) == "what I tried\n"


def test_a_name_that_is_taken_is_refused_before_anything_happens(root):
    make.done(root, "exp", "run", "-n", "one")
    before = make.state(root), make.git(root, "for-each-ref")
    shown = make.assay(root, "exp", "run", "-n", "one", "-S", "lr=0.5")
    assert shown.code == 255
    assert "there is an experiment 'one' on" in shown.err
    assert "'--force'" in shown.err
    assert (make.state(root), make.git(root, "for-each-ref")) == before
    make.done(root, "exp", "run", "-n", "one", "-S", "lr=0.5", "-f")
    assert "lr: 0.5" in tried.show(root, "one", "params.yaml")


@pytest.mark.parametrize("name", ["a/b", "a..b", "-x", "a b", "x.lock", "~"])
def test_a_name_that_git_cannot_keep_is_refused(root, name):
    before = make.state(root)
    shown = make.assay(root, "exp", "run", f"--name={name}")
    assert shown.code == 2
    assert "cannot be the name of an experiment" in shown.err
    assert make.state(root) == before


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("lrr=1", "did you mean 'lr'? to add it: -S '+lrr=1'"),
        ("parms.yaml:lr=1", "did you mean 'params.yaml'?"),
        ("lr=[1", "the end stands where"),
        ("lr=0.1,0.2", "add '--queue'"),
        ("train.py:lr=1", "there is no parameter 'lr'"),
        ("../x.yaml:lr=1", "copy it into the project"),
    ],
)
def test_a_parameter_that_cannot_be_set_changes_nothing(root, given, said):
    before = make.state(root)
    shown = make.assay(root, "exp", "run", "-S", "n=2", "-S", given)
    assert shown.code in {2, 255}
    assert said in shown.err
    assert make.state(root) == before
    assert tried.names(root) == []


def test_before_the_first_commit_it_is_refused(tmp_path):
    root = make.write(make.project(tmp_path / "p"), {"dvc.yaml": tried.PIPELINE})
    shown = make.assay(root, "exp", "run")
    assert shown.code == 255
    assert "there is no commit yet" in shown.err
    assert "git commit" in shown.err


def test_without_git_it_is_refused(tmp_path):
    (tmp_path / "p").mkdir()
    make.done(tmp_path / "p", "init", "--no-scm")
    shown = make.assay(tmp_path / "p", "exp", "run")
    assert shown.code == 255
    assert "this project does without it" in shown.err


def test_composition_by_hydra_is_refused_and_not_left_out_in_silence(root):
    make.done(root, "config", "hydra.enabled", "true")
    shown = make.assay(root, "exp", "run")
    assert shown.code == 255
    assert "'--no-hydra'" in shown.err
    make.done(root, "exp", "run", "--no-hydra", "-n", "one")
    assert tried.names(root) == ["one"]


def test_a_project_that_is_not_in_git_has_no_other_work_tree(root):
    make.git(root, "rm", "-rq", "--cached", ".dvc")
    make.git(root, "commit", "-qm", "without")
    shown = make.assay(root, "exp", "run", "--temp")
    assert shown.code == 255
    assert "git add .dvc" in shown.err
    assert not list((root / ".assay" / "worktrees").iterdir())


def test_during_a_merge_it_is_refused(root):
    make.git(root, "switch", "-qc", "other")
    make.write(root, {"params.yaml": "lr: 7\nn: 1\n"})
    make.commit(root)
    make.git(root, "switch", "-q", "main")
    make.write(root, {"params.yaml": "lr: 8\nn: 1\n"})
    make.commit(root)
    subprocess.run(["git", "merge", "other"], cwd=root, capture_output=True, check=False)
    shown = make.assay(root, "exp", "run", "--temp")
    assert shown.code == 255
    assert "git status" in shown.err


@TEMP
def test_a_stage_that_fails_keeps_no_experiment(root, where):
    shown = make.assay(root, "exp", "run", *where, "-S", "lr=0.9")
    assert shown.code == 255
    assert tried.names(root) == []
    assert make.git(root, "worktree", "list").count("\n") == 1


def test_what_a_failure_leaves_in_parameters_is_said_with_the_way_back(root):
    make.write(root, {"sub/p.yaml": "a: 1\n"})
    make.commit(root)
    given = ("-S", "lr=0.9", "-S", "p.yaml:a=2")
    shown = make.assay(root / "sub", "exp", "run", *given, "../dvc.yaml:train")
    assert shown.code == 255
    back = "git restore ../params.yaml p.yaml"
    said = f"../params.yaml, p.yaml keep lr=0.9, p.yaml:a=2; back with '{back}'\n"
    assert said in shown.out
    make.git(root / "sub", *back.split()[1:])
    assert make.git(root, "diff", "--", "params.yaml", "sub") == ""


def test_the_way_back_does_not_take_back_a_persons_own_changes(root):
    make.write(root, {"params.yaml": "lr: 0.4\nn: 5\n"})
    shown = make.assay(root, "exp", "run", "-S", "lr=0.9")
    assert "params.yaml keeps lr=0.9, beside what you had changed" in shown.out
    assert "git restore" not in shown.out + shown.err
    make.git(root, "add", "params.yaml")
    shown = make.assay(root, "exp", "run", "-S", "n=6")
    assert "params.yaml keeps n=6; back with 'git restore params.yaml'" in shown.out


@pytest.mark.parametrize("options", [["--temp", "-S", "lr=0.9"], []], ids=["temp", "not set"])
def test_where_no_parameter_was_changed_nothing_is_said_of_them(root, options):
    make.write(root, {"train.py": "exit(1)"})
    shown = make.assay(root, "exp", "run", *options)
    assert shown.code == 255
    assert "params.yaml keep" not in shown.out + shown.err


def test_what_a_killed_one_left_is_taken_away_by_the_next(root):
    make.write(
        root, {"dvc.yaml": tried.PIPELINE.replace("python train", "sleep 60; python train")}
    )
    process = subprocess.Popen(
        make.command("exp", "run", "--temp"), cwd=root, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    tried.wait_until(lambda: bool(list((root / ".assay" / "worktrees").glob("exp-*/env.txt"))))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    make.write(root, {"dvc.yaml": tried.PIPELINE})
    make.done(root, "exp", "run", "--temp", "-n", "one")
    assert make.git(root, "worktree", "list").count("\n") == 1
    assert not list((root / ".assay" / "worktrees").iterdir())
    assert tried.names(root) == ["one"]


@TEMP
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_its_processes_and_leaves_no_experiment(root, where, number):
    slow = tried.PIPELINE.replace("python train", "echo $$ > $SIDE; sleep 60; python train")
    make.write(root, {"dvc.yaml": slow})
    side = root.parent / "pid"
    process = subprocess.Popen(
        make.command("exp", "run", *where, "-S", "lr=0.5"), cwd=root, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, env={**os.environ, "SIDE": str(side)},
    )  # fmt: skip
    tried.wait_until(lambda: side.exists() and bool(side.read_text()))
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    with pytest.raises(ProcessLookupError):
        os.kill(int(side.read_text()), 0)
    assert tried.names(root) == []
    assert make.git(root, "worktree", "list").count("\n") == 1
    assert not (root / "model.txt").exists()
    (run,) = runs(root)
    assert (run["status"], set(run["tags"])) == ("killed", {"experiment", "baseline"})


def test_several_run_at_the_same_time(root):
    waits = "until [ -e ../../../go ]; do sleep 0.05; done; python train"
    make.write(root, {"dvc.yaml": tried.PIPELINE.replace("python train", waits)})
    processes = [
        subprocess.Popen(
            make.command("exp", "run", "--temp", "-n", f"e{number}", "-S", f"lr=0.{number}"),
            cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )
        for number in (2, 3, 4)
    ]  # fmt: skip
    trees = root / ".assay" / "worktrees"
    try:
        tried.wait_until(lambda: len(list(trees.glob("exp-*/env.txt"))) == 3)
    finally:
        (root / "go").touch()
    for process in processes:
        _, said = process.communicate()
        assert process.returncode == 0, said
    (root / "go").unlink()
    assert tried.names(root) == ["e2", "e3", "e4"]
    assert tried.show(root, "e3", "m.json") == '{"acc": 0.3}'


def test_two_in_the_workspace_wait_for_each_other(root):
    processes = [
        subprocess.Popen(
            make.command("exp", "run", "-n", f"e{number}", "-S", f"lr=0.{number}"),
            cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )
        for number in (2, 3)
    ]  # fmt: skip
    for process in processes:
        _, said = process.communicate()
        assert process.returncode == 0, said
    for number in (2, 3):
        assert f"lr: 0.{number}" in tried.show(root, f"e{number}", "params.yaml")
        assert tried.show(root, f"e{number}", "m.json") == f'{{"acc": 0.{number}}}'


@TEMP
def test_a_file_that_is_named_in_two_ways_is_one(root, where):
    make.done(root, "exp", "run", *where, "-n", "one", "-S", "lr=0.5", "-S", "./params.yaml:n=7")
    assert tried.show(root, "one", "params.yaml") == "lr: 0.5 # how fast\nn: 7\n"


@TEMP
def test_an_untracked_parameter_file_is_kept_when_it_is_set(root, where):
    make.write(root, {"more.json": '{"k": 1}'})
    make.done(root, "exp", "run", *where, "-n", "one", "-S", "more.json:k=2")
    assert tried.show(root, "one", "more.json") == '{"k": 2}'


def test_a_parameter_file_is_found_from_a_sub_folder(root):
    make.write(root, {"sub/p.yaml": "a: 1\n"})
    make.done(root / "sub", "exp", "run", "--temp", "-n", "one", "-S", "p.yaml:a=2", "-S", "n=3")
    assert tried.show(root, "one", "sub/p.yaml") == "a: 2\n"
    assert "n: 3" in tried.show(root, "one", "params.yaml")


def test_dry_says_what_would_run_and_changes_nothing(root):
    before = make.state(root), make.git(root, "for-each-ref")
    assert "train" in make.done(root, "exp", "run", "--dry", "-S", "lr=0.5")
    assert (make.state(root), make.git(root, "for-each-ref")) == before


def test_a_project_in_a_sub_folder(tmp_path):
    top = make.repository(tmp_path / "top")
    files = {"train.py": tried.TRAIN, "params.yaml": tried.PARAMS, "dvc.yaml": tried.PIPELINE}
    make.write(top / "sub", files)
    make.done(top / "sub", "init", "--subdir")
    make.commit(top)
    make.done(top / "sub", "exp", "run", "--temp", "-n", "one", "-S", "lr=0.5")
    assert "lr: 0.5" in tried.show(top, "one", "sub/params.yaml")
    assert tried.show(top, "one", "sub/m.json") == '{"acc": 0.5}'


def test_the_present_state_can_be_kept_without_running(root):
    make.done(root, "repro")
    make.write(root, {"model.txt": "by hand\n", "params.yaml": "lr: 0.7\nn: 1\n"})
    make.done(root, "exp", "save", "-n", "mine")
    assert "lr: 0.7" in tried.show(root, "mine", "dvc.lock")
    assert (root / "model.txt").read_text() == "by hand\n"
    assert make.assay(root, "status", "-q").code == 0


def test_untracked_files_can_be_kept_too(root):
    make.done(root, "repro")
    make.write(root, {"note.txt": "mine"})
    make.done(root, "exp", "save", "-n", "mine", "-I", "note.txt")
    assert tried.show(root, "mine", "note.txt") == "mine"


def test_what_is_not_there_cannot_be_kept(root):
    before = make.state(root)
    shown = make.assay(root, "exp", "save")
    assert shown.code == 255
    assert "the output 'model.txt' of stage 'train' is not there" in shown.err
    assert "assay exp run" in shown.err
    assert make.state(root) == before

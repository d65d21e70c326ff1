"""The queue: what waits outlives everything, what runs can be watched and ended."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from assay.pipeline.experiments.queue import Queue
from assay.project.workspace import Project
from tests import make
from tests.pipeline.experiments import tried

WAITS = tried.PIPELINE.replace(
    "python train.py",
    "echo $$ > $GO.$DVC_EXP_NAME; echo begun;"
    " until [ -e $GO ]; do sleep 0.05; done; python train.py",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tried.project(tmp_path)


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose stage waits for a file `go` beside it."""
    root = tried.project(tmp_path)
    monkeypatch.setenv("GO", str(tmp_path / "go"))
    make.write(root, {"dvc.yaml": WAITS})
    make.commit(root)
    return root


def status(root: Path) -> dict[str, str]:
    return {task["name"]: task["status"] for task in tasks(root)}


def tasks(root: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(make.done(root, "queue", "status", "--json"))["tasks"]
    return found


def workers(root: Path) -> int:
    counts = json.loads(make.done(root, "queue", "status", "--json"))["workers"]
    return int(counts["active"] + counts["idle"])


def wait_for(root: Path, **wanted: str) -> None:
    def there() -> bool:
        found = status(root)
        return all(found.get(name) == one for name, one in wanted.items())

    tried.wait_until(there)


def process_of(root: Path, name: str) -> int:
    tried.wait_until(lambda: Queue(Project(root)).get(name).state.process is not None)
    found = Queue(Project(root)).get(name).state.process
    assert found is not None
    return found


def begun(root: Path, name: str) -> None:
    """Wait until the command of a task's stage runs."""
    log = root / ".assay" / "queue" / name / "log"
    tried.wait_until(lambda: log.exists() and "\nbegun" in log.read_text())


def command_ended(root: Path, name: str) -> bool:
    """Say whether the shell of a task's stage is gone; a zombie counts as gone."""
    pid = (root.parent / f"go.{name}").read_text().strip()
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def finish(root: Path) -> None:
    (root.parent / "go").touch()
    tried.wait_until(lambda: workers(root) == 0)


def test_a_sweep_queues_each_combination_under_a_number(root):
    out = make.done(
        root, "exp", "run", "--queue", "-n", "s", "-S", "lr=0.5,0.6", "-S", "n=range(1,3)"
    )
    assert out.splitlines() == [
        "Queued 's-1': lr=0.5, n=1",
        "Queued 's-2': lr=0.5, n=2",
        "Queued 's-3': lr=0.6, n=1",
        "Queued 's-4': lr=0.6, n=2",
    ]
    assert list(status(root).items()) == [(f"s-{number}", "queued") for number in (1, 2, 3, 4)]
    assert (root / "params.yaml").read_text() == tried.PARAMS


def test_what_waits_is_what_was_there_when_it_was_queued(root):
    make.write(root, {"params.yaml": "lr: 0.3\nn: 1\n"})
    make.done(root, "exp", "run", "--queue", "-n", "one")
    make.write(root, {"params.yaml": "lr: 0.4\nn: 1\n"})
    make.git(root, "gc", "-q", "--prune=now")
    assert make.assay(root, "exp", "run", "--run-all").code == 0
    assert tried.show(root, "one", "m.json") == '{"acc": 0.3}'
    assert (root / "params.yaml").read_text() == "lr: 0.4\nn: 1\n"


def test_all_that_waits_runs_several_at_a_time_and_shows_what_it_prints(root):
    make.done(root, "exp", "run", "--queue", "-n", "s", "-S", "lr=0.2,0.3,0.4")
    out = make.done(root, "exp", "run", "--run-all", "-j", "2")
    assert [f"Ran experiment 's-{n}'" in out for n in (1, 2, 3)] == [True] * 3
    assert tried.names(root) == ["s-1", "s-2", "s-3"]
    assert set(status(root).values()) == {"success"}
    tried.wait_until(lambda: workers(root) == 0)


def test_a_log_has_its_first_line_before_the_stage_begins(slow):
    make.done(slow, "exp", "run", "--queue", "-n", "one")
    assert "Started 1 worker." in make.done(slow, "queue", "start")
    wait_for(slow, one="running")
    tried.wait_until(lambda: "Task 'one' begins" in make.done(slow, "queue", "logs", "one"))
    begun(slow, "one")
    assert "begun" in make.done(slow, "queue", "logs", "one")
    finish(slow)
    assert "Ran experiment 'one'" in make.done(slow, "queue", "logs", "one", "-f")


def test_a_failure_before_the_first_stage_is_in_the_log_too(root):
    make.write(root, {"dvc.yaml": "stages:\n  a:\n    cdm: true\n"})
    make.done(root, "exp", "run", "--queue", "-n", "one")
    assert make.assay(root, "exp", "run", "--run-all").code == 255
    assert "cdm" in make.done(root, "queue", "logs", "one")
    (task,) = tasks(root)
    assert "cdm" in task["reason"]


def test_one_that_failed_says_why_and_can_be_started_again(root):
    make.done(root, "exp", "run", "--queue", "-n", "s", "-S", "lr=0.9,0.5")
    shown = make.assay(root, "exp", "run", "--run-all")
    assert shown.code == 255
    assert "1 of 2 experiments failed: s-1" in shown.err
    assert status(root) == {"s-1": "failed", "s-2": "success"}
    assert "failed with exit status" in make.done(root, "queue", "status")
    assert "0.9 is too much" in make.done(root, "queue", "logs", "s-1")
    tried.wait_until(lambda: workers(root) == 0)
    make.done(root, "queue", "start", "s-1")
    tried.wait_until(lambda: workers(root) == 0)
    assert status(root)["s-1"] == "failed"


def test_ending_a_task_ends_its_processes_and_lets_the_next_begin(slow):
    make.done(slow, "exp", "run", "--queue", "-n", "s", "-S", "lr=0.2,0.3")
    make.done(slow, "queue", "start")
    begun(slow, "s-1")
    make.done(slow, "queue", "kill", "s-1")
    assert status(slow)["s-1"] == "failed"
    assert command_ended(slow, "s-1")
    begun(slow, "s-2")
    finish(slow)
    assert tried.names(slow) == ["s-2"]
    assert left(slow) == []
    assert "it was killed" in make.done(slow, "queue", "status")


def left(root: Path) -> list[Path]:
    """Return the work trees that are there."""
    return list((root / ".assay" / "worktrees").iterdir())


def test_a_task_can_be_ended_at_once(slow):
    make.done(slow, "exp", "run", "--queue", "-n", "one")
    make.done(slow, "queue", "start")
    begun(slow, "one")
    make.done(slow, "queue", "kill", "-f", "one")
    wait_for(slow, one="failed")
    tried.wait_until(lambda: command_ended(slow, "one"))
    finish(slow)
    make.done(slow, "queue", "start", "one")
    finish(slow)
    assert tried.names(slow) == ["one"]
    assert left(slow) == []


@pytest.mark.parametrize("whose", ["worker", "task"])
def test_after_a_kill_the_task_has_failed_and_can_be_started_again(slow, whose):
    make.done(slow, "exp", "run", "--queue", "-n", "one")
    make.done(slow, "queue", "start")
    begun(slow, "one")
    pid = (slow / ".assay" / "queue" / "workers" / "1.pid").read_text().split()[0]
    os.kill(int(pid) if whose == "worker" else process_of(slow, "one"), signal.SIGKILL)
    wait_for(slow, one="failed")
    tried.wait_until(lambda: command_ended(slow, "one"))
    (task,) = tasks(slow)
    assert task["reason"] == "it was killed"
    tried.wait_until(lambda: workers(slow) == 0)
    make.done(slow, "queue", "start", "one")
    finish(slow)
    assert status(slow) == {"one": "success"}
    assert tried.names(slow) == ["one"]
    assert left(slow) == []


def test_workers_end_after_what_they_run(slow):
    make.done(slow, "exp", "run", "--queue", "-n", "s", "-S", "lr=0.2,0.3")
    make.done(slow, "queue", "start")
    begun(slow, "s-1")
    assert "1 worker will end" in make.done(slow, "queue", "stop")
    finish(slow)
    assert status(slow) == {"s-1": "success", "s-2": "queued"}


def test_a_stop_is_taken_back_by_a_start(slow):
    make.done(slow, "exp", "run", "--queue", "-n", "s", "-S", "lr=0.2,0.3")
    make.done(slow, "queue", "start")
    begun(slow, "s-1")
    make.done(slow, "queue", "stop")
    assert "1 worker goes on: 'queue stop' is taken back." in make.done(slow, "queue", "start")
    assert make.done(slow, "queue", "start") == "1 worker at work already.\n"
    finish(slow)
    assert status(slow) == {"s-1": "success", "s-2": "success"}


def test_as_many_go_on_as_are_asked_for_after_a_stop(slow):
    make.done(slow, "exp", "run", "--queue", "-n", "s", "-S", "lr=0.2,0.3,0.4,0.5")
    make.done(slow, "queue", "start", "-j", "2")
    begun(slow, "s-1")
    begun(slow, "s-2")
    make.done(slow, "queue", "stop")
    out = make.done(slow, "queue", "start", "-j", "3")
    assert out.startswith("Started 1 worker. 2 workers go on: ")
    begun(slow, "s-3")
    assert status(slow)["s-4"] == "queued"
    finish(slow)
    assert set(status(slow).values()) == {"success"}


def test_a_worker_that_is_asked_to_end_by_a_signal_can_be_kept(slow):
    make.done(slow, "exp", "run", "--queue", "-n", "s", "-S", "lr=0.2,0.3")
    make.done(slow, "queue", "start")
    begun(slow, "s-1")
    folder = slow / ".assay" / "queue" / "workers"
    pid = (folder / "1.pid").read_text().split()[0]
    os.kill(int(pid), signal.SIGTERM)
    tried.wait_until((folder / f"{pid}.stop").exists)
    make.done(slow, "queue", "start")
    finish(slow)
    assert set(status(slow).values()) == {"success"}


def test_workers_and_what_they_run_can_be_ended_together(slow):
    make.done(slow, "exp", "run", "--queue", "-n", "s", "-S", "lr=0.2,0.3")
    make.done(slow, "queue", "start")
    begun(slow, "s-1")
    make.done(slow, "queue", "stop", "--kill")
    tried.wait_until(lambda: workers(slow) == 0)
    assert status(slow) == {"s-1": "failed", "s-2": "queued"}


def test_no_more_workers_are_started_than_are_asked_for(slow):
    make.done(slow, "exp", "run", "--queue", "-n", "s", "-S", "lr=0.2,0.3,0.4")
    make.done(slow, "queue", "start", "-j", "2")
    begun(slow, "s-1")
    begun(slow, "s-2")
    assert make.done(slow, "queue", "start", "-j", "2") == "2 workers at work already.\n"
    assert status(slow) == {"s-1": "running", "s-2": "running", "s-3": "queued"}
    finish(slow)
    assert set(status(slow).values()) == {"success"}


def test_what_waits_can_be_taken_out_and_its_name_used_again(root):
    make.done(root, "exp", "run", "--queue", "-n", "one")
    shown = make.assay(root, "exp", "run", "--queue", "-n", "one")
    assert shown.code == 255
    assert "assay queue remove one" in shown.err
    assert make.done(root, "queue", "remove", "one") == "Removed one.\n"
    assert status(root) == {}
    make.done(root, "exp", "run", "--queue", "-n", "one")
    assert make.done(root, "exp", "remove", "one") == "Removed one.\n"
    assert make.git(root, "for-each-ref", "refs/assay") == ""


def test_the_queue_is_emptied_by_how_far_things_are(root):
    make.done(root, "exp", "run", "--queue", "-n", "s", "-S", "lr=0.9,0.5")
    make.assay(root, "exp", "run", "--run-all")
    tried.wait_until(lambda: workers(root) == 0)
    make.done(root, "exp", "run", "--queue", "-n", "w")
    assert make.done(root, "queue", "remove", "--failed") == "Removed s-1.\n"
    assert make.done(root, "queue", "remove", "--success") == "Removed s-2.\n"
    assert make.done(root, "exp", "remove", "--queue") == "Removed w.\n"
    assert tried.names(root) == ["s-2"]


@pytest.mark.parametrize(
    ("command", "said", "code"),
    [
        (["logs", "s-11"], "did you mean 's-1'?", 255),
        (["kill", "s-1"], "does not run: it is queued", 255),
        (["remove"], "name tasks, or say which", 2),
        (["remove", "s-1", "--all"], "name tasks, or say which", 2),
        (["remove", "zzz"], "see 'assay queue status'", 255),
        (["start", "zzz"], "there is no task 'zzz'", 255),
        (["kill"], "Missing argument", 2),
        (["start", "-j", "0"], "0", 2),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(root, command, said, code):
    make.done(root, "exp", "run", "--queue", "-n", "s", "-S", "lr=0.5,0.6")
    before = make.git(root, "for-each-ref")
    shown = make.assay(root, "queue", *command)
    assert shown.code == code, shown
    assert said in shown.err
    assert make.git(root, "for-each-ref") == before


def test_a_sweep_with_one_bad_member_queues_none(root):
    make.done(root, "exp", "run", "-n", "s-2")
    make.git(root, "checkout", "-q", "params.yaml")
    shown = make.assay(root, "exp", "run", "--queue", "-n", "s", "-S", "lr=0.5,0.6")
    assert shown.code == 255
    assert "there is an experiment 's-2'" in shown.err
    assert status(root) == {}


def test_an_empty_queue_says_so(root):
    assert "Nothing is in the queue." in make.done(root, "queue", "status")
    assert make.done(root, "queue", "start") == "Nothing waits in the queue.\n"
    assert make.done(root, "exp", "run", "--run-all") == "Nothing waits in the queue.\n"
    assert make.done(root, "queue", "stop") == "No worker is at work.\n"

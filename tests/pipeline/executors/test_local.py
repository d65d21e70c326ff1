"""Commands on this machine, and how an executor is found by its name."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from assay.base.errors import NotFound
from assay.pipeline import executors
from assay.pipeline.executors.local import LocalExecutor
from tests import make, stages
from tests.kinds import check_executor


@pytest.mark.parametrize("check", check_executor.CHECKS, ids=lambda check: check.__name__)
def test_it_does_what_every_executor_promises(check: Callable[..., None], tmp_path: Path):
    check(LocalExecutor, tmp_path)


PARENT = """
import sys
from pathlib import Path
from assay.pipeline.executors.local import LocalExecutor
from tests.kinds.check_executor import task
executor = LocalExecutor()
line = "(trap '' INT TERM; sleep 60; true) & echo $! > {0}; wait"
pair = [executor.submit(task(line.format(name), Path.cwd())) for name in "ab"]
executor.submit(task("true", Path.cwd())).wait()
pair[0].wait()
"""


def test_a_parent_that_is_killed_takes_all_groups_with_it(tmp_path: Path):
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(root)!r})\n{PARENT}"]
    with subprocess.Popen(command, cwd=tmp_path) as parent:
        pids = [_pid(tmp_path / name) for name in "ab"]
        parent.kill()
    deadline = time.monotonic() + 20
    while any(map(_is_running, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _pid(path: Path) -> int:
    deadline = time.monotonic() + 20
    while not (path.exists() and path.read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return int(path.read_text())


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def test_nothing_of_it_is_left_once_it_is_closed(tmp_path: Path):
    executor = LocalExecutor()
    executor.submit(check_executor.task("true", tmp_path)).wait()
    watch = executor._watch
    executor.close()
    executor.close()
    assert watch is not None
    assert watch.returncode == 0


def test_an_unknown_executor_is_refused_with_the_nearest_name(tmp_path: Path):
    with pytest.raises(NotFound, match="no kind of executor is called 'locl'") as caught:
        executors.open_executor("locl")
    assert caught.value.hint == "did you mean 'local'?"


class Counting(LocalExecutor):
    """A stranger's executor."""

    commands: list[str] = []  # noqa: RUF012 -- what all of them ran

    def submit(self, task):
        self.commands.append(task.command)
        return super().submit(task)


def test_a_strangers_executor_runs_the_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from assay.pipeline import repro
    from assay.project import workspace

    point = metadata.EntryPoint("counting", f"{__name__}:Counting", "assay.executors")
    known = metadata.entry_points

    def with_ours(**wanted):
        ours = wanted == {"group": "assay.executors", "name": "counting"}
        return [point] if ours else known(**wanted)

    monkeypatch.setattr(metadata, "entry_points", with_ours)
    monkeypatch.setattr(metadata.EntryPoint, "load", lambda _: Counting)
    folder = stages.pipeline(tmp_path / "project", "stages: {a: {cmd: echo 1 > a, outs: [a]}}\n")
    silent = repro.Events(lambda _: None, lambda _: None)
    repro.repro(workspace.find(folder), [], cwd=folder, events=silent, executor="counting")
    assert Counting.commands == ["echo 1 > a"]
    assert make.done(folder, "repro") == "Data and pipelines are up to date.\n"

"""A process that is killed loses at most the last 200 ms of what it logged, and never a part."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from assay.base.clock import now_ms
from assay.ledger import runs
from assay.ledger.database import open_ledger
from assay.ledger.operations import LogMetrics
from assay.ledger.sdk import channels, spool
from assay.ledger.writer import Writer
from tests import make

TRAIN = """if True:
    import assay, sys, time
    with assay.run("train") as run:
        print(run.id, flush=True)
        step = 0
        until = time.monotonic() + 60
        while time.monotonic() < until:
            assay.log_metric("step", step, step=step)
            step += 1
            if sys.argv[1] == "busy":
                sum(range(3000))
            else:
                time.sleep(0.001)
"""


@pytest.mark.parametrize(
    ("recorded", "how"),
    [
        ("sqlite", "busy"),
        ("sqlite", "idle"),
        ("postgresql", "busy"),
        pytest.param("postgresql", "idle", marks=pytest.mark.slow),
    ],
    indirect=["recorded"],
)
def test_at_most_the_last_200_ms_are_lost_in_a_kill(project: Path, recorded: str | None, how: str):
    lost = [_killed(project, how, where=recorded, after=0.3 + 0.4 * n) for n in range(3)]
    assert max(lost) <= 200, lost


@pytest.mark.slow
@pytest.mark.parametrize("how", ["busy", "idle"])
def test_at_most_the_last_200_ms_are_lost_in_many_kills(
    project: Path, recorded: str | None, how: str
):
    draw = random.Random(8)
    lost = [_killed(project, how, where=recorded, after=2 * draw.random()) for _ in range(40)]
    assert max(lost) <= 200, lost


def _killed(folder: Path, how: str, *, where: str | None, after: float) -> int:
    """Kill a run, let the next one look, and return the milliseconds that are missing."""
    command = [sys.executable, "-c", TRAIN, how]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as trained:
        assert trained.stdout is not None
        run = trained.stdout.readline().strip()
        time.sleep(after)
        at = now_ms()
        trained.send_signal(signal.SIGKILL)
    where = where or str(folder / ".assay" / "ledger.db")
    channels.channel(where, folder=folder / ".assay" / "spool").resend()
    with open_ledger(where) as ledger:
        assert Writer(ledger).mark_killed(at=now_ms()) == [run]
        history = runs.history(ledger, run, "step")
        assert runs.get(ledger, run).status == "killed"
    assert [point.value for point in history] == [*range(len(history))]  # none in the midst
    return max(0, at - (history[-1].at if history else at))


def test_a_killed_run_is_marked_so_at_the_next_look(project: Path, recorded: str | None):
    command = [sys.executable, "-c", TRAIN, "idle"]
    with subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, text=True) as trained:
        assert trained.stdout is not None
        run = trained.stdout.readline().strip()
        assert '"status": "running"' in make.done(project, "runs", "show", run, "--json")
        trained.send_signal(signal.SIGKILL)
    found = make.done(project, "runs", "show", run, "--json")
    assert '"status": "killed"' in found
    assert f'"reason": "its process {trained.pid} is gone"' in found
    assert "killed" in make.done(project, "runs", "list")


def test_at_most_the_last_200_ms_are_lost_in_a_kill_while_the_hub_is_away(project: Path):
    command = [sys.executable, "-c", TRAIN, "busy"]
    env = {**os.environ, "ASSAY_HUB": "http://127.0.0.1:9"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=project, stdout=pipe, stderr=pipe, env=env) as trained:
        assert trained.stdout is not None
        run = trained.stdout.readline().decode().strip()
        time.sleep(1)
        at = now_ms()
        trained.send_signal(signal.SIGKILL)
    (path,) = spool.files(project / ".assay" / "spool")
    with spool.claimed(path) as left:
        assert left is not None
        assert (left.run, left.header.to) == (run, "http://127.0.0.1:9")
        operations = [one for batch in left.batches() for one in batch.operations]
    points = [point for one in operations if isinstance(one, LogMetrics) for point in one.points]
    assert [point.step for point in points] == [*range(len(points))]
    assert at - points[-1].at <= 200

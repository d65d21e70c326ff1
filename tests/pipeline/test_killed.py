"""A `repro` that was killed: every look at runs says so, and what it left running is ended."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import assay
from assay.base.clock import now_ms
from assay.ledger import liveness, runs
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.writer import Writer
from tests import databases, make, stages

SLEEPS = """
stages:
  long:
    cmd: {python} -S stage.py
    deps: [stage.py]
    outs: [out]
"""
STAGE = """
import os, subprocess, sys, time
print("the last line", flush=True)
away = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
left = subprocess.Popen(away, start_new_session=True)
open("pid.tmp", "w").write(str(left.pid))
os.rename("pid.tmp", "pid")
time.sleep(60)
"""


def project(folder: Path) -> Path:
    return stages.pipeline(folder, SLEEPS.format(python=sys.executable), {"stage.py": STAGE})


@contextmanager
def going_on(folder: Path, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """A repro whose stage has begun; it is killed at the end of the block."""
    command = [sys.executable, "-c", REPRO, "repro"]
    with subprocess.Popen(
        command, cwd=folder, env={**os.environ, **env}, stdout=subprocess.DEVNULL
    ) as repro:
        try:
            wait((folder / "pid").exists)
            yield repro
        finally:
            repro.kill()


REPRO = """
import sys
from assay.ledger import liveness
from assay.cli import run
liveness.BEAT = 0.1
sys.exit(run(sys.argv[1:]))
"""


def wait(done: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not done():
        assert time.monotonic() < until
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose repro was killed with SIGKILL, its ledger untouched since."""
    folder = project(tmp_path_factory.mktemp("killed") / "project")
    with going_on(folder) as repro:
        wait(lambda: "the last line" in (tails(folder) or ""))
        repro.send_signal(signal.SIGKILL)
    return folder


def tails(folder: Path) -> str | None:
    with open_ledger(folder / ".assay" / "ledger.db", create=False) as ledger:
        [stage] = runs.list_(ledger, kind="stage", top_level=False)
        return runs.get(ledger, stage.id).log_tail


@pytest.fixture
def copy(killed: Path, tmp_path: Path) -> Path:
    return shutil.copytree(killed, tmp_path / "project", symlinks=True)


def statuses(folder: Path) -> set[str]:
    with open_ledger(folder / ".assay" / "ledger.db", create=False) as ledger:
        return {one.status for one in runs.list_(ledger, top_level=False)}


@pytest.mark.parametrize(
    "command",
    [
        ("runs", "list"), ("log",), ("runs", "search", ""), ("runs", "show"), ("trace", "latest"),
        ("runs", "export"), ("repro",),
    ],
)  # fmt: skip
def test_each_look_at_runs_marks_a_killed_repro_and_its_stages(
    copy: Path, command: tuple[str, ...]
):
    assert statuses(copy) == {"running"}
    if command == ("repro",):
        stage = "import pathlib; pathlib.Path('out').touch()"
        make.write(copy, {"stage.py": stage})
    shown = make.assay(copy, *command)
    assert shown.code == 0, shown.err
    assert "killed" in statuses(copy) <= {"killed", "finished"}
    assert "running" not in shown.out


def test_a_search_of_the_api_marks_it(copy: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(copy)
    found = assay.search_runs("", columns=["status"])
    assert set(found["status"]) == {"killed"}


def test_a_push_sends_it_also_where_the_ledger_is_as_it_was_at_the_last_one(tmp_path: Path):
    folder = project(tmp_path / "project")
    make.done(folder, "remote", "add", "-d", "r", str(tmp_path / "remote"))
    with going_on(folder) as repro:
        make.done(folder, "push")
        repro.kill()
        repro.wait()
    packs = sum(1 for path in (tmp_path / "remote").rglob("*") if path.is_file())
    make.done(folder, "push")
    assert statuses(folder) == {"killed"}
    assert sum(1 for path in (tmp_path / "remote").rglob("*") if path.is_file()) > packs


def test_the_killed_stage_has_its_last_lines(killed: Path):
    assert "the last line" in (tails(killed) or "")


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_what_it_left_running_is_ended_also_after_another_look_has_marked_it(tmp_path: Path):
    folder = project(tmp_path / "project")
    with going_on(folder) as repro:
        left = int((folder / "pid").read_text())
        repro.kill()
        repro.wait()
    assert is_running(left)
    with open_ledger(folder / ".assay" / "ledger.db", create=False) as ledger:
        liveness.look(ledger, at=now_ms())  # which ends nothing
    assert statuses(folder) == {"killed"}
    assert is_running(left)
    make.done(folder, "runs", "list")
    wait(lambda: not is_running(left))
    assert not list((folder / ".assay").rglob("running.*"))


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_a_repro_that_goes_on_is_left_alone_by_every_look(tmp_path: Path):
    folder = project(tmp_path / "project")
    with going_on(folder):
        left = int((folder / "pid").read_text())
        for command in (("runs", "list"), ("status",), ("repro", "--dry")):
            make.assay(folder, *command)
        assert statuses(folder) == {"running"}
        assert is_running(left)
        listed = json.loads(make.done(folder, "runs", "list", "--json"))
        assert [one["status"] for one in listed] == ["running"]
    os.kill(left, signal.SIGKILL)


@pytest.mark.parametrize("kind", databases.KINDS)
def test_a_repro_says_that_it_lives_and_another_host_knows_when_it_does_not(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
):
    folder = project(tmp_path / "project")
    where: Path | str = folder / ".assay" / "ledger.db"
    if kind == "postgresql":
        where = request.getfixturevalue("postgres").database()
        make.done(folder, "config", "ledger.url", str(where))
    with going_on(folder), open_ledger(where, create=False) as ledger:
        ids = [one.id for one in runs.list_(ledger, top_level=False)]
        first = seen(ledger)
        assert len(first) == len(ids) == 2
        wait(lambda: all(now > then for now, then in zip(seen(ledger), first, strict=True)))
        with ledger.write() as connection:
            connection.exec_driver_sql("UPDATE run SET host = 'elsewhere'")
        now = now_ms()
        assert Writer(ledger).mark_killed(at=now) == []
        later = now_ms() + liveness.LOST + 60_000
        assert sorted(Writer(ledger).mark_killed(at=later)) == sorted(ids)
        wait(lambda: {one.status for one in runs.list_(ledger, top_level=False)} == {"running"})
    os.kill(int((folder / "pid").read_text()), signal.SIGKILL)


def seen(ledger: Ledger) -> list[int]:
    with ledger.read() as connection:
        return list(connection.exec_driver_sql("SELECT seen FROM run ORDER BY id").scalars())

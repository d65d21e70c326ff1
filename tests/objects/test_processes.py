"""What several processes share is done once each, in order, or an error says what was wrong."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.base.errors import Error
from assay.objects import processes
from assay.objects.processes import spread

P = ParamSpec("P")
ROOT = Path(__file__).parents[2]
MANY = 5000
several = pytest.mark.skipif(
    processes._n_cores() < 2 or sys.platform != "linux", reason="one core, or no fork"
)


def alone(test: Callable[P, None]) -> Callable[P, None]:
    """Run a test in a process of its own where this one has threads, and so is never forked."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        if processes._may_fork():
            test(*args, **kwargs)
            return
        name = os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0]
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:xdist",
            "-p",
            "no:cacheprovider",
        ]
        done = subprocess.run(
            [*command, name], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout
        assert " passed" in done.stdout

    return run


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 3000))
def test_all_results_come_back_in_order(count: int):
    told: list[int] = []
    assert spread(count, lambda number: number * 3, told=told.extend) == [*range(0, 3 * count, 3)]
    assert sorted(told) == [*range(0, 3 * count, 3)]


@several
@alone
def test_more_than_one_process_works():
    def work(_: int) -> int:
        time.sleep(0.0001)
        return os.getpid()

    found = spread(MANY, work)
    assert len(set(found)) > 1
    assert found.count(os.getpid()) > 0


def test_with_little_to_do_no_process_is_started():
    assert set(spread(processes.FEWEST - 1, lambda _: os.getpid())) == {os.getpid()}


def test_a_process_with_threads_does_it_alone():
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        assert set(spread(MANY, lambda _: os.getpid())) == {os.getpid()}
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("at", [0, 700, MANY - 1])
def test_what_is_raised_anywhere_ends_it(at: int):
    def work(number: int) -> int:
        if number == at:
            raise FileNotFoundError(2, "gone", "/a/file")
        return number

    before = children()  # of other tests
    with pytest.raises(FileNotFoundError) as caught:
        spread(MANY, work)
    assert caught.value.filename == "/a/file"
    assert set(children()) - set(before) == set()


@several
@alone
def test_what_only_a_helper_cannot_do_is_done_here():
    us = os.getpid()

    def work(number: int) -> int:
        time.sleep(0.0001)
        if os.getpid() != us and number % 7 == 0:
            raise OSError(24, "too many open files")
        return number

    assert spread(MANY, work) == [*range(MANY)]
    assert children() == []


@several
@alone
def test_a_helper_that_is_killed_is_said_to_be():
    us = os.getpid()

    def work(number: int) -> int:
        time.sleep(0.0001)
        if os.getpid() != us:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    with pytest.raises(Error, match="stopped before it was done") as caught:
        spread(MANY, work)
    assert "again" in (caught.value.hint or "")
    assert children() == []


@several
def test_helpers_end_with_the_process_that_started_them(tmp_path: Path):
    code = f"""
import os, time
from assay.objects.processes import spread
def work(number):
    open(f"{tmp_path}/{{os.getpid()}}", "w").close()
    time.sleep(0.001)
spread(1_000_000, work)
"""
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        while len(pids := {int(path.name) for path in tmp_path.iterdir()}) < 2:
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
        process.wait()
    for _ in range(500):
        if not any(runs(pid) for pid in pids):
            return
        time.sleep(0.01)
    pytest.fail("a helper goes on without the process that started it")


@several
@pytest.mark.parametrize("here", [True, False])
@alone
def test_an_interrupt_ends_all_wherever_it_is_met_first(here: bool):
    us, rounds = os.getpid(), [0]

    def work(number: int) -> int:
        time.sleep(0.0001)
        rounds[0] += 1
        if rounds[0] == 100 and (os.getpid() == us) == here:
            signal.raise_signal(signal.SIGINT)
        return number

    with pytest.raises(KeyboardInterrupt):
        spread(MANY, work)
    assert children() == []


def children() -> list[int]:
    """The processes that this one started and that are not over."""
    found = Path(f"/proc/self/task/{threading.get_native_id()}/children")
    return [int(pid) for pid in found.read_text().split()] if found.exists() else []


def runs(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False

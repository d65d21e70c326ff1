"""What a push or pull moved before it was broken off counts: the next one moves the rest."""

from __future__ import annotations

import fcntl
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.objects.cache import Cache
from tests import make

N_FILES = 1600
SIZE = 160_000


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with 256 MB in its cache, and a remote with nothing."""
    folder = tmp_path_factory.mktemp("resumed")
    project = make.project(folder / "project")
    draw = random.Random(7)
    noise = draw.randbytes(SIZE)
    files = {f"d/{n}": b"%d " % n + noise for n in range(N_FILES)}
    make.write(project, files)
    make.done(project, "config", "cache.type", "hardlink")
    make.done(project, "remote", "add", "-d", "st", str(folder / "store"))
    make.done(project, "add", "d")
    yield project
    shutil.rmtree(folder)


@pytest.fixture
def store(stored: Path) -> Iterator[Path]:
    """The remote, with nothing in it."""
    shutil.rmtree(stored.parent / "store", ignore_errors=True)
    yield stored.parent / "store"
    shutil.rmtree(stored.parent / "store", ignore_errors=True)


def size_of(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(f"{place}/{name}").st_size
            except FileNotFoundError:
                continue
    return total


def broken_off(project: Path, command: str, into: Path, *, after: float, by: int) -> int:
    """Start a command, send it a signal when a share of the bytes are there; return its code."""
    process = subprocess.Popen(
        make.command(command),
        cwd=project,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while process.poll() is None and size_of(into) < after * N_FILES * SIZE:
        time.sleep(0.002)
    if by == signal.SIGKILL:
        process.kill()
    else:
        os.killpg(process.pid, by)  # a terminal tells all of them
    code = process.wait()
    wait_for_helpers(into)
    return code


def wait_for_helpers(into: Path) -> None:
    """Wait until nobody holds a staging folder: helpers end right after a command that is killed.

    A command that begins in between takes the folder for one in use, and leaves it.
    """
    for lock in into.glob("tmp.*/lock"):
        with lock.open() as opened:
            until = time.monotonic() + 10
            while time.monotonic() < until:
                try:
                    fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    time.sleep(0.01)


def whole(folder: Path) -> int:
    """Return how many objects there are; each has its hash."""
    cache = Cache(folder)
    oids = list(cache)
    assert all(cache.verify(oid) for oid in oids)
    return len(oids)


def moved(text: str) -> int:
    found = re.search(r"([\d,]+) files? (pushed|fetched)", text)
    assert found, text
    return int(found[1].replace(",", ""))


@pytest.mark.parametrize(
    ("end", "after"), [(signal.SIGKILL, 0.5), (signal.SIGINT, 0.1), (signal.SIGTERM, 0.1)]
)
def test_a_push_that_was_broken_off_goes_on_where_it_was(
    stored: Path, store: Path, end: int, after: float
):
    assert broken_off(stored, "push", store, after=after, by=end) != 0
    there = whole(store / "files" / "md5")
    assert 0 < there < N_FILES
    assert moved(make.done(stored, "push")) == N_FILES + 1 - there
    assert whole(store / "files" / "md5") == N_FILES + 1
    assert [path.name for path in store.iterdir()] == ["files"]


@pytest.mark.parametrize(("end", "after"), [(signal.SIGKILL, 0.5), (signal.SIGINT, 0.1)])
def test_a_pull_that_was_broken_off_goes_on_where_it_was(
    stored: Path, store: Path, tmp_path: Path, end: int, after: float
):
    make.done(stored, "push")
    clone = tmp_path / "clone"
    shutil.copytree(stored, clone, ignore=lambda *_: {"d", "cache", ".assay"})
    cache = clone / ".dvc" / "cache" / "files" / "md5"
    assert broken_off(clone, "fetch", cache, after=after, by=end) != 0
    there = whole(cache)
    assert 1 < there < N_FILES
    assert moved(make.done(clone, "fetch")) == N_FILES + 1 - there
    assert whole(cache) == N_FILES + 1
    assert list(cache.glob("tmp.*")) == []


def test_gc_and_verify_take_away_what_a_killed_command_left(stored: Path, store: Path):
    assert broken_off(stored, "push", store, after=0.1, by=signal.SIGKILL) == -signal.SIGKILL
    (left,) = store.glob("tmp.*")
    assert str(left) in make.done(stored, "gc", "-w", "-c", "--dry")
    assert left.exists()
    shown = make.done(stored, "gc", "-w", "-c", "-f")
    assert "Removed 1 object" in shown
    assert "from the folders of killed commands" in shown
    assert not left.exists()
    assert broken_off(stored, "push", store, after=0.1, by=signal.SIGKILL) == -signal.SIGKILL
    make.done(stored, "cache", "verify", "--remote", "st")
    assert list(store.glob("tmp.*")) == []

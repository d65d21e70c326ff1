"""What a command takes of memory: no more than 1 kB a file above 60 MB; and what it loads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import make

# The system counts what the parent has to the child, until that runs another program; so a small
# process starts the command, and says what it took.
START = """
import os, sys
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(pid, 0)
print(used.ru_maxrss * 1024)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.fixture
def root() -> Iterator[Path]:
    """A project in memory, where there is enough: the disk is not what is measured."""
    memory = make.memory()
    enough = memory is not None and shutil.disk_usage(memory).free > 4_000_000_000
    with tempfile.TemporaryDirectory(dir=memory if enough else None) as folder:
        yield make.project(Path(folder) / "project")


def taken(root: Path, *arguments: str) -> int:
    """Run a command and return the most memory that a process of it had, in bytes."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", START, sys.executable, "-m", "assay", *arguments],
        cwd=root,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.splitlines()[-1])


def fill(folder: Path, n_files: int) -> None:
    for start in range(0, n_files, 1000):
        shard = folder / f"{start:07d}"
        shard.mkdir(parents=True)
        for number in range(start, min(start + 1000, n_files)):
            (shard / f"{number:07d}.txt").write_text(f"{number}\n")


@pytest.mark.parametrize("n_files", [10_000, pytest.param(200_000, marks=pytest.mark.slow)])
def test_memory_stays_within_60_mb_and_1_kb_a_file(root: Path, n_files: int):
    fill(root / "data", n_files)
    make.done(root, "remote", "add", "-d", "store", "../store")
    found = {"add": taken(root, "add", "data")}
    make.git(root, "add", "-A")
    make.git(root, "commit", "-q", "-m", "one")
    (root / "data" / "0000000" / "0000000.txt").write_text("changed")
    for name, arguments in {
        "status after a change": ["status"],
        "add after a change": ["add", "data"],
        "status": ["status"],
        "diff": ["diff", "HEAD"],
        "data status": ["data", "status", "--granular"],
        "push": ["push"],
        "push again": ["push"],
        "gc": ["gc", "-w", "-f"],
    }.items():
        found[name] = taken(root, *arguments)
    (root / "data").rename(root.parent / "away")
    found["checkout"] = taken(root, "checkout")
    (root / ".dvc" / "cache").rename(root.parent / "cache")
    (root / "data").rename(root.parent / "away-2")
    found["pull"] = taken(root, "pull")
    print({name: f"{size / 1e6:.0f} MB" for name, size in found.items()})  # noqa: T201 -- for -rP
    limit = 60_000_000 + 1_000 * n_files
    assert {name: size for name, size in found.items() if size > limit} == {}


def test_a_look_at_unchanged_data_loads_neither_yaml_nor_hashes_nor_copying(root: Path):
    fill(root / "data", 3)
    make.done(root, "add", "data")
    code = (
        "import sys; from assay.cli import run; code = run(['status']);"
        "print(code, sorted({'yaml', '_hashlib', 'assay.objects.copying'} & sys.modules.keys()))"
    )
    for _ in range(2):  # the first one may find a file of the very tick in which it was added
        time.sleep(2.1)  # so long after a change of the cache it is remembered as complete
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
        )
    assert done.stdout == "Data and pipelines are up to date.\n0 []\n"

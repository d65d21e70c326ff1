"""A disk that is full for all at once does not fail a training: what fits later is written."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.ledger import runs
from assay.ledger.database import open_ledger
from tests import make

FULL = """
import resource, sys
import assay
from assay.ledger.sdk import unkept

soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

def fill(size=0):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))

def free():
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

def log_all():
    for step in range(100):
        assay.log_metric("loss", step, step=step)
    assay.log_params({"lr": 0.1})
    assay.set_tags({"team": "a"})
    assay.log_text("text", "a.txt")
    assay.log_dict({"b": 1}, "b.json")
    assay.log_table({"c": [1]}, "c.csv")
    assay.log_artifact("d.txt")
    assay.log_artifacts("folder", "in")
    assay.log_dataset("d.txt")
    with assay.run("part"):
        assay.log_metric("inner", 1)
"""
KEPT = ["a.txt", "b.json", "c.csv", "d.txt", "in/e.txt"]


@pytest.fixture
def project() -> Iterator[Path]:
    """A project where a file is copied by its bytes: a clone of it takes no space."""
    with tempfile.TemporaryDirectory(dir=make.memory()) as folder:
        yield make.project(Path(folder) / "project")


def script(project: Path, code: str) -> subprocess.CompletedProcess[str]:
    files = {"d.txt": "d" * 5000, "folder/e.txt": "e", ".gitignore": "*.txt\n"}
    make.write(project, {**files, "train.py": FULL + code})
    return subprocess.run(
        [sys.executable, "-W", "error", "train.py"],
        cwd=project,
        env={**os.environ, "ASSAY_RUN_SYSTEM_METRICS": "false"},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
    )


def ledger_of(project: Path) -> Path:
    return project / ".assay" / "ledger.db"


def test_rows_of_a_table_that_waits_for_space_are_all_there_afterwards(project: Path):
    shown = script(
        project,
        "with assay.run('train') as run:\n    assay.log_table({'x': [1]}, 't.csv')\n"
        "    fill()\n    assay.log_table({'x': [2]}, 't.csv')\n"
        "    assay.log_table({'x': [3]}, 't.csv')\n    free()\n    run.flush()\n"
        "    assay.log_table({'x': [4]}, 't.csv')\n"
        "print(assay.load(f'runs:/{run.id}/t.csv').read_text())",
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.split() == ["x", "1", "2", "3", "4"]


@pytest.mark.parametrize(
    "end",
    [
        "    run.flush()\n    free()\n",  # in the run
        "    run.flush()\nfree()\n",  # after the run
        "    run.flush()\nfree()\nwith assay.run('next'): assay.log_text('x', 'x.txt')\n",
    ],
)
def test_what_is_logged_on_a_full_disk_is_written_when_there_is_space(project: Path, end: str):
    done = script(
        project,
        f"with assay.run('train') as run:\n    run.flush()\n    fill()\n    log_all()\n{end}",
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stderr.splitlines()
    assert "wait in memory, up to 64.0 MB, until there is space" in first
    assert re.search(r"\(the ledger says: (disk I/O error|.* full)\)", second)
    assert "what is recorded waits in memory" in second
    with open_ledger(ledger_of(project)) as ledger:
        (row,) = [one for one in runs.list_(ledger) if one.name == "train"]
        found = runs.get(ledger, row.id)
        assert (found.status, found.params, found.tags) == ("finished", {"lr": 0.1}, {"team": "a"})
        assert len(runs.history(ledger, row.id, "loss")) == 100
        assert [one.path for one in found.artifacts] == KEPT
        assert [one.path for one in found.inputs] == ["d.txt"]
        (part,) = (runs.get(ledger, child) for child in found.children)
        assert (part.status, set(part.metrics)) == ("finished", {"inner"})
    shown = make.done(project, "runs", "artifacts", row.id, "--out", "copied")
    assert (project / "copied" / "a.txt").read_text() == "text", shown
    assert not list((project / ".assay" / "spool").glob("*"))


def test_what_finds_no_space_until_the_end_is_said_to_be_lost(project: Path):
    done = script(
        project, "with assay.run('train') as run:\n    run.flush()\n    fill()\n    log_all()\n"
    )
    assert done.returncode == 0, done.stderr
    assert "5 files could not be kept: a.txt of run " in done.stderr
    assert "assay: the last of a run was not recorded:" in done.stderr
    assert "Traceback" not in done.stderr
    with open_ledger(ledger_of(project)) as ledger:
        assert [one.name for one in runs.list_(ledger)] == ["train"]


def test_a_run_begins_and_ends_where_the_disk_is_full_all_the_time(project: Path):
    open_ledger(ledger_of(project)).close()
    done = script(project, "fill()\nwith assay.run('train'):\n    log_all()\nfree()\n")
    assert done.returncode == 0, done.stderr
    with open_ledger(ledger_of(project)) as ledger:
        found = runs.get(ledger, "latest")
        assert [one.path for one in found.artifacts] == KEPT
    assert not found.code.reproducible


def test_a_file_that_memory_should_not_hold_is_lost_at_once_and_named(project: Path):
    done = script(
        project,
        "unkept.MOST = 1000\n"
        "with assay.run('train') as run:\n"
        "    run.flush()\n    fill()\n"
        "    assay.log_artifact('d.txt')\n    assay.log_text('small', 'a.txt')\n"
        "    assay.log_text('first', 'b.txt')\n    assay.log_text('second', 'b.txt')\n"
        "    free()\n    assay.log_text('new', 'a.txt')\n",
    )
    assert done.returncode == 0, done.stderr
    assert "too large to wait in memory: d.txt (5.0 kB) of run " in done.stderr
    assert "1 file could not be kept: d.txt (5.0 kB) of run " in done.stderr
    with open_ledger(ledger_of(project)) as ledger:
        found = runs.get(ledger, "latest")
    assert [(one.path, one.size) for one in found.artifacts] == [("a.txt", 3), ("b.txt", 6)]


def test_a_store_that_may_not_be_written_to_is_an_error_still(project: Path):
    done = script(
        project,
        "import errno, os\n"
        "from assay.ledger.sdk.active import ActiveRun\n"
        "from assay.objects.cache import Cache\n"
        "def refuse(*_, **__): raise PermissionError(errno.EACCES, 'no')\n"
        "with assay.run('train') as run:\n    Cache.add = refuse\n    assay.log_text('x', 'a')\n",
    )
    assert done.returncode == 1
    assert "PermissionError" in done.stderr

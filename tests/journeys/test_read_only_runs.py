"""Runs of a project that cannot be written to: a mounted snapshot, another person's folder."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.ledger.database import open_ledger
from assay.ledger.writer import Metric, Writer
from tests import make
from tests.journeys.test_stopped_data import _without_root


@pytest.fixture
def snapshots(project: Path, tmp_path: Path) -> Iterator[dict[str, Path]]:
    """Copies of a project whose ledger is closed, is open, and is open and copied without index.

    In the open one a second run is in the log alone, and it runs in a process that is gone.
    """
    found = {}
    path = project / ".assay" / "ledger.db"
    with open_ledger(path) as ledger:
        run = Writer(ledger).start_run(name="first", kind="script")
        Writer(ledger).log_metrics(run, [Metric(key="loss", value=0.5, step=0, at=1)])
        Writer(ledger).finish_run(run, status="finished")
    found["closed"] = _copy(project, tmp_path / "closed")
    with open_ledger(path) as ledger:
        Writer(ledger).start_run(name="second", kind="script")
        found["open"] = _copy(project, tmp_path / "open")
        assert (tmp_path / "open" / ".assay" / "ledger.db-wal").stat().st_size
        (project / ".assay" / "ledger.db-shm").rename(tmp_path / "aside")
        found["half"] = _copy(project, tmp_path / "half")
        (tmp_path / "aside").rename(project / ".assay" / "ledger.db-shm")
    yield found
    for folder in found.values():
        for one in (folder, *folder.rglob("*")):
            one.chmod(0o755)


def _copy(project: Path, to: Path) -> Path:
    shutil.copytree(project, to, symlinks=True)
    for one in (*to.rglob("*"), to):
        one.chmod(0o555 if one.is_dir() else 0o444)
    return to


def test_runs_of_a_project_that_cannot_be_written_to_are_shown(snapshots: dict[str, Path]):
    folder = snapshots["closed"]
    before = make.snapshot(folder, without=())
    for arguments in (
        ("runs", "list"), ("runs", "show"), ("log",), ("runs", "metric", "latest", "loss"),
        ("runs", "show", "--directory", "."),
    ):  # fmt: skip
        shown = make.process(folder, *arguments, preexec_fn=_without_root)
        assert (shown.code, shown.err) == (0, ""), shown
        assert "first" in shown.out or "0.5" in shown.out
    shown = make.process(folder, "runs", "delete", "latest", preexec_fn=_without_root)
    assert shown.code == 255
    assert "hint: check the permissions" in shown.err
    assert make.snapshot(folder, without=()) == before


def test_what_is_in_the_log_alone_is_shown_too(snapshots: dict[str, Path]):
    found = make.process(snapshots["open"], "runs", "list", "--json", preexec_fn=_without_root)
    assert [one["name"] for one in json.loads(found.out)] == ["second", "first"]


def test_where_the_log_cannot_be_read_no_older_state_is_shown(snapshots: dict[str, Path]):
    shown = make.process(snapshots["half"], "runs", "list", preexec_fn=_without_root)
    assert (shown.code, shown.out) == (255, "")
    assert ".assay/ledger.db: the log beside it, 'ledger.db-wal', cannot be read" in shown.err
    assert "hint: copy the folder to where you may write" in shown.err


def test_what_the_owner_writes_meanwhile_is_seen_by_who_may_only_read(
    snapshots: dict[str, Path],
):
    code = """if True:
        import sys
        from assay.ledger import runs
        from assay.ledger.database import open_ledger
        with open_ledger(".assay/ledger.db", create=False) as ledger:
            for _ in range(3):
                print(len(runs.list_(ledger)), flush=True)
                sys.stdin.readline()
    """
    folder = snapshots["closed"]
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        preexec_fn=_without_root,  # noqa: PLW1509 -- this process has no other thread
    ) as reader:  # fmt: skip
        assert reader.stdin is not None
        assert reader.stdout is not None
        for n_runs in (1, 2, 3):
            assert reader.stdout.readline() == f"{n_runs}\n"
            for one in (folder / ".assay", folder / ".assay" / "ledger.db"):
                one.chmod(0o755)
            with open_ledger(folder / ".assay" / "ledger.db") as ledger:
                Writer(ledger).start_run(name="more", kind="script")
            (folder / ".assay").chmod(0o555)
            reader.stdin.write("\n")
            reader.stdin.flush()

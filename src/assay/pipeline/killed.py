"""Runs whose `assay` was killed: how that is noticed, and what they left running.

A `repro` holds a file, `.assay/…/running.*`, as long as it goes on. One that nobody holds was
left by a killed one; it names the run.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from assay.base.clock import now_ms
from assay.base.errors import NotFound
from assay.project.settings import ledger_where
from assay.project.workspace import Project

if TYPE_CHECKING:
    from assay.ledger.database import Ledger

_RUNNING = "running."


def settle(home: Project) -> list[str]:
    """Mark runs whose `assay` was killed, end what they left running; return their ids.

    Those of stages are not returned, nor those that were marked already.

    The ledger is opened only where a run left the file behind that it holds while it goes on.
    """
    files = [file for file in home.work_dir.glob(f"{_RUNNING}*") if not _is_held(file)]
    if not files:
        return []
    from assay.ledger.database import open_ledger

    killed: list[str] = []
    with contextlib.suppress(NotFound), open_ledger(ledger_where(home), create=False) as ledger:
        killed = end_killed(ledger, known=[_text(file) for file in files])
    for file in files:
        file.unlink(missing_ok=True)
    return killed


def end_killed(ledger: Ledger, *, known: list[str]) -> list[str]:
    """Mark runs whose process is gone, and end what they left running.

    Parameters
    ----------
    known : list of str
        Runs that were left behind; who looked at them before may have marked them.
    """
    from assay.ledger import runs
    from assay.ledger.writer import Writer
    from assay.pipeline import command

    killed = Writer(ledger).mark_killed(at=now_ms())
    parts = [
        part.id
        for run in known
        for part in runs.list_(ledger, parent=run, status="killed", limit=10**6)
    ]
    command.end_leftovers([*killed, *parts])
    return [run for run in killed if runs.get(ledger, run).kind != "stage"]


class Mark:
    """The file that a run holds while it goes on; a look at runs finds it when it was killed."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._path = folder / f"{_RUNNING}{os.urandom(8).hex()}"
        while True:
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT)
            fcntl.flock(self._handle, fcntl.LOCK_EX)
            if self._path.exists():
                return
            os.close(self._handle)  # a look took it for left behind before it was held

    def name(self, run: str) -> None:
        """Write which run it is."""
        os.write(self._handle, run.encode())

    def release(self) -> None:
        """Take the file away: the run has ended."""
        self._path.unlink(missing_ok=True)
        os.close(self._handle)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:  # another look was faster
        return ""


def _is_held(file: Path) -> bool:
    """Say whether a process holds a file.

    A child of a killed process may do so for the moment until it is another program.
    """
    with contextlib.suppress(FileNotFoundError), file.open() as handle:
        for _ in range(10):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return False
            time.sleep(0.005)
        return True
    return False

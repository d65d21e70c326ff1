"""Writing what was asked and answered into the log, off the way of the answer.

Finished files of the log become Parquet in a process of their own, so that no request waits
for it.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from assay.base.errors import Error
from assay.serve.limits import Refused, sentence
from assay.traffic import feedback, files
from assay.traffic.record import Record, Truth
from assay.traffic.roll import TRUTHS
from assay.traffic.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Sequence

ROLL_SECONDS = 30.0
"""How often it is looked whether a file is finished."""

_ROLL = """
import os, pathlib, sys
os.nice(10)
from assay.traffic.roll import roll
sys.exit("; ".join(map(str, roll(pathlib.Path(sys.argv[1])).problems)) or 0)
"""


class Traffic:
    """The log of one server; `close` it at the end.

    Attributes
    ----------
    problem : str or None
        Why finished files could not be turned into Parquet; they are read as they are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spool = Spool(folder)
        self.truths = feedback.open_truths(folder)
        self.problem: str | None = None
        self._keeping = threading.Lock()
        self._stop = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._run, name="assay-roll", daemon=True)
        self._thread.start()

    def log(self, record: Record) -> None:
        """Take a record; where too many wait, it is dropped and counted."""
        self.spool.append(record)

    def keep(self, truths: Sequence[Truth]) -> None:
        """Write truths, durably; runs in a thread.

        Raises
        ------
        Refused
            If they could not all be written; giving them again does no harm.
        """
        with self._keeping:
            before = self.truths.n_dropped
            for truth in truths:
                self.truths.append(truth)
                if self.truths.n_waiting >= 10_000:
                    self.truths.flush()
            self.truths.flush()
            if self.truths.n_dropped > before:
                problem = self.truths.problem
                why = "" if problem is None else f": {problem.what}"
                raise Refused(503, f"the truths were not kept{why}", hint="send them again")

    def close(self) -> None:
        """Write what waits, and end."""
        self._stop.set()
        process = self._process
        if process is not None:
            with contextlib.suppress(OSError):
                process.terminate()  # whoever comes next does its work again
        self._thread.join(5)
        self.spool.close()
        self.truths.close()

    def _run(self) -> None:
        wait = 1.0  # what a former server left comes first
        while not self._stop.wait(wait):
            wait = ROLL_SECONDS
            try:
                if _has_finished(self.folder) or _has_finished(self.folder / TRUTHS):
                    self._roll()
            except (OSError, Error) as error:
                self.problem = sentence(error) if isinstance(error, Error) else str(error)

    def _roll(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _ROLL, str(self.folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        _, said = self._process.communicate()
        failed = self._process.returncode != 0 and not self._stop.is_set()
        self.problem = said.strip()[-300:] or "it was killed" if failed else None
        self._process = None


def _has_finished(folder: Path) -> bool:
    for _, path in files.list_spools(folder):
        with files.locked(path) as is_finished:
            if is_finished:
                return True
    return False

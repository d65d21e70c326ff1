"""Files of runs that cannot be kept since the disk is full: they wait in memory.

A training goes on where a disk is full, as it does where a ledger is away. What waits is kept with
the next file, at the latest with the next heartbeat, as soon as there is space; what is left when
the process ends is lost, and that is said. Memory is bounded: above that a file is lost at once.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from assay.base.clock import now_ms
from assay.base.errors import Error
from assay.base.progress import counted, human_size
from assay.ledger.operations import AddArtifacts
from assay.ledger.writer import Artifact

if TYPE_CHECKING:
    from assay.ledger.sdk.active import ActiveRun

MOST = 64_000_000
"""Bytes that wait in memory at most."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_SHOWN = 10  # files that are named in a message


class _File(msgspec.Struct, frozen=True, kw_only=True):
    """A file that waits."""

    run: ActiveRun
    path: str
    content: bytes


class Unkept:
    """The files that wait in one process; threads may share it."""

    def __init__(self) -> None:
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._lock = threading.RLock()
        self._files: dict[tuple[str, str], _File] = {}
        self._lost: list[str] = []
        self._is_told = self._is_loss_told = False

    def __len__(self) -> int:
        return len(self._files)

    def content(self, run: str, path: str) -> bytes | None:
        """Return a file that waits; None where none does."""
        found = self._files.get((run, path))
        return None if found is None else found.content

    def hold(self, run: ActiveRun, files: Mapping[str, bytes | Path], problem: Exception) -> None:
        """Let files wait, by their paths among the run's artifacts; say so once."""
        with self._lock:
            for path, found in files.items():
                self._files.pop((run.id, path), None)
                size = found.stat().st_size if isinstance(found, Path) else len(found)
                if size + sum(len(one.content) for one in self._files.values()) > MOST:
                    self._lose(f"{path} ({human_size(size)}) of run {run.id}", problem)
                    continue
                content = found.read_bytes() if isinstance(found, Path) else found
                self._files[run.id, path] = _File(run=run, path=path, content=content)
            if self._files and not self._is_told:
                self._is_told = True
                _say(
                    f"{problem_of(problem)}; files that runs log wait in memory, up to "
                    f"{human_size(MOST)}, until there is space"
                )

    def _lose(self, name: str, problem: Exception) -> None:
        self._lost.append(name)
        if not self._is_loss_told:
            self._is_loss_told = True
            _say(
                f"{problem_of(problem)}; not kept, since it is too large to wait in memory: {name}"
            )

    def replaced(self, run: str, paths: Iterable[str]) -> None:
        """Forget files whose place was taken by later ones."""
        with self._lock:
            for path in paths:
                self._files.pop((run, path), None)

    def retry(self) -> None:
        """Keep what waits, as far as there is space now."""
        with self._lock:
            for key, one in list(self._files.items()):
                try:
                    _keep(one)
                except (Error, OSError) as error:
                    if is_full(error):
                        return
                    self._lost.append(f"{one.path} of run {one.run.id} ({problem_of(error)})")
                del self._files[key]

    def end(self) -> None:
        """Keep what waits, or say what is lost: the process ends."""
        with self._lock:
            self.retry()
            lost = [f"{one.path} of run {one.run.id}" for one in self._files.values()]
            lost = [*self._lost, *lost]
            self._files.clear()
            self._lost.clear()
        if lost:
            shown = ", ".join(lost[:_SHOWN]) + (", …" if len(lost) > _SHOWN else "")
            _say(f"{counted(len(lost), 'file')} could not be kept: {shown}")


def _keep(one: _File) -> None:
    oid = one.run.place.objects.add(one.content)
    kept = Artifact(path=one.path, oid=f"sha256:{oid}", size=len(one.content))
    one.run.channel.add(AddArtifacts(run=one.run.id, artifacts=(kept,), at=now_ms()))


def is_full(error: BaseException | None) -> bool:
    """Tell whether it is for want of space that something was not written."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        error = error.__cause__
    return False


def problem_of(error: Exception) -> str:
    """Return what went wrong, and where, in one line."""
    if isinstance(error, Error):
        return error.what if error.where is None else f"{error.where}: {error.what}"
    return str(error)


def _say(text: str) -> None:
    sys.stderr.write(f"assay: {text}\n")


of_process = Unkept()
"""Those of this process."""

os.register_at_fork(after_in_child=of_process._begin_anew)  # noqa: SLF001 -- of this file

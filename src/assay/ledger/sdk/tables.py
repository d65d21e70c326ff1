"""The table that a run has at a path already, for the rows that a script puts after its own.

What this process kept last is known without asking. Only of a run that another process began is
the ledger or the hub asked, once for each path.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from assay.base.errors import Error
from assay.ledger.sdk import unkept

if TYPE_CHECKING:
    from assay.ledger.sdk.active import ActiveRun
    from assay.ledger.writer import Artifact

_ENDINGS = frozenset({".csv", ".json", ".parquet"})


class Tables:
    """Which content files of one run have that may be tables; threads may share it.

    Parameters
    ----------
    is_new : bool
        The run was begun here, so that no other process kept a file with it before.
    """

    def __init__(self, *, is_new: bool) -> None:
        self._is_new = is_new
        self._oids: dict[str, str] = {}
        self._lock, self._pid = threading.RLock(), os.getpid()

    def note(self, files: Iterable[Artifact]) -> None:
        """Remember files that were kept."""
        for one in files:
            if PurePosixPath(one.path).suffix.lower() in _ENDINGS:
                self._oids[one.path] = one.oid.removeprefix("sha256:")

    def note_waiting(self, run: ActiveRun, files: Mapping[str, bytes | Path]) -> None:
        """Remember files that wait for space; of one that is lost, what was before goes on."""
        for path, found in files.items():
            waiting = unkept.of_process.content(run.id, path)
            content = found if waiting is None and isinstance(found, bytes) else waiting
            if content is None or PurePosixPath(path).suffix.lower() not in _ENDINGS:
                continue
            oid = hashlib.sha256(content).hexdigest()
            if waiting is not None or run.place.objects.has(oid):  # a heartbeat kept it meanwhile
                self._oids[path] = oid

    def extend(self, run: ActiveRun, path: str, keep: Callable[[bytes | None], None]) -> None:
        """Give the file at a path, or None where there is none, to what keeps the next one."""
        if self._pid != os.getpid():  # another thread of the parent may have held it
            self._lock, self._pid = threading.RLock(), os.getpid()
        with self._lock:
            keep(self._content(run, path))

    def _content(self, run: ActiveRun, path: str) -> bytes | None:
        waiting = unkept.of_process.content(run.id, path)
        if waiting is not None:
            return waiting
        try:
            oid = self._oids.get(path) or (None if self._is_new else _asked(run, path))
            return None if oid is None else run.place.read(oid)
        except Error as error:
            raise Error(
                f"the table {path!r} that the run has cannot be read ({error.what}), so that "
                "nothing can be put after its rows",
                where=error.where,
                hint="try again later, or log to another path",
            ) from error


def _asked(run: ActiveRun, path: str) -> str | None:
    """Return the oid that a ledger or hub has for a path, if any."""
    sink = run.place.sink()
    try:
        found = [one.oid for one in sink.artifacts(run.id, path) if one.path == path]
    finally:
        sink.rest()
    return found[0].removeprefix("sha256:") if found else None

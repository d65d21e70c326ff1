"""Is a file what it was when it was read? Asked of its status alone, as often as needed."""

from __future__ import annotations

import stat
import time
from pathlib import Path

from assay.objects.index import Looks, looks

_TICK_NS = 20_000_000  # a file that was written within it may be written again, and look the same


def glance(path: Path) -> Looks | None:
    """Return what a file looks like; None where that would not tell that it has changed since."""
    try:
        status = path.stat()
    except OSError:
        return None
    is_settled = status.st_ctime_ns < time.time_ns() - _TICK_NS
    return looks(status) if is_settled and stat.S_ISREG(status.st_mode) else None


class Glances:
    """What paths looked like before they were read, to tell whether to read them again.

    Within one turn nothing is asked again; a turn ends when a command has run.
    """

    def __init__(self) -> None:
        self._turn = 0
        self._seen: dict[Path, tuple[int, Looks | None]] = {}

    def end_turn(self) -> None:
        """Have everything looked at again, each path when it is needed."""
        self._turn += 1

    def note(self, path: Path, seen: Looks | None) -> None:
        """Remember what a path looked like; None for a folder, or for nothing there."""
        self._seen[path] = (self._turn, seen)

    def is_as_seen(self, path: Path) -> bool:
        """Say whether what was read at a path still holds, as far as its status tells."""
        turn, before = self._seen.get(path, (-1, None))
        if turn == self._turn:
            return True
        if before is None or glance(path) != before:
            return False
        self.note(path, before)
        return True

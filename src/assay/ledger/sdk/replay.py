"""Send what processes left in the spool: in order, each batch once, and only what nobody holds.

A file that cannot be sent waits, or is put aside where it is damaged; the others are sent.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from assay.base.errors import Error, NotFound
from assay.ledger.operations import Refusal
from assay.ledger.sdk import spool
from assay.ledger.sdk.delivery import Send, deliver
from assay.ledger.sdk.spool import Left
from assay.ledger.sinks import Unavailable

_MOST_AWAY = 3  # files in a row that a place does not take before it counts as away


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the files of a spool."""

    sent: tuple[str, ...] = ()  # runs, one a file
    refused: tuple[Refusal, ...] = ()  # kept in `refused.json-lines`
    waiting: tuple[str, ...] = ()  # files that belong elsewhere, or whose run is not known
    problems: tuple[str, ...] = ()  # why some wait, or were put aside
    damaged: tuple[str, ...] = ()  # of the problems, those of files that were put aside


def replay(folder: Path, send: Send, *, to: str) -> Report:
    """Send the files of a folder that belong to a place, and remove each that is sent.

    A file whose run is not known waits until the others are sent: a worker's file may be there
    before that of its run.

    Raises
    ------
    Unavailable
        If the place cannot be written to; files that are sent by then are gone.
    """
    return _Replay(folder, send, to=to).report()


def put_aside(path: Path, why: object) -> str:
    """Move a damaged file away; return why, and where it is."""
    try:
        aside = spool.put_aside(path)
    except Error as error:
        return f"{why}; it cannot be moved away: {error}"
    return f"{why}; the file is kept as {aside.name} and not sent again"


class _Replay:
    """One way through the files of a folder."""

    def __init__(self, folder: Path, send: Send, *, to: str) -> None:
        self._folder, self._send, self._to = folder, send, to
        self._sent: list[str] = []
        self._refused: list[Refusal] = []
        self._problems: dict[Path, str] = {}
        self._damaged: list[str] = []
        self._n_away = 0

    def report(self) -> Report:
        waiting = spool.files(self._folder)
        while waiting:
            again = [path for path in waiting if not self._is_settled(path)]
            if len(again) == len(waiting):
                break
            waiting = again
        return Report(
            sent=tuple(self._sent),
            refused=tuple(self._refused),
            waiting=tuple(path.name for path in spool.files(self._folder)),
            problems=(*self._problems.values(), *self._damaged),
            damaged=tuple(self._damaged),
        )

    def _is_settled(self, path: Path) -> bool:
        """Send a file; tell whether it need not be tried again when the others are sent."""
        try:
            with spool.claimed(path) as left:
                if left is None or left.header.to != self._to:
                    return True
                return self._is_sent(left)
        except spool.Damaged as error:
            self._damaged.append(put_aside(path, error))
            return True
        except Unavailable:
            raise
        except Error as error:
            self._problems[path] = str(error)
            return True

    def _is_sent(self, left: Left) -> bool:
        self._problems.pop(left.path, None)
        try:
            self._send_file(left)
        except NotFound as error:
            self._problems[left.path] = error.what
            return False
        except Unavailable as error:
            self._n_away += 1
            if self._n_away >= _MOST_AWAY or len(spool.files(self._folder)) == 1:
                raise
            self._problems[left.path] = str(error)
            return True
        except Error as error:
            self._problems[left.path] = str(error)
            return True
        self._n_away = 0
        self._sent.append(left.run)
        if left.problems:
            self._damaged.append(put_aside(left.path, left.problems[0]))
        else:
            left.path.unlink(missing_ok=True)
        return True

    def _send_file(self, left: Left) -> None:
        started = {one.run: one for one in left.header.started}
        for batch in left.batches():
            try:
                found = deliver(batch, self._send, started)
            except Unavailable as error:
                if isinstance(error.__cause__, NotFound):
                    raise error.__cause__ from error
                raise
            kept = [(batch.operations[one.index], one.what) for one in found]
            spool.refuse(self._folder, kept)
            self._refused += found

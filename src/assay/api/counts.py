"""What a hub counts, for Prometheus: also where several processes answer in turn.

A scrape reaches one of the workers. So each of them writes its counts to a file of a folder that
they share, within a second after they changed, and the one that is asked adds the others' to its
own. The file of a worker that died stays, since a counter never goes back.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from assay.ledger import process
from assay.serve.metrics import Counter, Histogram, count, gauge

if TYPE_CHECKING:
    from assay.ledger.committer import Committer

DELAY = 1.0
"""Seconds until others know what a worker counted."""


class _Counted(msgspec.Struct, frozen=True):
    """What one process counted."""

    requests: list[tuple[str, str, float]]
    durations: list[tuple[str, list[int], float]]
    in_progress: int
    n_writes: int
    n_transactions: int
    cpu_seconds: float
    memory: int


class Counts:
    """What one process counts, and with a folder what all of them do.

    Parameters
    ----------
    shared : Path, optional
        A folder of all workers of one hub.
    """

    def __init__(self, committer: Committer, *, shared: Path | None = None) -> None:
        self.in_progress = 0
        self.requests, self.durations = _requests(), _durations()
        self._committer, self._shared = committer, shared
        self._timer: asyncio.TimerHandle | None = None

    def add(self, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self.requests.add(route, str(status))
        self.durations.add(seconds, route)
        if self._shared is not None and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(DELAY, self._tell)

    def text(self) -> str:
        """Return all counts as Prometheus wants them."""
        found = [self._own(), *self._others()]
        requests, durations = _requests(), _durations()
        for one in found:
            for route, status, n_requests in one.requests:
                requests.add(route, status, by=n_requests)
            for route, counts, total in one.durations:
                durations.merge(counts, total, route)
        lines = [*requests.lines(), *durations.lines()]
        lines += gauge(
            "assay_requests_in_progress", "Requests that are being answered.",
            sum(one.in_progress for one in found),
        )  # fmt: skip
        lines += count(
            "assay_writes_total", "Writes to the ledger.", sum(one.n_writes for one in found)
        )
        lines += count(
            "assay_transactions_total", "Transactions of the ledger.",
            sum(one.n_transactions for one in found),
        )  # fmt: skip
        lines += count(
            "process_cpu_seconds_total", "CPU time, user and system, of all workers.",
            sum(one.cpu_seconds for one in found),
        )  # fmt: skip
        lines += gauge(
            "process_resident_memory_bytes", "Memory in use, of all workers.",
            sum(one.memory for one in found),
        )  # fmt: skip
        return "\n".join((*lines, ""))

    def _own(self) -> _Counted:
        used = process.usage()
        return _Counted(
            requests=[(*labels, value) for labels, value in self.requests.values.items()],  # type: ignore[misc] # two labels
            durations=[
                (labels[0], counts, self.durations.sums[labels])
                for labels, counts in self.durations.counts.items()
            ],
            in_progress=self.in_progress,
            n_writes=self._committer.n_writes,
            n_transactions=self._committer.n_transactions,
            cpu_seconds=used.cpu_seconds,
            memory=used.memory or 0,
        )

    def _others(self) -> Iterator[_Counted]:
        if self._shared is None:
            return
        for path in sorted(self._shared.glob("*.json")):
            if path.stem == str(os.getpid()):
                continue
            with contextlib.suppress(OSError, msgspec.DecodeError):
                found = msgspec.json.decode(path.read_bytes(), type=_Counted)
                if _is_gone(int(path.stem)):
                    found = msgspec.structs.replace(found, in_progress=0, memory=0)
                yield found

    def _tell(self) -> None:
        """Write the counts for the other workers."""
        self._timer = None
        if self._shared is None:
            return
        with contextlib.suppress(OSError):  # it is only a count
            temporary = self._shared / f"{os.getpid()}.new"
            temporary.write_bytes(msgspec.json.encode(self._own()))
            temporary.replace(temporary.with_suffix(".json"))


def _requests() -> Counter:
    return Counter("assay_requests_total", "Requests that were answered.", "route", "status")


def _durations() -> Histogram:
    return Histogram(
        "assay_request_duration_seconds", "From the request's head to its answer.", "route"
    )


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False

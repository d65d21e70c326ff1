"""What the calls of the hub work with: the ledger, the objects, the one who writes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

import msgspec

from assay.ledger.committer import Committer

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from assay.ledger.database import Ledger
    from assay.objects.cache import Cache

T = TypeVar("T")
N_THREADS = 8


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of a hub.

    Attributes
    ----------
    body : int
        Bytes of a body of JSON; artifacts have no bound.
    head : int
        Bytes of a request's line and headers.
    connections : int
        Open ones.
    head_seconds, idle_seconds, drain_seconds : float
        How long a request's line and headers may take to arrive; how long a connection may wait
        for its next request; how long requests that are being answered have when the hub ends.
    linger_seconds : float
        How long the rest of a body is read after its request was refused.
    unread_seconds : float
        How long a client may take nothing of its answer.
    """

    body: int = 32 * 1024 * 1024
    head: int = 65_536
    connections: int = 1024
    head_seconds: float = 30
    idle_seconds: float = 75
    drain_seconds: float = 10
    linger_seconds: float = 2
    unread_seconds: float = 60


class Hub:
    """One process of a hub. Close it, or use it in a `with`.

    Parameters
    ----------
    ledger : Ledger
        Where runs are recorded.
    objects : Cache
        Where files lie by content.
    shared : Path, optional
        A folder of all workers of a hub, where there are several.
    """

    def __init__(
        self,
        ledger: Ledger,
        objects: Cache,
        *,
        limits: Limits | None = None,
        shared: Path | None = None,
    ) -> None:
        self.ledger, self.objects = ledger, objects
        self.limits, self.shared = limits or Limits(), shared
        self.committer = Committer(ledger)
        self.scrape: Callable[[], str] = str  # set by the application
        self.threads = ThreadPoolExecutor(N_THREADS, thread_name_prefix="assay-hub")

    def write(self, work: Callable[[Connection], T]) -> T:
        """Write in a thread of a call, together with what others write; return what it returns."""
        return self.committer.submit(work).result()

    def close(self) -> None:
        """Write what waits, and end the threads."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        self.committer.close()
        self.ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

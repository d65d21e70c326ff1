"""Runs whose process is gone are marked before somebody reads runs, at most every few seconds."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from assay.base.clock import now_ms
from assay.base.errors import Error
from assay.ledger import liveness

if TYPE_CHECKING:
    from assay.api.hub import Hub

EVERY = 3.0  # seconds
_PATIENCE = 0.5  # seconds that a reader waits for the marks; they are written all the same
_lock = threading.Lock()
_looked: WeakKeyDictionary[Hub, float] = WeakKeyDictionary()


def look(hub: Hub) -> None:
    """Mark them: one small read where none is gone. Nobody waits long for who is writing."""
    now = time.monotonic()
    with _lock:
        if now - _looked.get(hub, -EVERY) < EVERY:
            return
        _looked[hub] = now
    with contextlib.suppress(Error, TimeoutError):  # busy, or away: the next one looks
        with hub.ledger.read() as connection:
            found = liveness.gone(connection, at=now_ms())
        if found:
            marked = hub.committer.submit(lambda one: liveness.mark_killed(one, at=now_ms()))
            marked.result(timeout=_PATIENCE)

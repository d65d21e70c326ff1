"""The channels of this process: one for each place that it writes to, closed when it ends.

A forked process begins with empty channels. One that ends writes what waits, also where it is a
worker of `multiprocessing`, which leaves without `atexit`.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from assay.base.errors import Error
from assay.ledger import (
    database,  # noqa: F401 -- before a fork, its hook waits for what `_before_fork` here ends
    sinks,
)
from assay.ledger.sdk import pools
from assay.ledger.sdk.channel import Channel

if TYPE_CHECKING:
    from assay.objects.cache import Cache

_channels: dict[tuple[str, Path], Channel] = {}
_lock = threading.Lock()
_hooked = 0  # the process that has `_rest_all` at its end


def channel(
    where: str, *, folder: Path, objects: Cache | None = None, token: str | None = None
) -> Channel:
    """Return this process's channel to a place.

    Parameters
    ----------
    where : str
        The path or URL of a ledger, or the URL of a hub.
    folder : Path
        Where that lies which cannot be written yet.
    objects : Cache, optional
        Where the files of runs lie here; a hub is sent those that it lacks.
    token : str, optional
        What a hub lets this process in by.
    """
    with _lock:
        key = where, folder
        if key not in _channels:
            sink = sinks.sink_of(where, objects=objects, token=token)
            _channels[key] = Channel(sink, folder=folder, begun=see_to_the_end)
        return _channels[key]


def see_to_the_end() -> None:
    """Let what waits be written when this process ends."""
    global _hooked  # noqa: PLW0603 -- one end of one process
    if _hooked == os.getpid():
        return
    _hooked = os.getpid()
    atexit.register(_rest_all)
    if "multiprocessing.util" in sys.modules:  # its workers leave without atexit
        from multiprocessing.util import Finalize

        Finalize(None, _rest_all, exitpriority=100)


def _rest_all() -> None:
    unkept = sys.modules.get("assay.ledger.sdk.unkept")
    if unkept is not None:
        unkept.of_process.end()
    for one in list(_channels.values()):
        try:
            one.flush()
            one.rest()
        except Error as error:
            sys.stderr.write(f"assay: the last of a run was not recorded: {error}\n")
        for refused in one.untold():
            sys.stderr.write(f"assay: a part of a run was not recorded: {refused}\n")
    pools.take_down()


def _before_fork() -> None:
    for one in list(_channels.values()):
        one.before_fork()


def _after_fork_in_parent() -> None:
    for one in list(_channels.values()):
        one.after_fork_in_parent()


def _after_fork_in_child() -> None:
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()
    for one in list(_channels.values()):
        one.after_fork()


os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)

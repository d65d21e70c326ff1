"""A server process: its socket, uvicorn, threads for the models, and an orderly end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from assay.serve import app, protocol
from assay.serve.limits import Limits
from assay.serve.listening import uvicorn_config
from assay.serve.predict import Beside
from assay.serve.traffic import Traffic
from assay.serve.versions import Load, Versions

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from assay.ledger.database import Ledger
    from assay.traffic.targets import Targets


def url(listening: socket.socket) -> str:
    """Return the URL of a socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(
    listening: socket.socket,
    *,
    ledger: Ledger,
    endpoint: str,
    load: Load,
    folder: Path,
    token: str | None,
    beside: Beside,
    limits: Limits | None = None,
    expected: Targets | None = None,
    say: Callable[[str], object] = lambda _: None,
) -> None:
    """Answer requests until the process is told to end; then let those in flight end well.

    Parameters
    ----------
    load : callable
        Opens the bundle of an id, proved.
    folder : path
        Where the log of predictions is.
    expected : Targets, optional
        What truths can be.
    """
    limits = limits or Limits()
    traffic = Traffic(folder)
    workers = ThreadPoolExecutor(n_threads(), thread_name_prefix="assay-predict")
    versions = Versions(ledger, endpoint, url=url(listening), load=load, say=say)
    service = app.Service(
        versions, traffic, limits=limits, beside=beside, workers=workers, expected=expected
    )
    versions.start()
    try:
        _serve(
            app.make(service, token=token),
            listening,
            protocol.bound(
                limits, on_refused=lambda status: service.metrics.refused.add(str(status))
            ),
            limits=limits,
            on_exit=versions.drain,
        )
    finally:
        versions.stop()
        workers.shutdown(wait=False, cancel_futures=True)
        traffic.close()


def n_threads() -> int:
    """Return how many threads answer: one a core that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(2, min(8, cores or 1))


def _serve(
    asgi: ASGIApp,
    listening: socket.socket,
    protocol_class: type[protocol.BoundedProtocol],
    *,
    limits: Limits,
    on_exit: Callable[[], object],
) -> None:
    config = uvicorn_config(
        asgi,
        protocol_class,
        idle_seconds=limits.idle_seconds,
        drain_seconds=limits.drain_seconds,
    )
    _Server(config, on_exit=on_exit).run(sockets=[listening])


class _Server(uvicorn.Server):
    """uvicorn, which returns after an orderly end instead of raising the signal again."""

    def __init__(self, config: uvicorn.Config, *, on_exit: Callable[[], object]) -> None:
        super().__init__(config)
        self._on_exit = on_exit

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end."""
        self._on_exit()
        super().handle_exit(sig, frame)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM as the wish to end."""
        names = (signal.SIGINT, signal.SIGTERM)
        before = {name: signal.signal(name, self.handle_exit) for name in names}
        try:
            yield
        finally:
            for name, handler in before.items():
                signal.signal(name, handler)

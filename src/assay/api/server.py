"""The processes of a hub: their socket, uvicorn, several workers, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from assay.api.access import Access, is_any
from assay.api.app import app
from assay.api.hub import Hub, Limits
from assay.base.errors import Error
from assay.serve.listening import bound_unread, uvicorn_config

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_RESTART_SECONDS = 1.0
_TOLD = 64
"""Connections above the limit that are answered with a 503; others are closed at once."""


def url(listening: socket.socket) -> str:
    """Return the URL of a socket, as this machine reaches it."""
    host, port = listening.getsockname()[:2]
    if is_any(host):
        host = "::1" if ":" in host else "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def access(
    listening: socket.socket, *, host: str, token: str | None, names: tuple[str, ...]
) -> Access:
    """Return who may ask: by the host that was asked for, and by names that are given."""
    own = socket.gethostname() if is_any(str(listening.getsockname()[0])) else host
    return Access(token, hosts=(own, *names))


def run(
    listening: socket.socket,
    make_hub: Callable[[Path | None], Hub],
    *,
    who: Access,
    n_workers: int = 1,
    limits: Limits | None = None,
) -> None:
    """Answer requests until the process is told to end; then let those in flight end well.

    Parameters
    ----------
    make_hub : callable
        Opens the ledger; each worker calls it in its own process, with a folder that they share.
    n_workers : int
        Processes that answer; one that dies is started again.
    """
    bounds = limits or Limits()
    if n_workers == 1:
        _work(listening, lambda: make_hub(None), who=who, limits=bounds)
        return
    parent = os.getpid()
    with tempfile.TemporaryDirectory(prefix="assay-hub-") as folder:
        shared = Path(folder)

        def work() -> None:
            _work(listening, lambda: make_hub(shared), who=who, limits=bounds, parent=parent)

        _supervise(work, n_workers)


def _work(
    listening: socket.socket,
    make_hub: Callable[[], Hub],
    *,
    who: Access,
    limits: Limits,
    parent: int | None = None,
) -> None:
    _allow_files(2 * (limits.connections + _TOLD))
    with make_hub() as hub:
        config = configuration(app(hub, access=who), limits=limits)
        _Server(config, parent=parent).run(sockets=[listening])


def configuration(application: ASGIApp, *, limits: Limits) -> uvicorn.Config:
    """Return how uvicorn answers for an application."""
    return uvicorn_config(
        application,
        _protocol(limits),
        connections=limits.connections,
        idle_seconds=limits.idle_seconds,
        drain_seconds=limits.drain_seconds,
    )


def _allow_files(n: int) -> None:
    """Let this process have so many files and connections open, where the system allows it."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = n if hard == resource.RLIM_INFINITY else min(n, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class _Server(uvicorn.Server):
    """uvicorn, which returns after an orderly end instead of raising the signal again.

    A worker ends when the process that watches over it was killed: it would keep the port.
    """

    def __init__(self, config: uvicorn.Config, *, parent: int | None) -> None:
        super().__init__(config)
        self._parent = parent

    async def on_tick(self, counter: int) -> bool:
        """Look whether to end, ten times a second."""
        is_orphan = self._parent is not None and os.getppid() != self._parent
        return await super().on_tick(counter) or is_orphan

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


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol, with bounds for the head of a request and for an answer nobody takes.

    It counts the connections when one asks; here those that never ask are bounded, too.
    """

    largest, seconds, unread_seconds, most = 65_536, 30.0, 60.0, 1024

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.abort()
        self._in_head, self._n_head = True, 0
        self._began = False
        self._slow: asyncio.TimerHandle | None = None
        bound_unread(transport, seconds=self.unread_seconds)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the timer go."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came; a head that does not end is refused.

        uvicorn takes any byte for the end of an idle connection's wait, also an empty line, which
        begins no request: the next one has its time again.
        """
        was_idle, self._began = self.timeout_keep_alive_task is not None, False
        super().data_received(data)
        if was_idle and not self._began and self._slow is None:
            self._wait()
        if self._in_head:
            self._n_head += len(data)
            if self._n_head > self.largest and not self.transport.is_closing():
                self.send_400_response("the head of the request is too large")

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._began, self._in_head, self._n_head = True, True, 0
        if self._slow is None:
            self._wait()

    def on_headers_complete(self) -> None:
        """Stop to wait: a body may take its time."""
        self._in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def _wait(self) -> None:
        self._slow = self.loop.call_later(self.seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None


def _protocol(limits: Limits) -> type[HttpToolsProtocol]:
    members: dict[str, Any] = {
        "largest": limits.head,
        "seconds": limits.head_seconds,
        "unread_seconds": limits.unread_seconds,
        "most": limits.connections + _TOLD,
    }
    return type("Protocol", (_Protocol,), members)


def _supervise(work: Callable[[], None], n_workers: int) -> None:
    """Keep so many processes at work until this one is told to end."""
    ending = False

    def end(_number: int, _frame: FrameType | None) -> None:
        nonlocal ending
        ending = True
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)

    def begin() -> None:
        child = _fork(work, before)
        children[child] = time.monotonic()
        if ending:  # it was told to in the meantime
            os.kill(child, signal.SIGTERM)

    children: dict[int, float] = {}
    names = (signal.SIGINT, signal.SIGTERM)
    before = {name: signal.signal(name, end) for name in names}
    try:
        for _ in range(n_workers):
            begin()
        while children:
            child, status = os.wait()
            began = children.pop(child, None)
            if began is None or ending:
                continue
            code = os.waitstatus_to_exitcode(status)
            logging.getLogger("assay.hub").error("a worker ended with %s; another begins", code)
            time.sleep(max(0.0, began + _RESTART_SECONDS - time.monotonic()))
            if not ending:
                begin()
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def _fork(work: Callable[[], None], handlers: dict[signal.Signals, Any]) -> int:
    """Start a process that works; return its id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        for name, handler in handlers.items():
            signal.signal(name, handler)
        work()
        code = 0
    except Error as error:
        sys.stderr.write(f"error: {error}\n")
    except BaseException:
        logging.getLogger("assay.hub").exception("a worker failed")
    finally:
        sys.stderr.flush()
        os._exit(code)

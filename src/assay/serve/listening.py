"""The socket of a server, which others than this machine reach with a token only."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

from assay.base.errors import Error
from assay.serve.access import check_token

if TYPE_CHECKING:
    import asyncio

    import uvicorn
    from starlette.types import ASGIApp

BACKLOG = 2048


def listen(host: str, port: int, *, token: str | None) -> socket.socket:
    """Return a socket that listens.

    Raises
    ------
    Usage
        If others than this machine could reach it, and there is no token.
    assay.Error
        If the address cannot be had.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        check_token(token, address=str(address[0]))
        return socket.create_server(address, family=family, backlog=BACKLOG)
    except OSError as error:
        raise Error(
            f"no server can listen here: {error.strerror or error}",
            where=f"{host}:{port}",
            hint="name another --port, or 0 for a free one",
        ) from error


def uvicorn_config(
    application: ASGIApp,
    protocol: type[asyncio.Protocol],
    *,
    idle_seconds: float,
    drain_seconds: float,
    connections: int | None = None,
) -> uvicorn.Config:
    """Return how uvicorn answers for an application.

    Parameters
    ----------
    protocol : type
        What each connection is, with bounds of its own.
    idle_seconds : float
        How long a connection may wait for its next request.
    drain_seconds : float
        How long requests that are being answered have when the server ends.
    connections : int, optional
        Above so many a request is answered with 503.
    """
    import uvicorn

    return uvicorn.Config(
        application,
        http=protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        limit_concurrency=connections,
        timeout_keep_alive=int(idle_seconds),
        timeout_graceful_shutdown=int(drain_seconds),
    )


def bound_unread(transport: asyncio.BaseTransport, *, seconds: float) -> None:
    """Let the system end a connection whose client takes nothing of what was sent to it.

    No timer here sees what waits in the system, which also keeps one that was closed with it.
    """
    sock = transport.get_extra_info("socket")
    if sock is not None and hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux has it
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))

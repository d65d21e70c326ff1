"""The socket of a server, which others than this machine reach with a token only."""

from __future__ import annotations

import socket

from assay.base.errors import Error
from assay.serve.access import check_token

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

"""Requests to a hub as fast as it answers them: keep-alive connections, one thread, plain sockets.

A client that costs more than the server it measures would hide what the server costs.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import time
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from benchmarks import Wrong

API = "/api/2.0/mlflow/"


def request(method: str, path: str, fields: Any = None) -> bytes:
    """Return the bytes of a request of MLflow's API."""
    address, body = API + path, b""
    if method == "GET":
        address += "?" + urllib.parse.urlencode(fields, doseq=True)
    else:
        body = json.dumps(fields).encode()
    head = (
        f"{method} {address} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Connection:
    """One connection; it has one request on its way at a time."""

    def __init__(self, url: str) -> None:
        host, port = url.removeprefix("http://").split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=300)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()
        self._wanted = 0  # bytes of the whole answer, once its head is there
        self._body = 0

    def send(self, content: bytes) -> None:
        self.socket.sendall(content)

    def receive(self) -> bytes | None:
        """Take what is there; return the answer's body once it is whole."""
        part = self.socket.recv(1 << 18)
        if not part:
            raise Wrong("the server closed the connection")
        self._buffer += part
        if not self._wanted and (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            self._begin(bytes(self._buffer[: end + 4]))
        if not self._wanted or len(self._buffer) < self._wanted:
            return None
        body = bytes(self._buffer[self._body : self._wanted])
        self._buffer.clear()
        self._wanted = 0
        return body

    def _begin(self, head: bytes) -> None:
        lower = head.lower()
        at = lower.find(b"content-length:")
        if b" 200 " not in head[:20] or at < 0:
            raise Wrong(f"the server answered {bytes(self._buffer)[:600]!r}")
        self._body = len(head)
        self._wanted = self._body + int(lower[at + 15 : lower.index(b"\r\n", at)])

    def ask(self, content: bytes) -> bytes:
        """Send one request, and return the body of its answer."""
        self.send(content)
        while (body := self.receive()) is None:
            pass
        return body

    def close(self) -> None:
        self.socket.close()


def ask(url: str, method: str, path: str, fields: Any = None) -> Any:
    """Send one request, and return its answer."""
    with contextlib.closing(Connection(url)) as connection:
        return json.loads(connection.ask(request(method, path, fields)))


def drive(
    url: str,
    requests: Iterable[bytes],
    *,
    n_connections: int = 1,
    check: Callable[[bytes], object] = lambda _: None,
) -> float:
    """Send all requests over some connections, and return the seconds that it took."""
    waiting = iter(requests)
    with contextlib.ExitStack() as opened, selectors.DefaultSelector() as selector:
        connections = [
            opened.enter_context(contextlib.closing(Connection(url))) for _ in range(n_connections)
        ]
        began = time.perf_counter()
        n_open = sum(_next(connection, waiting, selector) for connection in connections)
        while n_open:
            for key, _ in selector.select():
                connection: Connection = key.data
                body = connection.receive()
                if body is None:
                    continue
                check(body)
                selector.unregister(connection.socket)
                n_open -= 1
                n_open += _next(connection, waiting, selector)
        return time.perf_counter() - began


def _next(
    connection: Connection, waiting: Iterator[bytes], selector: selectors.BaseSelector
) -> bool:
    content = next(waiting, None)
    if content is None:
        return False
    connection.send(content)
    selector.register(connection.socket, selectors.EVENT_READ, connection)
    return True

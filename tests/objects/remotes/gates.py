"""A gate before a real HTTP server: it passes requests on, refuses some, or breaks them off."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Fault = Callable[[BaseHTTPRequestHandler], bool]


class Gate:
    """A running gate: its port, what it saw, and what it does instead of passing a request on."""

    def __init__(self) -> None:
        self.port = 0
        self.fault: Fault | None = None
        self.seen: list[tuple[str, str]] = []
        self.lock = threading.Lock()

    def asked(self, *methods: str) -> list[str]:
        """Return the paths that were asked for with one of some methods."""
        return [path for method, path in self.seen if method in methods]


def after(n: int, fault: Fault, *methods: str) -> Fault:
    """Return a fault that comes after `n` requests with one of some methods."""
    count = [0]

    def later(handler: BaseHTTPRequestHandler) -> bool:
        if handler.command not in methods:
            return False
        count[0] += 1
        return count[0] > n and fault(handler)

    return later


def says(status: int, code: str = "") -> Fault:
    """Return a fault that answers with a status, and a code as buckets send it."""

    def fault(handler: BaseHTTPRequestHandler) -> bool:
        body = f"<Error><Code>{code}</Code></Error>".encode() if code else b""
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body)
        return True

    return fault


def breaks_off(handler: BaseHTTPRequestHandler) -> bool:
    """End the connection without an answer."""
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)
    return True


def _body(handler: BaseHTTPRequestHandler) -> bytes | None:
    if handler.headers.get("Transfer-Encoding") == "chunked":
        parts = []
        while size := int(handler.rfile.readline().strip() or b"0", 16):
            parts.append(handler.rfile.read(size))
            handler.rfile.readline()
        handler.rfile.readline()
        return b"".join(parts)
    length = handler.headers.get("Content-Length")
    return None if length is None else handler.rfile.read(int(length))


@contextlib.contextmanager
def gate(port: int) -> Iterator[Gate]:
    """Stand before a server of this machine."""
    state = Gate()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                super().handle()

        def _pass(self) -> None:
            body = _body(self)
            with state.lock:
                state.seen.append((self.command, self.path))
                fault = state.fault
                stopped = fault is not None and fault(self)
            if stopped:
                return
            headers = {
                k: v
                for k, v in self.headers.items()
                if k.lower() not in {"transfer-encoding", "connection", "content-length"}
            }
            if body is not None:
                headers["Content-Length"] = str(len(body))
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)) as there:
                there.request(self.command, self.path, body=body, headers=headers)
                answer = there.getresponse()
                content = answer.read()
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                    self.send_header(name, value)
            is_bare = self.command == "HEAD" and answer.getheader("Content-Length") is not None
            length = answer.getheader("Content-Length") if is_bare else str(len(content))
            if answer.status != 204:
                self.send_header("Content-Length", str(length))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        # the names that the library asks for
        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _pass  # noqa: N815
        do_PROPFIND = do_MKCOL = do_MOVE = _pass  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        state.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()

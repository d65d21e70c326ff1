"""A web server for tests: GET, HEAD, POST, PUT, DELETE on a folder, and faults on demand."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import ssl
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote


class Web:
    """A web server with GET, HEAD, POST, PUT and DELETE on a folder, and faults on demand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self.scheme = "http"
        self.faults: list[Callable[[BaseHTTPRequestHandler], bool]] = []
        self.requests: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/store"


def answer(
    status: int, body: str = "", **headers: str
) -> Callable[[BaseHTTPRequestHandler], bool]:
    """Return a fault that answers a request with a status."""

    def fault(handler: BaseHTTPRequestHandler) -> bool:
        length = int(handler.headers.get("Content-Length", 0))
        handler.rfile.read(length)
        handler.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body.encode())
        return True

    return fault


def cut(handler: BaseHTTPRequestHandler) -> bool:
    """Break off: in the middle of a body that was to be sent, or before any answer."""
    content = Path(handler.server.web.folder, handler.path.strip("/"))  # type: ignore[attr-defined]
    if handler.command == "GET" and content.is_file():
        handler.send_response(200)
        handler.send_header("Content-Length", str(content.stat().st_size))
        handler.end_headers()
        handler.wfile.write(content.read_bytes()[: content.stat().st_size // 2])
        handler.wfile.flush()
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)
    return True


def needs_basic(user: str, password: str) -> Callable[[BaseHTTPRequestHandler], bool]:
    """Return a fault that refuses everybody else."""
    wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def fault(handler: BaseHTTPRequestHandler) -> bool:
        if handler.headers.get("Authorization") == wanted:
            return False
        return answer(401, WWW_Authenticate='Basic realm="r"')(handler)

    return fault


def needs_digest(user: str, password: str) -> Callable[[BaseHTTPRequestHandler], bool]:
    """Return a fault that checks a digest, and that no count of a nonce comes twice."""
    used: set[tuple[str, str]] = set()
    given: set[str] = set()

    def md5(*parts: str) -> str:
        return hashlib.md5(":".join(parts).encode()).hexdigest()

    def fault(handler: BaseHTTPRequestHandler) -> bool:
        text = handler.headers.get("Authorization", "")
        parts = urllib.request.parse_keqv_list(
            urllib.request.parse_http_list(text.partition(" ")[2])
        )
        if parts:
            secret = md5(user, "r", password)
            asked = md5(handler.command, parts["uri"])
            right = md5(secret, parts["nonce"], parts["nc"], parts["cnonce"], parts["qop"], asked)
            once = (parts["nonce"], parts["nc"])
            if parts["response"] == right and parts["nonce"] in given and once not in used:
                used.add(once)
                return False
        given.add(f"n{len(given)}")
        demand = f'Digest realm="r", nonce="n{len(given) - 1}", qop="auth", algorithm=MD5'
        return answer(401, WWW_Authenticate=demand)(handler)

    return fault


def _body(handler: BaseHTTPRequestHandler) -> bytes | None:
    """Read a body, with a length or in chunks as DVC sends it; None where it broke off."""
    length = handler.headers.get("Content-Length")
    if length is not None:
        content = handler.rfile.read(int(length))
        return content if len(content) == int(length) else None
    parts = []
    while size := int(handler.rfile.readline().strip() or b"0", 16):
        parts.append(handler.rfile.read(size))
        handler.rfile.readline()
    handler.rfile.readline()
    return b"".join(parts)


def certificate(folder: Path) -> Path:
    """Write a certificate for this machine, signed by itself, and its key; return the file."""
    import datetime as dt
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    day = dt.timedelta(days=1)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now - day, now + day)
    made = made.add_extension(address, critical=False)
    encoding = serialization.Encoding.PEM
    path = folder / "own.pem"
    path.write_bytes(
        key.private_bytes(
            encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.sign(key, hashes.SHA256()).public_bytes(encoding)
    )
    return path


@contextlib.contextmanager
def web(folder: Path, *, pem: Path | None = None) -> Iterator[Web]:
    """Serve a folder over HTTP, or with a certificate over HTTPS."""
    folder.mkdir(parents=True, exist_ok=True)
    state = Web(folder)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            with contextlib.suppress(OSError):
                super().handle()

        def _serve(self) -> None:
            state.requests.append((self.command, self.path))
            state.headers.append(dict(self.headers))
            for fault in list(state.faults):
                if fault(self):
                    return
            path = folder / unquote(self.path.partition("?")[0]).strip("/")
            if self.command in {"POST", "PUT"}:
                content = _body(self)
                if content is None:
                    return
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                self._say(201, b"")
            elif not path.is_file():
                self._say(404, b"nothing here")
            elif self.command == "DELETE":
                path.unlink()
                self._say(200, b"")
            else:
                self._say(200, path.read_bytes())

        def _say(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Last-Modified", "Sat, 21 Nov 2026 12:00:00 GMT")
            self.send_header("ETag", f'"{hashlib.md5(content).hexdigest()}"')
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        # the names that the library asks for
        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PROPFIND = _serve  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        web = state

        def handle_error(self, *_: Any) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        state.port = server.server_address[1]
        if pem is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pem)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            state.scheme = "https"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()


def once(
    fault: Callable[[BaseHTTPRequestHandler], bool], state: Web, *, times: int = 1
) -> Callable[[BaseHTTPRequestHandler], bool]:
    """Return a fault that happens so many times only."""
    left = [times]

    def counted(handler: BaseHTTPRequestHandler) -> bool:
        if left[0] <= 0:
            return False
        left[0] -= 1
        return fault(handler)

    state.faults.append(counted)
    return counted

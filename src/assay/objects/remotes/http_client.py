"""Requests over kept connections of `http.client`: who we are, whom we trust, what went wrong.

Used by the HTTP and the WebDAV remote. Proxies of the environment count. A connection belongs to
one request at a time and goes back to the pool when the answer was read to its end.
"""

from __future__ import annotations

import contextlib
import http.client
import ssl
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

from assay.base.errors import Error
from assay.objects.remotes.options import Options
from assay.objects.remotes.retrying import Dropped

Headers = Mapping[str, str]
Sign = Callable[[str, str, str | None], dict[str, str]]
"""Makes the headers that say who asks: from method, address, and what the server demanded."""
Origin = tuple[str, str, int]

CHUNK = 1 << 20
_REDIRECTS = {301, 302, 303, 307, 308}
_AGAIN = {408, 425, 429, 500, 502, 503, 504}


class Client:
    """Asks one server, and follows where it sends a reader.

    Parameters
    ----------
    options : Options
        The options of the remote.
    url : str
        Its address with `http` or `https`, without user and password.
    sign : callable
        Makes the headers of authentication.
    """

    def __init__(self, options: Options, *, url: str, sign: Sign) -> None:
        parts = urlsplit(url)
        self.url = urlunsplit(parts._replace(path=parts.path.rstrip("/")))
        self.options, self._sign = options, sign
        self._home = _origin(url)
        self._timeout = options.number("read_timeout") or options.number("timeout") or 60
        self._connect = options.number("connect_timeout") or options.number("timeout") or 30
        self._trust = _trust(options)
        self._idle: dict[Origin, list[http.client.HTTPConnection]] = {}
        self._lock = threading.Lock()
        self.demand: str | None = None
        weakref.finalize(self, _close, self._idle)

    def address(self, key: str) -> str:
        """Return the address of a file; the key "" is the remote's own."""
        parts = urlsplit(self.url)
        path = parts.path.rstrip("/") + "/" + quote(key) if key else parts.path
        return urlunsplit(parts._replace(path=path or "/"))

    @contextlib.contextmanager
    def ask(
        self,
        method: str,
        address: str,
        *,
        headers: Headers | None = None,
        body: Iterable[bytes] | None = None,
        size: int | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        """Open the answer to a request; one that nobody allows or that failed is an error.

        Its `url` is the address that answered in the end.
        """
        signed = 0
        for _ in range(8):
            answered = self.demand
            with self._answer(method, address, headers or {}, body, size) as answer:
                demand = answer.getheader("WWW-Authenticate", "")
                if answer.status == 401 and signed < 2 and self._can_sign(demand):
                    _read_out(answer)
                    signed += 1
                    self._remember(demand, instead_of=answered)
                    if body is not None:
                        raise Dropped("the remote asks who we are")  # the body begins again
                    continue
                there = answer.getheader("Location")
                if answer.status in _REDIRECTS and there and method in {"GET", "HEAD"}:
                    _read_out(answer)
                    address = urljoin(address, there)
                    continue
                self._judge(answer)
                answer.url = address
                yield answer
                return
        raise Dropped("the remote sends us round in a circle")

    def _remember(self, demand: str, *, instead_of: str | None) -> None:
        """Answer this demand from now on, unless another thread has brought a newer one."""
        with self._lock:
            if self.demand == instead_of:
                self.demand = demand

    def _can_sign(self, demand: str) -> bool:
        return demand.lower().startswith("digest") and self.options.text("auth") == "digest"

    @contextlib.contextmanager
    def _answer(
        self,
        method: str,
        address: str,
        headers: Headers,
        body: Iterable[bytes] | None,
        size: int | None,
    ) -> Iterator[http.client.HTTPResponse]:
        origin = _origin(address)
        sent = {"User-Agent": "assay", **headers}
        if origin == self._home:
            sent |= self._sign(method, address, self.demand)
        if size is not None:
            sent["Content-Length"] = str(size)
        with self.talking(origin[1]):
            connection = self._take(origin)
        try:
            with self.talking(origin[1]):
                connection.request(method, _target(address, connection), headers=sent)
                whole = body is None or _send(connection, body)
                answer = connection.getresponse()
                _check_heard(answer, whole=whole)
            yield answer
            with self.talking(origin[1]):
                keep = answer.isclosed() or not answer.read(1)
        except BaseException:
            connection.close()
            raise
        if keep and not answer.will_close:
            with self._lock:
                self._idle.setdefault(origin, []).append(connection)
        else:
            connection.close()

    def _take(self, origin: Origin) -> http.client.HTTPConnection:
        with self._lock:
            idle = self._idle.get(origin)
            if idle:
                return idle.pop()
        connection = _connection(origin, self._trust, self._connect)
        connection.connect()
        if connection.sock is not None:
            connection.sock.settimeout(self._timeout)
        return connection

    @contextlib.contextmanager
    def talking(self, host: str) -> Iterator[None]:
        """Turn what goes wrong on a connection into `Dropped`, or an error where it is final."""
        try:
            yield
        except ssl.SSLCertVerificationError as error:
            raise Error(
                f"the certificate of '{host}' is not trusted: {error.verify_message}",
                where=self.options.settings.where,
                hint="set 'ssl_verify' to the file of the authority that signed it",
            ) from error
        except TimeoutError as error:
            raise Dropped(f"'{host}' does not answer in time") from error
        except ConnectionRefusedError as error:
            raise Dropped(f"'{host}' cannot be reached: connection refused") from error
        except (OSError, http.client.HTTPException) as error:
            what = getattr(error, "strerror", None) or type(error).__name__
            raise Dropped(f"the connection to '{host}' broke off: {what.lower()}") from error

    def _judge(self, answer: http.client.HTTPResponse) -> None:
        """Raise for what is neither an answer nor a 404, which is for the caller to judge."""
        status = answer.status
        if status < 300 or status in {403, 404, 405, 409, 410, 416, 423, 501}:
            return
        _read_out(answer)
        said = self.options.conceal(f"{status} {answer.reason}".strip())
        if status in _AGAIN:
            wait = answer.getheader("Retry-After", "")
            raise Dropped(
                f"the remote answers {said}", wait=float(wait) if wait.isdigit() else None
            )
        where = self.options.settings.where
        if status in {401, 407}:
            raise Error(
                f"the credentials are wrong or missing ({said})",
                where=where,
                hint="set 'auth', 'user' and 'password' with 'assay remote modify --local'",
            )
        if status in {413, 507}:
            raise Error(
                f"the remote takes no more ({said})",
                where=where,
                hint="make room there, then run the command again: what is done stays done",
            )
        raise Error(f"the remote answers {said}", where=where, hint="look at its address")

    def refused(self, answer: http.client.HTTPResponse, what: str) -> Error:
        """Return the error that says that the server does not allow something."""
        said = self.options.conceal(f"{answer.status} {answer.reason}".strip())
        return Error(
            f"the remote refuses {what} ({said})",
            where=self.options.settings.where,
            hint="look at the rights of these credentials, and at 'auth' and 'method'",
        )


def without_user(url: str) -> tuple[str, str | None, str | None]:
    """Return an address without user and password, and these."""
    parts = urlsplit(url)
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    user = unquote(parts.username) if parts.username else None
    return bare, user, unquote(parts.password) if parts.password else None


def _origin(address: str) -> Origin:
    parts = urlsplit(address)
    default = 443 if parts.scheme == "https" else 80
    return parts.scheme, parts.hostname or "", parts.port or default


def _target(address: str, connection: http.client.HTTPConnection) -> str:
    """Return what stands in the first line of a request: all of the address for a plain proxy."""
    parts = urlsplit(address)
    path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
    plain = parts.scheme == "http" and getattr(connection, "is_proxy", False)
    return urlunsplit(parts._replace(fragment="")) if plain else path


def _connection(
    origin: Origin, trust: ssl.SSLContext, timeout: float
) -> http.client.HTTPConnection:
    """Return a connection, through the proxy of the environment where there is one."""
    from urllib.request import getproxies, proxy_bypass

    scheme, host, port = origin
    proxy = None if proxy_bypass(f"{host}:{port}") else getproxies().get(scheme)
    made: http.client.HTTPConnection
    if proxy is None:
        if scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=timeout, context=trust)
        return http.client.HTTPConnection(host, port, timeout=timeout)
    at = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if scheme == "https":
        made = http.client.HTTPSConnection(
            at.hostname or "", at.port or 80, timeout=timeout, context=trust
        )
        made.set_tunnel(host, port)
        return made
    made = http.client.HTTPConnection(at.hostname or "", at.port or 80, timeout=timeout)
    made.is_proxy = True  # type: ignore[attr-defined]
    return made


def _trust(options: Options) -> ssl.SSLContext:
    verify = options.ssl_verify()
    context = ssl.create_default_context(cafile=None if isinstance(verify, bool) else str(verify))
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate = options.file("cert_path") if options.text("cert_path") else None
    if certificate is not None:
        key = options.file("key_path")
        try:
            context.load_cert_chain(certificate, key)
        except (ssl.SSLError, OSError) as error:
            raise options.fail(f"'cert_path' and 'key_path' make no pair: {error}") from error
    return context


def _send(connection: http.client.HTTPConnection, body: Iterable[bytes]) -> bool:
    """Send a body; False where the server stopped listening, and may have said why."""
    try:
        for chunk in body:
            if chunk:
                connection.send(chunk)
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def _check_heard(answer: http.client.HTTPResponse, *, whole: bool) -> None:
    """Raise if a server that broke off the body did not say why."""
    if not whole and answer.status < 400:
        raise ConnectionResetError


def read_chunks(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    """Go through a body; one that ends before its length is an error, which `read` lets pass."""
    while chunk := answer.read(CHUNK):
        yield chunk
    if answer.length:
        raise http.client.IncompleteRead(b"", answer.length)


def _read_out(answer: http.client.HTTPResponse) -> None:
    """Read the rest of a short answer, so that the connection can be used again."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        answer.read(CHUNK)


def _close(idle: dict[Any, list[http.client.HTTPConnection]]) -> None:
    for connections in idle.values():
        for connection in connections:
            connection.close()

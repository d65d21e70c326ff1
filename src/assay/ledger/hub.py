"""A hub as the place where runs are recorded: batches and files over HTTP, one connection kept.

A request that is not answered in time, and an answer that says "later" (429, 502, 503, 504, 507),
are `Unavailable`; another refusal is an error with what the hub says. A batch may arrive twice,
since a lost answer looks like a lost request: its number lets the hub apply it once.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import ssl
from collections.abc import Callable, Mapping
from typing import IO, TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from assay.base.errors import Error, NotFound, Usage
from assay.ledger import operations
from assay.ledger.exchange.packs import Taken
from assay.ledger.operations import Batch, Refusal
from assay.ledger.resumed import Known
from assay.ledger.sinks import TooLarge, Unavailable, Unfit
from assay.ledger.writer import Artifact
from assay.objects.hashing import CHUNK
from assay.objects.receiving import arriving

if TYPE_CHECKING:
    from assay.objects.cache import Cache

T = TypeVar("T")

TIMEOUT = 10.0
"""Seconds that an answer may take."""
_LONG = 600.0  # seconds for a pack: a hub packs some 200,000 points of metrics in one of them
_SLOWEST = 20_000  # bytes of a pack that a hub takes in a second

_LATER = frozenset((408, 425, 429, 500, 502, 503, 504, 507))
_WORDS = {401: "the request has no token, or a wrong one"}  # an answer to HEAD has none
_HINTS = {
    401: "set ASSAY_TOKEN, or: assay config hub.token TOKEN",
    403: "see 'assay hub --help' for who may ask it",
    404: "it may be no hub of Assay, or an older one",
}


class _Answer(msgspec.Struct, frozen=True):
    refused: list[Refusal] = []


class _Files(msgspec.Struct, frozen=True):
    artifacts: list[Artifact]


class _Request(NamedTuple):
    """What is asked; a good answer goes `into` a function, and takes `timeout` seconds at most."""

    method: str
    path: str
    body: bytes | IO[bytes] | None
    headers: dict[str, str]
    into: Callable[[bytes], object] | None
    timeout: float | None


class HubSink:
    """A hub; used by one thread at a time.

    Parameters
    ----------
    url : str
        Its address; a path before the API's own is kept.
    objects : Cache, optional
        Where the files of runs lie on this machine.
    token : str, optional
        What the hub lets this process in by.
    """

    def __init__(self, url: str, *, objects: Cache | None, token: str | None) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = 0
        if not parts.hostname or port == 0:
            raise Usage(f"the hub's address {url!r} cannot be read", hint="https://HOST:PORT")
        self._host, self._port, self._is_secure = parts.hostname, port, parts.scheme == "https"
        self._path = parts.path.rstrip("/")
        self._objects = objects
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._connection: http.client.HTTPConnection | None = None
        self._there: set[str] = set()  # objects that the hub has
        around = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self.name = f"{parts.scheme}://{around}{f':{port}' if port else ''}{self._path}"

    def send(self, batch: Batch) -> list[Refusal]:
        """Send the files that the hub lacks, then the batch."""
        for oid in dict.fromkeys(operations.oids(batch.operations)):
            self.upload(oid)
        body = operations.encode(batch)
        answer = self._ask("POST", "/api/records", body, {"Content-Type": "application/json"})
        return _decoded(answer, _Answer, where=self.name).refused

    def find(self, run: str) -> Known:
        """Return what the hub knows of a run."""
        return _decoded(
            self._ask("GET", f"/api/records/{quote(run, safe='')}"), Known, where=self.name
        )

    def artifacts(self, run: str, path: str) -> list[Artifact]:
        """Return the file of a run at a path, or all files of the folder there."""
        asked = f"/api/records/{quote(run, safe='')}/artifacts?path={quote(path, safe='')}"
        return _decoded(self._ask("GET", asked), _Files, where=self.name).artifacts

    def fetch(self, oid: str, objects: Cache) -> None:
        """Bring an object into a store of this machine; it is checked as it comes."""
        with arriving(objects) as one:
            self._ask("GET", f"/api/objects/sha256/{oid}", into=one.write)
            if one.hexdigest() != oid:
                raise Unavailable(f"the object sha256:{oid[:12]} came damaged", where=self.name)
            one.finish()

    def send_pack(self, content: bytes) -> Taken:
        """Send the records of runs that have ended, as `packs.write` makes them."""
        head = {"Content-Type": "application/gzip"}
        timeout = min(TIMEOUT + len(content) / _SLOWEST, _LONG)
        answer = self._ask("POST", "/api/packs", content, head, timeout=timeout)
        return _decoded(answer, Taken, where=self.name)

    def pack(self, run: str) -> bytes:
        """Return the records of a run and of all around it, as `packs.read` takes them."""
        return self._ask("GET", f"/api/packs/{quote(run, safe='')}", timeout=_LONG)

    def post(self, path: str, body: bytes) -> bytes:
        """Return what the hub answers to a body of MessagePack."""
        return self._ask("POST", path, body, {"Content-Type": "application/msgpack"})

    def search(self, asked: Mapping[str, object]) -> dict[str, Any]:
        """Return a page of runs, as the hub answers it."""
        head = {"Content-Type": "application/json"}
        answer = self._ask("POST", "/api/runs/search", msgspec.json.encode(asked), head)
        return _decoded(answer, dict[str, Any], where=self.name)

    def rest(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def after_fork(self) -> None:
        """Leave the connection to the parent process, a thread of which may be reading from it.

        To close it as usual would wait for that thread, which is not here.
        """
        connection, self._connection = self._connection, None
        if connection is not None and connection.sock is not None:
            with contextlib.suppress(OSError):  # it is closed
                os.close(connection.sock.detach())

    def upload(self, oid: str) -> None:
        """Send an object that the hub lacks."""
        if oid in self._there:
            return
        path = f"/api/objects/sha256/{oid}"
        try:
            self._ask("HEAD", path)
        except NotFound:
            file = None if self._objects is None else self._objects.path(oid)
            if file is None or not file.is_file():
                raise Error(
                    f"the file sha256:{oid[:12]} of the run is in no store of this machine",
                    hint="'assay fetch' brings what a remote has",
                ) from None
            with file.open("rb") as handle:
                size = file.stat().st_size
                self._ask("PUT", path, handle, {"Content-Length": str(size)})
        self._there.add(oid)

    def _ask(
        self,
        method: str,
        path: str,
        body: bytes | IO[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        into: Callable[[bytes], object] | None = None,
        timeout: float | None = None,
    ) -> bytes:
        """Return the body of an answer; that of a good one goes `into` a function, in blocks.

        Parameters
        ----------
        timeout : float, optional
            Seconds that the answer may take, where that is not `TIMEOUT`.

        Raises
        ------
        NotFound
            If the hub does not know what was asked for.
        Unavailable
            If the same request may be answered later.
        Error
            If it refuses.
        """
        given = dict(headers or {}) | self._headers
        asked = _Request(method, self._path + path, body, given, into, timeout)
        try:
            status, content = self._exchange(asked)
        except (OSError, http.client.HTTPException, ssl.SSLError) as error:
            self.rest()
            raise Unavailable(
                f"the hub does not answer ({_reason(error)})",
                where=self.name,
                hint="is it running, and is its address right?",
            ) from None
        if status < 300:
            return content
        said = _said(content)
        if status == 404 and (said is not None or method == "HEAD"):
            raise NotFound(said or "there is no such thing", where=self.name)
        raise _refusal(status, said, where=self.name)

    def _exchange(self, asked: _Request) -> tuple[int, bytes]:
        """Send a request; one on a connection that the hub closed meanwhile is sent again."""
        is_kept = self._connection is not None
        try:
            return self._exchange_once(asked)
        except (ConnectionError, http.client.RemoteDisconnected, http.client.BadStatusLine):
            self.rest()
            if not is_kept:
                raise
            if not isinstance(asked.body, (bytes, type(None))):
                asked.body.seek(0)
            return self._exchange_once(asked)

    def _exchange_once(self, asked: _Request) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = self._connect()
        if self._connection.sock is None:
            self._connection.connect()
        self._connection.sock.settimeout(TIMEOUT if asked.timeout is None else asked.timeout)
        self._connection.request(asked.method, asked.path, asked.body, asked.headers)
        answer = self._connection.getresponse()
        if asked.into is None or answer.status >= 300:
            return answer.status, answer.read()
        while block := answer.read(CHUNK):
            asked.into(block)
        return answer.status, b""

    def _connect(self) -> http.client.HTTPConnection:
        if self._is_secure:
            return http.client.HTTPSConnection(self._host, self._port, timeout=TIMEOUT)
        return http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT)


def _decoded(content: bytes, kind: type[T], *, where: str) -> T:
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.MsgspecError as error:
        raise Error(f"the answer is not a hub's: {error}", where=where) from error


def _refusal(status: int, said: str | None, *, where: str) -> Error:
    """Return what to raise where a hub does not do what it was asked for."""
    if status in _LATER:
        return Unavailable(f"the hub says: {said or status}", where=where)
    if status == 413:
        return TooLarge("this is more than the hub takes at once", where=where)
    what = f"the hub refuses: {said or _WORDS.get(status) or f'status {status}'}"
    if status in {400, 422} and said is not None:
        return Unfit(what, where=where)
    return Error(what, where=where, hint=_HINTS.get(status))


def _said(content: bytes) -> str | None:
    """Return the message of an error's body."""
    with contextlib.suppress(msgspec.MsgspecError):
        found = msgspec.json.decode(content)
        if isinstance(found, dict) and isinstance(found.get("message"), str):
            return str(found["message"])
    return None


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__

"""The hub's application: which call answers a request, and what is common to all of them.

Plain ASGI, since a request that writes one number should cost little more than its parsing. The
calls register themselves when their modules are imported; a missing module of a kind is a defect.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from assay.api.access import Access
from assay.api.bodies import Exchange, has_body
from assay.api.counts import Counts
from assay.api.hub import Hub
from assay.api.mlflow import asks, calls, errors
from assay.api.mlflow.errors import Refused
from assay.base.errors import Error
from assay.ledger.committer import Full
from assay.ledger.sinks import Unavailable
from assay.render.tables import visible

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from assay.api.mlflow.calls import Call

MODULES = (
    "assay.api.probes",
    "assay.api.mlflow.experiments",
    "assay.api.mlflow.runs",
    "assay.api.mlflow.metrics",
    "assay.api.mlflow.batches",
    "assay.api.mlflow.searches",
    "assay.api.mlflow.artifacts",
    "assay.api.mlflow.multipart",
    "assay.api.mlflow.logged_models",
    "assay.api.mlflow.datasets",
    "assay.api.mlflow.registry",
    "assay.api.search",
    "assay.api.records",
    "assay.api.ledger",
    "assay.api.packs",
)
"""All modules with calls."""

_BUG = "the hub failed; see its log"
_JSON = b"application/json"
_AT_ONCE = 1 << 18  # bytes of JSON, some milliseconds
_log = logging.getLogger("assay.hub")


def app(hub: Hub, *, access: Access | None = None) -> ASGIApp:
    """Return the application of a hub."""
    for module in MODULES:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
    return Application(hub, access=access or Access())


class Application:
    """Answers requests, and counts them."""

    def __init__(self, hub: Hub, *, access: Access) -> None:
        self.hub, self.access = hub, access
        self.table = calls.Table(calls.CALLS)
        self.counts = Counts(hub.committer, shared=hub.shared)
        hub.scrape = self.counts.text

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        began, route = time.perf_counter(), "other"
        exchange = Exchange(scope, receive, send, linger=self.hub.limits.linger_seconds)
        self.counts.in_progress += 1
        try:
            route = await self._answer(scope, exchange.receive, exchange.send)
        except ClientDisconnect:
            exchange.status = 499
        except Exception:  # noqa: BLE001 -- a bug of ours; the hub lives on
            _log.exception("a request was not answered")
            if not exchange.status:  # no 500: MLflow's client would ask again for minutes
                error = Refused("INTERNAL_ERROR", _BUG, status=501)
                await _reply(exchange.send, *errors.answer(error))
        finally:
            self.counts.in_progress -= 1
            self.counts.add(route, exchange.status, time.perf_counter() - began)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> str:
        """Answer, and return the route that was taken."""
        method, path = scope["method"], scope["path"]
        problem = self.access.problem(method, path, scope["headers"])
        if problem is not None:
            await _refuse(send, *problem)
            return "refused"
        found = self.table.find(path)
        if found is None:
            await _page(send, 404, "there is nothing at this path")
            return "other"
        methods, parts = found
        one = methods.get("GET" if method == "HEAD" else method)
        if one is None:
            allowed = ", ".join(sorted(methods)).encode()
            await _page(send, 405, "this path has other methods", (b"allow", allowed))
            return "other"
        try:
            answer = await self._call(one, scope, receive, parts)
        except Error as error:
            await _reply(send, *_status_and_body(error))
            return one.name
        if isinstance(answer, Response):
            await answer(scope, receive, send)
        else:
            body = b"{}" if answer is None else msgspec.json.encode(answer)
            await _reply(send, 200, body)
        return one.name

    async def _call(
        self, one: Call, scope: Scope, receive: Receive, parts: Mapping[str, str]
    ) -> Any:
        hub, kind = self.hub, one.ask
        if one.way == "loop":
            query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
            ask = asks.from_query(kind, query, path=parts)
            return await one.function(hub, ask, Request(scope, receive))
        if scope["method"] in {"GET", "HEAD"} and (scope["query_string"] or not has_body(scope)):
            query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
            ask = asks.from_query(kind, query, path=parts)
        else:
            body = await self._body(scope, receive)
            ask = await self._ask(kind, body, parts)
        loop = asyncio.get_running_loop()
        if one.way == "thread":
            return await loop.run_in_executor(hub.threads, one.function, hub, ask)
        future: asyncio.Future[Any] = loop.create_future()

        def done(result: Any, error: BaseException | None) -> None:
            loop.call_soon_threadsafe(_settle, future, result, error)

        function = one.function
        hub.committer.put(lambda connection: function(hub, ask, connection), done)
        return await future

    async def _ask(
        self, kind: type[msgspec.Struct], body: bytes, parts: Mapping[str, str]
    ) -> msgspec.Struct:
        """Return what a body asks; a large one takes seconds, which other requests have."""
        read = functools.partial(asks.from_json, kind, body, path=parts)
        if len(body) <= _AT_ONCE:
            return read()
        return await asyncio.get_running_loop().run_in_executor(self.hub.threads, read)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """Return the body of a request with JSON."""
        limit, length, method = self.hub.limits.body, 0, scope["method"]
        is_json = method in {"GET", "HEAD"} or (method == "DELETE" and not has_body(scope))
        for name, value in scope["headers"]:
            if name == b"content-type":
                is_json = is_json or value.partition(b";")[0].strip().lower() == _JSON
            elif name == b"content-length":
                length = int(value)
        if not is_json:
            raise errors.invalid("The header 'Content-Type' has to be 'application/json'")
        if length > limit:
            raise _too_large(limit)
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body: bytes = message.get("body", b"")
        if not message.get("more_body"):
            return body
        parts, size = [body], len(body)
        while message.get("more_body"):
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit:
                raise _too_large(limit)
        return b"".join(parts)


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():  # its client is gone
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


def _too_large(limit: int) -> Refused:
    return Refused(
        "INVALID_PARAMETER_VALUE",
        f"The request's body is larger than {limit} bytes; send it in several batches",
        status=413,
    )


def _status_and_body(error: Error) -> tuple[int, bytes]:
    """Return what an error is answered with; what may heal is a 503, which clients repeat."""
    if errors.is_kept_back(error):
        _log.warning("%s", visible(errors.whole(error)))
    if isinstance(error, Full):
        error = Refused("RESOURCE_EXHAUSTED", errors.sentence(error), status=507)
    elif isinstance(error, Unavailable):
        error = Refused("TEMPORARILY_UNAVAILABLE", errors.sentence(error))
    return errors.answer(error)


async def _reply(send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    length = str(len(body)).encode()
    head = [(b"content-type", _JSON), (b"content-length", length), *headers]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


async def _refuse(send: Send, status: int, reason: str) -> None:
    code = "UNAUTHENTICATED" if status == 401 else "PERMISSION_DENIED"
    ways = ((b"www-authenticate", b'Basic realm="assay"'),) if status == 401 else ()
    await _reply(send, *errors.answer(Refused(code, reason)), *ways)


async def _page(send: Send, status: int, text: str, *headers: tuple[bytes, bytes]) -> None:
    """Answer in text: a client of MLflow's makes its own error of the status."""
    body = f"{text}\n".encode()
    head = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})

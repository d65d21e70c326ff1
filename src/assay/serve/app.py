"""The routes of a server, and what is common to all: the token, ids, counts, errors as JSON."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from assay import __version__
from assay.base.errors import Error
from assay.serve import access, bodies, open_inference, truths
from assay.serve.answering import Answering
from assay.serve.limits import Limits, Refused, sentence
from assay.serve.metrics import Metrics, count, gauge

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from assay.serve.predict import Beside
    from assay.serve.traffic import Traffic
    from assay.serve.versions import Served, Versions
    from assay.traffic.targets import Targets

_INFER_TYPES = {
    "", "application/json", "application/octet-stream", "application/x-www-form-urlencoded",
}  # fmt: skip
"""Triton's client sends none, curl -d the last."""

QUICK_SECONDS, SMALL = 0.002, 4096
"""A model that took at most so long answers bodies of so many bytes in the server's own loop."""

_BUG = "the server failed; see its log"
_log = logging.getLogger("assay.serve")


class Service:
    """What the routes work with."""

    def __init__(
        self,
        versions: Versions,
        traffic: Traffic,
        *,
        limits: Limits,
        beside: Beside,
        workers: Executor,
        expected: Targets | None = None,
    ) -> None:
        self.versions, self.traffic, self.limits = versions, traffic, limits
        self.expected = expected
        self.metrics = Metrics()
        self.workers = workers
        self._quick: Served | None = None  # its last answer took next to no time
        self.answering = Answering(versions.endpoint, traffic, limits=limits, beside=beside)

    async def live(self, _request: Request) -> Response:
        """Answer that this process answers."""
        return _json({"live": True})

    async def ready(self, _request: Request) -> Response:
        """Answer whether a version is proved and answers."""
        self._ready()
        return _json({"ready": True})

    async def server(self, _request: Request) -> Response:
        """Answer what this server is."""
        extensions = list(open_inference.EXTENSIONS)
        return _json({"name": "assay", "version": __version__, "extensions": extensions})

    async def model(self, request: Request) -> Response:
        """Answer what a model takes and gives."""
        return _json(open_inference.metadata(self._named(request)))

    async def model_ready(self, request: Request) -> Response:
        """Answer whether a model is ready."""
        self._ready()
        return _json({"name": self._named(request).model, "ready": True})

    async def infer(self, request: Request) -> Response:
        """Answer in the Open Inference Protocol."""
        began, at = time.perf_counter(), time.time_ns() // 1_000_000
        self._named(request)  # before the body is waited for
        media_type = bodies.media_type(request)
        length = request.headers.get(open_inference.HEADER)
        if length is None and media_type not in _INFER_TYPES:
            raise Refused(415, f"the Content-Type is {media_type[:60]!r}; expected is "
                               "'application/json'")  # fmt: skip
        body = await bodies.read(request, self.limits)
        served = self._named(request)
        return await self._answer(
            request, self.answering.infer, served, body, length, began=began, at=at
        )

    async def predict(self, request: Request) -> Response:
        """Answer rows of JSON."""
        began, at = time.perf_counter(), time.time_ns() // 1_000_000
        bodies.need_json(request)
        self.versions.ready()
        body = await bodies.read(request, self.limits)
        served = self.versions.ready()
        return await self._answer(
            request, self.answering.predict, served, body, None, began=began, at=at
        )

    async def feedback(self, request: Request) -> Response:
        """Keep truths; the answer comes when they are on disk."""
        bodies.need_json(request)
        body = await bodies.read(request, self.limits)
        at = time.time_ns() // 1_000_000
        found = truths.decode(body, endpoint=self.versions.endpoint, at=at, expected=self.expected)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self.workers, self.traffic.keep, found)
        self.metrics.truths.add(by=len(found))
        return _json({"n_truths": len(found)})

    async def scrape(self, _request: Request) -> Response:
        """Answer what was counted."""
        text = self.metrics.text(self._lines())
        return Response(text, media_type="text/plain; version=0.0.4")

    async def _answer(
        self,
        request: Request,
        work: Callable[..., Any],
        served: Served,
        body: bytes,
        length: str | None,
        *,
        began: float,
        at: int,
    ) -> Response:
        """Do all the work, in a thread unless it is very short, count it, and send the answer."""
        given = request.headers.get("x-request-id")
        arguments = (served, body, length, given, began, at)
        if served is self._quick and len(body) <= SMALL:
            done = work(*arguments)  # a thread would take longer to begin than the model to end
        else:
            loop = asyncio.get_running_loop()
            done = await loop.run_in_executor(self.workers, work, *arguments)
        self._quick = served if 0 < done.seconds < QUICK_SECONDS else None
        if done.n_rows:
            self.metrics.rows.add(served.model, served.version, by=done.n_rows)
            self.metrics.predict.add(done.seconds, served.model, served.version)
        accepted = request.headers.get("accept-encoding", "")
        content, packing = bodies.packed(done.content, accepted)
        return Response(content, done.status, done.headers | packing)

    def _ready(self) -> None:
        self.versions.ready()
        if self.versions.state == "draining":
            raise Refused(503, "the server ends")

    def _named(self, request: Request) -> Served:
        """Return what answers, if it is the model that the path names."""
        served = self.versions.ready()
        model, version = request.path_params["model"], request.path_params.get("version")
        if model != served.model:
            raise Refused(404, f"Request for unknown model: '{model[:80]}' is not found; "
                               f"'{served.model}' answers")  # fmt: skip
        if version is not None and version != served.version:
            raise Refused(404, f"Request for unknown model: '{model}' version '{version[:20]}' "
                               f"is not at ready state; version {served.version} is")  # fmt: skip
        return served

    def _lines(self) -> list[str]:
        """Return what is counted elsewhere."""
        versions, spool = self.versions, self.traffic.spool
        now = versions.now
        lines = gauge(
            "assay_ready", "Whether a version answers and the server goes on.",
            now is not None and versions.state != "draining", endpoint=versions.endpoint,
        )  # fmt: skip
        if now is not None:
            lines += gauge(
                "assay_version_info", "What answers.", 1, endpoint=versions.endpoint,
                model=now.model, version=now.version, deployment=now.live.deployment,
            )  # fmt: skip
        lines += count("assay_switches_total", "Versions that came.", versions.n_switches)
        lines += count(
            "assay_load_failures_total", "Versions that could not be loaded.", versions.n_failures
        )
        lines += gauge(
            "assay_ledger_reachable", "Whether the ledger answered the last time.",
            versions.ledger_problem is None,
        )  # fmt: skip
        lines += count("assay_traffic_written_total", "Requests in the log.", spool.n_written)
        lines += count(
            "assay_traffic_dropped_total", "Requests that could not be logged.", spool.n_dropped
        )
        return lines + gauge("assay_traffic_waiting", "Not written yet.", spool.n_waiting)


def make(service: Service, *, token: str | None) -> ASGIApp:
    """Return the application."""
    v2, model = "/v2", "/v2/models/{model}"
    table: list[tuple[str, str, str, Callable[[Request], Awaitable[Response]]]] = [
        ("POST", f"{model}/infer", "infer", service.infer),  # the first that fits is taken
        ("POST", "/predict", "predict", service.predict),
        ("POST", f"{model}/versions/{{version}}/infer", "infer", service.infer),
        ("GET", f"{v2}/health/live", "live", service.live),
        ("GET", f"{v2}/health/ready", "ready", service.ready),
        ("GET", v2, "server", service.server),
        ("POST", "/feedback", "feedback", service.feedback),
        ("GET", "/metrics", "metrics", service.scrape),
    ]
    for prefix in (model, model + "/versions/{version}"):
        table += [
            ("GET", prefix, "model", service.model),
            ("GET", f"{prefix}/ready", "model_ready", service.model_ready),
        ]
    paths = {path: method for method, path, _, _ in table}

    async def index(_request: Request) -> Response:
        """Answer which paths there are."""
        return _json({"endpoint": service.versions.endpoint, "paths": paths})

    table.append(("GET", "/", "index", index))
    routes = [
        Route(path, _named_route(name, endpoint), methods=[method])
        for method, path, name, endpoint in table
    ]
    inner = Starlette(
        routes=routes,
        exception_handlers={
            Error: _on_error,
            HTTPException: _on_http,
            ClientDisconnect: _on_gone,
            Exception: _on_bug,
        },
    )
    inner.router.redirect_slashes = False
    return Edge(inner, service.metrics, token)


class Edge:
    """The outermost application: checks the token, counts, and answers when all else fails."""

    def __init__(self, app: ASGIApp, metrics: Metrics, token: str | None) -> None:
        self.app, self.metrics, self.token = app, metrics, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        began, status = time.perf_counter(), 0
        metrics = self.metrics
        metrics.in_progress += 1

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if self.token is not None and not self._may(scope, self.token):
                response = _error(401, "the request has no token, or a wrong one")
                response.headers["WWW-Authenticate"] = "Bearer"
                await response(scope, receive, counted)
            else:
                await self.app(scope, receive, counted)
        except Exception:  # noqa: BLE001 -- a bug of ours; the server lives on
            _log.exception("a request was not answered")
            if not status:
                await _error(500, _BUG)(scope, receive, counted)
        finally:
            metrics.in_progress -= 1
            route = scope.get("assay.route", "other")
            metrics.requests.add(route, str(status))
            metrics.durations.add(time.perf_counter() - began, route)

    @staticmethod
    def _may(scope: Scope, token: str) -> bool:
        return scope["path"] in access.OPEN_PATHS or access.is_allowed(scope["headers"], token)


def _named_route(
    name: str, endpoint: Callable[[Request], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint that says which route was taken, for the counts."""

    async def called(request: Request) -> Response:
        request.scope["assay.route"] = name
        return await endpoint(request)

    return called


def _json(document: Any) -> Response:
    return Response(msgspec.json.encode(document), media_type="application/json")


def _error(status: int, text: str) -> Response:
    return Response(
        msgspec.json.encode({"error": text}), status, media_type="application/json"
    )  # fmt: skip


async def _on_error(_request: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, Refused) else 400
    return _error(status, sentence(error) if isinstance(error, Error) else str(error))


async def _on_http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 405:
        given = (error.headers or {}) if isinstance(error, HTTPException) else {}
        allowed = sorted({*given.get("Allow", "").split(", ")} - {"HEAD", ""})
        use = f"; use {' or '.join(allowed)}" if allowed else ""
        response = _error(405, f"the method {request.method} is not for this path{use}")
        response.headers.update(given)
        return response
    return _error(status, "there is nothing at this path" if status == 404 else "not answered")


async def _on_bug(_request: Request, _raised: Exception) -> Response:
    return _error(500, _BUG)


async def _on_gone(_request: Request, _error: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it

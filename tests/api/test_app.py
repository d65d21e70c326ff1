"""What the application answers when something goes wrong below it, asked without a network."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from sqlalchemy import event

from assay.api import app as apps
from assay.api.hub import Hub, Limits
from assay.api.mlflow import calls
from assay.api.mlflow.calls import Call
from assay.base.errors import Error, NotFound, Taken
from assay.ledger.committer import Committer, Full
from assay.ledger.database import open_ledger
from assay.ledger.sinks import Unavailable
from assay.objects.cache import Cache

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message


class Nothing(msgspec.Struct, frozen=True):
    """A request without fields."""


def opened(folder: Path, **limits: Any) -> Hub:
    ledger = open_ledger(folder / "ledger.db")
    return Hub(ledger, Cache(folder / "objects", algorithm="sha256"), limits=Limits(**limits))


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with opened(tmp_path, body=1000) as made:
        yield made


def ask(
    app: ASGIApp, method: str, path: str, *parts: bytes, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    """Send one request whose body comes in parts, and return the status and the JSON."""
    sent: list[Message] = []
    given = {"host": "localhost", "content-type": "application/json", **(headers or {})}
    bodies = list(parts) or [b""]

    async def receive() -> Message:
        if not bodies:
            return {"type": "http.disconnect"}
        body = bodies.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(bodies)}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(),
        "query_string": b"", "http_version": "1.1", "scheme": "http", "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]
    if not sent:
        return 0, None
    body = sent[1]["body"]
    return sent[0]["status"], msgspec.json.decode(body) if body else None


def failing(hub: Hub, error: Exception, monkeypatch: pytest.MonkeyPatch) -> ASGIApp:
    """Return an application with calls that raise, each way of them."""

    def raises(_hub: Hub, _ask: Nothing, *_: Any) -> None:
        raise error

    raises.__annotations__["_ask"] = Nothing
    mine = [
        Call(raises, method="GET", path=f"/{way}", version=None, way=way)
        for way in ("thread", "write")
    ]
    apps.app(hub)  # the calls register themselves where they are imported first
    monkeypatch.setattr(calls, "CALLS", mine)
    return apps.app(hub)


@pytest.mark.parametrize("way", ["thread", "write"])
@pytest.mark.parametrize(
    ("error", "status", "code", "words"),
    [
        (NotFound("there is no x"), 404, "RESOURCE_DOES_NOT_EXIST", "there is no x"),
        (Taken("there is an x"), 400, "RESOURCE_ALREADY_EXISTS", "there is an x"),
        (Error("odd", hint="do"), 400, "INVALID_PARAMETER_VALUE", "odd; do"),
        (
            NotFound("no object", where="/srv/x/ab", hint="get it with 'assay pull'"),
            404,
            "RESOURCE_DOES_NOT_EXIST",
            "no object",
        ),
        (
            Error("odd", where="column x", hint="do"),
            400,
            "INVALID_PARAMETER_VALUE",
            "column x: odd; do",
        ),
        (
            Full("disk is full", where="/srv/l.db", hint="free it, then run the command again"),
            507,
            "RESOURCE_EXHAUSTED",
            "disk is full; free it",
        ),
        (Unavailable("locked", where="/srv/l.db"), 503, "TEMPORARILY_UNAVAILABLE", "locked"),
        (Unavailable("locked"), 503, "TEMPORARILY_UNAVAILABLE", "locked"),
        (
            Error("damaged; it is kept in /srv/x/ab", where="/srv/y/ab"),
            400,
            "INVALID_PARAMETER_VALUE",
            "damaged; it is kept in the hub's folder",
        ),
        (Full("disk is full"), 507, "RESOURCE_EXHAUSTED", "disk is full"),
        (ValueError("secret"), 501, "INTERNAL_ERROR", "the hub failed; see its log"),
    ],
)
def test_each_error_has_its_status_and_its_code_and_tells_no_path_of_the_server(
    hub: Hub,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    way: str,
    error: Exception,
    status: int,
    code: str,
    words: str,
):
    with caplog.at_level("WARNING", logger="assay.hub"):
        answered, found = ask(failing(hub, error, monkeypatch), "GET", f"/{way}")
    assert (answered, found) == (status, {"error_code": code, "message": words})
    where = getattr(error, "where", None)
    assert where is None or where == "column x" or where in caplog.text


def test_what_a_client_sends_does_not_steer_the_terminal_of_the_log(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    error = NotFound("no 'a\x1b]0;evil\x07\nforged'", where="/srv/x", hint="see 'assay pull'")
    with caplog.at_level("WARNING", logger="assay.hub"):
        ask(failing(hub, error, monkeypatch), "GET", "/thread")
    [line] = caplog.messages
    assert line == r"/srv/x: no 'a\x1b]0;evil\x07\nforged'; see 'assay pull'"


def test_a_full_disk_is_a_507_and_the_hub_lives_on(tmp_path: Path):
    with opened(tmp_path) as hub:
        with hub.ledger.read() as connection:
            n_pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        hub.ledger.engine.dispose()

        @event.listens_for(hub.ledger.engine, "connect")
        def limit(connection: Any, _: object) -> None:
            connection.execute(f"PRAGMA max_page_count = {n_pages + 10}")

        app = apps.app(hub)
        statuses: list[int] = []
        body = msgspec.json.encode(
            {
                "experiment_id": "0",
                "tags": [{"key": f"k{i}", "value": "v" * 999} for i in range(99)],
            }
        )
        while 507 not in statuses:
            status, found = ask(app, "POST", "/api/2.0/mlflow/runs/create", body)
            statuses.append(status)
            assert len(statuses) < 50
        assert set(statuses) <= {200, 507}
        assert "full" in found["message"]
        assert "free some space" in found["message"]
        headers = {"content-length": "21"}
        path = "/api/2.0/mlflow/experiments/get"
        assert ask(app, "GET", path, b'{"experiment_id":"0"}', headers=headers)[0] == 200


def test_a_body_in_parts_is_put_together_and_bounded(hub: Hub):
    app = apps.app(hub)
    path = "/api/2.0/mlflow/experiments/create"
    assert ask(app, "POST", path, b'{"na', b'me":', b'"a"}')[0] == 200
    status, found = ask(app, "POST", path, b'{"name": "', *[b"x" * 100] * 20, b'"}')
    assert (status, found["error_code"]) == (413, "INVALID_PARAMETER_VALUE")
    status, _ = ask(app, "POST", path, b"{}", headers={"content-length": "100000"})
    assert status == 413


def test_a_client_that_left_gets_no_answer(hub: Hub):
    sent: list[Any] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/api/2.0/mlflow/runs/create",
        "query_string": b"", "headers": [(b"content-type", b"application/json")],
    }  # fmt: skip
    asyncio.run(apps.app(hub)(scope, receive, send))  # type: ignore[arg-type]
    assert sent == []


def test_all_calls_have_a_request_that_can_be_read(hub: Hub):
    """A call whose annotation cannot be found would fail with its first request only."""
    apps.app(hub)
    assert len(calls.CALLS) > 20
    for call in calls.CALLS:
        assert issubclass(call.ask, msgspec.Struct), call.path


def test_concurrent_requests_share_transactions(hub: Hub):
    app = apps.app(hub)
    body = b'{"experiment_id": "0"}'
    committer: Committer = hub.committer

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    statuses: list[int] = []

    async def send(message: Message) -> None:
        statuses.append(message.get("status", 0))

    scope = {
        "type": "http", "method": "POST", "path": "/api/2.0/mlflow/runs/create",
        "query_string": b"", "headers": [(b"content-type", b"application/json")],
    }  # fmt: skip

    async def many() -> None:
        await asyncio.gather(*(app(dict(scope), receive, send) for _ in range(100)))

    asyncio.run(many())
    assert statuses.count(200) == 100
    assert committer.n_writes == 100
    assert committer.n_transactions < 50


class Where(msgspec.Struct, frozen=True):
    """A request that knows in which thread it was read."""

    text: str

    def __post_init__(self) -> None:
        if self.text:
            _threads.append(threading.current_thread())


_threads: list[threading.Thread] = []


def test_a_large_body_is_read_beside_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def take(_hub: Hub, _ask: Where) -> None:
        pass

    take.__annotations__["_ask"] = Where
    with opened(tmp_path) as hub:
        apps.app(hub)
        mine = Call(take, method="POST", path="/where", version=None, way="thread")
        monkeypatch.setattr(calls, "CALLS", [mine])
        app = apps.app(hub)
        for size in (10, 1_000_000):
            assert ask(app, "POST", "/where", b'{"text": "%s"}' % (b"x" * size))[0] == 200
    assert [one is threading.main_thread() for one in _threads] == [True, False]

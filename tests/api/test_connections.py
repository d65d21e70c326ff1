"""Connections of a hub that nobody uses end, also where their client does not want them to."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn

from assay.api import server
from assay.api.access import Access
from assay.api.app import app
from assay.api.hub import Hub, Limits
from assay.ledger.database import open_ledger
from assay.objects.cache import Cache

PROBE = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"
LIMITS = Limits(idle_seconds=1, head_seconds=1, unread_seconds=1)

Connect = Callable[[], socket.socket]


@pytest.fixture
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connect]:
    """Connect to a hub with short limits, whose token the test does not have."""
    limits = getattr(request, "param", LIMITS)
    store = Cache(tmp_path / "objects", algorithm="sha256")
    listening = socket.create_server(("127.0.0.1", 0))
    with (
        Hub(open_ledger(tmp_path / "ledger.db"), store, limits=limits) as hub,
        contextlib.ExitStack() as stack,
    ):
        application = app(hub, access=Access("a-token-of-the-team"))
        one = uvicorn.Server(server.configuration(application, limits=limits))
        thread = threading.Thread(target=one.run, kwargs={"sockets": [listening]})
        thread.start()

        def connected() -> socket.socket:
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(20)
            client.connect(listening.getsockname())
            return client

        try:
            yield connected
        finally:
            stack.close()
            one.should_exit = True
            thread.join()


def answered(client: socket.socket) -> None:
    client.sendall(PROBE)
    found = b""
    while not found.endswith(b"\r\n\r\nOK"):
        piece = client.recv(4096)
        assert piece, found
        found += piece


def go_on(client: socket.socket, sent: bytes) -> None:
    """Send the same again and again, for a long time."""
    for _ in range(100):
        with contextlib.suppress(TimeoutError):  # the hub does not read any more
            client.sendall(sent)
        time.sleep(0.2)


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"\r\n\r\n", b"GET /health HTTP/1.1\r\n"])
def test_what_begins_no_request_does_not_keep_a_connection(connect: Connect, sent: bytes):
    client = connect()
    answered(client)
    client.sendall(sent)
    assert client.recv(4096) == b""


def test_what_begins_no_request_sent_again_and_again_does_not_either(connect: Connect):
    client = connect()
    answered(client)
    with pytest.raises(ConnectionError):
        go_on(client, b"\r\n")


def test_one_that_asks_again_in_time_is_kept(connect: Connect):
    client = connect()
    for _ in range(4):
        answered(client)
        client.sendall(b"\r\n")
        time.sleep(0.6)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="needs Linux's TCP")
def test_one_that_takes_no_answers_is_ended(connect: Connect):
    client = connect()
    client.settimeout(5)
    with pytest.raises(ConnectionError):
        go_on(client, PROBE * 1000)


@pytest.mark.parametrize("connect", [Limits(connections=8, head_seconds=600)], indirect=True)
def test_more_connections_than_can_be_answered_are_closed(connect: Connect):
    for _ in range(8 + server._TOLD):
        connect()
    with contextlib.suppress(ConnectionResetError):
        assert connect().recv(4096) == b""

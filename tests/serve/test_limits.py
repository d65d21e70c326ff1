"""Bounds of time, connections and memory, each told in the protocol's form."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.serve import running
from tests.serve.running import Models, Served

CODE = """
import sys
from pathlib import Path
from assay.project.workspace import Project
from assay.serve.limits import Limits
from assay.workflows import serve
limits = Limits(**eval(sys.argv[2]))
def listens(url): print(url, flush=True)
serve.serve(Project(Path(sys.argv[1])), "rentals", port=0, limits=limits, listens=listens)
"""
POST = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"


@contextlib.contextmanager
def bounded(models: Models, **limits: float) -> Iterator[Served]:
    """Run a server with other limits."""
    log = models.root.parent / "bounded.log"
    with (
        log.open("a") as said,
        subprocess.Popen(
            [sys.executable, "-c", CODE, models.root, repr(limits)],
            env=os.environ,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        served = Served(process, process.stdout.readline().strip(), log)
        try:
            served.wait()
            yield served
            assert served.lives()
            assert served.end() == 0
            assert "Traceback" not in log.read_text()
        finally:
            process.kill()


@pytest.mark.parametrize(
    "sent", [b"", b"GET /v2", POST, POST + b"Content-Length: 100\r\n\r\n[", b"\r\n\r\n"]
)
def test_a_request_that_takes_too_long_to_arrive_is_refused(models: Models, sent: bytes):
    with bounded(models, request_seconds=0.5) as served:
        answered = running.split(served.raw(sent))
        assert (answered.status, answered.json) == (
            408,
            {"error": "the request took too long to arrive"},
        )
        assert served.metric("assay_refused_total") == 1


def test_a_body_that_drips_is_refused_when_its_time_is_over(models: Models):
    with (
        bounded(models, request_seconds=0.5) as served,
        socket.create_connection(served.address) as connection,
    ):
        connection.sendall(POST + b"Content-Length: 1000\r\n\r\n")
        began = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() < began + 1.5:
                connection.sendall(b" ")
                time.sleep(0.05)
        assert running.split(running.read_all(connection)).status == 408


def test_a_connection_that_says_nothing_more_is_closed(models: Models):
    with bounded(models, idle_seconds=1) as served:
        head = b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n"
        assert running.split(served.raw(head)).status == 200  # and then it is closed


def test_a_connection_may_be_used_again_and_again(models: Models):
    with bounded(models, request_seconds=1) as served:
        connection = served.connect()
        for _ in range(4):
            assert running.ask(connection, "GET", "/v2/health/live").status == 200
            time.sleep(0.5)
        connection.close()


def test_connections_above_the_limit_are_refused_and_those_below_go_on(models: Models):
    with bounded(models, connections=2) as served:
        first, second = served.connect(), served.connect()
        for connection in (first, second):
            assert running.ask(connection, "GET", "/v2/health/live").status == 200
        refused = served.ask("GET", "/v2/health/live")
        assert (refused.status, list(refused.json)) == (503, ["error"])
        assert running.ask(first, "GET", "/v2/health/live").status == 200
        first.close()
        second.close()
        served.wait()


def test_all_bodies_together_are_bounded_and_what_is_answered_makes_room(models: Models):
    with bounded(models, bodies=10_000) as served:
        body = json.dumps(running.rows(40)).encode()
        assert len(body) < 6_000
        for _ in range(5):
            assert served.ask("POST", "/v2/models/bikes/infer", body).status == 400
        with socket.create_connection(served.address) as waiting:
            waiting.sendall(POST + b"Content-Length: 9000\r\n\r\n" + b" " * 8_000)
            until = time.monotonic() + 10
            while (refused := served.predict(running.rows(40))).status != 503:
                assert time.monotonic() < until
            assert "too many bytes" in refused.json["error"]
        until = time.monotonic() + 10
        while served.predict(running.rows(40)).status != 200:
            assert time.monotonic() < until


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return running.project(tmp_path_factory.mktemp("limits"), 0.0)

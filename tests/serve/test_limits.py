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

import msgspec
import pytest

from assay.base.settings import SETTINGS
from assay.serve import limits
from assay.serve.limits import Limits
from tests import make as making
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
def bounded(models: Models, **bounds: float) -> Iterator[Served]:
    """Run a server with other limits."""
    log = models.root.parent / "bounded.log"
    with (
        log.open("a") as said,
        subprocess.Popen(
            [sys.executable, "-c", CODE, models.root, repr(bounds)],
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


def test_without_settings_the_limits_are_those_of_the_code():
    defaults = limits.from_settings(lambda key: SETTINGS[key].default)
    assert defaults == Limits()


def test_each_setting_of_a_server_is_one_limit():
    keys = [key for key in SETTINGS if key.startswith("serve.")]
    numbers = {key: number for number, key in enumerate(keys)}
    found = limits.from_settings(numbers.__getitem__)
    assert sorted(msgspec.structs.astuple(found)) == sorted(numbers.values())


def test_the_settings_of_a_project_bound_its_server(models: Models):
    declared = models.root / "assay.yaml"
    before = declared.read_text() if declared.exists() else None
    declared.write_text(
        (before or "") + "settings: {serve: {max_body_size: 2000, max_header_size: 500}}\n"
    )
    try:
        with running.serving(models.root, env={"ASSAY_SERVE_MAX_HEADER_SIZE": "1000"}) as served:
            assert served.predict(running.rows(2)).status == 200
            refused = served.predict(running.rows(120))
            assert (refused.status, refused.json) == (
                413,
                {"error": "the body is said to be larger than 2000 bytes"},
            )
            head = {"X-Much": "a" * 600}
            assert served.ask("GET", "/v2/health/live", headers=head).status == 200
            assert served.ask("GET", "/v2/health/live", headers={"X": "a" * 1000}).status == 431
    finally:
        declared.write_text(before) if before is not None else declared.unlink()


def test_a_server_with_a_wrong_setting_does_not_start(models: Models):
    done = subprocess.run(
        making.command("serve", "rentals", "--port", "0"),
        cwd=models.root,
        env={**os.environ, "ASSAY_SERVE_MAX_BODY_SIZE": "64MB"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "'serve.max_body_size' is '64MB', not a whole number from 1 to 2**53" in done.stderr


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return running.project(tmp_path_factory.mktemp("limits"), 0.0)

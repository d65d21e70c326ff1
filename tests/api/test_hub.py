"""The process of a hub: how it starts, ends, and lives through what goes wrong."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from tests import make, mlflow
from tests.mlflow import Server
from tests.objects.remotes.servers import free_port

API = "/api/2.0/mlflow/"
CREATE = "/api/2.0/mlflow/runs/create"
METRIC = "/api/2.0/mlflow/runs/log-metric"


def new_run(server: Server) -> str:
    return str(server.call("POST", "runs/create", experiment_id="0")["run"]["info"]["run_id"])


def log(server: Server, run: str, step: int, key: str = "m") -> int:
    point = {"run_id": run, "key": key, "value": step, "timestamp": step, "step": step}
    return server.ask("POST", METRIC, point).status


def steps(server: Server, run: str, key: str = "m") -> list[int]:
    found = server.call("GET", "metrics/get-history", run_id=run, metric_key=key)
    return [one["step"] for one in found.get("metrics", [])]


def is_at_work(pid: int) -> bool:
    """Tell whether a process lives; one that nobody waited for does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def port_of(server: Server) -> int:
    return int(server.url.rpartition(":")[2])


def children(server: Server) -> list[int]:
    path = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    return [int(pid) for pid in path.read_text().split()]


def test_the_first_line_says_where_it_is_and_what_to_set(tmp_path: Path):
    with mlflow.hub(tmp_path) as server:
        assert server.said() == f"{server.url}  (export MLFLOW_TRACKING_URI={server.url})\n"
        assert (tmp_path / "hub" / "ledger.db").exists()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_it_ends_when_it_is_told_to(tmp_path: Path, how: int, workers: str):
    with mlflow.hub(tmp_path, "--workers", workers) as server:
        run = new_run(server)
        assert server.end(how) == 0
        assert "Traceback" not in server.said()
    with mlflow.hub(tmp_path) as again:
        assert again.call("GET", "runs/get", run_id=run)["run"]["info"]["status"] == "RUNNING"


def test_several_workers_write_one_ledger(tmp_path: Path):
    with mlflow.hub(tmp_path, "--workers", "2") as server:
        run = new_run(server)
        answers: list[int] = []

        def work(number: int) -> None:
            answers.extend(log(server, run, step, f"m{number}") for step in range(25))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [200] * 150
        assert all(steps(server, run, f"m{number}") == list(range(25)) for number in range(6))


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")
def test_a_worker_that_is_killed_is_started_again(tmp_path: Path):
    with mlflow.hub(tmp_path, "--workers", "2") as server:
        run = new_run(server)
        before = children(server)
        assert len(before) == 2
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + 60
        while len(now := children(server)) < 2 or set(now) & set(before):
            assert time.monotonic() < until
            time.sleep(0.05)
        server.wait()
        assert log(server, run, 1) == 200
        assert server.end() == 0
        assert "another begins" in server.said()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")
def test_workers_end_with_the_process_that_started_them(tmp_path: Path):
    with mlflow.hub(tmp_path, "--workers", "2") as server:
        workers = children(server)
        server.process.kill()
        server.process.wait(30)
        until = time.monotonic() + 60
        while any(is_at_work(pid) for pid in workers):
            assert time.monotonic() < until
            time.sleep(0.05)


def test_what_all_workers_counted_is_in_one_scrape(tmp_path: Path):
    with mlflow.hub(tmp_path, "--workers", "2") as server:
        run = new_run(server)
        for step in range(40):  # each over a connection of its own, to either of the workers
            assert log(server, run, step) == 200
        wanted = 'assay_requests_total{route="mlflow/runs/log-metric",status="200"} 40'
        until = time.monotonic() + 60
        while wanted not in (text := server.ask("GET", "/metrics").body.decode()):
            assert time.monotonic() < until, text
            time.sleep(0.1)
        assert 'assay_request_duration_seconds_count{route="mlflow/runs/log-metric"} 40' in text


def test_what_was_answered_is_there_after_kill_9(tmp_path: Path):
    with mlflow.hub(tmp_path) as server:
        run = new_run(server)
        kept: list[int] = []

        def work() -> None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                for step in range(100_000):
                    assert log(server, run, step) == 200
                    kept.append(step)

        thread = threading.Thread(target=work)
        thread.start()
        until = time.monotonic() + 60
        while len(kept) < 30:
            assert time.monotonic() < until
            time.sleep(0.01)
        server.kill()
        thread.join()
    with mlflow.hub(tmp_path) as again:
        found = steps(again, run)
    assert found[: len(kept)] == kept
    assert len(found) <= len(kept) + 1  # the one that was not answered any more


def test_a_ledger_that_is_locked_for_a_moment_is_waited_for(tmp_path: Path):
    with mlflow.hub(tmp_path) as server:
        run = new_run(server)
        other = sqlite3.connect(tmp_path / "hub" / "ledger.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        status: list[int] = []
        thread = threading.Thread(target=lambda: status.append(log(server, run, 1)))
        thread.start()
        time.sleep(0.5)
        assert status == []
        assert server.ask("GET", "/health").status == 200
        assert steps(server, run) == []  # reading goes on
        other.execute("COMMIT")
        other.close()
        thread.join()
        assert status == [200]


@pytest.mark.slow
def test_a_ledger_that_is_away_is_a_503_until_it_is_back(tmp_path: Path):
    with mlflow.hub(tmp_path) as server:
        run = new_run(server)
        log(server, run, 1)
        shutil.move(tmp_path / "hub", tmp_path / "away")
        point = {"run_id": run, "key": "m", "value": 2, "timestamp": 2}
        answer = server.ask("POST", METRIC, point)
        assert answer.status == 503
        assert answer.json()["error_code"] == "TEMPORARILY_UNAVAILABLE"
        assert "gone" in answer.json()["message"]
        shutil.move(tmp_path / "away", tmp_path / "hub")
        assert log(server, run, 3) == 200
        assert steps(server, run) == [1, 3]


def test_asking_while_the_ledger_is_away_loses_nothing_that_was_answered(tmp_path: Path):
    path, away = tmp_path / "hub" / "ledger.db", tmp_path / "hub" / "gone.db"
    with mlflow.hub(tmp_path) as server:
        run = new_run(server)
        log(server, run, 1)
        path.rename(away)
        for _ in range(3):
            for address in (
                f"{API}runs/get?run_id={run}",
                f"{API}experiments/get?experiment_id=0",
            ):
                answer = server.ask("GET", address)
                assert answer.status == 503
                assert answer.json()["error_code"] == "TEMPORARILY_UNAVAILABLE"
                assert "the ledger's file is gone" in answer.json()["message"]
        assert not path.exists()
        away.rename(path)
        assert log(server, run, 2) == 200
        assert steps(server, run) == [1, 2]


def test_a_folder_that_is_no_project_says_what_to_do(tmp_path: Path):
    shown = make.assay(tmp_path, "hub", "--port", "0")
    assert shown.code == 255
    assert "not part of a project" in shown.err
    assert "assay hub --directory DIR" in shown.err
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_says_what_to_do(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        shown = make.assay(tmp_path, "hub", "--port", port, "--directory", str(tmp_path / "hub"))
    assert shown.code == 255
    assert f"127.0.0.1:{port}: no server can listen here" in shown.err
    assert "name another --port, or 0 for a free one" in shown.err
    assert not (tmp_path / "hub").exists()


def test_a_file_that_is_no_ledger_is_left_as_it_is(tmp_path: Path):
    (tmp_path / "l.db").write_text("something else, for sure, and long enough to be read")
    shown = make.assay(
        tmp_path, "hub", "--port", "0", "--ledger", "l.db", "--store", str(tmp_path / "o")
    )  # fmt: skip
    assert shown.code == 255
    assert "not a ledger" in shown.err
    assert (tmp_path / "l.db").read_text().startswith("something else")


def test_what_is_no_http_ends_its_connection_and_no_other(tmp_path: Path):
    with mlflow.hub(tmp_path) as server:
        for sent in (b"\x00\x01\x02\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"y" * 100_000):
            with (
                contextlib.suppress(ConnectionError),  # it was refused before its end
                socket.create_connection(("127.0.0.1", port_of(server)), timeout=30) as odd,
            ):
                odd.sendall(sent)
                assert odd.recv(12) in {b"HTTP/1.1 400", b""}
        assert server.ask("GET", "/health").status == 200


def test_a_client_that_leaves_early_harms_nobody(tmp_path: Path):
    with mlflow.hub(tmp_path) as server:
        run = new_run(server)
        body = json.dumps({"run_id": run, "key": "t", "value": "x"}).encode()
        head = (
            f"POST /api/2.0/mlflow/runs/set-tag HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body) + 5}\r\n\r\n"
        ).encode()
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", port_of(server))) as half:
                half.sendall(head + body)
        assert log(server, run, 1) == 200
        assert "Traceback" not in server.said()


def test_the_project_of_the_folder_is_the_hubs(tmp_path: Path):
    root = make.project(tmp_path / "project")
    port = free_port()
    server = mlflow.start(make.command("hub", "--port", str(port)), root, port=port)
    try:
        server.wait()
        given = {"mlflow.user": "bob", "mlflow.source.git.commit": "c" * 40}
        tags = [{"key": key, "value": value} for key, value in given.items()]
        created = server.call("POST", "runs/create", experiment_id="0", tags=tags)
        run = created["run"]["info"]["run_id"]
        log(server, run, 3)
        shown = make.assay(root, "runs", "show", run, "--json")
        found = json.loads(shown.out)["run"]
        assert found["metrics"]["m"]["value"] == 3
        assert (found["owner"], found["code"]["commit"]) == ("bob", "c" * 40)
        traced = make.assay(root, "trace", run)
        assert "c" * 7 in traced.out
    finally:
        server.kill()


def test_a_person_who_opens_the_address_sees_what_it_is(tmp_path: Path):
    with mlflow.hub(tmp_path) as server:
        page = server.ask("GET", "/").body.decode()
        assert f"export MLFLOW_TRACKING_URI={server.url}\n" in page

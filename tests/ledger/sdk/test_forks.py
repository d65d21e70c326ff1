"""A forked process has its own lock, transaction and connection; what its parent has stays so."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from assay.ledger import runs
from assay.ledger.database import Ledger


def script(folder: Path, code: str, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env={**os.environ, "ASSAY_RUN_SYSTEM_METRICS": "false", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


WITHIN = """
import os, signal, sys
from sqlalchemy import event
from assay.base.errors import Error
from assay.ledger.database import open_ledger
from assay.ledger.writer import Writer

with open_ledger(sys.argv[1]) as ledger:
    @event.listens_for(ledger.engine, "connect")
    def configure(connection, _):
        if ledger.is_sqlite:
            connection.execute("PRAGMA busy_timeout = 100")
    ledger.engine.dispose()
    writer = Writer(ledger)
    ended, told = os.pipe()
    with ledger.together():
        writer.start_run(name="of the parent", kind="script")
        child = os.fork()
        if not child:
            signal.alarm(20)
            os.read(ended, 1)
            try:
                writer.start_run(name="of the child", kind="script")
                print("recorded", flush=True)
            except Error as error:  # SQLite takes the child for the parent
                print(error.what, flush=True)
            os._exit(0)
        if ledger.is_sqlite:
            os.write(told, b"x")
            assert os.waitpid(child, 0)[1] == 0
    if not ledger.is_sqlite:
        os.write(told, b"x")
        assert os.waitpid(child, 0)[1] == 0
"""


def test_a_child_that_is_forked_in_a_transaction_writes_nothing_into_it(
    tmp_path: Path, ledger: Ledger
):
    said = script(tmp_path, WITHIN, str(ledger.where))
    names = sorted(row.name for row in runs.list_(ledger))
    if ledger.is_sqlite:
        assert (said, names) == ("the ledger says: database is locked\n", ["of the parent"])
    else:
        assert (said, names) == ("recorded\n", ["of the child", "of the parent"])


PRINT = """
import os, signal, threading
import assay
from assay.ledger.sdk import tail

held, go = threading.Event(), threading.Event()

def hold():
    with tail.of_process._lock:
        held.set()
        go.wait()

with assay.run():
    other = threading.Thread(target=hold)
    other.start()
    held.wait()  # as if it printed just now
    child = os.fork()
    if not child:
        signal.alarm(20)
        print("the child prints", flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    go.set()
    other.join()
    signal.signal(signal.SIGUSR1, lambda *_: print("the handler prints"))
    signal.alarm(20)
    with tail.of_process._lock:
        signal.raise_signal(signal.SIGUSR1)  # it comes in the midst of a print
    signal.alarm(0)
"""


def test_a_child_and_a_signal_handler_can_print_in_a_run(project: Path):
    assert script(project, PRINT) == "the child prints\nthe handler prints\n"


ORDER = """
import os, pathlib, threading
from assay.ledger.sdk import channels
from assay.ledger.database import open_ledger

ledger, found = open_ledger(pathlib.Path("ledger.db")), []

def write():
    if ledger._lock.acquire(timeout=5):
        found.append("written")
        ledger._lock.release()

class Channel:  # that writes when a fork comes
    def before_fork(self):
        sender = threading.Thread(target=write)
        sender.start()
        sender.join()
    def after_fork(self): os._exit(0)
    def after_fork_in_parent(self): pass
    flush = rest = untold = lambda self: ()

channels._channels["x"] = Channel()
os.waitpid(os.fork(), 0)
print(found)
"""


def test_a_fork_lets_what_is_being_written_end(tmp_path: Path):
    assert script(tmp_path, ORDER) == "['written']\n"


class Hub(http.server.ThreadingHTTPServer):
    """Takes all, and notes by which connection; the answer to a slow one waits for another."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.senders: dict[int, set[str]] = {}  # by connection
        self.is_asked, self.goes_on = threading.Event(), threading.Event()


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        batch = msgspec.json.decode(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.senders.setdefault(self.client_address[1], set()).add(batch["sender"])
        tags = [tag for one in batch["operations"] for tag in one.get("tags", ())]
        if "slow" in tags:
            self.server.is_asked.set()
            self.server.goes_on.wait(30)
        if "quick" in tags:
            self.server.goes_on.set()
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.end_headers()

    def do_GET(self) -> None:  # of the test: until the hub is asked
        assert self.server.is_asked.wait(30)
        self.send_response(204)
        self.end_headers()


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield server
        server.shutdown()
        serving.join()


FORK = """
import os, signal, urllib.request
import assay

with assay.run() as run:
    run.flush()
    if "SLOW" in os.environ:
        run.set_tag("slow", 1)
        urllib.request.urlopen(os.environ["ASSAY_HUB"])  # a thread waits for an answer now
    child = os.fork()
    if not child:
        signal.alarm(20)
        run.set_tag("quick", 1)
        run.flush()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    run.set_tag("late", 1)
"""


@pytest.mark.parametrize("slow", [{}, {"SLOW": "1"}])
def test_a_child_has_a_connection_to_the_hub_of_its_own(
    project: Path, hub: Hub, slow: dict[str, str]
):
    script(project, FORK, ASSAY_HUB=f"http://127.0.0.1:{hub.server_address[1]}", **slow)
    assert len(set.union(*hub.senders.values())) == 2  # parent and child
    assert all(len(senders) == 1 for senders in hub.senders.values())

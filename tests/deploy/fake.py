"""A server that does all that `assay serve` does but answer: it follows the deployments.

As a thread of the test, or as a process of its own that a test may kill:
`python -m tests.deploy.fake LEDGER ENDPOINT [VERSION]` hangs for ever when it loads VERSION.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from assay.base.clock import now_ms
from assay.deploy import servers
from assay.deploy.endpoints import Live, live
from assay.deploy.servers import State
from assay.ledger.database import Ledger, open_ledger

PROBLEM = "golden example 3 of 20: 'predict' is 1.0, recorded is 2.0"


class FakeServer:
    """Polls, loads, says what became of it; `refuses` and `hangs` are numbers of versions."""

    def __init__(
        self,
        ledger: Path | str,
        endpoint: str = "scores",
        *,
        refuses: Collection[int] = (),
        hangs: Collection[int] = (),
        seconds: float = 0.02,
    ) -> None:
        self.path, self.endpoint = ledger, endpoint
        self.refuses, self.hangs, self.seconds = refuses, hangs, seconds
        self.answers: Live | None = None
        self.answered: list[int] = []
        self._refused: str | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.run)

    def __enter__(self) -> Self:
        self._thread.start()
        with open_ledger(self.path) as ledger:
            _until(lambda: any(s.url == self.url for s in seen(ledger, self.endpoint)))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where it would answer."""
        return f"http://127.0.0.1/{id(self)}"

    def run(self) -> None:
        """Follow the deployments until the end."""
        with open_ledger(self.path) as ledger:
            server = servers.enter(ledger, self.endpoint, url=self.url, at=now_ms())
            beaten = 0
            while not self._stop.wait(0.01):
                found = live(ledger, self.endpoint)
                wanted = None if found is None else found.deployment
                known = (self.answers.deployment if self.answers else None, self._refused)
                if found is not None and wanted not in known:
                    self._load(ledger, server, found)
                elif now_ms() - beaten > 500:
                    self._beat(ledger, server, "failed" if self._refused else "ready", found)
                    beaten = now_ms()
            servers.leave(ledger, server)

    def _load(self, ledger: Ledger, server: str, found: Live) -> None:
        self._refused = None
        self._beat(ledger, server, "loading", found)
        self._stop.wait(self.seconds if found.version not in self.hangs else 1e6)
        if found.version in self.refuses:
            self._refused = found.deployment
            self._beat(ledger, server, "failed", found)
        else:
            self.answers = found
            self.answered.append(found.version)
            self._beat(ledger, server, "ready", None)

    def _beat(self, ledger: Ledger, server: str, state: State, wanted: Live | None) -> None:
        servers.beat(
            ledger,
            server,
            deployment=self.answers.deployment if self.answers else None,
            wanted=wanted.deployment if wanted else None,
            state=state,
            problem=PROBLEM if state == "failed" else None,
            at=now_ms(),
        )


@contextmanager
def process(ledger: Path | str, *, hangs: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start a server in a process of its own, which hangs when it loads a version."""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.deploy.fake", str(ledger), "scores", str(hangs)]
    started = subprocess.Popen(command, cwd=root)
    try:
        with open_ledger(ledger) as opened:
            _until(lambda: any(s.pid == started.pid for s in seen(opened, "scores")))
        yield started
    finally:
        started.kill()
        started.wait()


def seen(ledger: Ledger, endpoint: str) -> list[servers.Server]:
    """Return the servers that live now."""
    return servers.alive(ledger, endpoint, at=now_ms())


def until(ledger: Ledger, state: State, *, endpoint: str = "scores") -> None:
    """Wait until a server is in a state."""
    _until(lambda: any(server.state == state for server in seen(ledger, endpoint)))


def _until(holds: object, *, seconds: float = 60.0) -> None:
    assert callable(holds)
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)


if __name__ == "__main__":
    FakeServer(sys.argv[1], sys.argv[2], hangs=[int(n) for n in sys.argv[3:]]).run()

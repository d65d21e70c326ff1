"""Deploy one version after the other while a program asks, and judge every reply."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from tests.serve import running
from tests.serve.running import Models, Served

N_ROWS, N_CONNECTIONS = 40, 32
OFFSETS = (0.0, 1000.0)


class Reply(NamedTuple):
    """A line that the program wrote."""

    sent: float
    row: int
    status: int
    version: int
    value: float


class Switch(NamedTuple):
    """A deploy: when it was begun and when it returned."""

    version: int
    begun: float
    returned: float


def run(
    models: Models, served: Served, program: list[str], *, n_requests: int, n_switches: int
) -> tuple[list[Reply], list[Switch]]:
    """Run a program that takes what `load.py` takes, and deploy meanwhile."""
    folder = models.root.parent
    rows, out, stop = folder / "rows.json", folder / "replies", folder / "stop"
    rows.write_text(json.dumps(running.rows(N_ROWS)))
    host, port = served.address
    arguments = (host, port, n_requests, N_CONNECTIONS, rows, out, stop)
    process = subprocess.Popen(
        [*program, *map(str, arguments)], text=True, stderr=subprocess.PIPE
    )  # fmt: skip
    switches = []
    for number in range(1, n_switches + 1):
        _wait(process, out, n_requests * number // (n_switches + 2))
        version, begun = 1 + number % 2, time.monotonic()
        models.deploy(version)
        switches.append(Switch(version, begun, time.monotonic()))
        _wait(process, out, _count(out) + 2 * N_CONNECTIONS + 20)
    stop.touch()
    _, problems = process.communicate(timeout=600)
    assert process.returncode == 0, problems
    return [_reply(line) for line in out.read_text().splitlines()], switches


def judge(
    models: Models, replies: list[Reply], switches: list[Switch], *, n_requests: int
) -> None:
    """Expect that no request was lost, none was answered by another, and switches were whole."""
    expected = {
        number: running.expected(bundle, N_ROWS) for number, bundle in models.bundles.items()
    }
    assert all(a != b for a, b in zip(expected[1], expected[2], strict=True))
    assert len(replies) >= n_requests
    assert {reply.status for reply in replies} == {200}
    assert all(reply.value == expected[reply.version][reply.row] for reply in replies)
    ends = [*(switch.begun for switch in switches[1:]), float("inf")]
    for switch, end in zip(switches, ends, strict=True):
        between = [reply.version for reply in replies if switch.returned <= reply.sent < end]
        assert len(between) >= 20
        assert set(between) == {switch.version}


def _count(out: Path) -> int:
    return out.read_bytes().count(b"\n") if out.exists() else 0


def _wait(process: subprocess.Popen[str], out: Path, n_replies: int) -> None:
    while _count(out) < n_replies:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def _reply(line: str) -> Reply:
    sent, row, status, version, value = line.split()
    return Reply(float(sent), int(row), int(status), int(version), float(value))

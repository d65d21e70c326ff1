"""Who answers for an endpoint: a row for each server, which it renews while it lives.

A server `enter`s when it starts, `beat`s every second and whenever its state changes, and
`leave`s when it ends. One that was killed leaves its row behind; `alive` passes it by.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

import msgspec

from assay.base.errors import NotFound
from assay.base.ids import uuid7

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from assay.ledger.database import Ledger

State = Literal["starting", "ready", "loading", "failed", "draining"]

WITHIN_MS = 5_000
"""How long ago a server may have been seen to count as alive."""


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """A running server.

    Attributes
    ----------
    started, seen : int
        When it started and was last seen, in Unix milliseconds.
    deployment : str or None
        The id of the deployment that it answers with.
    wanted : str or None
        The id of the deployment that it loads, or failed to load.
    problem : str or None
        Why it failed.
    cpu_seconds : float or None
        Processor time that it used from its start to when it was last seen.
    memory : int or None
        Bytes that it held when it was last seen. None where that is not known.
    """

    id: str
    endpoint: str
    url: str
    host: str
    pid: int
    started: int
    seen: int
    deployment: str | None
    wanted: str | None
    state: State
    problem: str | None
    cpu_seconds: float | None = None
    memory: int | None = None


def enter(ledger: Ledger, endpoint: str, *, url: str, at: int) -> str:
    """Record that this process answers for an endpoint from now on, and return the server's id.

    Rows of servers of this host that were killed are taken away.
    """
    from assay.ledger import process, tables

    who = process.describe(os.getpid())
    row = {
        "id": uuid7(), "endpoint": endpoint, "url": url, "host": who.host, "boot": who.boot,
        "pid": who.pid, "process_start": who.start, "started": at, "seen": at, "state": "starting",
    }  # fmt: skip
    with ledger.write() as connection:
        gone = [server.id for server, is_gone in _servers(connection, endpoint) if is_gone]
        connection.execute(tables.server.delete().where(tables.server.c.id.in_(gone)))
        connection.execute(tables.server.insert().values(row))
    return str(row["id"])


def beat(
    ledger: Ledger,
    server: str,
    *,
    deployment: str | None,
    wanted: str | None,
    state: State,
    problem: str | None,
    at: int,
) -> None:
    """Record that this process lives, what it answers with and is about, and what it uses.

    Raises
    ------
    NotFound
        If its row is gone; it has to `enter` again.
    """
    from assay.ledger import process, tables

    used = process.usage()
    row = {
        "deployment": deployment, "wanted": wanted, "state": state, "problem": problem, "seen": at,
        "cpu_seconds": used.cpu_seconds, "memory": used.memory,
    }  # fmt: skip
    query = tables.server.update().where(tables.server.c.id == server)
    with ledger.write() as connection:
        if connection.execute(query.values(row)).rowcount == 0:
            raise NotFound(f"there is no server {server!r} in the ledger")


def leave(ledger: Ledger, server: str) -> None:
    """Record that a server ends; its row may be gone already."""
    from assay.ledger import tables

    with ledger.write() as connection:
        connection.execute(tables.server.delete().where(tables.server.c.id == server))


def alive(ledger: Ledger, endpoint: str, *, at: int, within_ms: int = WITHIN_MS) -> list[Server]:
    """Return the servers of an endpoint that live, oldest first.

    Those are the ones seen at most `within_ms` before `at`, whose process still lives as far as
    this host can tell.
    """
    with ledger.read() as connection:
        return [
            server
            for server, is_gone in _servers(connection, endpoint)
            if not is_gone and server.seen >= at - within_ms
        ]


def _servers(connection: Connection, endpoint: str) -> list[tuple[Server, bool]]:
    """Return all servers on record, with whether it can be seen that their process has ended."""
    from assay.ledger import process
    from assay.ledger.tables import server

    query = server.select().where(server.c.endpoint == endpoint)
    here, found = process.host(), []
    for row in connection.execute(query.order_by(server.c.started, server.c.id)).mappings():
        values = dict(row)
        boot, start = values.pop("boot"), values.pop("process_start")
        one = Server(**values)
        who = process.Process(host=one.host, boot=boot, pid=one.pid, start=start)
        found.append((one, one.host == here and process.is_gone(who)))
    return found

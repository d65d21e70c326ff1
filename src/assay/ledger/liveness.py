"""Whether a run still goes on: by its process on this host, by its heartbeat from another.

A process says every few seconds that it lives (`run.seen`), first a second after a run began; by
that it speaks for all of its runs. A process of this host is looked at itself. Of another host
only the heartbeat is known: one that is five minutes old means that the process is gone, and its
runs were killed. Where that was wrong (a host without a network for a while), the next heartbeat
puts it right.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from assay.base.errors import Error
from assay.ledger import process
from assay.ledger.values import plain

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from assay.ledger.database import Ledger
    from assay.ledger.process import Process

BEAT = 5.0
"""Seconds between two heartbeats."""

LOST = 300_000
"""Milliseconds without a heartbeat after which a process of another host counts as gone."""

_PROCESS = ("host", "boot", "pid", "process_start")  # the columns that name one


def look(ledger: Ledger, *, at: int) -> None:
    """Mark runs whose process is gone, before somebody looks at them.

    That is one small read where none is. A hub looks by itself; a ledger that can be read and not
    written is shown as it is.
    """
    from assay.ledger.askable import HubLedger
    from assay.ledger.writer import Writer

    if not isinstance(ledger, HubLedger):
        with contextlib.suppress(Error):
            Writer(ledger).mark_killed(at=at)


def beat(connection: Connection, run: str, *, at: int, log_tail: str | None = None) -> None:
    """Record that a run's process lives; a run that was taken for killed goes on then.

    Parameters
    ----------
    log_tail : str, optional
        The last lines that it printed, where they are others than before.
    """
    from sqlalchemy import case

    from assay.ledger.tables import run as table

    lives = table.c.status == "running"
    found = table.update().where(table.c.id == run, table.c.status.in_(["running", "killed"]))
    values = {
        "seen": at,
        "status": "running",
        "end": case((lives, table.c.end)),
        "reason": case((lives, table.c.reason)),
    }
    if log_tail is not None:
        values["log_tail"] = plain(log_tail)
    connection.execute(found.values(values))


def resume(connection: Connection, run: str, who: Process, *, at: int) -> None:
    """Let a run go on in a process; one that goes on in another that lives stays that one's.

    Raises
    ------
    NotFound
        If there is no such run.
    Error
        If it is deleted.
    """
    from assay.ledger import rows
    from assay.ledger.tables import run as table

    rows.claim_run(connection, run)
    row = connection.execute(table.select().where(table.c.id == run)).one()
    if row.deleted is not None:
        raise Error(f"the run {run} is deleted", hint=f"assay runs restore {run}")
    if is_running(connection, row, at=at):
        return
    values = {
        "status": "running", "end": None, "reason": None, "exit_status": None, "log_tail": None,
        "host": who.host, "boot": who.boot, "pid": who.pid, "process_start": who.start, "seen": at,
    }  # fmt: skip
    connection.execute(table.update().where(table.c.id == run).values(values))


def is_running(connection: Connection, row: Any, *, at: int) -> bool:
    """Tell whether the run of a row goes on, as far as is known here; as `gone` judges it."""
    from sqlalchemy import func, select

    from assay.ledger.tables import run as table

    if row.status != "running" or row.pid is None:
        return False
    same = [table.c[name].is_not_distinct_from(getattr(row, name)) for name in _PROCESS]
    query = select(func.max(table.c.seen)).where(table.c.status == "running", *same)
    seen = None if row.seen is None else connection.execute(query).scalar()
    return _problem(row, seen=seen, at=at) is None


def mark_killed(connection: Connection, *, at: int) -> list[str]:
    """Mark runs whose process is gone, and parts of them that have none; return their ids."""
    from assay.ledger.tables import run as table

    found = gone(connection, at=at)
    for run, reason in found.items():
        ended = {"status": "killed", "end": at, "reason": reason}
        connection.execute(table.update().where(table.c.id == run).values(ended))
    return list(found)


def gone(connection: Connection, *, at: int) -> dict[str, str]:
    """Return which running runs have no process any more, and why one says so."""
    from sqlalchemy import select

    from assay.ledger.tables import run as table

    run = table.c
    columns = (run.id, run.parent_id, run.host, run.boot, run.pid, run.process_start, run.seen)
    query = select(*columns).where(run.status == "running").order_by(run.id)
    rows = connection.execute(query).all()
    seen: dict[tuple[object, ...], int] = {}  # a process speaks for all of its runs
    for row in rows:
        seen[_process(row)] = max(seen.get(_process(row), 0), row.seen or 0)
    found = {
        row.id: problem for row in rows if (problem := _problem(row, seen=_seen(row, seen), at=at))
    }
    without = [row for row in rows if row.pid is None]  # a part with a process lives by that
    grown = bool(found)
    while grown:
        children = {row.id for row in without if row.parent_id in found} - set(found)
        found |= dict.fromkeys(sorted(children), "the run that it is a part of was killed")
        grown = bool(children)
    return found


def goes_on(connection: Connection) -> bool:
    """Tell whether the ledger has a run that goes on in a process, which may be killed yet."""
    from sqlalchemy import select

    from assay.ledger.tables import run as table

    query = select(table.c.id).where(table.c.status == "running", table.c.pid.is_not(None))
    return connection.execute(query.limit(1)).first() is not None


def _process(row: Any) -> tuple[object, ...]:
    return tuple(getattr(row, name) for name in _PROCESS)


def _seen(row: Any, seen: dict[tuple[object, ...], int]) -> int | None:
    return None if row.seen is None else seen[_process(row)]


def _problem(row: Any, *, seen: int | None, at: int) -> str | None:
    if row.host is None or row.pid is None:
        return None
    if row.host != process.host():
        if seen is None or at - seen <= LOST:
            return None
        minutes = (at - seen) // 60_000
        return f"its process {row.pid} on {row.host} was not heard of for {minutes} minutes"
    who = process.Process(host=row.host, boot=row.boot, pid=row.pid, start=row.process_start)
    return f"its process {row.pid} is gone" if process.is_gone(who) else None

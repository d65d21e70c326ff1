"""Decisions about an endpoint's model: what triggered each, how far it came, how it ended.

A decision is unique by endpoint, trigger and end of the window: a trigger that fires again after
a crash starts nothing twice. Who works on it is on record, so that another process goes on with
it only when that one is gone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from assay.base.clock import now_ms
from assay.base.errors import Error
from assay.base.ids import uuid7
from assay.ledger import process
from assay.ledger.askable import askable

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from assay.ledger.database import Ledger

Trigger = Literal["hand", "performance", "drift", "data", "schedule"]
Step = Literal["begun", "data", "run", "judged", "registered", "deployed"]
Outcome = Literal["deployed", "refused", "inconclusive", "failed"]


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """A retraining, from its trigger to what came of it.

    Attributes
    ----------
    window_end : int
        The event time that its trigger fired for, in Unix milliseconds.
    at, ended : int or None
        When it was begun and finished, in Unix milliseconds.
    step : str
        The last step that was done.
    alert, run, deployment : str or None
        Ids: of what triggered it, of its training, of what it deployed.
    candidate, base : str or None
        "sha256:" and the hash of the bundle that was judged, and of the one it was judged against.
    version : str or None
        What the candidate was registered as, `bikes/3`.
    host, boot, pid, process_start
        What names the process that works on it, see `assay.ledger.process`.
    """

    id: str
    endpoint: str
    trigger: Trigger
    window_end: int
    at: int
    state: Literal["started", "finished"]
    step: Step
    outcome: Outcome | None
    reason: str | None
    alert: str | None
    commit: str | None
    run: str | None
    candidate: str | None
    version: str | None
    base: str | None
    verdict: str | None
    deployment: str | None
    details: dict[str, Any]
    ended: int | None
    host: str | None
    boot: str | None
    pid: int | None
    process_start: str | None

    @property
    def thing(self) -> str:
        """What it is called in the lineage."""
        return f"decision:{self.id}"


def start(
    ledger: Ledger,
    endpoint: str,
    *,
    trigger: Trigger,
    window_end: int,
    alert: str | None = None,
    reason: str | None = None,
    details: Mapping[str, Any] | None = None,
    at: int | None = None,
) -> Decision | None:
    """Begin a decision that this process works on, and return it.

    Returns
    -------
    Decision or None
        None where the endpoint has a decision of this trigger and window already.
    """
    from assay.ledger import rows, tables

    moment, id_ = now_ms() if at is None else at, uuid7()
    row = {
        "id": id_, "endpoint": endpoint, "trigger": trigger, "window_end": window_end,
        "at": moment, "state": "started", "step": "begun", "reason": reason, "alert": alert,
        "details": msgspec.json.encode(details or {}).decode(), **_this_process(),
    }  # fmt: skip
    with ledger.write() as connection:
        if not rows.add(connection, tables.decision, row):
            return None
        if alert is not None:
            _link(connection, f"alert:{alert}", "triggered", f"decision:{id_}", moment)
        return _get(connection, id_)


def take(ledger: Ledger, id_: str) -> bool:
    """Work on a decision in this process from now on, if it can be had.

    Returns
    -------
    bool
        False where another living process works on it, or it is finished.
    """
    from assay.ledger.tables import decision

    with ledger.write() as connection:
        found = _get(connection, id_, claims=True)
        mine = _this_process()
        if found.state == "finished":
            return False
        is_mine = (found.host, found.boot, found.pid, found.process_start) == (*mine.values(),)
        if not is_mine and is_worked_on(found):
            return False
        connection.execute(decision.update().where(decision.c.id == found.id).values(mine))
        return True


def update(ledger: Ledger, id_: str, **changes: Any) -> Decision:
    """Record how far a decision came, and return it.

    Parameters
    ----------
    **changes
        `step`, `commit`, `run`, `candidate`, `version`, `base`, `verdict`, `deployment`,
        `reason`, and `details`, whose keys are added to those that are there.

    Raises
    ------
    assay.Error
        If it is finished.
    """
    from assay.ledger.tables import decision

    unknown = sorted(set(changes) - _CHANGEABLE)
    if unknown:
        raise TypeError(f"a decision's {', '.join(unknown)} cannot be changed")
    with ledger.write() as connection:
        found = _get(connection, id_, claims=True)
        if found.state == "finished":
            raise Error(f"the decision {found.id!r} is finished ({found.outcome})")
        row = {_COLUMNS.get(name, name): value for name, value in changes.items()}
        if "details" in row:
            merged = found.details | dict(row["details"])
            row["details"] = msgspec.json.encode(merged).decode()
        if row:
            connection.execute(decision.update().where(decision.c.id == found.id).values(row))
        for name, (relation, kind) in _EDGES.items():
            if (value := changes.get(name)) is not None:
                # where nothing that the pipeline reads had changed, the run was there before
                reused = name == "run" and _is_older(connection, value, found.at)
                how = "reused" if reused else relation
                _link(connection, found.thing, how, f"{kind}:{value}", now_ms())
        return _get(connection, found.id)


def finish(
    ledger: Ledger, id_: str, *, outcome: Outcome, reason: str, at: int | None = None
) -> Decision:
    """Record how a decision ended, and return it; the same end twice is one.

    Raises
    ------
    assay.Error
        If it ended otherwise before.
    """
    from assay.ledger.tables import decision

    with ledger.write() as connection:
        found = _get(connection, id_, claims=True)
        if found.state == "finished":
            if found.outcome == outcome:
                return found
            raise Error(
                f"the decision {found.id!r} is finished ({found.outcome}), so it cannot end with "
                f"{outcome!r}"
            )
        ended = {
            "state": "finished", "outcome": outcome, "reason": reason,
            "ended": now_ms() if at is None else at,
        }  # fmt: skip
        connection.execute(decision.update().where(decision.c.id == found.id).values(ended))
        return _get(connection, found.id)


@askable
def get(ledger: Ledger, ref: str) -> Decision:
    """Return the decision of an id or the unique beginning of one.

    Raises
    ------
    NotFound
        If there is none.
    Error
        If several begin so.
    """
    with ledger.read() as connection:
        return _get(connection, ref)


def list_decisions(
    ledger: Ledger, endpoint: str | None = None, *, limit: int | None = None
) -> list[Decision]:
    """Return decisions, newest first: of one endpoint or all."""
    from assay.ledger.tables import decision

    query = decision.select().order_by(decision.c.at.desc(), decision.c.id.desc()).limit(limit)
    if endpoint is not None:
        query = query.where(decision.c.endpoint == endpoint)
    with ledger.read() as connection:
        return [_decision(row) for row in connection.execute(query).mappings()]


def unfinished(ledger: Ledger, endpoint: str) -> list[Decision]:
    """Return the decisions about an endpoint that have no end yet, oldest first."""
    from assay.ledger.tables import decision

    query = decision.select().where(decision.c.endpoint == endpoint)
    query = query.where(decision.c.state == "started").order_by(decision.c.at, decision.c.id)
    with ledger.read() as connection:
        return [_decision(row) for row in connection.execute(query).mappings()]


def is_worked_on(decision: Decision) -> bool:
    """Tell whether a decision is not finished and its process lives.

    Whether a process of another host lives cannot be seen from here: it counts as alive.
    """
    if decision.state == "finished" or decision.host is None or decision.pid is None:
        return False
    if decision.host != process.host():
        return True
    who = process.Process(
        host=decision.host,
        boot=decision.boot or "",
        pid=decision.pid,
        start=decision.process_start,
    )
    return not process.is_gone(who)


_CHANGEABLE = frozenset(
    {"step", "commit", "run", "candidate", "version", "base", "verdict", "deployment", "details",
     "reason"}
)  # fmt: skip
_COLUMNS = {"commit": "code_commit"}  # not a word of SQL
_EDGES = {
    "run": ("started", "run"),
    "candidate": ("judged", "bundle"),
    "deployment": ("deployed_as", "deployment"),
}


def _is_older(connection: Connection, run_id: str, at: int) -> bool:
    from sqlalchemy import select

    from assay.ledger.tables import run

    start = connection.execute(select(run.c.start).where(run.c.id == run_id)).scalar()
    return start is not None and start < at


def _this_process() -> dict[str, Any]:
    who = process.describe(os.getpid())
    return {"host": who.host, "boot": who.boot, "pid": who.pid, "process_start": who.start}


def _get(connection: Connection, ref: str, *, claims: bool = False) -> Decision:
    """Return a decision; where it is claimed, nobody else changes it in this transaction."""
    from assay.ledger import rows
    from assay.ledger.tables import decision

    query = decision.select().where(decision.c.id == rows.find_id(connection, decision, ref))
    if claims:
        query = query.with_for_update()
    return _decision(connection.execute(query).mappings().one())


def _decision(row: Mapping[Any, Any]) -> Decision:
    values: dict[str, Any] = dict(row)
    values["commit"] = values.pop("code_commit")
    values["details"] = msgspec.json.decode(values["details"])
    return Decision(**values)


def _link(connection: Connection, source: str, relation: str, target: str, at: int) -> None:
    from assay.ledger import lineage

    edge = lineage.Edge(source=source, relation=relation, target=target, at=at)
    lineage.add(connection, [edge])

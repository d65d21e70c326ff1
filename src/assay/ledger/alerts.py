"""Alerts: what a monitor saw, with its evidence, until a person or a good window answers it.

An alert is unique by endpoint, monitor, column and end of the window: whoever raises it again
gets the one that is there, open or not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from assay.base.clock import now_ms
from assay.base.ids import uuid7
from assay.ledger.askable import askable

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from assay.ledger.database import Ledger

Monitor = Literal["quality", "drift", "prediction drift", "performance", "retraining"]
Severity = Literal["warning", "error"]
State = Literal["open", "acknowledged", "resolved"]


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a person should know of.

    Attributes
    ----------
    monitor : str
        What saw it.
    column, statistic, value, threshold : optional
        Where it was seen, what was measured, how much it was, and from where on it alerts.
    window_start, window_end : int or None
        The event time that it is about, in Unix milliseconds.
    deployment : str or None
        The id of what answered then.
    at, acknowledged, resolved : int or None
        When that was done, in Unix milliseconds.
    note : str or None
        Why it was resolved, or by whom it was acknowledged.
    """

    id: str
    endpoint: str
    monitor: Monitor
    column: str | None
    statistic: str | None
    value: float | None
    threshold: float | None
    severity: Severity
    message: str
    window_start: int | None
    window_end: int | None
    deployment: str | None
    at: int
    state: State
    acknowledged: int | None
    resolved: int | None
    note: str | None
    details: dict[str, Any] | None

    @property
    def thing(self) -> str:
        """What it is called in the lineage."""
        return f"alert:{self.id}"


def raise_alert(
    ledger: Ledger,
    endpoint: str,
    *,
    monitor: Monitor,
    message: str,
    column: str | None = None,
    statistic: str | None = None,
    value: float | None = None,
    threshold: float | None = None,
    severity: Severity = "warning",
    window_start: int | None = None,
    window_end: int | None = None,
    deployment: str | None = None,
    details: Mapping[str, Any] | None = None,
    at: int | None = None,
) -> tuple[Alert, bool]:
    """Record an alert unless it is there, and return it, with whether it is new.

    See `Alert` for the parameters. `deployment` is the id of what answered: it raised the alert.
    """
    from assay.ledger import lineage, rows, tables

    alert, id_, moment = tables.alert, uuid7(), now_ms() if at is None else at
    key = _key(endpoint, monitor, column or "", window_end or 0)
    row = {
        "id": id_, "endpoint": endpoint, "monitor": monitor, "column": column,
        "statistic": statistic, "value": _number(value), "threshold": _number(threshold),
        "severity": severity, "message": message, "window_start": window_start,
        "window_end": window_end, "deployment": deployment, "key": key, "at": moment,
        "details": None if details is None else msgspec.json.encode(details).decode(),
    }  # fmt: skip
    with ledger.write() as connection:
        is_new = rows.add(connection, alert, row)
        if is_new and deployment is not None:
            edge = lineage.Edge(
                source=f"deployment:{deployment}", relation="raised", target=f"alert:{id_}",
                at=moment,
            )  # fmt: skip
            lineage.add(connection, [edge])
        found = connection.execute(alert.select().where(alert.c.key == key)).mappings().one()
        return _alert(found), is_new


def _key(*parts: str | int) -> str:
    """Return what two alerts share that are one."""
    return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))


@askable
def get(ledger: Ledger, ref: str) -> Alert:
    """Return the alert of an id or the unique beginning of one.

    Raises
    ------
    NotFound
        If there is none.
    Error
        If several begin so.
    """
    with ledger.read() as connection:
        return _get(connection, ref)


def list_alerts(
    ledger: Ledger,
    endpoint: str | None = None,
    *,
    states: Collection[State] | None = None,
    limit: int | None = None,
) -> list[Alert]:
    """Return alerts, newest first: of one endpoint or all, in some states or any."""
    from sqlalchemy import false, or_

    from assay.ledger.tables import alert

    is_resolved, is_seen = alert.c.resolved.is_not(None), alert.c.acknowledged.is_not(None)
    conditions = {
        "open": ~is_resolved & ~is_seen, "acknowledged": ~is_resolved & is_seen,
        "resolved": is_resolved,
    }  # fmt: skip
    query = alert.select().order_by(alert.c.at.desc(), alert.c.id.desc()).limit(limit)
    if endpoint is not None:
        query = query.where(alert.c.endpoint == endpoint)
    if states is not None:
        query = query.where(or_(false(), *(conditions[state] for state in states)))
    with ledger.read() as connection:
        return [_alert(row) for row in connection.execute(query).mappings()]


def acknowledge(
    ledger: Ledger, id_: str, *, note: str | None = None, at: int | None = None
) -> Alert:
    """Record that somebody knows of an open alert; in another state it stays as it is."""
    return _move(ledger, id_, "acknowledged", note=note, at=at)


def resolve(ledger: Ledger, id_: str, *, note: str | None = None, at: int | None = None) -> Alert:
    """Record that an alert is answered; one that was resolved already stays as it is."""
    return _move(ledger, id_, "resolved", note=note, at=at)


def _move(
    ledger: Ledger,
    ref: str,
    state: Literal["acknowledged", "resolved"],
    *,
    note: str | None,
    at: int | None,
) -> Alert:
    from assay.ledger.tables import alert

    changed: dict[str, Any] = {state: now_ms() if at is None else at}
    if note is not None:
        changed["note"] = note
    with ledger.write() as connection:
        id_ = _get(connection, ref).id
        query = alert.update().where(alert.c.id == id_, alert.c.resolved.is_(None))
        connection.execute(query.where(alert.c[state].is_(None)).values(changed))
        return _get(connection, id_)


def _get(connection: Connection, ref: str) -> Alert:
    from assay.ledger import rows
    from assay.ledger.tables import alert

    query = alert.select().where(alert.c.id == rows.find_id(connection, alert, ref))
    return _alert(connection.execute(query).mappings().one())


def _alert(row: Mapping[Any, Any]) -> Alert:
    values: dict[str, Any] = {name: value for name, value in row.items() if name != "key"}
    values["state"] = (
        "open" if row["acknowledged"] is row["resolved"] is None
        else "acknowledged" if row["resolved"] is None
        else "resolved"
    )  # fmt: skip
    if row["details"] is not None:
        values["details"] = msgspec.json.decode(row["details"])
    return Alert(**values)


def _number(value: float | None) -> float | None:
    """Return a number as both kinds of database keep it; what is none is not known."""
    return None if value is None or math.isnan(value) else float(value)

"""Alerts and decisions as things: why an endpoint answers with this version, and no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from assay.base.clock import iso
from assay.ledger import alerts, decisions
from assay.ledger.alerts import Alert
from assay.ledger.database import Ledger
from assay.ledger.decisions import Decision
from assay.trace.things import Thing

if TYPE_CHECKING:
    from sqlalchemy import Row


def of(ledger: Ledger, id_: str) -> Thing:
    """Return an alert or a decision by its name in the ledger, or the unique beginning of it."""
    kind, _, rest = id_.partition(":")
    if kind == "alert":
        return of_alert(alerts.get(ledger, rest))
    return of_decision(decisions.get(ledger, rest))


def of_alert(alert: Alert | Row[Any]) -> Thing:
    """Return an alert as a thing: what was seen, where, and whether it is still open."""
    state = "open" if alert.acknowledged is None else "acknowledged"
    where = "" if alert.column is None else f" of '{alert.column}'"
    until = "" if alert.window_end is None else f" in the window until {iso(alert.window_end)}"
    label = (
        f"alert {alert.id[:13]}: {alert.monitor}{where}{until}: {_line(alert.message)}"
        f" ({'resolved' if alert.resolved is not None else state})"
    )
    return Thing(kind="alert", id=f"alert:{alert.id}", label=label)


def of_decision(decision: Decision | Row[Any]) -> Thing:
    """Return a decision as a thing: what triggered it, the verdict, and how it ended."""
    parts = [f"trigger: {decision.trigger}"]
    if decision.verdict is not None:
        parts.append(f"verdict: {decision.verdict}")
    parts.append(decision.outcome or f"not finished, came to step '{decision.step}'")
    why = "" if decision.reason is None else f": {_line(decision.reason)}"
    label = f"decision {decision.id[:13]} of {iso(decision.at)}: {', '.join(parts)}{why}"
    return Thing(kind="decision", id=f"decision:{decision.id}", label=label)


def _line(text: str) -> str:
    return " ".join(text.split())

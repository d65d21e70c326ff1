"""Which trigger starts a retraining now: alerts first, then new rows, then the schedule.

Nothing is read here: the loop says how things stand, and is told what is due. After refusals in a
row alerts and new rows have to wait longer each time; a schedule keeps its cadence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from assay.base.clock import iso
from assay.base.progress import counted
from assay.ledger.alerts import Alert
from assay.ledger.decisions import Decision, Trigger
from assay.loop import schedule
from assay.project.declaration import FILE, Retrain, seconds

_MONITORS: dict[str, Trigger] = {
    "performance": "performance",
    "drift": "drift",
    "prediction drift": "drift",
}
"""What an alert of a monitor triggers; others trigger nothing."""

_MOST = 16  # times the shortest wait, after which it grows no more
_FIRST_ALERT = 3  # refusals in a row


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """How things stand with an endpoint.

    Attributes
    ----------
    alerts : sequence of Alert
        Those that are not resolved.
    decisions : sequence of Decision
        Newest first.
    window_end : int or None
        The event time at which the newest computed window ends; None before the first.
    since : int
        The event time from which the schedule `every` counts: the start of the first window.
    n_new_rows : int
        Rows that the growing table could get.
    now_ms : int
        The wall clock, for `cron`.
    window_ms : int
        The length of a window.
    deployed_ms : int or None
        The wall clock from which `cron` counts before its first decision: when the endpoint was
        first deployed; without it, `since` is taken.
    source : str or None
        The commit that the code comes from.
    """

    alerts: Sequence[Alert]
    decisions: Sequence[Decision]
    window_end: int | None
    since: int
    n_new_rows: int
    now_ms: int
    window_ms: int
    deployed_ms: int | None = None
    source: str | None = None


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A retraining that should start now; `reason` says why, in words."""

    trigger: Trigger
    window_end: int
    reason: str
    alert: str | None = None


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A trigger that may not start a retraining yet.

    Attributes
    ----------
    until : int or None
        The event time that a window has to reach, in Unix milliseconds; None where another
        retraining has to end first.
    reason : str
        What wants to start, and why it has to wait, in words.
    """

    trigger: Trigger
    until: int | None
    reason: str


def due(declared: Retrain, state: Situation) -> Due | Waiting | None:
    """Return what should start a retraining now, what has to wait, or None where nothing wants to.

    Raises
    ------
    assay.Error
        If the declared `cron` or `time_zone` is none.
    """
    if state.window_end is None:
        return None
    waiting: list[Waiting] = []
    for wanted in _wanted(declared, state, state.window_end):
        blocked = _blocked(declared, state, wanted)
        if blocked is None:
            return wanted
        waiting.append(blocked)
    return min(waiting, key=lambda one: one.until or 0, default=None)


def refusals(decisions: Sequence[Decision], *, source: str | None = None) -> int:
    """Return how many decisions in a row, the newest first, put nothing into production.

    One that is not finished, or was made by hand, does not count, and does not end the row. Other
    code does: what was mended may be tried.

    Parameters
    ----------
    source : str, optional
        The commit that the code comes from now.
    """
    n = 0
    for decision in decisions:
        if decision.state != "finished":
            continue
        known = decision.details.get("source")
        if decision.outcome == "deployed" or (source and known and known != source):
            break
        n += decision.trigger != "hand"
    return n


def should_alert(decisions: Sequence[Decision]) -> bool:
    """Say whether a person should hear of refusals: at 3 in a row, and each time they double."""
    times, rest = divmod(refusals(decisions), _FIRST_ALERT)
    return rest == 0 and times > 0 and times & (times - 1) == 0


def _wanted(declared: Retrain, state: Situation, window_end: int) -> Iterator[Due]:
    """Go through the triggers that want to start, the most urgent first."""
    alerting: tuple[Trigger, ...] = ("performance", "drift")
    for trigger in alerting:
        alert = _alert(state, trigger) if trigger in declared.on else None
        if alert is not None:
            yield Due(
                trigger=trigger,
                window_end=window_end,
                reason=alert.message,
                alert=alert.id,
            )
    if "data" in declared.on and state.n_new_rows > 0:
        reason = counted(state.n_new_rows, "new row")
        yield Due(trigger="data", window_end=window_end, reason=reason)
    scheduled = _scheduled(declared, state, window_end)
    if scheduled is not None:
        yield Due(trigger="schedule", window_end=window_end, reason=scheduled)


def _alert(state: Situation, trigger: str) -> Alert | None:
    """Return the alert that triggers: one that has no decision yet, else the newest."""
    answered = {decision.alert for decision in state.decisions}
    found = [
        alert
        for alert in state.alerts
        if alert.state != "resolved" and _MONITORS.get(alert.monitor) == trigger
    ]

    def rank(alert: Alert) -> tuple[bool, int, int, str]:
        return alert.id not in answered, alert.window_end or 0, alert.at, alert.id

    return max(found, key=rank, default=None)


def _scheduled(declared: Retrain, state: Situation, window_end: int) -> str | None:
    """Return why the schedule wants to start now, or None."""
    last = next((one for one in state.decisions if one.trigger == "schedule"), None)
    if declared.every is not None:
        settled = [one for one in state.decisions if one == last or one.outcome == "deployed"]
        anchor = max((one.window_end for one in settled), default=state.since)
        if schedule.every_due(_ms(declared.every), anchor, window_end):
            return f"the schedule says every {declared.every}, the last was {iso(anchor)}"
    if declared.cron is not None:
        cron = schedule.parse(declared.cron, where=f"{FILE}: retrain.cron")
        schedule.check_zone(declared.time_zone, where=f"{FILE}: retrain.time_zone")
        began = state.since if state.deployed_ms is None else state.deployed_ms
        since = began if last is None else last.at
        if schedule.is_due(cron, since, state.now_ms, declared.time_zone):
            return f"the schedule says '{declared.cron}' ({declared.time_zone})"
    return None


def _blocked(declared: Retrain, state: Situation, wanted: Due) -> Waiting | None:
    """Return why a trigger has to wait, or None where it may start."""
    for decision in state.decisions:
        if decision.state == "started":
            reason = f"the retraining {decision.id} has not ended yet"
            return Waiting(trigger=wanted.trigger, until=None, reason=reason)
    if not state.decisions:
        return None
    n = refusals(state.decisions, source=state.source)
    wait = state.window_ms if declared.at_most_every is None else _ms(declared.at_most_every)
    why = f"at most one retraining every {_shown(wait)}"
    if wanted.trigger != "schedule" and n > 1:
        wait *= min(2 ** (n - 1), _MOST)
        why = f"after {n} refusals in a row, one every {_shown(wait)}"
    last = max(decision.window_end for decision in state.decisions)
    until = last + max(wait, 1)  # one decision a window, whatever is declared
    if wanted.window_end >= until:
        return None
    reason = f"{wanted.reason}; {why}: waits until {iso(until)} of event time"
    return Waiting(trigger=wanted.trigger, until=until, reason=reason)


def _ms(duration: str) -> int:
    return round(seconds(duration) * 1000)


def _shown(milliseconds: int) -> str:
    """Return a stretch of time as a declaration would have it."""
    for unit, letter in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m")):
        if milliseconds >= unit and milliseconds % unit == 0:
            return f"{milliseconds // unit}{letter}"
    return f"{milliseconds / 1000:g}s"

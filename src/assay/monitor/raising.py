"""Alerts out of stored windows, in plain words; raising them again changes nothing.

Whether a window alerts was decided when it was computed and stands in its details. So a pass that
was killed between the two is made good by the next one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from assay.ledger import alerts
from assay.ledger.alerts import Alert, Monitor
from assay.monitor.drift import PREDICTION
from assay.monitor.windows import Span, day
from assay.render.tables import format_number

if TYPE_CHECKING:
    from assay.ledger.database import Ledger
    from assay.ledger.windows import Window

OF_REFERENCE: tuple[Monitor, ...] = ("drift", "prediction drift", "performance")
"""Monitors whose alerts end when a new reference is accepted."""


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """An alert as it is raised; see `assay.ledger.alerts.Alert`."""

    monitor: Monitor
    message: str
    column: str | None = None
    statistic: str | None = None
    value: float | None = None
    threshold: float | None = None
    severity: alerts.Severity = "warning"
    details: dict[str, Any] = {}


class Alarms:
    """The alerts of one endpoint.

    Attributes
    ----------
    new : list of Alert
        Those that were raised here.
    """

    def __init__(self, ledger: Ledger, endpoint: str, *, at: int) -> None:
        self.new: list[Alert] = []
        self._ledger, self._endpoint, self._at = ledger, endpoint, at
        known = alerts.list_alerts(ledger, endpoint)
        self._there = {_key(one.monitor, one.column, one.window_end) for one in known}
        self._open = [one for one in known if one.state != "resolved"]

    def is_open(
        self, monitor: Monitor, *, column: str | None = None, type_: str | None = None
    ) -> bool:
        """Say whether there is such an alert that nobody has resolved."""
        return any(
            one.monitor == monitor
            and one.column == column
            and (type_ is None or type_ in (one.details or {}).get("types", ()))
            for one in self._open
        )

    def raise_for(self, window: Window) -> None:
        """Raise what the details of a stored window say, unless it was raised before."""
        for said in of(window):
            if _key(said.monitor, said.column, window.end) in self._there:
                continue
            found, is_new = alerts.raise_alert(
                self._ledger,
                self._endpoint,
                **msgspec.structs.asdict(said),
                window_start=window.start,
                window_end=window.end,
                deployment=window.details.get("deployment"),
                at=self._at,
            )
            self._there.add(_key(said.monitor, said.column, window.end))
            if is_new:
                self.new.append(found)
            if found.state != "resolved":
                self._open.append(found)

    def accept(self, bundle: str, version: str) -> None:
        """Resolve what was said about another bundle than the one that answers now."""
        for one in [*self._open]:
            about = (one.details or {}).get("bundle")
            if one.monitor in OF_REFERENCE and about is not None and about != bundle:
                note = f"a new reference was accepted with {version}"
                alerts.resolve(self._ledger, one.id, note=note, at=self._at)
                self._open.remove(one)


def of(window: Window) -> Iterator[Said]:
    """Give the alerts that the details of a window hold."""
    details = window.details
    span = Span(window.start, window.end)
    about = {"bundle": window.bundle, "version": window.version}
    columns: Mapping[str, Any] = details.get("columns", {})
    every = {**columns, PREDICTION: details.get("prediction")}
    for name, found in every.items():
        if found and found.get("alert"):
            yield _drift(name, found, span, details=details, about=about)
    yield from _quality(details.get("quality", []), span, about=about)
    performance = details.get("performance")
    if performance and performance.get("alert"):
        yield _performance(performance, about=about)


def _drift(
    name: str,
    found: Mapping[str, Any],
    span: Span,
    *,
    details: Mapping[str, Any],
    about: dict[str, Any],
) -> Said:
    limits = details.get("limits", {})
    least = limits.get("min_effect")
    what, verb = (name, "has") if name != PREDICTION else ("the predictions", "have")
    if found["alert"] == "shock":
        how, far = f"{what} {verb} changed at once in {span}", found["js_window"]
    else:
        since = day(found.get("since_start", span.start))
        how, far = f"{what} {verb} drifted since {since}", found["js"]
    matters = "" if least is None else f" ({format_number(least, 2)} matters)"
    away = "what they were on the training data" if name == PREDICTION else "the training data"
    kept = ("x", "p", "R", "shock_p", "js", "js_window", "n_rows", "since_start", "alert")
    return Said(
        monitor="prediction drift" if name == PREDICTION else "drift",
        column=None if name == PREDICTION else name,
        statistic="js_distance",
        value=far,
        threshold=least,
        message=f"{how}: Jensen-Shannon distance {far:.2f} from {away}{matters}",
        details={**about, **{key: found[key] for key in kept if key in found}, "limits": limits},
    )


def _quality(faults: list[dict[str, Any]], span: Span, *, about: dict[str, Any]) -> Iterator[Said]:
    """Give one alert for each column that is broken."""
    by_column: dict[str, list[dict[str, Any]]] = {}
    for fault in faults:
        if fault.get("alert"):
            by_column.setdefault(fault["column"], []).append(fault)
    for column, found in by_column.items():
        worst = max(found, key=lambda fault: (fault["severity"] == "error", fault["share"]))
        yield Said(
            monitor="quality",
            column=column,
            statistic=worst["type"],
            value=worst["share"],
            threshold=worst["limit"],
            severity=worst["severity"],
            message=f"{column} {' and '.join(one['message'] for one in found)}, {span}",
            details={**about, "types": [one["type"] for one in found], "faults": found},
        )


def _performance(found: Mapping[str, Any], *, about: dict[str, Any]) -> Said:
    rolling, number = found["rolling"], format_number
    start = day(rolling["start"])
    text = (
        f"{found['loss']} of {about['version']} is {number(rolling['value'], 4)} since {start}"
        f" (lower end of its interval: {number(rolling['low'], 4)}); at its gate it was"
        f" {number(found['at_gate'], 4)}, and {number(rolling['limit'], 4)} was the limit"
    )
    beside = found.get("baseline")
    if beside and beside.get("rolling") is not None:
        text += f"; {beside['name']} has {number(beside['rolling'], 4)} on the same rows"
    return Said(
        monitor="performance",
        statistic=found["loss"],
        value=rolling["value"],
        threshold=rolling["limit"],
        message=text,
        details={**about, "performance": dict(found)},
    )


def _key(monitor: str, column: str | None, window_end: int | None) -> tuple[str, str, int]:
    return monitor, column or "", window_end or 0

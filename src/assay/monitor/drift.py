"""Drift of a window's columns, and of the predictions, from the reference of one bundle.

The detectors remember what they saw since the bundle was deployed; that is made anew from the
stored windows, never from traffic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from assay.monitor import detectors
from assay.monitor.detectors import Column, Limits, Reading, State
from assay.monitor.windows import DAY, Span

if TYPE_CHECKING:
    from assay.bundle.reference import Reference
    from assay.ledger.windows import Window

PREDICTION = "(prediction)"
"""What the predictions are called among the columns."""


class Drift:
    """The detectors of one bundle on one endpoint.

    Attributes
    ----------
    names : tuple of str
        The columns that are compared, `PREDICTION` where the reference has some.
    unknown : tuple of str
        Columns that were asked for and that the reference does not have.
    """

    def __init__(
        self,
        reference: Reference,
        *,
        endpoint: str,
        size: int,
        asked: Sequence[str] | None,
        false_alerts: float,
        min_effect: float,
    ) -> None:
        self.reference, self.min_effect = reference, min_effect
        self._endpoint = endpoint
        wanted = list(reference.columns) if asked is None else list(asked)
        self.unknown = tuple(name for name in wanted if name not in reference.columns)
        names = [name for name in wanted if name in reference.columns]
        if reference.prediction is not None:
            names.append(PREDICTION)
        self.names = tuple(names)
        n_days = size // DAY
        self._columns = {name: self._prepare(name, n_days) for name in names}
        self.limits: Limits = detectors.limits(
            false_alerts, len(names), windows_a_year=365 / n_days
        )
        self._states: dict[str, State] = {}
        self._starts: dict[str, list[int]] = {}
        self.remember([])

    def remember(self, windows: Iterable[Window]) -> None:
        """Take over what was stored of the windows since this bundle was deployed."""
        found = list(windows)
        for name in self.names:
            readings, starts = [], []
            for window in found:
                stored = of(window.details, name)
                if stored is not None:
                    reading = msgspec.convert(stored, Reading)
                    if reading.x is not None:
                        readings.append(reading)
                        starts.append(window.start)
            self._states[name] = detectors.rebuild(self._columns[name], readings)
            self._starts[name] = starts

    def count(self, name: str, values: Any) -> list[int]:
        """Return the cells of the values of a column."""
        if name == PREDICTION:
            return self.reference.count_prediction(values)
        return self.reference.count(name, values)

    def step(
        self, counts: Mapping[str, Sequence[int]], span: Span, *, n_days: int
    ) -> dict[str, dict[str, Any]]:
        """Return what the detectors find in the next window, by column, as JSON.

        Parameters
        ----------
        n_days : int
            Days that have rows. A window with rows on less than half of its days, such as the
            first one, is no week to compare with weeks: it is not read.
        """
        whole = (span.end - span.start) // DAY
        if 2 * n_days < whole:
            return {name: self._unread(name, counts, f"rows on {n_days} of {whole} days") for name
                    in self.names}  # fmt: skip
        found = {}
        for name in self.names:
            self._states[name], reading = detectors.step(
                self._columns[name],
                self._states[name],
                counts[name],
                seed=f"{self._endpoint}/{name}/{span.start}",
                limits=self.limits,
                min_effect=self.min_effect,
            )
            known: dict[str, Any] = msgspec.to_builtins(reading)
            if reading.x is not None:
                self._starts[name].append(span.start)
                known["since_start"] = self._starts[name][-max(reading.n_since, 1)]
            if self._columns[name].warnings:
                known["warnings"] = list(self._columns[name].warnings)
            found[name] = known
        return found

    def _unread(
        self, name: str, counts: Mapping[str, Sequence[int]], reason: str
    ) -> dict[str, Any]:  # fmt: skip
        state = self._states[name].state
        reading = Reading(n_rows=sum(counts[name]), state=state, reason=reason)
        known: dict[str, Any] = msgspec.to_builtins(reading)
        return known

    def _prepare(self, name: str, n_days: int) -> Column:
        reference = self.reference
        days = reference.windows(n_days)
        if name == PREDICTION:
            counts = [reference.counts_prediction(first, last) for first, last in days]
            order = () if reference.prediction is None else reference.prediction.order
        else:
            counts = [reference.counts(name, first, last) for first, last in days]
            order = reference.column(name).order
        return detectors.prepare([one.tolist() for one in counts], order=order)


def of(details: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """Return what is stored of a column of a window, or of its predictions."""
    found: dict[str, Any] | None = (
        details.get("prediction") if name == PREDICTION else details.get("columns", {}).get(name)
    )
    return found


def since(windows: Sequence[Window], *, bundle: str | None, size: int) -> list[Window]:
    """Return the newest windows, oldest first, that one bundle answered without a break.

    A deployment accepts the reference of its bundle, also where that answered before.
    """
    found: list[Window] = []
    for window in reversed(windows):
        if window.end - window.start != size or window.bundle != bundle:
            break
        found.append(window)
    return found[::-1]

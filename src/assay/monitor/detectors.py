"""Two detectors of drift for each column: one that adds up evidence, one for a sudden break.

Both take the spread of a column from the reference's own windows, since days differ and no formula
knows by how much. The score of a window is ranked among all windows before it; the ranks become
evidence that adds up from window to window (Shiryaev-Roberts), and a window that lies far outside
the reference's scores is a shock. Neither alerts where the distance does not matter.

A score is the two-sample chi-square statistic over what days like those of the reference give on
average for so many rows: days that differ weigh more in a large window. A shock has to be twice
the reference's highest score as well, for the tail of real days is longer than Student's.

Half of the budget of false alerts is for added evidence, and is kept whatever the scores look like
if without drift they could stand in any order. They could not if a season is longer than the
reference, or if one window resembles the next too much: `Column.warnings` tells the latter. The
other half is for shocks, and is kept as far as that tail is right. All here are functions of
counts; the state can be made anew from the readings.

References
----------
Vovk, Nouretdinov and Gammerman (2003), "Testing exchangeability on-line", ICML; Pollak (1985),
"Optimal detection of a change in distribution", Annals of Statistics 13.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import fmean, median, stdev
from typing import Literal

import msgspec

from assay.evaluate.distributions import t_cdf
from assay.monitor import scores
from assay.monitor.scores import Merge

MIN_WINDOWS = 14  # of the reference; with fewer there are numbers only
MIN_ROWS = 10  # of a window, and one for each group of cells
MAX_AUTOCORRELATION = 0.4
KAPPAS = (0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
OFFSET = 0.25  # is added to chi-square before its logarithm: some are 0
SHOCK_FACTOR = 2.0  # of the highest score of the reference
_LARGEST = 1e300

Phase = Literal["learning", "watching", "drifted"]
Alert = Literal["slow", "shock"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Where a column alerts.

    Attributes
    ----------
    threshold : float
        Of the evidence `R`.
    shock_alpha : float
        Of the probability of a score so high.
    """

    threshold: float
    shock_alpha: float


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """The reference of a column, prepared.

    Attributes
    ----------
    counts : tuple of int
        The rows of the whole reference in each group of cells.
    unseen : int
        The rows it is taken to have in a group where it has none: one a window.
    day_effect : float
        What a row adds to chi-square on average because windows differ.
    past : tuple of float
        The scores of its windows, each against the others, sorted.
    mean, deviation : float
        Of the scores' logarithms.
    autocorrelation : float or None
        Of the logarithm from one window to the next.
    """

    merge: Merge
    counts: tuple[int, ...]
    unseen: int = 1
    day_effect: float = 0.0
    past: tuple[float, ...] = ()
    mean: float = 0.0
    deviation: float = 1.0
    autocorrelation: float | None = None

    @property
    def df(self) -> int:
        """The degrees of freedom of chi-square."""
        return max(sum(1 for count in self.counts if count) - 1, 1)

    @property
    def n_windows(self) -> int:
        """The windows of the reference that have a score."""
        return len(self.past)

    @property
    def min_rows(self) -> int:
        """The rows that a window needs to be read."""
        return max(MIN_ROWS, self.df + 1)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes the rate of false alerts doubtful."""
        if self.autocorrelation is None or self.autocorrelation <= MAX_AUTOCORRELATION:
            return ()
        warning = (
            f"one window resembles the next (autocorrelation {self.autocorrelation:.2f}, above "
            f"{MAX_AUTOCORRELATION}): expect more false alerts, or take longer windows"
        )
        return (warning,)


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What a column's detectors remember from window to window.

    Attributes
    ----------
    R : float
        The evidence for drift.
    past : tuple of float
        The scores of the windows so far, since the reference was accepted.
    since : tuple of int
        The rows in each group of cells since the last window that looked ordinary.
    n_since : int
        The windows in `since`.
    """

    state: Phase
    R: float = 0.0
    past: tuple[float, ...] = ()
    since: tuple[int, ...] = ()
    n_since: int = 0


class Reading(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the detectors found in one window.

    Attributes
    ----------
    n_rows : int
        The rows of the window.
    state : str
        The state after it.
    reason : str or None
        Why nothing was read; then there are no numbers.
    x : float or None
        The score: about 1 in an ordinary window.
    p : float or None
        Its rank among the windows before it, as a probability.
    e, R : float or None
        The evidence of this window, and what has added up.
    shock_p : float or None
        The probability of a score so high, by the reference's own scores.
    js : float or None
        The effect: the Jensen-Shannon distance (base 2), less the part of chance, of the windows
        since the last one that looked ordinary (`p` above .5); 0 where this is one.
    js_window : float or None
        The same for this window alone.
    since : tuple of int
        The rows in each group of cells since then.
    n_since : int
        The windows since then: the drift is so old.
    alert : str or None
        `slow` where evidence added up, `shock` where this window broke.
    """

    n_rows: int
    state: Phase
    reason: str | None = None
    x: float | None = None
    p: float | None = None
    e: float | None = None
    R: float | None = None
    shock_p: float | None = None
    js: float | None = None
    js_window: float | None = None
    since: tuple[int, ...] = ()
    n_since: int = 0
    alert: Alert | None = None

    @property
    def learning(self) -> bool:
        """True where the reference is too short for alerts."""
        return self.state == "learning"


def limits(false_alerts: float, n_columns: int, *, windows_a_year: float) -> Limits:
    """Return where each column alerts, for a budget of false alerts a year over all of them.

    Half of the budget is for added evidence, half for shocks.

    Examples
    --------
    >>> limits(1.0, 20, windows_a_year=365)
    Limits(threshold=14600.0, shock_alpha=6.84931506849315e-05)
    """
    threshold = max(n_columns, 1) * windows_a_year / (false_alerts / 2)
    return Limits(threshold=threshold, shock_alpha=1 / threshold)


def prepare(windows: Sequence[Sequence[int]], *, order: Sequence[int]) -> Column:
    """Return the reference of a column from the counts of its windows, oldest first.

    Parameters
    ----------
    windows : sequence of sequence of int
        The rows in each cell, a window each.
    order : sequence of int
        The places of the cells that have an order, in that order, as `Counts.order` of the
        bundle's reference says.
    """
    given = [[int(count) for count in window] for window in windows]
    pooled = [sum(column) for column in zip(*given, strict=True)]
    sizes = [sum(window) for window in given if any(window)]
    typical = median(sizes) if sizes else 0.0
    merge = scores.merge(pooled, order if pooled else (), n_rows=typical)
    bare = Column(
        merge=merge,
        counts=merge.apply(pooled),
        unseen=max(round(sum(sizes) / typical), 1) if sizes else 1,
    )
    return _with_past(bare, [merge.apply(one) for one in given if sum(one) >= bare.min_rows])


def start(column: Column) -> State:
    """Return the state when a reference is accepted."""
    return State(state="learning" if column.n_windows < MIN_WINDOWS else "watching")


def rebuild(column: Column, readings: Iterable[Reading]) -> State:
    """Return the state after the windows that were read since the reference was accepted."""
    state = start(column)
    read = [reading for reading in readings if reading.x is not None]
    if not read:
        return state
    last = read[-1]
    return State(
        state=last.state,
        R=0.0 if last.alert else last.R or 0.0,
        past=tuple(reading.x for reading in read if reading.x is not None),
        since=last.since,
        n_since=last.n_since,
    )


def step(
    column: Column,
    state: State,
    counts: Sequence[int],
    *,
    seed: str,
    limits: Limits,
    min_effect: float = 0.05,
) -> tuple[State, Reading]:
    """Return the state after a window, and what was found in it.

    Parameters
    ----------
    counts : sequence of int
        The rows of the window in each cell of the reference.
    seed : str
        Names monitor, column and window: where scores are equal, the rank is drawn by it.
    min_effect : float
        The least effect that alerts.
    """
    n_rows = sum(int(count) for count in counts)
    if not any(column.counts) or n_rows < column.min_rows:
        reason = "too few rows" if any(column.counts) else "no reference"
        return state, Reading(n_rows=n_rows, state=state.state, reason=reason)
    current = column.merge.apply(counts)
    x = _x(column, scores.score(_seen(column), current), n_rows)
    p = rank(x, column.past, state.past, u=scores.uniform(seed))
    e = e_value(p)
    evidence = min(e * (1 + state.R), _LARGEST)
    shock_p = _shock_p(column, x)
    since = _added(state.since, current) if p <= 0.5 else ()
    js = scores.effect(column.counts, since)
    alert: Alert | None = None
    if state.state == "watching" and since and js >= min_effect:
        if _is_shock(column, x, shock_p, limits):
            alert = "shock"
        elif evidence >= limits.threshold:
            alert = "slow"
    after = State(
        state="drifted" if alert else state.state,
        R=0.0 if alert else evidence,
        past=(*state.past, x),
        since=since,
        n_since=state.n_since + 1 if since else 0,
    )
    return after, Reading(
        n_rows=n_rows, state=after.state, x=x, p=p, e=e, R=evidence, shock_p=shock_p, js=js,
        js_window=scores.effect(column.counts, current), since=since, n_since=after.n_since,
        alert=alert,
    )  # fmt: skip


def rank(x: float, reference: Sequence[float], live: Sequence[float], *, u: float) -> float:
    """Return the share of scores that are at least as high, equal ones counted by the draw `u`.

    Without drift it is uniform between 0 and 1 and independent of the ranks before it.

    Parameters
    ----------
    reference : sequence of float
        Sorted.

    Examples
    --------
    >>> rank(2.0, [1.0, 3.0], [2.0], u=0.5)
    0.5
    """
    low, high = bisect_left(reference, x), bisect_right(reference, x)
    above = len(reference) - high + sum(1 for s in live if s > x)
    equal = high - low + sum(1 for s in live if s == x)
    return (above + u * (1 + equal)) / (1 + len(reference) + len(live))


def e_value(p: float) -> float:
    """Return the evidence against 'no drift' of a rank: 1 on average without drift.

    Examples
    --------
    >>> round(e_value(0.5), 5), round(e_value(0.01), 5)
    (0.59261, 5.17009)
    """
    return fmean([kappa * p ** (kappa - 1) for kappa in KAPPAS])


def _added(since: Sequence[int], current: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(since, current, strict=True)) if since else current


def _is_shock(column: Column, x: float, p: float | None, limits: Limits) -> bool:
    return p is not None and p < limits.shock_alpha and x > SHOCK_FACTOR * column.past[-1]


def _with_past(bare: Column, windows: Sequence[Sequence[int]]) -> Column:
    """Return a column with the scores of the reference's windows, each against the others."""
    if not windows:
        return bare
    found = scores.leave_one_out(windows, _seen(bare))
    n_rows = [sum(window) for window in windows]
    beyond = (sum(found) - bare.df * len(found)) / sum(n_rows)
    column = msgspec.structs.replace(bare, day_effect=max(beyond, 0.0))
    past = [_x(column, one, n) for one, n in zip(found, n_rows, strict=True)]
    logs = [_log(column, x) for x in past]
    # A column that is the same each day does not vary at all, and its first stray row would be a
    # shock: half of what independent rows vary is the least.
    least = math.sqrt(2 * bare.df) / (bare.df + OFFSET) / 2
    return msgspec.structs.replace(
        column,
        past=tuple(sorted(past)),
        mean=fmean(logs),
        deviation=max(stdev(logs), least) if len(logs) > 1 else least,
        autocorrelation=_autocorrelation(logs),
    )


def _seen(column: Column) -> list[int]:
    """Return the counts with some rows where the reference has none, so that one is no shock."""
    return [count or column.unseen for count in column.counts]


def _x(column: Column, chi_square: float, n_rows: int) -> float:
    return chi_square / (column.df + column.day_effect * n_rows)


def _log(column: Column, x: float) -> float:
    return math.log(x + OFFSET / column.df)


def _shock_p(column: Column, x: float) -> float | None:
    """Return Student's tail of a score's logarithm; None where the reference has no spread."""
    n = column.n_windows
    if n < 2:
        return None
    z = (_log(column, x) - column.mean) / (column.deviation * math.sqrt(1 + 1 / n))
    return t_cdf(-z, n - 1)


def _autocorrelation(logs: Sequence[float]) -> float | None:
    """Return the correlation of each number with the next; None where they do not vary."""
    if len(logs) < 3:
        return None
    mean = fmean(logs)
    away = [value - mean for value in logs]
    total = sum(value * value for value in away)
    if total < 1e-12:
        return None
    return sum(a * b for a, b in pairwise(away)) / total

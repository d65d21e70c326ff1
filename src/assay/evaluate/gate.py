"""The gate: may the candidate replace the base? Pass, fail, or not enough data to tell.

A rule passes where even the lower end of the interval of the difference is no further below 0
than its margin, fails where even the upper end is, and is inconclusive otherwise. The gate is as
good as the worst rule. Nothing passes for want of data: no base is inconclusive.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import msgspec

from assay.base.errors import Error, did_you_mean
from assay.evaluate import metrics, power
from assay.evaluate.compare import Comparison
from assay.evaluate.evaluation import Evaluation, Result
from assay.evaluate.intervals import Estimate, days
from assay.project.declaration import Gate, GateRule

Answer = Literal["pass", "fail", "inconclusive"]

FIRST = "pass-if-better-than-baseline"
EXIT_CODES: dict[Answer, int] = {"pass": 0, "fail": 1, "inconclusive": 3}
_WORST: tuple[Answer, ...] = ("fail", "inconclusive", "pass")


class Needed(msgspec.Struct, frozen=True, kw_only=True):
    """What would bring an answer, if in truth the two models are equal.

    Attributes
    ----------
    rows_now, rows : int or None
        Rows that count now, and that would be enough for power 0.8; None where none would be.
    margin : float or None
        The smallest margin that the rows there are can decide.
    days_now, days : float or None
        For rows in time order: the days that count now, and how many would be enough.
    """

    rows_now: int
    rows: int | None = None
    margin: float | None = None
    days_now: float | None = None
    days: float | None = None

    @property
    def text(self) -> str:
        """All of it for people."""
        parts = [f"{self.rows_now:,} rows now"]
        if self.days is not None:
            now = [] if self.days_now is None else [f"{days(self.days_now)} now"]
            parts = [*now, f"{days(math.ceil(self.days))} needed"]
        elif self.rows is not None and self.rows > self.rows_now:
            parts.append(f"{self.rows:,} needed")
        elif self.rows is not None:
            parts.append("enough if the models were equal: the candidate looks worse")
        if self.margin is not None:
            parts.append(f"smallest margin decidable now {self.margin:.2g}")
        return ", ".join(parts)


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule says on all rows or on a slice.

    Attributes
    ----------
    answer : str
        'too few' is listed and decides nothing.
    margin : float or None
        How far the candidate may fall behind; None where it has to be better.
    reason : str
        Why, in words.
    decides : bool
        Whether the gate's answer depends on it.
    """

    metric: str
    slice: str | None
    answer: Answer | Literal["too few"]
    reason: str
    n_rows: int
    decides: bool
    margin: float | None = None
    improved: bool = False
    needed: Needed | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The gate's answer, with what every rule says."""

    answer: Answer
    reason: str
    rulings: tuple[Ruling, ...]
    first: bool = False  # judged against a baseline, for want of a base

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 3 inconclusive."""
        return EXIT_CODES[self.answer]


def judge(evaluation: Evaluation, gate: Gate, *, baseline: Evaluation | None = None) -> Verdict:
    """Return whether the candidate may replace the base.

    Parameters
    ----------
    evaluation : Evaluation
        Of the candidate beside the base, or of the candidate alone where there is none.
    baseline : Evaluation, optional
        Of the candidate beside the gate's baseline; needed where there is no base and the gate
        says `first: pass-if-better-than-baseline`.

    Raises
    ------
    assay.Error
        If a metric of the gate was not evaluated, or the baseline is asked for and missing.
    """
    if not gate.metrics:
        raise Error("the gate has no metric", where="assay.yaml: gate.metrics", hint="name one")
    if evaluation.base is not None:
        return _verdict(_rulings(evaluation, gate), first=False)
    if gate.first != FIRST:
        reason = "there is no base to compare with"
        rulings = tuple(_no_base(evaluation, name) for name in gate.metrics)
        return Verdict(answer="inconclusive", reason=reason, rulings=rulings)
    if baseline is None or baseline.base is None:
        raise Error(
            "there is no base, and no baseline was evaluated in its place",
            where="assay.yaml: gate.baseline",
            hint="name one of evaluation.baselines",
        )
    rulings = tuple(_first(baseline, name, rule) for name, rule in gate.metrics.items())
    return _verdict(rulings, first=True)


def margin(rule: GateRule, base: float) -> float:
    """Return how far a metric may fall behind: the larger of the two margins.

    Examples
    --------
    >>> margin(GateRule(max_drop=0.5), 200.0), margin(GateRule(), float("nan"))
    (2.0, 0.0)
    """
    relative = rule.max_drop_relative * abs(base)
    return max(rule.max_drop, relative) if math.isfinite(relative) else rule.max_drop


def _verdict(rulings: tuple[Ruling, ...], *, first: bool) -> Verdict:
    deciding = [ruling for ruling in rulings if ruling.decides]
    answer = _worst(r.answer for r in deciding if r.answer != "too few")
    guilty = [r for r in deciding if r.answer == answer]
    if answer == "pass":
        what = "better than the baseline" if first else "not worse than the base"
        return Verdict(answer=answer, reason=what, rulings=rulings, first=first)
    reason = "; ".join(f"{_place(r)}: {r.reason}" for r in guilty[:3])
    more = f"; and {len(guilty) - 3} more" if len(guilty) > 3 else ""
    return Verdict(answer=answer, reason=reason + more, rulings=rulings, first=first)


def _place(ruling: Ruling) -> str:
    return ruling.metric if ruling.slice is None else f"{ruling.metric} in {ruling.slice}"


def _worst(answers: Iterable[Answer]) -> Answer:
    return min(answers, key=_WORST.index, default="inconclusive")


def _rulings(evaluation: Evaluation, gate: Gate) -> tuple[Ruling, ...]:
    places = (None, *evaluation.slices)
    return tuple(
        _ruling(_result(evaluation, name, place), rule, evaluation, decides=_decides(place, gate))
        for name, rule in gate.metrics.items()
        for place in places
    )


def _decides(place: str | None, gate: Gate) -> bool:
    return place is None or gate.slices


def _result(evaluation: Evaluation, metric: str, place: str | None) -> Result:
    found = evaluation.find(metric, place)
    if found is None:
        names = list(dict.fromkeys(result.metric for result in evaluation.results))
        raise Error(
            f"the gate asks for '{metric}', which was not evaluated",
            where=f"assay.yaml: gate.metrics.{metric}",
            hint=did_you_mean(metric, names) or "add it to evaluation.metrics",
        )
    return found


def _ruling(result: Result, rule: GateRule, evaluation: Evaluation, *, decides: bool) -> Ruling:
    metric = metrics.get(result.metric, task=evaluation.task)
    if result.too_few:
        return Ruling(
            metric=result.metric,
            slice=result.slice,
            answer="too few",
            reason=result.candidate.interval.why_not,
            n_rows=result.n_rows,
            decides=False,
        )
    comparison = result.comparison
    if comparison is None:
        return _no_base(evaluation, result.metric)
    allowed = margin(rule, comparison.base.value)
    drop, why = _drop(comparison, allowed)
    floor, floor_why = _floor(result.candidate, rule, larger_is_better=metric.larger_is_better)
    answer = _worst([drop, floor])
    reasons = [text for kind, text in ((drop, why), (floor, floor_why)) if kind == answer and text]
    return Ruling(
        metric=result.metric,
        slice=result.slice,
        answer=answer,
        reason="; ".join(reasons),
        n_rows=comparison.n_rows,
        decides=decides,
        margin=allowed,
        improved=comparison.improved,
        needed=needed(comparison, allowed) if drop == "inconclusive" else None,
    )


def _drop(comparison: Comparison, allowed: float) -> tuple[Answer, str]:
    interval, wanted = comparison.interval, needed(comparison, allowed)
    if interval.low is None or interval.high is None:
        longer = f"; {wanted.text}" if wanted.days is not None else ""
        return "inconclusive", interval.why_not + longer
    ends = f"{interval.low:+.3g} to {interval.high:+.3g}"
    if interval.low >= -allowed:
        return "pass", "better" if comparison.improved else f"within the margin {allowed:.3g}"
    if interval.high < -allowed:
        return "fail", f"worse by more than the margin {allowed:.3g} ({ends})"
    return "inconclusive", f"{ends} contains the margin {-allowed:.3g}; {wanted.text}"


def _floor(candidate: Estimate, rule: GateRule, *, larger_is_better: bool) -> tuple[Answer, str]:
    """Hold the candidate's interval against `min`: no loss is below 0, so its sign is free."""
    if rule.min is None:
        return "pass", ""
    interval = candidate.interval
    if interval.low is None or interval.high is None:
        return "inconclusive", interval.why_not
    ends = f"{interval.low:.4g} to {interval.high:.4g}"
    if larger_is_better:
        limit, low, high, what = rule.min, interval.low, interval.high, "floor"
    else:
        limit, low, high, what = -abs(rule.min), -interval.high, -interval.low, "ceiling"
    if low >= limit:
        return "pass", ""
    shown = f"the {what} {abs(limit) if what == 'ceiling' else limit:g}"
    if high < limit:
        return "fail", f"{ends} is {'below' if what == 'floor' else 'above'} {shown}"
    return "inconclusive", f"{ends} contains {shown}"


def needed(comparison: Comparison, allowed: float) -> Needed:
    """Return what would bring an answer at a margin, given what was seen."""
    interval, n = comparison.interval, comparison.n_rows
    days_now = None
    if interval.n_blocks is not None and interval.block_days is not None:
        days_now = interval.n_blocks * interval.block_days
    if interval.days_needed is not None:
        return Needed(rows_now=n, days_now=days_now, days=interval.days_needed)
    if comparison.discordant is not None and interval.n_blocks is None:
        return Needed(
            rows_now=n,
            rows=power.rows_for_shares(comparison.discordant, allowed),
            margin=power.margin_for_shares(n, comparison.discordant),
        )
    if interval.error is None or interval.low is None:
        return Needed(rows_now=n)
    times = power.growth(interval.error, allowed)
    lasting = None
    if times is not None and times > 1 and interval.n_blocks and interval.block_days:
        lasting = math.ceil(interval.n_blocks * times) * interval.block_days
    return Needed(
        rows_now=n,
        rows=None if times is None else math.ceil(n * times),
        margin=power.margin_for_error(interval.error),
        days_now=days_now,
        days=lasting,
    )


def _no_base(evaluation: Evaluation, metric: str) -> Ruling:
    result = _result(evaluation, metric, None)
    return Ruling(
        metric=metric,
        slice=None,
        answer="inconclusive",
        reason="no base",
        n_rows=result.n_rows,
        decides=True,
    )


def _first(baseline: Evaluation, name: str, rule: GateRule) -> Ruling:
    """Ask whether the candidate is better than a baseline, beyond chance."""
    result = _result(baseline, name, None)
    metric = metrics.get(name, task=baseline.task)
    comparison = result.comparison
    if comparison is None:
        return _no_base(baseline, name)
    answer, why = _better(comparison, str(baseline.base))
    floor, floor_why = _floor(result.candidate, rule, larger_is_better=metric.larger_is_better)
    worst = _worst([answer, floor])
    reasons = [
        text for kind, text in ((answer, why), (floor, floor_why)) if kind == worst and text
    ]
    return Ruling(
        metric=name,
        slice=None,
        answer=worst,
        reason="; ".join(reasons),
        n_rows=comparison.n_rows,
        decides=True,
        improved=comparison.improved,
    )


def _better(comparison: Comparison, name: str) -> tuple[Answer, str]:
    interval = comparison.interval
    if interval.low is None or interval.high is None:
        return "inconclusive", interval.why_not
    ends = f"{interval.low:+.3g} to {interval.high:+.3g}"
    if interval.low > 0:
        return "pass", f"better than '{name}' ({ends})"
    if interval.high <= 0:
        return "fail", f"not better than '{name}' ({ends})"
    return "inconclusive", f"perhaps better than '{name}' ({ends})"

"""Performance of a window, and whether the model is worse than it was at its gate.

The loss over the last 14 days (or the window, where that is longer) of the version that answered
last is compared with its loss at its gate, by the lower end of a one-sided interval over blocks
of days. What the baselines lose on the same rows stands beside it: a busy season raises both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.errors import Error
from assay.evaluate.blocks import ALIKE, MIN_BLOCKS, autocorrelation
from assay.evaluate.distributions import t_quantile
from assay.monitor.losses import Days, Job, Sums
from assay.monitor.windows import DAY, Span
from assay.project.declaration import Monitor
from assay.project.workspace import Project

if TYPE_CHECKING:
    from assay.evaluate.metrics import Metric
    from assay.ledger.database import Ledger

LEAST_DAYS = 14
"""Days that a loss is looked at over, at least."""

YEAR_DAYS = 365.0


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """When a loss counts as worse.

    Attributes
    ----------
    tolerance : float
        How much larger than at the gate it may be, as a share.
    level : float
        Of the one-sided interval.
    n_days : int
        The days before the end of a window that are looked at.
    """

    tolerance: float
    level: float
    n_days: int


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """The loss of a version at its gate, or the reason why it is not known."""

    loss: float | None = None
    why: str = ""


class Mean(msgspec.Struct, frozen=True, kw_only=True):
    """A mean with its standard error over blocks of days; None where there are too few."""

    value: float
    error: float | None
    n_blocks: int
    n: int


def rule(monitor: Monitor, *, size: int) -> Rule:
    """Return the rule that a declaration asks for; half of its false alerts are performance's.

    Examples
    --------
    >>> declared = Monitor(performance={"metric": "mae"})
    >>> from assay.project.declaration import Performance
    >>> made = rule(Monitor(performance=Performance(metric="mae")), size=7 * DAY)
    >>> made.n_days, round(made.level, 4)
    (14, 0.9904)
    """
    windows_a_year = YEAR_DAYS / (size / DAY)
    performance = monitor.performance
    return Rule(
        tolerance=0.0 if performance is None else performance.tolerance,
        level=max(1 - monitor.false_alerts_a_year / (2 * windows_a_year), 0.5),
        n_days=max(size // DAY, LEAST_DAYS),
    )


def describe(
    days: Days, span: Span, *, version: str | None, job: Job, rule: Rule, gate: Gate
) -> dict[str, Any] | None:
    """Return what is known of the losses of a window, as JSON; None where no truth came.

    `low` and `high` are the ends of its 95 % interval, over blocks of days; `rolling` is what the
    rule looks at, with the lower end of its one-sided interval. All are losses: of a metric that
    is better where it is larger, 1 less it.
    """
    own = _of(days, first=span.start // DAY, end=span.end // DAY, version=None)
    if not any(one.n for one in own):
        return None
    first = span.end // DAY - rule.n_days
    rolling = _of(days, first=first, end=span.end // DAY, version=version)
    mean, late = _mean(own), _mean(rolling)
    low, high = _ends(mean)
    least = _low(late, rule.level)
    limit = None if gate.loss is None else (1 + rule.tolerance) * gate.loss
    beside = _baselines(own, rolling)
    found: dict[str, Any] = {
        "metric": job.metric.name,
        "loss": job.name,
        "value": mean.value,
        "n": mean.n,
        "low": low,
        "high": high,
        "rolling": {
            "start": first * DAY,
            "version": version,
            "n": late.n,
            "value": late.value if late.n else None,
            "low": least,
            "n_days": sum(1 for one in rolling if one.n),
            "n_blocks": late.n_blocks,
            "limit": limit,
        },
        "baseline": next((one for one in beside if one["name"] == job.first), None)
        or next(iter(beside), None),
        "baselines": beside,
        "at_gate": gate.loss,
        "is_worse": least is not None and limit is not None and least > limit,
    }
    why = gate.why or ("" if least is not None else "too few days with truth")
    return found | ({"why": why} if why else {})


def count(days: Days, span: Span) -> int:
    """Return how many rows of a span have an answer and a truth."""
    return sum(one.n for one in _of(days, first=span.start // DAY, end=span.end // DAY))


def at_gate(project: Project, ledger: Ledger, version: str, *, metric: Metric) -> Gate:
    """Return the loss that a version had at its gate, from the report that its tags name."""
    from assay.ledger import models

    try:
        tags = models.get_version(ledger, version).tags
    except Error:
        return Gate(why=f"{version} is not registered here")
    oid = tags.get("gate") or tags.get("comparison")
    if oid is None:
        return Gate(why=f"{version} never went through a gate")
    try:
        document = msgspec.json.decode(project.objects.read(oid.removeprefix("sha256:")))
        results = document["report"]["evaluation"]["results"]
        value = next(
            one["candidate"]["value"]
            for one in results
            if one["metric"] == metric.name and one["slice"] is None
        )
    except (Error, msgspec.MsgspecError, LookupError, TypeError):
        return Gate(why=f"the report of the gate on {version} cannot be read")
    except StopIteration:
        return Gate(why=f"the gate on {version} did not measure '{metric.name}'")
    if value is None:
        return Gate(why=f"'{metric.name}' had no value at the gate on {version}")
    return Gate(loss=1 - value if metric.larger_is_better else value)


def block_mean(sums: Sequence[float], sizes: Sequence[int]) -> Mean:
    """Return the mean of what some days hold, with the error that their order leaves.

    It is `assay.evaluate.blocks.block_mean` of the rows, from the sums of each day alone.

    Parameters
    ----------
    sums, sizes : sequence
        The sum and the number of values of each day; days without any are 0.

    Examples
    --------
    >>> block_mean([2.0, 4.0] * 4, [2] * 8).value
    1.5
    """
    import numpy as np

    totals, counts = np.array(sums, np.float64), np.array(sizes, np.int64)
    n = int(counts.sum())
    if not n:
        return Mean(value=math.nan, error=None, n_blocks=0, n=0)
    start = int((counts > 0).argmax())
    totals, counts = totals[start:], counts[start:]  # blocks begin with the first day
    mean = float(totals.sum()) / n
    while True:
        filled = counts > 0
        n_blocks = int(filled.sum())
        if n_blocks <= MIN_BLOCKS or autocorrelation(totals, counts) <= ALIKE:
            break
        wider = [np.add.reduceat(one, np.arange(0, len(one), 2)) for one in (totals, counts)]
        if int((wider[1] > 0).sum()) < MIN_BLOCKS:
            break
        totals, counts = wider
    apart = totals[filled] - mean * counts[filled]
    error = math.sqrt(float(apart @ apart) * n_blocks / max(n_blocks - 1, 1)) / n
    return Mean(
        value=mean, error=error if n_blocks >= MIN_BLOCKS else None, n_blocks=n_blocks, n=n
    )


def _of(days: Days, *, first: int, end: int, version: str | None = None) -> list[Sums]:
    """Return the sums of each day, of one version or of all."""
    found = [Sums()] * (end - first)
    for (name, at), one in days.items():
        if first <= at < end and version in {None, name}:
            found[at - first] += one
    return found


def _mean(days: Sequence[Sums]) -> Mean:
    return block_mean([one.loss for one in days], [one.n for one in days])


def _ends(mean: Mean) -> tuple[float | None, float | None]:
    if mean.error is None or not mean.error:
        return None, None
    half = t_quantile(0.975, mean.n_blocks - 1) * mean.error
    return mean.value - half, mean.value + half


def _low(mean: Mean, level: float) -> float | None:
    """Return the lower end of the one-sided interval; None where there are too few blocks."""
    if mean.error is None:
        return None
    return mean.value - t_quantile(level, mean.n_blocks - 1) * mean.error


def _baselines(own: Sequence[Sums], rolling: Sequence[Sums]) -> list[dict[str, Any]]:
    """Return the losses of each baseline, beside those of the model on the same rows."""
    total, late = sum(own, Sums()), sum(rolling, Sums())
    found = []
    for name, (n, loss, model) in total.baselines.items():
        if n:
            n_late, loss_late, model_late = late.baselines.get(name, (0, 0.0, 0.0))
            found.append(
                {
                    "name": name,
                    "n": n,
                    "value": loss / n,
                    "model": model / n,
                    "rolling": loss_late / n_late if n_late else None,
                    "model_rolling": model_late / n_late if n_late else None,
                }
            )
    return found

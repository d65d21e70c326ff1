"""Base and candidate on the same rows: a difference, oriented so that larger is better.

Right or wrong: Tango. Means of per-row values: the interval of the mean difference. AUC: paired
DeLong. The rest: the bootstrap, both models on the same draws. For rows in time order blocks take
the place of rows.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from assay.base.errors import Error
from assay.evaluate import bootstrap, intervals
from assay.evaluate.blocks import MIN_BLOCKS, Blocks
from assay.evaluate.distributions import normal_cdf, t_two_sided
from assay.evaluate.intervals import Estimate, Interval, estimate
from assay.evaluate.metrics import Metric, measure
from assay.evaluate.paired import mcnemar, tango
from assay.evaluate.ranking import MIN_CLASS, rarest
from assay.evaluate.rows import View

if TYPE_CHECKING:
    from assay.evaluate.rows import Floats, Mask

FEW_DIFFER = 10  # where fewer rows differ, an interval from their spread is not trusted


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """How the candidate stands to the base in one metric.

    Attributes
    ----------
    n_rows : int
        The rows that count: for recall, the positive ones.
    delta : float
        Candidate less base, times -1 where smaller is better; NaN where it has no value.
    interval : Interval
        Of delta.
    p_value : float or None
        Two-sided, that there is no difference.
    discordant : float or None
        The share of rows that exactly one of the two has right; None where that is no question.
    """

    metric: str
    n_rows: int
    base: Estimate
    candidate: Estimate
    delta: float
    interval: Interval
    p_value: float | None = None
    discordant: float | None = None

    @property
    def improved(self) -> bool:
        """Whether the whole interval is above 0."""
        return self.interval.low is not None and self.interval.low > 0

    @property
    def worsened(self) -> bool:
        """Whether the whole interval is below 0."""
        return self.interval.high is not None and self.interval.high < 0


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a way to compare finds, beside the values."""

    interval: Interval
    n_rows: int
    p_value: float | None = None
    discordant: float | None = None


def compare(
    metric: Metric,
    base: View,
    candidate: View,
    *,
    block_seconds: float | None = None,
    seed: int = 0,
) -> Comparison:
    """Compare two models on the same rows, which `assay.evaluate.rows.pair` gives.

    Raises
    ------
    assay.Error
        If the two are not of the same number of rows.
    """
    if base.n_rows != candidate.n_rows:
        raise Error(
            f"the base has {base.n_rows} rows, the candidate {candidate.n_rows}",
            hint="pair them by their keys first",
        )
    values = [measure(metric, view) for view in (base, candidate)]
    delta = metric.sign * (values[1].value - values[0].value)
    reasons = [found.undefined for found in values if found.undefined]
    blocks = intervals.blocks_of(candidate, block_seconds)
    if reasons:
        interval = Interval(why_not=reasons[0])
    elif blocks is not None and blocks.n_blocks < MIN_BLOCKS:
        interval = intervals.too_few_blocks(blocks)
    elif metric.kind in {"sums", "median"} or not metric.same_subset:
        return _resampled(metric, base, candidate, blocks, seed=seed)
    else:
        found = _found(metric, base, candidate, blocks, seed)
        return _comparison(metric, base, candidate, delta, found, block_seconds, seed)
    found = _Found(interval=interval, n_rows=candidate.n_rows)
    return _comparison(metric, base, candidate, delta, found, block_seconds, seed)


def _comparison(
    metric: Metric,
    base: View,
    candidate: View,
    delta: float,
    found: _Found,
    block_seconds: float | None,
    seed: int,
) -> Comparison:
    return Comparison(
        metric=metric.name,
        n_rows=found.n_rows,
        base=estimate(metric, base, block_seconds=block_seconds, seed=seed),
        candidate=estimate(metric, candidate, block_seconds=block_seconds, seed=seed),
        delta=delta,
        interval=found.interval,
        p_value=found.p_value,
        discordant=found.discordant,
    )


def _found(
    metric: Metric, base: View, candidate: View, blocks: Blocks | None, seed: int
) -> _Found:
    if metric.kind == "extreme" or (metric.per_row is None and metric.influence is None):
        return _Found(interval=Interval(why_not=intervals.NOT_KNOWN), n_rows=candidate.n_rows)
    if metric.influence is not None:
        return _areas(metric, base, candidate, blocks)
    if metric.kind == "proportion":
        return _shares(metric, base, candidate, blocks)
    return _means(metric, base, candidate, blocks, seed=seed)


def _per_row(metric: Metric, view: View) -> Floats:
    if metric.per_row is None:
        raise AssertionError(metric.name)
    return metric.per_row(view)


def _shares(metric: Metric, base: View, candidate: View, blocks: Blocks | None) -> _Found:
    """Compare shares of right rows: Tango; in time order, the hull of that and of blocks."""
    rows: Mask | slice = slice(None) if metric.subset is None else metric.subset(candidate)
    differences = (_per_row(metric, candidate) - _per_row(metric, base))[rows]
    n = len(differences)
    b, c = int((differences > 0).sum()), int((differences < 0).sum())
    low, high = tango(b, c, n)
    interval = Interval(low=low, high=high, method="tango", error=_share_error(b, c, n))
    p_value: float | None = mcnemar(b, c)
    if blocks is not None:
        in_blocks = intervals.mean(differences, blocks.of(rows))
        interval = intervals.hull(interval, in_blocks)
        p_value = _largest(p_value, _t_p(float(differences.mean()), in_blocks))
    return _Found(interval=interval, n_rows=n, p_value=p_value, discordant=(b + c) / n)


def _share_error(b: int, c: int, n: int) -> float:
    return math.sqrt(max(b + c - (b - c) ** 2 / n, 0.0)) / n


def _largest(first: float | None, second: float | None) -> float | None:
    given = [p for p in (first, second) if p is not None]
    return max(given) if given else None


def _means(
    metric: Metric, base: View, candidate: View, blocks: Blocks | None, *, seed: int
) -> _Found:
    """Compare means of per-row values by the mean of their differences."""
    differences = metric.sign * (_per_row(metric, candidate) - _per_row(metric, base))
    n = len(differences)
    few = _few_differ(int((differences != 0).sum()), n)
    if few is not None:
        return _Found(interval=few, n_rows=n)
    interval = intervals.mean(differences, blocks, seed=seed)
    p_value = _t_p(float(differences.mean()), interval, n_rows=n)
    return _Found(interval=interval, n_rows=n, p_value=p_value)


def _t_p(mean: float, interval: Interval, *, n_rows: int | None = None) -> float | None:
    n = interval.n_blocks if interval.n_blocks is not None else n_rows
    if not interval.error or n is None or n < 2 or interval.low is None:
        return None
    return t_two_sided(mean / interval.error, n - 1)


def _few_differ(n_differ: int, n_rows: int) -> Interval | None:
    """Return why there is no interval where (nearly) all rows get the same from both models."""
    if n_differ >= min(FEW_DIFFER, n_rows):
        return None
    if n_differ == 0:
        return Interval(why_not="degenerate: both models answer alike on all rows")
    are = "row differs" if n_differ == 1 else "rows differ"
    return Interval(why_not=f"only {n_differ} {are}, {FEW_DIFFER} are needed")


def _areas(metric: Metric, base: View, candidate: View, blocks: Blocks | None) -> _Found:
    """Compare two AUCs on the same rows by DeLong's paired variance."""
    n, fewest = candidate.n_rows, rarest(candidate)
    if fewest < MIN_CLASS:
        return _Found(interval=intervals.few_of_a_class(fewest), n_rows=n)
    few = _few_differ(_n_differ(base, candidate, probabilities=True), n)
    if few is not None or metric.influence is None:
        return _Found(interval=few or Interval(why_not=intervals.NOT_KNOWN), n_rows=n)
    influence = metric.influence(candidate) - metric.influence(base)
    found = intervals.area_error(influence, blocks)
    if found.why_not or found.error is None:
        return _Found(interval=found, n_rows=n)
    delta = metric.value(candidate).value - metric.value(base).value
    half = intervals.critical(found) * found.error
    p_value = _t_p(delta, msgspec.structs.replace(found, low=delta - half))
    if p_value is None:
        p_value = 2 * normal_cdf(-abs(delta / found.error))
    interval = msgspec.structs.replace(found, low=delta - half, high=delta + half)
    return _Found(interval=interval, n_rows=n, p_value=p_value)


def _resampled(
    metric: Metric, base: View, candidate: View, blocks: Blocks | None, *, seed: int
) -> Comparison:
    """Compare by the bootstrap, both models on the same draws, and take their intervals along."""
    n = candidate.n_rows
    drawn = _draw(metric, base, candidate, blocks, seed)
    both = _both(metric, base, candidate, drawn)
    measured = [measure(metric, view) for view in (base, candidate)]
    differences = metric.sign * (both[1] - both[0])
    interval = _few_differ(_n_differ(base, candidate), n)
    p_value = None
    if interval is None:
        interval = intervals.resampled(differences, blocks, n_rows=n)
        p_value = bootstrap.p_value(differences) if interval.low is not None else None
    ways = [
        intervals.estimate(metric, view, block_seconds=None if blocks is None else blocks.seconds)
        if metric.kind == "proportion"
        else intervals.of(found, intervals.resampled(draws, blocks, n_rows=n))
        for view, found, draws in zip((base, candidate), measured, both, strict=True)
    ]
    return Comparison(
        metric=metric.name,
        n_rows=n,
        base=ways[0],
        candidate=ways[1],
        delta=metric.sign * (measured[1].value - measured[0].value),
        interval=interval,
        p_value=p_value,
    )


def _draw(
    metric: Metric, base: View, candidate: View, blocks: Blocks | None, seed: int
) -> bootstrap.Resampling:
    if metric.of_counts and blocks is None:
        k = len(candidate.classes)
        codes = (candidate.target * k + base.prediction) * k + candidate.prediction
        cells = bootstrap.of_cells(codes, seed=seed)
        if cells is not None:
            return cells
    return intervals.resampling(candidate.n_rows, blocks, seed=seed)


def _both(
    metric: Metric, base: View, candidate: View, drawn: bootstrap.Resampling
) -> tuple[Floats, Floats]:
    """Return the values of both models in each draw, from one pass over the draws."""
    import numpy as np

    if metric.terms is None or metric.of_sums is None:
        return (
            intervals.metric_draws(metric, base, drawn),
            intervals.metric_draws(metric, candidate, drawn),
        )
    terms = np.hstack([metric.terms(base), metric.terms(candidate)])
    sums = drawn.sums(terms)
    half = terms.shape[1] // 2
    return np.asarray(metric.of_sums(sums[:, :half])), np.asarray(metric.of_sums(sums[:, half:]))


def _n_differ(base: View, candidate: View, *, probabilities: bool = False) -> int:
    if probabilities and base.probabilities is not None and candidate.probabilities is not None:
        return int((base.probabilities != candidate.probabilities).any(axis=1).sum())
    return int((base.prediction != candidate.prediction).sum())

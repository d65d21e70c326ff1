"""How sure a number is: the 95 % interval of one model's metric, or the reason why there is none.

An interval of no width is never given: where all values are equal, that is said instead.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from assay.evaluate import bootstrap
from assay.evaluate.blocks import FEW_BLOCKS, MIN_BLOCKS, Blocks, block_mean, cut
from assay.evaluate.bootstrap import Resampling
from assay.evaluate.distributions import beta_quantile, normal_quantile, t_quantile
from assay.evaluate.metrics import Measured, Metric, measure
from assay.evaluate.ranking import MIN_CLASS, rarest
from assay.evaluate.rows import View

if TYPE_CHECKING:
    from assay.evaluate.rows import Floats

LEVEL = 0.95
UPPER = 0.5 + LEVEL / 2
MIN_ROWS = 10  # a bootstrap of fewer rows is no evidence
T_ROWS = 30

EQUAL = "degenerate: all values are equal"
NO_SPREAD = "degenerate: every resample gives the same"
NOT_KNOWN = "no interval is known for an extreme"


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """A 95 % interval.

    Attributes
    ----------
    low, high : float or None
        Both None where there is no interval; `why_not` says why.
    error : float or None
        The standard error, for planning.
    note : str
        What to keep in mind of an interval that there is.
    n_blocks, block_days : int, float, or None
        For rows in time order: the blocks that were counted, and their length.
    days_needed : float or None
        Where there are too few blocks: how many days would be enough.
    """

    low: float | None = None
    high: float | None = None
    method: str = ""
    error: float | None = None
    why_not: str = ""
    note: str = ""
    n_blocks: int | None = None
    block_days: float | None = None
    days_needed: float | None = None


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """The value of a metric for one model, with its interval."""

    value: float
    interval: Interval
    undefined: str = ""
    note: str = ""


def estimate(
    metric: Metric, view: View, *, block_seconds: float | None = None, seed: int = 0
) -> Estimate:
    """Return a metric of one model with its interval.

    Parameters
    ----------
    block_seconds : float, optional
        The length of a block to begin with; without it rows count as independent.
    """
    measured = measure(metric, view)
    if measured.undefined:
        return of(measured, Interval(why_not=measured.undefined))
    blocks = blocks_of(view, block_seconds)
    if blocks is not None and blocks.n_blocks < MIN_BLOCKS:
        return of(measured, too_few_blocks(blocks))
    return of(measured, _interval(metric, view, measured.value, blocks, seed))


def of(measured: Measured, interval: Interval) -> Estimate:
    """Return a value with an interval."""
    return Estimate(
        value=measured.value,
        interval=interval,
        undefined=measured.undefined,
        note=measured.note,
    )


def _interval(
    metric: Metric, view: View, value: float, blocks: Blocks | None, seed: int
) -> Interval:
    match metric.kind:
        case "proportion" if metric.per_row is not None:
            rows = slice(None) if metric.subset is None else metric.subset(view)
            part = None if blocks is None else blocks.of(rows)
            return proportion(metric.per_row(view)[rows], part)
        case "mean" if metric.per_row is not None:
            return mean(metric.per_row(view), blocks, seed=seed)
        case "rank" if metric.influence is not None:
            return area(value, metric.influence(view), blocks, rarest=rarest(view))
        case "extreme":
            return Interval(why_not=NOT_KNOWN)
        case _:
            drawn = resampling(view.n_rows, blocks, seed=seed)
            return resampled(metric_draws(metric, view, drawn), blocks, n_rows=view.n_rows)


def blocks_of(view: View, block_seconds: float | None) -> Blocks | None:
    """Return the blocks of rows in time order; None where rows count as independent."""
    if block_seconds is None or view.time is None:
        return None
    return cut(view.time, block_seconds)


def too_few_blocks(blocks: Blocks) -> Interval:
    """Return no interval, and how many days would give one."""
    length = days(blocks.days)
    n = blocks.n_blocks
    return Interval(
        why_not=f"{n} block{'' if n == 1 else 's'} of {length}, {MIN_BLOCKS} are needed",
        method="block t",
        n_blocks=n,
        block_days=blocks.days,
        days_needed=MIN_BLOCKS * blocks.days,
    )


def days(length: float) -> str:
    """Return a length in days for people.

    Examples
    --------
    >>> days(1.0), days(2.0), days(0.5)
    ('1 day', '2 days', '12 hours')
    """
    if length < 1:
        return f"{length * 24:g} hours"
    return f"{length:,g} day{'' if length == 1 else 's'}"


def wilson(k: int, n: int, *, level: float = LEVEL) -> tuple[float, float]:
    """Return the score interval of k of n.

    References
    ----------
    Wilson (1927), "Probable inference, the law of succession, and statistical inference",
    JASA 22.

    Examples
    --------
    >>> [round(end, 10) for end in wilson(8, 10)]
    [0.4901624715, 0.9433178485]
    """
    z = normal_quantile(0.5 + level / 2)
    share = k / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return (0.0 if k == 0 else middle - half), (1.0 if k == n else middle + half)


def clopper_pearson(k: int, n: int, *, level: float = LEVEL) -> tuple[float, float]:
    """Return the exact interval of k of n, which covers at least as often as it says.

    References
    ----------
    Clopper and Pearson (1934), "The use of confidence or fiducial limits illustrated in the case
    of the binomial", Biometrika 26; as quantiles of the beta distribution.

    Examples
    --------
    >>> [round(end, 10) for end in clopper_pearson(8, 10)]
    [0.4439045377, 0.9747892737]
    """
    tail = (1 - level) / 2
    low = 0.0 if k == 0 else beta_quantile(tail, k, n - k + 1)
    return low, 1.0 if k == n else beta_quantile(1 - tail, k + 1, n - k)


def proportion(right: Floats, blocks: Blocks | None = None) -> Interval:
    """Return the interval of a share of rows: Wilson's.

    For rows in time order it is the hull of Wilson's and that of blocks: rows that hang together
    cannot say more than as many that do not.
    """
    k, n = int(right.sum()), len(right)
    low, high = wilson(k, n)
    error = math.sqrt(max(k * (n - k), 0) / n) / n
    alone = Interval(low=low, high=high, method="wilson", error=error)
    return alone if blocks is None else hull(alone, mean(right, blocks))


def hull(alone: Interval, in_blocks: Interval) -> Interval:
    """Return what holds two intervals; the first alone where blocks are all alike."""
    if in_blocks.low is None or in_blocks.high is None:
        short = in_blocks.n_blocks is not None and in_blocks.n_blocks < MIN_BLOCKS
        return in_blocks if short else alone
    if alone.low is None or alone.high is None:
        return in_blocks
    return msgspec.structs.replace(
        in_blocks,
        low=min(alone.low, in_blocks.low),
        high=max(alone.high, in_blocks.high),
        error=max(alone.error or 0.0, in_blocks.error or 0.0),
        method=f"{alone.method}, block t",
    )


def mean(values: Floats, blocks: Blocks | None = None, *, seed: int = 0) -> Interval:
    """Return the interval of a mean of per-row values.

    Rows in time order: t of block means. Independent rows: Student's t, where there are at least
    30 rows and no heavy tail, else BCa.

    References
    ----------
    Cochran (1977), "Sampling Techniques", section 2.15: a mean is normal enough where n is above
    25 times the squared skewness.
    """
    import numpy as np

    if blocks is not None:
        return _block_t(values, blocks)
    n = len(values)
    if n < 2 or float(values.min()) == float(values.max()):
        return Interval(why_not="one row" if n == 1 else EQUAL, method="t")
    centre, deviation = float(values.mean()), float(values.std(ddof=1))
    if deviation == 0:
        return Interval(why_not=EQUAL, method="t")
    error = deviation / math.sqrt(n)
    scaled = (values - centre) / deviation
    skewness = float((scaled * scaled) @ scaled) / n
    if n >= T_ROWS and n > 25 * skewness**2:
        half = t_quantile(UPPER, n - 1) * error
        return Interval(low=centre - half, high=centre + half, method="t", error=error)
    if n < MIN_ROWS:
        return _too_few_rows(n, "bca")
    drawn = bootstrap.of_rows(n, seed=seed)
    sums = drawn.sums(np.column_stack([np.ones(n), values]))
    ends = bootstrap.bca(sums[:, 1] / sums[:, 0], centre, bootstrap.mean_jackknife(values))
    if ends is None:
        return Interval(why_not=NO_SPREAD, method="bca")
    return Interval(low=ends[0], high=ends[1], method="bca", error=error)


def _too_few_rows(n: int, method: str) -> Interval:
    return Interval(why_not=f"{n} rows, at least {MIN_ROWS} are needed", method=method)


def _block_t(values: Floats, blocks: Blocks) -> Interval:
    if len(values) == 0 or blocks.n_blocks < MIN_BLOCKS:
        return too_few_blocks(blocks)
    found = block_mean(values, blocks)
    about = {"n_blocks": found.n_blocks, "block_days": found.days, "method": "block t"}
    if found.error <= 1e-15 * abs(found.mean):
        return Interval(why_not=EQUAL, **about)  # type: ignore[arg-type]
    half = t_quantile(UPPER, found.n_blocks - 1) * found.error
    return Interval(
        low=found.mean - half,
        high=found.mean + half,
        error=found.error,
        **about,  # type: ignore[arg-type]
    )


def area(value: float, influence: Floats, blocks: Blocks | None, *, rarest: int) -> Interval:
    """Return the interval of one AUC, on the logit scale so that it stays inside of 0 and 1.

    References
    ----------
    DeLong et al. (1988), Biometrics 44; Pepe (2003), "The Statistical Evaluation of Medical
    Tests for Classification and Prediction", section 5.2 (logit).
    """
    if rarest < MIN_CLASS:
        return few_of_a_class(rarest)
    if not 0 < value < 1:
        return Interval(why_not="degenerate: the classes do not overlap", method="delong")
    found = area_error(influence, blocks)
    if found.why_not or found.error is None:
        return found
    odds = math.log(value / (1 - value))
    half = critical(found) * found.error / (value * (1 - value))
    low, high = (1 / (1 + math.exp(-(odds + side))) for side in (-half, half))
    return msgspec.structs.replace(found, low=low, high=high)


def few_of_a_class(n: int) -> Interval:
    """Return no interval, because a class has too few rows for DeLong's variance."""
    return Interval(
        why_not=f"too few: {n} rows of a class, {MIN_CLASS} are needed", method="delong"
    )


def area_error(influence: Floats, blocks: Blocks | None) -> Interval:
    """Return the standard error of an AUC, or of a difference of two, without the ends."""
    if blocks is None:
        error = math.sqrt(float((influence**2).sum()))
        about = Interval(method="delong", error=error)
    else:
        found = block_mean(influence * len(influence), blocks)
        about = Interval(
            method="block delong",
            error=found.error,
            n_blocks=found.n_blocks,
            block_days=found.days,
        )
    if not about.error:
        return Interval(why_not=EQUAL, method=about.method)
    return about


def critical(interval: Interval) -> float:
    """Return how many standard errors an interval reaches to each side."""
    if interval.n_blocks is None:
        return normal_quantile(UPPER)
    return t_quantile(UPPER, interval.n_blocks - 1)


def resampling(n_rows: int, blocks: Blocks | None, *, seed: int) -> Resampling:
    """Return draws of rows, or of blocks for rows in time order."""
    if blocks is None:
        return bootstrap.of_rows(n_rows, seed=seed)
    return bootstrap.of_blocks(blocks, seed=seed)


def metric_draws(metric: Metric, view: View, drawn: Resampling) -> Floats:
    """Return the values of a metric in each resample."""
    import numpy as np

    if metric.kind == "median" and metric.per_row is not None:
        return drawn.medians(metric.per_row(view))
    if metric.terms is None or metric.of_sums is None:
        raise AssertionError(metric.name)
    return np.asarray(metric.of_sums(drawn.sums(metric.terms(view))))


def resampled(
    values: Floats, blocks: Blocks | None, *, n_rows: int, method: str = "bootstrap"
) -> Interval:
    """Return the percentile interval of resampled values.

    References
    ----------
    Efron and Tibshirani (1993), "An Introduction to the Bootstrap", chapter 13.
    """
    if n_rows < MIN_ROWS:
        return _too_few_rows(n_rows, method)
    ends = bootstrap.percentile(values)
    if ends is None:
        return Interval(why_not=NO_SPREAD, method=method)
    error = bootstrap.standard_error(values)
    plain = Interval(low=ends[0], high=ends[1], method=method, error=error)
    if blocks is None:
        return plain
    n_blocks = blocks.n_blocks
    return msgspec.structs.replace(
        plain,
        method=f"block {method}",
        n_blocks=n_blocks,
        block_days=blocks.days,
        note=f"narrow: {n_blocks} blocks" if n_blocks < FEW_BLOCKS else "",
    )

"""The statistics of a column of numbers, and how those of two profiles become one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Self

import msgspec

from assay.data import moments
from assay.data.cells import Number
from assay.data.moments import Moments, finite
from assay.data.sketches import Sketch, load_kll, merge_kll

QUANTILES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
N_BUCKETS = 10


class Histogram(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of finite values in buckets of equal width from `low` to `high`.

    A bucket holds its upper edge; the first one its lower edge too. Where all values are equal
    there is one bucket.
    """

    low: Number
    high: Number
    counts: tuple[int, ...]
    exact: bool = True  # False: cut from a sketch after a merge


class Numbers(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Statistics of a column of numbers; all but the counters are about the finite ones."""

    n_finite: int
    n_zero: int
    n_negative: int
    n_nan: int
    n_positive_infinity: int
    n_negative_infinity: int
    min: Number | None = None
    max: Number | None = None
    sum: Number | None = None
    mean: float | None = None
    std: float | None = None
    skewness: float | None = None
    kurtosis: float | None = None
    quantiles: dict[str, Number] = {}
    quantiles_from: str = "values"  # or "sample", or "sketch" after a merge
    histogram: Histogram | None = None
    moments: Moments | None = None
    sketch: Sketch | None = None

    def with_moments(self, total: Moments, *, exact_sum: Number | None) -> Self:
        """Return these statistics with the ones that follow from the moments."""
        summed = total.mean * total.n if exact_sum is None else exact_sum
        if isinstance(summed, int) and abs(summed) >= 2**63:
            summed = float(summed)  # JSON readers stop there
        return msgspec.structs.replace(
            self,
            sum=finite(summed) if total.n else None,
            mean=finite(total.mean) if total.n else None,
            std=total.std,
            skewness=total.skewness,
            kurtosis=total.kurtosis,
            moments=storable(total),
        )


def storable(total: Moments) -> Moments | None:
    """Return the moments, or None where one of them overflowed: JSON has no infinity."""
    sums = (total.mean, total.rest, total.m2, total.m3, total.m4)
    return total if all(map(math.isfinite, sums)) else None


def bucket_edges(low: Number, high: Number) -> list[float]:
    """Return the upper edges of buckets of equal width, the last one being `high`.

    Examples
    --------
    >>> bucket_edges(0, 10)
    [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]
    >>> bucket_edges(3, 3)
    [3.0]
    """
    start, end = float(low), float(high)
    shares = [step / N_BUCKETS for step in range(1, N_BUCKETS)]
    inner = [start * (1 - share) + end * share for share in shares]
    return sorted({*(edge for edge in inner if start < edge < end), end})


def merge(a: Numbers, b: Numbers) -> Numbers:
    """Return the statistics of both columns together.

    Counters, range, sum and moments are as of the rows in one table; the quantiles come from the
    merged sketch, the histogram too where its ends have moved.
    """
    both = msgspec.structs.replace(
        a,
        n_finite=a.n_finite + b.n_finite,
        n_zero=a.n_zero + b.n_zero,
        n_negative=a.n_negative + b.n_negative,
        n_nan=a.n_nan + b.n_nan,
        n_positive_infinity=a.n_positive_infinity + b.n_positive_infinity,
        n_negative_infinity=a.n_negative_infinity + b.n_negative_infinity,
        min=min((x for x in (a.min, b.min) if x is not None), default=None),
        max=max((x for x in (a.max, b.max) if x is not None), default=None),
        sketch=merge_kll(a.sketch, b.sketch) if a.sketch and b.sketch else None,
    )
    if a.moments is None or b.moments is None:  # one of them overflowed
        both = msgspec.structs.replace(
            both, sum=None, mean=None, std=None, skewness=None, kurtosis=None, moments=None
        )
    else:
        both = both.with_moments(moments.merge(a.moments, b.moments), exact_sum=_sum(a, b))
    return _from_sketch(both, a, b)


def _sum(a: Numbers, b: Numbers) -> Number | None:
    known = [x.sum for x in (a, b) if x.n_finite]
    return sum(x for x in known if x is not None) if known and None not in known else None


def _from_sketch(both: Numbers, a: Numbers, b: Numbers) -> Numbers:
    """Return `both` with quantiles and histogram; those of one side stay where it is alone."""
    if not a.n_finite or not b.n_finite:
        alone = a if a.n_finite else b
        return msgspec.structs.replace(
            both,
            quantiles=alone.quantiles,
            quantiles_from=alone.quantiles_from,
            histogram=alone.histogram,
        )
    if both.sketch is None:
        return msgspec.structs.replace(both, quantiles={}, histogram=None)
    values = load_kll(both.sketch).get_quantiles(list(QUANTILES))
    whole = isinstance(both.min, int)  # a sketch holds integers as doubles
    quantiles: dict[str, Number] = {
        str(level): round(value) if whole else value
        for level, value in zip(QUANTILES, values, strict=True)
    }
    return msgspec.structs.replace(
        both, quantiles=quantiles, quantiles_from="sketch", histogram=_histogram(both, a, b)
    )


def _histogram(both: Numbers, a: Numbers, b: Numbers) -> Histogram | None:
    x, y = a.histogram, b.histogram
    if x is not None and y is not None and (x.low, x.high) == (y.low, y.high):
        counts = tuple(m + n for m, n in zip(x.counts, y.counts, strict=True))
        return Histogram(low=x.low, high=x.high, counts=counts, exact=x.exact and y.exact)
    if both.sketch is None or both.min is None or both.max is None:
        return None
    sketch = load_kll(both.sketch)
    edges = bucket_edges(both.min, both.max)
    upto = [0, *(round(sketch.get_rank(edge) * both.n_finite) for edge in edges[:-1])]
    return Histogram(
        low=both.min, high=both.max, counts=_steps([*upto, both.n_finite]), exact=False
    )


def _steps(upto: Sequence[int]) -> tuple[int, ...]:
    return tuple(high - low for low, high in pairwise(upto))

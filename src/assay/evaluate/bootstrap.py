"""The bootstrap of functions of sums: draw how often each unit counts, never copy a row.

A unit is a row, a cell of equal rows, or a block of time. More than 200 rows are dealt into 200
groups at random: sums over groups of independent rows are as good as the rows, and a gate takes
milliseconds. The draws are made once for a number of units; in which order the units meet them
comes from (run, metric, slice), so that a report can be made again to the last digit.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from statistics import fmean
from typing import TYPE_CHECKING

import msgspec

from assay.evaluate.blocks import Blocks
from assay.evaluate.distributions import normal_cdf, normal_quantile

if TYPE_CHECKING:
    from assay.evaluate.rows import Floats, Ints

N_RESAMPLES = 2000
MAX_UNITS = 200
MAX_CELLS = 64
ONE_THREAD = 200_000  # multiplications; OpenBLAS takes one thread up to 262,144
UNDEFINED_SHARE = 0.05  # more resamples without a value than this, and there is no interval


class Resampling(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """How often each unit occurs in each resample.

    Attributes
    ----------
    counts : array, shape (n_resamples, n_units)
    units : array of int, shape (n_rows,), or None
        The unit of each row.
    first : array of int, shape (n_units,), or None
        For cells of equal rows: a row of each, in place of `units`.
    """

    counts: Floats
    units: Ints | None = None
    first: Ints | None = None

    def sums(self, terms: Floats) -> Floats:
        """Return the sums of per-row terms in each resample, shape (n_resamples, n_terms)."""
        import numpy as np

        if self.first is not None:
            of_units = terms[self.first]
        else:
            n_units = self.counts.shape[1]
            columns = [
                np.bincount(self.units, weights=column, minlength=n_units)  # type: ignore[arg-type]
                for column in terms.T
            ]
            of_units = np.column_stack(columns)
        return _product(self.counts, of_units)

    def medians(self, values: Floats) -> Floats:
        """Return the median of per-row values in each resample."""
        import numpy as np

        units = np.arange(len(values)) if self.units is None else self.units
        order = np.argsort(values, kind="stable")
        ordered, found = values[order], []
        for counts in np.array_split(self.counts, max(1, len(self.counts) * len(values) // 10**6)):
            reached = np.cumsum(counts[:, units[order]], axis=1)
            half = reached[:, -1:] / 2
            low, high = (reached < half).sum(axis=1), (reached <= half).sum(axis=1)
            found.append((ordered[low] + ordered[np.minimum(high, len(values) - 1)]) / 2)
        return np.concatenate(found)


def _product(counts: Floats, of_units: Floats) -> Floats:
    """Return counts @ of_units, in parts that are too small for BLAS to start threads.

    Where all cores are busy, threads that wait for each other take ten times as long.
    """
    import numpy as np

    most = max(1, ONE_THREAD // of_units.size)
    rows = next(n for n in range(min(most, len(counts)), 0, -1) if len(counts) % n == 0)
    parts = counts.reshape(-1, rows, counts.shape[1]) @ of_units
    return np.asarray(parts.reshape(len(counts), -1))


def seed(run: str, metric: str, of_slice: str) -> int:
    """Return the seed of an interval.

    Examples
    --------
    >>> seed("run", "r2", "all") == seed("run", "r2", "all") != seed("run", "r2", "night")
    True
    """
    text = f"{run}\0{metric}\0{of_slice}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def of_rows(n_rows: int, *, seed: int) -> Resampling:
    """Draw independent rows, dealt into at most `MAX_UNITS` groups."""
    import numpy as np

    n_units = min(n_rows, MAX_UNITS)
    units = np.random.default_rng(seed).permutation(n_rows) % n_units
    return Resampling(counts=_draws(n_units), units=units)


def of_blocks(blocks: Blocks, *, seed: int) -> Resampling:
    """Draw blocks of time; more than `MAX_UNITS` of them are joined with their neighbours."""
    import numpy as np

    while blocks.n_blocks > MAX_UNITS:
        blocks = blocks.doubled()
    ids, n_blocks = blocks.dense()
    order = np.random.default_rng(seed).permutation(n_blocks)
    return Resampling(counts=_draws(n_blocks), units=order[ids])


def of_cells(codes: Ints, *, seed: int) -> Resampling | None:
    """Draw how often each kind of row occurs; None where there are too many kinds for that.

    Rows of one kind (the same target and predictions) are exchangeable: drawing their numbers
    from a multinomial is the same distribution as drawing rows, at the cost of the kinds.
    """
    import numpy as np

    _, first, sizes = np.unique(codes, return_index=True, return_counts=True)
    if len(sizes) > MAX_CELLS:
        return None
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(codes), sizes / len(codes), size=N_RESAMPLES)
    return Resampling(counts=counts.astype(np.float64), first=first)


@lru_cache(maxsize=8)
def _draws(n_units: int) -> Floats:
    """Return how often each unit occurs in each of the resamples."""
    import numpy as np

    drawn = np.random.default_rng(n_units).integers(0, n_units, (N_RESAMPLES, n_units))
    drawn += np.arange(N_RESAMPLES)[:, None] * n_units
    counts = np.bincount(drawn.ravel(), minlength=N_RESAMPLES * n_units)
    return counts.reshape(N_RESAMPLES, n_units).astype(np.float64)


def percentile(values: Floats, *, level: float = 0.95) -> tuple[float, float] | None:
    """Return the percentile interval of resampled values; None where it is degenerate.

    It is degenerate where all values are equal, or where too many resamples have no value.
    """
    kept = _defined(values)
    return None if kept is None else _quantiles(kept, (1 - level) / 2, (1 + level) / 2)


def bca(
    values: Floats, estimate: float, jackknife: Floats, *, level: float = 0.95
) -> tuple[float, float] | None:
    """Return the bias-corrected and accelerated interval; None where it is degenerate.

    Parameters
    ----------
    values : array
        The statistic in each resample.
    estimate : float
        The statistic of the rows themselves.
    jackknife : array
        The statistic without each unit in turn.

    References
    ----------
    Efron (1987), "Better bootstrap confidence intervals", JASA 82.
    """
    kept = _defined(values)
    if kept is None:
        return None
    below = float((kept < estimate).mean() + (kept == estimate).mean() / 2)
    apart = jackknife.mean() - jackknife
    squares = float((apart**2).sum())
    if not 0 < below < 1 or squares == 0:
        return None
    z0 = normal_quantile(below)
    a = float((apart**3).sum()) / (6 * squares**1.5)
    ends = []
    for share in ((1 - level) / 2, (1 + level) / 2):
        z = z0 + normal_quantile(share)
        ends.append(normal_cdf(z0 + z / (1 - a * z)))
    return _quantiles(kept, *ends)


def p_value(values: Floats) -> float:
    """Return how often resampled differences lie on the other side of 0, twice; never 0."""
    import numpy as np

    kept = values[np.isfinite(values)]
    below, above = int((kept <= 0).sum()), int((kept >= 0).sum())
    return min(1.0, 2 * (1 + min(below, above)) / (len(kept) + 1))


def standard_error(values: Floats) -> float:
    """Return the standard deviation of the resampled values that are defined."""
    import numpy as np

    return float(values[np.isfinite(values)].std(ddof=1))


def mean_jackknife(values: Floats) -> Floats:
    """Return the mean without each value in turn."""
    import numpy as np

    n = len(values)
    return np.asarray((values.sum() - values) / (n - 1)) if n > 1 else np.full(n, fmean(values))


def _defined(values: Floats) -> Floats | None:
    import numpy as np

    kept = values[np.isfinite(values)]
    if len(kept) < (1 - UNDEFINED_SHARE) * len(values) or len(kept) < 2:
        return None
    return None if kept.min() == kept.max() else kept


def _quantiles(values: Floats, low: float, high: float) -> tuple[float, float]:
    import numpy as np

    ends = np.quantile(values, [low, high])
    return float(ends[0]), float(ends[1])

"""Rows in time order: neighbouring errors are alike, so a block of time counts as one observation.

Taken as independent, hourly errors give intervals that cover half as often as they say. Blocks
are whole days at first (or what the declaration says), cut at midnight UTC, and are doubled
while neighbouring ones are still alike.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from assay.evaluate.rows import Floats, Ints, Mask

MIN_BLOCKS = 7  # with fewer there is no interval
FEW_BLOCKS = 30  # with fewer a bootstrap of blocks is narrow
ALIKE = 0.2  # lag-1 autocorrelation of block means above which blocks are doubled
DAY = 86_400.0


class Blocks(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The blocks of some rows.

    Attributes
    ----------
    ids : array of int, shape (n_rows,)
        Which block a row is in; neighbours in time have neighbouring numbers, some may be empty.
    sizes : array of int
        How many rows are in each block, the empty ones too.
    seconds : float
        The length of a block.
    """

    ids: Ints
    sizes: Ints
    seconds: float

    @property
    def n_blocks(self) -> int:
        """How many blocks have rows."""
        return int((self.sizes > 0).sum())

    @property
    def days(self) -> float:
        """The length of a block in days."""
        return self.seconds / DAY

    def doubled(self) -> Blocks:
        """Return blocks of twice the length."""
        return of_ids(self.ids // 2, seconds=self.seconds * 2)

    def of(self, rows: Mask | slice) -> Blocks:
        """Return the blocks of some of the rows."""
        return of_ids(self.ids[rows], seconds=self.seconds)

    def dense(self) -> tuple[Ints, int]:
        """Return the ids without the empty blocks, and the number of blocks."""
        import numpy as np

        filled = self.sizes > 0
        return (np.cumsum(filled) - 1)[self.ids], int(filled.sum())


def of_ids(ids: Ints, *, seconds: float) -> Blocks:
    """Return blocks by the number of each row's."""
    import numpy as np

    return Blocks(ids=ids, sizes=np.bincount(ids), seconds=seconds)


def cut(time: Ints, seconds: float) -> Blocks:
    """Cut rows into blocks of one length, which begin at multiples of it in Unix time.

    Parameters
    ----------
    time : array of int
        Event time in Unix microseconds.
    """
    import numpy as np

    ids = time // round(seconds * 1_000_000)
    if len(ids):
        ids = ids - ids.min()
        if ids.max() > 20 * len(ids) + 1000:  # blocks far apart: leave the empty ones out
            ids = np.unique(ids, return_inverse=True)[1]
    return of_ids(ids, seconds=seconds)


class BlockMean(msgspec.Struct, frozen=True, kw_only=True):
    """The mean of per-row values, and its standard error over blocks of the length found."""

    mean: float
    error: float
    n_blocks: int
    seconds: float

    @property
    def days(self) -> float:
        """The length of a block in days."""
        return self.seconds / DAY


def block_mean(values: Floats, blocks: Blocks) -> BlockMean:
    """Return the mean of some values with the error that their order leaves.

    Blocks are doubled while the lag-1 autocorrelation of their means is above 0.2 and at least
    seven would remain. Blocks of unequal size are weighted by their rows: the variance is that
    of a ratio estimator, k/(k-1) sum w_i^2 (d_i - d)^2 / (sum w_i)^2, which for equal sizes is
    sd^2/k.

    References
    ----------
    Carlstein (1986), "The use of subseries values for estimating the variance of a general
    statistic from a stationary sequence", Annals of Statistics 14 (non-overlapping blocks);
    Cochran (1977), "Sampling Techniques", section 6.3 (ratio estimator). The rule for doubling
    was simulated on hourly AR(1) series: coverage .93 to .95 up to phi .8 at 14 days.
    """
    import numpy as np

    while True:
        sizes = blocks.sizes
        sums = np.bincount(blocks.ids, weights=values)
        filled = sizes > 0
        n_blocks = int(filled.sum())
        if n_blocks <= MIN_BLOCKS or autocorrelation(sums, sizes) <= ALIKE:
            break
        larger = blocks.doubled()
        if larger.n_blocks < MIN_BLOCKS:
            break
        blocks = larger
    mean = float(values.mean())
    apart = sums[filled] - mean * sizes[filled]
    spread = float(apart @ apart)
    error = math.sqrt(spread * n_blocks / max(n_blocks - 1, 1)) / len(values)
    return BlockMean(mean=mean, error=error, n_blocks=n_blocks, seconds=blocks.seconds)


def autocorrelation(sums: NDArray[Any], sizes: Ints) -> float:
    """Return the lag-1 autocorrelation of block means, over pairs of blocks that touch.

    Examples
    --------
    >>> import numpy as np
    >>> round(autocorrelation(np.array([1.0, -1, 1, -1]), np.ones(4, dtype=int)), 2)
    -0.75
    """
    import numpy as np

    filled = sizes > 0
    means = np.zeros(len(sums))
    means[filled] = sums[filled] / sizes[filled]
    apart = np.where(filled, means - means[filled].mean(), 0.0)
    total = float(apart @ apart)
    return float(apart[1:] @ apart[:-1]) / total if total > 0 else 0.0

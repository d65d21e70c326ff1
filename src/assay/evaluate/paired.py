"""Two models, right or wrong on the same rows: Tango's interval, McNemar's p, Holm's order."""

from __future__ import annotations

import math
from functools import lru_cache

from assay.evaluate.distributions import binomial_cdf, binomial_pmf, bisect, normal_quantile


@lru_cache(maxsize=4096)
def tango(b: int, c: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Return the score interval of the difference of two paired proportions.

    Parameters
    ----------
    b, c : int
        Rows that only the candidate has right, and rows that only the base has right.
    n : int
        All rows.

    Returns
    -------
    tuple of float
        The interval of (b - c)/n. It has a width even where no row is discordant.

    References
    ----------
    Tango (1998), "Equivalence test and confidence interval for the difference in proportions for
    the paired-sample design", Statistics in Medicine 17.

    Examples
    --------
    >>> [round(end, 10) for end in tango(12, 2, 54)]
    [0.0567087756, 0.3217294995]
    """
    z = normal_quantile(0.5 + level / 2)
    delta = (b - c) / n
    low = bisect(lambda d: _statistic(d, b, c, n) - z, -1.0, delta) if delta > -1 else -1.0
    high = bisect(lambda d: _statistic(d, b, c, n) + z, delta, 1.0) if delta < 1 else 1.0
    return low, high


def _statistic(d: float, b: int, c: int, n: int) -> float:
    """Return the score of a trial difference: falling in it, 0 at (b - c)/n."""
    linear = -b - c + (2 * n - b + c) * d
    root = math.sqrt(max(linear * linear + 8 * n * c * d * (1 - d), 0.0))
    q = (root - linear) / (4 * n)
    variance = n * (2 * q + d * (1 - d))
    above = b - c - n * d
    if variance <= 0:
        return math.copysign(math.inf, above) if above else 0.0
    return above / math.sqrt(variance)


def mcnemar(b: int, c: int) -> float:
    """Return the mid-p value that two models are right equally often.

    References
    ----------
    McNemar (1947), Psychometrika 12; mid-p: Fagerland, Lydersen and Laake (2013), "The McNemar
    test for binary matched-pairs data", BMC Medical Research Methodology 13.

    Examples
    --------
    >>> round(mcnemar(5, 15), 10), mcnemar(0, 0)
    (0.0266036987, 1.0)
    """
    n, smaller = b + c, min(b, c)
    if n == 0:
        return 1.0
    at = binomial_pmf(smaller, n, 0.5)
    if b == c:
        return 1 - at / 2
    return 2 * binomial_cdf(smaller, n, 0.5) - at

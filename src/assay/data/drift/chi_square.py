"""The chi-square test of homogeneity: both windows are samples, neither is taken as exact."""

from __future__ import annotations

import math
from collections.abc import Sequence

from assay.data.drift import Tested
from assay.data.drift.tails import chi_square_quantile, chi_square_tail

_POWER = 0.8416212335729143  # the normal quantile of .8


def chi_square(reference: Sequence[float], current: Sequence[float]) -> Tested:
    """Return Pearson's statistic of the 2 x B table, with its p-value at B - 1 degrees of freedom.

    Cells that are empty on both sides do not count. The p-value holds where each cell is
    expected to have about five rows on both sides: `assay.data.drift.pooling` sees to that.

    Examples
    --------
    >>> found = chi_square([50, 30, 20], [40, 40, 20])
    >>> round(found.statistic, 6), round(found.p_value, 6)
    (2.539683, 0.280876)
    """
    n_reference, n_current = sum(reference), sum(current)
    pairs = [(a, b) for a, b in zip(reference, current, strict=True) if a or b]
    if len(pairs) < 2 or not n_reference or not n_current:
        return Tested(statistic=0.0, p_value=1.0)
    statistic = sum(
        (a * n_current - b * n_reference) ** 2 / ((a + b) * n_reference * n_current)
        for a, b in pairs
    )
    return Tested(statistic=statistic, p_value=chi_square_tail(statistic, len(pairs) - 1))


def detectable_psi(n_reference: int, n_current: int, *, n_cells: int, alpha: float) -> float:
    """Return the smallest PSI that the test at level `alpha` sees four times of five.

    A shift of that index gives the statistic a non-centrality of about PSI / (1/n0 + 1/n); what
    the test needs of it comes from the normal approximation of the non-central chi-square.

    Examples
    --------
    >>> round(detectable_psi(10_000, 1_000, n_cells=10, alpha=0.05), 4)
    0.017
    """
    if not n_reference or not n_current:
        return math.inf
    df = max(n_cells - 1, 1)
    critical = chi_square_quantile(alpha, df)
    # (df + x - critical) / sqrt(2 (df + 2x)) = z, solved for x
    z, gap = _POWER, critical - df
    needed = gap + 2 * z * z + z * math.sqrt(4 * z * z + 4 * gap + 2 * df)
    return needed * (1 / n_reference + 1 / n_current)

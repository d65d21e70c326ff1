"""What an inconclusive answer would need: rows, days, or a wider margin.

All for power 0.8 where the two models are in truth equal, at the level of a two-sided 95 %
interval (one-sided 0.025).
"""

from __future__ import annotations

import math

from assay.evaluate.distributions import normal_quantile

Z = normal_quantile(0.975)
REACH = Z + normal_quantile(0.8)  # standard errors between the margin and the truth


def rows_for_shares(discordant: float, margin: float) -> int | None:
    """Return how many rows show that a share is not worse by the margin.

    Parameters
    ----------
    discordant : float
        The share of rows on which exactly one of the models is right.
    margin : float
        Above 0; at 0 no number of rows is enough, and the answer is None.

    References
    ----------
    The first term is Connor (1987), "Sample size for testing differences in proportions for the
    paired-sample design", Biometrics 43, for a difference of 0; with the second, Tango's interval
    reached power .82 to .87 in simulations. Below z^2 (1/m - 1) rows, even no discordant row at
    all leaves the interval wider than the margin.

    Examples
    --------
    >>> rows_for_shares(0.02, 0.01), rows_for_shares(0.0, 0.01)
    (1954, 385)
    """
    if margin <= 0:
        return None
    planned = REACH**2 * discordant / margin**2 + Z**2 / margin
    return math.ceil(max(planned, Z**2 * (1 / margin - 1)))


def margin_for_shares(n_rows: int, discordant: float) -> float:
    """Return the smallest margin that so many rows can decide: the other way round.

    Examples
    --------
    >>> round(margin_for_shares(1955, 0.02), 4)
    0.01
    """
    squared = Z**2
    root = math.sqrt(squared**2 + 4 * n_rows * REACH**2 * discordant)
    return max((squared + root) / (2 * n_rows), squared / (n_rows + squared))


def growth(error: float, margin: float) -> float | None:
    """Return how many times more observations bring an error down to what a margin asks for.

    Examples
    --------
    >>> round(growth(0.02, 0.02), 2)
    7.85
    """
    return None if margin <= 0 else (REACH * error / margin) ** 2


def margin_for_error(error: float) -> float:
    """Return the smallest margin that a standard error can decide."""
    return REACH * error

"""The population stability index, the industry's measure of drift: .1 watch, .25 act."""

from __future__ import annotations

import math
from collections.abc import Sequence

EMPTY = 1e-4  # the share of a cell that is empty on one side; the others keep theirs


def psi(reference: Sequence[float], current: Sequence[float]) -> float:
    """Return the population stability index of two sets of counts over the same cells.

    It is the sum of both Kullback-Leibler divergences. A cell that is empty on one side has a
    share of 1e-4 there (the others are not scaled down for it); one that is empty on both sides
    does not count. Without drift its mean is (B - 1)(1/n0 + 1/n), with B the number of cells.

    Examples
    --------
    >>> round(psi([50, 30, 20], [40, 40, 20]), 6), round(psi([50, 50, 0], [40, 40, 20]), 6)
    (0.051083, 1.564049)
    """
    n_reference, n_current = sum(reference), sum(current)
    if not n_reference or not n_current:
        return math.nan
    total = 0.0
    for before, now in zip(reference, current, strict=True):
        if not before and not now:
            continue
        p, q = before / n_reference or EMPTY, now / n_current or EMPTY
        total += (q - p) * math.log(q / p)
    return total

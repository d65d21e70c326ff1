"""The Jensen-Shannon distance, in base 2, with and without the part that chance alone gives."""

from __future__ import annotations

import math
from collections.abc import Sequence


def js_divergence(reference: Sequence[float], current: Sequence[float]) -> float:
    """Return the Jensen-Shannon divergence in bits: 0 for equal shares, 1 for disjoint ones."""
    n_reference, n_current = sum(reference), sum(current)
    if not n_reference or not n_current:
        return math.nan
    total = 0.0
    for before, now in zip(reference, current, strict=True):
        p, q = before / n_reference, now / n_current
        middle = (p + q) / 2
        total += p * math.log2(p / middle) if p else 0.0
        total += q * math.log2(q / middle) if q else 0.0
    return min(max(total / 2, 0.0), 1.0)


def js_distance(reference: Sequence[float], current: Sequence[float]) -> float:
    """Return the Jensen-Shannon distance: the root of the divergence in base 2.

    SciPy's `jensenshannon` has base e unless it is told otherwise: the same name, a factor of
    1.2011.

    References
    ----------
    Endres and Schindelin (2003), "A new metric for probability distributions", IEEE Trans. IT 49.

    Examples
    --------
    >>> round(js_distance([50, 30, 20], [40, 40, 20]), 6), js_distance([1, 0], [0, 1])
    (0.095843, 1.0)
    """
    return math.sqrt(js_divergence(reference, current))


def js_distance_corrected(reference: Sequence[float], current: Sequence[float]) -> float:
    """Return the distance less what two samples of these sizes differ by without drift.

    That is (B - 1)(1/n0 + 1/n)/(8 ln 2) bits of divergence in B cells that are not empty; what
    would be negative is 0. The counts must be counts: scaled ones give another answer.

    Examples
    --------
    >>> js_distance_corrected([50, 30, 20], [40, 40, 20])
    0.04441227596472951
    >>> js_distance_corrected([500, 300, 200], [495, 305, 200])
    0.0
    """
    divergence = js_divergence(reference, current)
    if math.isnan(divergence):
        return math.nan
    n_cells = sum(1 for pair in zip(reference, current, strict=True) if any(pair))
    by_chance = (n_cells - 1) * (1 / sum(reference) + 1 / sum(current)) / (8 * math.log(2))
    return math.sqrt(max(divergence - by_chance, 0.0))

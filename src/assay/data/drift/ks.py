"""The Kolmogorov-Smirnov test on counts in order: it sees a shift, less so a change of spread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

from assay.data.drift import Tested
from assay.data.drift.tails import kolmogorov_tail


def ks(reference: Sequence[float], current: Sequence[float]) -> Tested:
    """Return the largest distance of the two distribution functions, with its p-value.

    The functions are compared at the ends of the cells only, and the p-value is the limit for
    many rows of continuous values: both make the test cautious, never bold.

    Examples
    --------
    >>> round(ks([1, 1, 1, 1, 1, 0, 0], [0, 1, 1, 1, 1, 1, 1]).statistic, 6)
    0.333333
    """
    n_reference, n_current = sum(reference), sum(current)
    if not n_reference or not n_current:
        return Tested(statistic=0.0, p_value=1.0)
    distance = max(
        abs(a / n_reference - b / n_current)
        for a, b in zip(accumulate(reference), accumulate(current), strict=True)
    )
    scaled = distance / math.sqrt(1 / n_reference + 1 / n_current)
    return Tested(statistic=distance, p_value=kolmogorov_tail(scaled))

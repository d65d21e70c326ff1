"""P-values of many tests at once, adjusted so that one false alarm among them stays rare."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted by Holm's method, in the given order.

    Rejecting what is at most `alpha` afterwards rejects a true hypothesis with a probability of
    at most `alpha` in all, however the tests depend on each other.

    References
    ----------
    Holm (1979), "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6.

    Examples
    --------
    >>> [round(p, 3) for p in holm([0.001, 0.02, 0.03, 0.04, 0.5])]
    [0.005, 0.08, 0.09, 0.09, 0.5]
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, at in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min((len(p_values) - rank) * p_values[at], 1.0))
        adjusted[at] = highest
    return adjusted

"""AUC: the chance that a positive row has a higher score than a negative one, ties half.

Its interval comes from how far each row moves it: DeLong's placements, scaled so that the sum of
their squares is DeLong's variance. For rows in time order they are summed by block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from assay.evaluate.metrics import Measured, Metric
from assay.evaluate.rows import View

if TYPE_CHECKING:
    from assay.evaluate.rows import Floats, Mask

MIN_CLASS = 20  # rows of a class below which DeLong's interval is not trusted


def placements(scores: Floats, positive: Mask) -> tuple[Floats, Floats]:
    """Return the share of negatives below each positive, and of positives above each negative.

    References
    ----------
    Sun and Xu (2014), "Fast implementation of DeLong's algorithm for comparing the areas under
    correlated ROC curves", IEEE Signal Processing Letters 21: by mid-ranks, in O(n log n).
    """
    import numpy as np

    above, below = np.sort(scores[positive]), np.sort(scores[~positive])
    of_positives = _shares(below, scores[positive])
    return of_positives, 1 - _shares(above, scores[~positive])


def _shares(ordered: Floats, values: Floats) -> Any:
    import numpy as np

    low = np.searchsorted(ordered, values, side="left")
    high = np.searchsorted(ordered, values, side="right")
    return (low + high) / (2 * len(ordered))


def _auc(view: View) -> Measured:
    """Return the AUC, of more than two classes the mean over each against the rest."""
    counts = _class_counts(view)
    missing = [str(view.classes[i]) for i in range(len(counts)) if counts[i] == 0]
    if missing:
        why = f"no row of class {', '.join(missing)}"
        return Measured(value=float("nan"), undefined=why)
    areas = [placements(*given)[0].mean() for given in _one_against_rest(view)]
    return Measured(value=float(sum(areas)) / len(areas))


def influence(view: View) -> Floats:
    """Return how far each row moves the AUC; the sum of squares is its variance.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson (1988), "Comparing the areas under two or more correlated
    receiver operating characteristic curves", Biometrics 44; by blocks: Obuchowski (1997),
    "Nonparametric analysis of clustered ROC curve data", Biometrics 53.
    """
    import numpy as np

    total = np.zeros(view.n_rows)
    pairs = _one_against_rest(view)
    for scores, positive in pairs:
        for rows, shares in zip((positive, ~positive), placements(scores, positive), strict=True):
            n = len(shares)
            scale = np.sqrt(n / (n - 1)) / n if n > 1 else 0.0
            total[rows] += (shares - shares.mean()) * scale
    return total / len(pairs)


def rarest(view: View) -> int:
    """Return how many rows the rarest class has."""
    return min(_class_counts(view))


def _class_counts(view: View) -> list[int]:
    import numpy as np

    counts: list[int] = np.bincount(view.target, minlength=len(view.classes)).tolist()
    return counts


def _one_against_rest(view: View) -> list[tuple[Floats, Mask]]:
    given = view.probabilities
    if given is None:
        raise AssertionError("asked before `measure` looked for probabilities")
    chosen = [1] if len(view.classes) == 2 else range(len(view.classes))
    return [(given[:, c], view.target == c) for c in chosen]


METRICS = (
    Metric(
        name="auc",
        title="roc auc",
        larger_is_better=True,
        kind="rank",
        value=_auc,
        influence=influence,
        needs_probabilities=True,
    ),
)

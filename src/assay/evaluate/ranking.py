"""AUC, and average precision: how well scores put the rows of a class before all others.

AUC is the chance that a positive row has a higher score than a negative one, ties half; average
precision is the mean, over positive rows, of the precision at their score. Their intervals come
from how far each row moves them: for AUC DeLong's placements, scaled so that the sum of their
squares is DeLong's variance; for average precision its influence function. For rows in time order
these are summed by block.
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


def average_precision(scores: Floats, positive: Mask) -> float:
    """Return the mean precision at the scores of the positives; rows with one score are one step.

    This is scikit-learn's sum of precision times gain in recall: nothing is interpolated.

    Examples
    --------
    >>> import numpy as np
    >>> average_precision(np.array([0.9, 0.8, 0.7]), np.array([True, False, True]))
    0.8333333333333333
    """
    return float(_Steps(scores, positive).of_rows[positive].mean())


class _Steps:
    """The distinct scores, ascending, and what lies at or above each.

    Attributes
    ----------
    of_rows : array, shape (n_rows,)
        The precision at the score of each row.
    """

    def __init__(self, scores: Floats, positive: Mask) -> None:
        import numpy as np

        _, self.place = np.unique(scores, return_inverse=True)
        size = int(self.place.max()) + 1
        self.n_positive = np.bincount(self.place[positive], minlength=size)
        above = np.cumsum(np.bincount(self.place, minlength=size)[::-1])[::-1]
        self.share_above = above / len(scores)
        self.precision = np.cumsum(self.n_positive[::-1])[::-1] / above
        self.of_rows = self.precision[self.place]


def _average_precision(view: View) -> Measured:
    """Return the average precision, of more than two classes the mean over each."""
    pairs = _one_against_rest(view)
    names = view.classes[1:] if len(view.classes) == 2 else view.classes
    missing = [str(n) for n, (_, rows) in zip(names, pairs, strict=True) if not rows.any()]
    if missing:
        why = f"no row of class {', '.join(missing)}"
        return Measured(value=float("nan"), undefined=why)
    return Measured(value=sum(average_precision(*pair) for pair in pairs) / len(pairs))


def _precision_influence(view: View) -> Floats:
    """Return how far each row moves the average precision; the sum of squares is its variance.

    With the precision P(t) and the share H(t) of rows at or above t, a row with truth y and score
    s moves the mean of P over the positives by y (P(s) - AP), as one of them, and by the mean of
    (y - P(t)) / H(t) over the positives' scores t up to s, as one of those that P counts.

    References
    ----------
    Hampel (1974), "The influence curve and its role in robust estimation", JASA 69.
    """
    import numpy as np

    total = np.zeros(view.n_rows)
    pairs = _one_against_rest(view)
    for scores, positive in pairs:
        steps = _Steps(scores, positive)
        weight = steps.n_positive / (steps.share_above * view.n_rows)
        below, pulled = (np.cumsum(w)[steps.place] for w in (weight, weight * steps.precision))
        own = positive * (steps.of_rows - steps.of_rows[positive].mean())
        total += (own + positive * below - pulled) / positive.sum()
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
    Metric(
        name="average_precision",
        title="average precision",
        larger_is_better=True,
        kind="rank",
        value=_average_precision,
        influence=_precision_influence,
        needs_probabilities=True,
    ),
)

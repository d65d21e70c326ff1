"""Metrics of classes: shares of right rows, functions of counts, and means over probabilities.

Counts are kept per class as (rows, predicted, true, right); a class that some rows lack still
counts, because the classes come from the model's signature. In a binary task the second class is
the positive one. Names and conventions are scikit-learn's, with `zero_division=0`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from assay.evaluate.metrics import Measured, Metric, mean_metric
from assay.evaluate.regression import EPSILON
from assay.evaluate.rows import View
from assay.project.declaration import Task

if TYPE_CHECKING:
    from assay.evaluate.rows import Floats, Mask

NO_PREDICTED = "no row is predicted positive"
NO_POSITIVE = "no row is positive"
NEITHER = "no row is positive or predicted positive"


def metrics(task: Task) -> tuple[Metric, ...]:
    """Return the metrics of a task: plain `precision`, `recall` and `f1` are of the positive class
    in a binary task, and macro averages in a multiclass one.
    """  # noqa: D205 -- the first sentence does not fit into a line
    averaged = tuple(
        _average(name, f"{average} {name}", f"{name}_{average}", formula, average)
        for name, formula in _FORMULAS.items()
        for average in ("macro", "weighted", "micro")
    )
    if task == "binary":
        return (*_COMMON, *_BINARY, *averaged)
    plain = tuple(
        _average(name, f"macro {name}", name, formula, "macro")
        for name, formula in _FORMULAS.items()
    )
    return (*_COMMON, *plain, *averaged)


def right(view: View) -> Floats:
    """Return 1 for each row whose class is predicted, else 0."""
    import numpy as np

    return np.asarray(view.prediction == view.target, dtype=np.float64)


def positives(view: View) -> Mask:
    """Return which rows are positive."""
    import numpy as np

    return np.asarray(view.target == 1)


def predicted_positives(view: View) -> Mask:
    """Return which rows are predicted positive."""
    import numpy as np

    return np.asarray(view.prediction == 1)


def count_terms(view: View) -> Floats:
    """Return for each row and class: is it true, is it predicted, are both."""
    import numpy as np

    names = np.arange(len(view.classes))[:, None]
    true, predicted = names == view.target, names == view.prediction
    return np.vstack([true, predicted, true & predicted]).T.astype(np.float64)


def _split(sums: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the counts of true, predicted and right rows, a column for each class."""
    n = sums.shape[-1] // 3
    return sums[..., :n], sums[..., n : 2 * n], sums[..., 2 * n :]


def _ratio(above: Floats, below: Floats) -> Any:
    """Return a quotient with 0/0 = 0."""
    import numpy as np

    return np.where(below > 0, above / np.where(below > 0, below, 1), 0.0)


def _precision(true: Floats, predicted: Floats, hit: Floats) -> Any:
    del true
    return _ratio(hit, predicted)


def _recall(true: Floats, predicted: Floats, hit: Floats) -> Any:
    del predicted
    return _ratio(hit, true)


def _f1(true: Floats, predicted: Floats, hit: Floats) -> Any:
    return _ratio(2 * hit, true + predicted)


_Formula = Callable[..., Any]
_FORMULAS: dict[str, _Formula] = {"precision": _precision, "recall": _recall, "f1": _f1}


def _average(base: str, title: str, name: str, formula: _Formula, average: str) -> Metric:
    """Return the average of a formula over the classes."""

    def of_sums(sums: Floats) -> Any:
        true, predicted, hit = _split(sums)
        if average == "micro":
            return formula(true.sum(axis=-1), predicted.sum(axis=-1), hit.sum(axis=-1))
        each = formula(true, predicted, hit)
        if average == "weighted":
            return _ratio((each * true).sum(axis=-1), true.sum(axis=-1))
        return each.mean(axis=-1)

    def note(sums: Floats) -> str:
        true, predicted, _ = _split(sums)
        empty = {"precision": predicted, "recall": true, "f1": true + predicted}[base] == 0
        return f"{int(empty.sum())} classes count as 0 for lack of rows" if empty.any() else ""

    return _of_counts(name, title, of_sums, note=note if average == "macro" else None)


def _of_counts(
    name: str,
    title: str,
    of_sums: Callable[[Floats], Any],
    *,
    undefined: Callable[[Floats], str] | None = None,
    note: Callable[[Floats], str] | None = None,
) -> Metric:
    def value(view: View) -> Measured:
        sums = count_terms(view).sum(axis=0)
        return Measured(
            value=float(of_sums(sums)),
            undefined=undefined(sums) if undefined else "",
            note=note(sums) if note else "",
        )

    return Metric(
        name=name,
        title=title,
        larger_is_better=True,
        kind="sums",
        value=value,
        terms=count_terms,
        of_sums=of_sums,
        of_counts=True,
    )


def _balanced(sums: Floats) -> Any:
    """Return the mean recall of the classes that occur."""
    true, _, hit = _split(sums)
    return _ratio(_ratio(hit, true).sum(axis=-1), (true > 0).sum(axis=-1))


def _mcc(sums: Floats) -> Any:
    """Return Matthews' correlation; 0 where either side is constant.

    References
    ----------
    Gorodkin (2004), "Comparing two K-category assignments by a K-category correlation
    coefficient", Computational Biology and Chemistry 28.
    """
    import numpy as np

    true, predicted, hit = _split(sums)
    n, c = true.sum(axis=-1), hit.sum(axis=-1)
    together = c * n - (true * predicted).sum(axis=-1)
    spread = (n * n - (true**2).sum(axis=-1)) * (n * n - (predicted**2).sum(axis=-1))
    return _ratio(together, np.sqrt(spread))


def _kappa(sums: Floats) -> Any:
    """Return (po - pe)/(1 - pe); NaN where both sides have one class only (Cohen 1960)."""
    import numpy as np

    true, predicted, hit = _split(sums)
    n = np.maximum(true.sum(axis=-1), 1)
    observed = hit.sum(axis=-1) / n
    chance = (true * predicted).sum(axis=-1) / n**2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(chance < 1, (observed - chance) / (1 - chance), np.nan)


def _one_label(sums: Floats) -> str:
    true, predicted, _ = _split(sums)
    alone = (true + predicted > 0).sum() == 1
    return "target and predictions have one class only" if alone else ""


def _one_class(sums: Floats) -> str:
    true, _, _ = _split(sums)
    return "the target has one class only" if (true > 0).sum() == 1 else ""


def _share(view: View, rows: Mask, undefined: str) -> Measured:
    n = int(rows.sum())
    if n == 0:
        return Measured(value=0.0, undefined=undefined)
    return Measured(value=float(right(view)[rows].sum()) / n)


def log_losses(view: View) -> Floats:
    """Return -log p of each row's true class, p clipped to [eps, 1 - eps]."""
    import numpy as np

    given = _given(view)
    p = given[np.arange(view.n_rows), view.target]
    losses: Floats = -np.log(np.clip(p, EPSILON, 1 - EPSILON))
    return losses


def brier_scores(view: View) -> Floats:
    """Return (p - y)^2 of each row; of more than two classes, the sum over them (Brier 1950)."""
    import numpy as np

    given = _given(view)
    if len(view.classes) == 2:
        return np.asarray(np.square(given[:, 1] - view.target))
    wanted = view.target[:, None] == np.arange(len(view.classes))
    return np.asarray(np.square(given - wanted).sum(axis=1))


def _given(view: View) -> Floats:
    if view.probabilities is None:
        raise AssertionError("asked before `measure` looked for probabilities")
    return view.probabilities


_COMMON = (
    Metric(
        name="accuracy",
        title="accuracy",
        larger_is_better=True,
        kind="proportion",
        value=lambda view: Measured(value=float(right(view).mean())),
        per_row=right,
    ),
    _of_counts("balanced_accuracy", "balanced accuracy", _balanced),
    _of_counts("mcc", "matthews corrcoef", _mcc, undefined=_one_class),
    _of_counts("kappa", "cohen kappa", _kappa, undefined=_one_label),
    mean_metric("log_loss", "log loss", log_losses, needs_probabilities=True),
    mean_metric("brier", "brier score", brier_scores, needs_probabilities=True),
)


def _binary_f1(sums: Floats) -> Any:
    true, predicted, hit = _split(sums)
    return _f1(true[..., 1], predicted[..., 1], hit[..., 1])


def _binary_precision(sums: Floats) -> Any:
    _, predicted, hit = _split(sums)
    return _ratio(hit[..., 1], predicted[..., 1])


def _no_f1(sums: Floats) -> str:
    true, predicted, _ = _split(sums)
    return NEITHER if true[1] + predicted[1] == 0 else ""


_BINARY = (
    Metric(
        name="precision",
        title="precision",
        larger_is_better=True,
        kind="proportion",
        value=lambda view: _share(view, predicted_positives(view), NO_PREDICTED),
        per_row=right,
        subset=predicted_positives,
        terms=count_terms,
        of_sums=_binary_precision,
        of_counts=True,
        same_subset=False,
    ),
    Metric(
        name="recall",
        title="recall",
        larger_is_better=True,
        kind="proportion",
        value=lambda view: _share(view, positives(view), NO_POSITIVE),
        per_row=right,
        subset=positives,
    ),
    _of_counts("f1", "f1", _binary_f1, undefined=_no_f1),
)

"""The metrics by name: direction, kind, and how a value comes about from rows.

What a metric *is* decides how its interval is made (`assay.evaluate.intervals`) and how two
models are compared (`assay.evaluate.compare`):

    proportion  a share of right rows           Wilson, Tango
    mean        a mean of per-row values        t, BCa
    sums        a function of sums over rows    bootstrap
    rank        AUC                             DeLong
    median      of per-row values               bootstrap
    extreme     the largest per-row value       no interval is known

For rows in time order, a block takes the place of a row in all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from assay.base.errors import NotFound, Usage, did_you_mean
from assay.evaluate.rows import View
from assay.project.declaration import Task

if TYPE_CHECKING:
    from assay.evaluate.rows import Floats, Mask

Kind = Literal["proportion", "mean", "sums", "rank", "median", "extreme"]

NO_ROWS = "no rows"


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """The value of a metric.

    Attributes
    ----------
    value : float
        NaN where the metric has no value on these rows.
    undefined : str
        Why the value means nothing here, though it may be a number (0 by convention); nothing
        is concluded from such a value. Empty for a value that counts.
    note : str
        What a reader should know of a value that counts.
    """

    value: float
    undefined: str = ""
    note: str = ""


class Metric(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A metric.

    Attributes
    ----------
    value : callable
        From rows to the value, with the edge cases; rows are not empty.
    per_row : callable
        For a proportion or mean, a median or an extreme: the values of the rows.
    subset : callable
        For a proportion: the rows it is a share of; all rows where there is none.
    terms, of_sums : callable
        For sums: the statistics of each row, shape (n_rows, n_terms), and the value of their
        sums, shape (..., n_terms) to (...); NaN where it is not defined.
    influence : callable
        For a rank metric: how far each row moves the value; they sum to about 0.
    of_counts : bool
        Whether rows with the same target and prediction have the same terms.
    same_subset : bool
        Whether the subset depends on the target alone, so that two models share it.
    """

    name: str
    title: str
    larger_is_better: bool
    kind: Kind
    value: Callable[[View], Measured]
    per_row: Callable[[View], Floats] | None = None
    subset: Callable[[View], Mask] | None = None
    terms: Callable[[View], Floats] | None = None
    of_sums: Callable[[Floats], Any] | None = None
    influence: Callable[[View], Floats] | None = None
    needs_probabilities: bool = False
    of_counts: bool = False
    same_subset: bool = True

    @property
    def sign(self) -> int:
        """1 where larger is better, else -1: times it, larger is always better."""
        return 1 if self.larger_is_better else -1


@lru_cache(maxsize=4)
def known(task: Task) -> dict[str, Metric]:
    """Return all metrics of a task by name."""
    from assay.evaluate import classification, ranking, regression

    found: tuple[Metric, ...]
    if task == "regression":
        found = regression.METRICS
    else:
        found = (*classification.metrics(task), *ranking.METRICS)
    return {metric.name: metric for metric in found}


def get(name: str, *, task: Task) -> Metric:
    """Return a metric by its name.

    Raises
    ------
    NotFound
        If there is none; it names the nearest, also for scikit-learn's long names.
    Usage
        If the metric belongs to another task.

    Examples
    --------
    >>> get("mae", task="regression").title
    'mean absolute error'
    """
    found = known(task).get(name)
    if found is not None:
        return found
    where = "assay.yaml: evaluation.metrics"
    tasks: tuple[Task, ...] = ("regression", "binary", "multiclass")
    for other in tasks:
        if name in known(other):
            fit = ", ".join(known(task))
            raise Usage(
                f"'{name}' is for {other} models, this one is for {task}",
                where=where,
                hint=f"use one of {fit}",
            )
    raise NotFound(
        f"there is no metric '{name}'",
        where=where,
        hint=_near(name, known(task)) or f"use one of {', '.join(known(task))}",
    )


def _near(name: str, choices: dict[str, Metric]) -> str | None:
    """Return the hint with the nearest name; scikit-learn's long names are known too."""
    plain = name.removeprefix("neg_").removesuffix("_score").removesuffix("_loss")
    long = {metric.title.replace(" ", "_"): metric.name for metric in choices.values()}
    if plain in long:
        return f"did you mean '{long[plain]}'?"
    return did_you_mean(plain, choices) or did_you_mean(name, choices)


def measure(metric: Metric, view: View) -> Measured:
    """Return the value of a metric on some rows, with the edge cases of the docs' table."""
    if view.n_rows == 0:
        return Measured(value=float("nan"), undefined=NO_ROWS)
    if metric.needs_probabilities and view.probabilities is None:
        return Measured(value=float("nan"), undefined="the model gives no probabilities")
    return metric.value(view)


def mean_metric(
    name: str,
    title: str,
    per_row: Callable[[View], Floats],
    *,
    larger_is_better: bool = False,
    needs_probabilities: bool = False,
) -> Metric:
    """Return a metric that is the mean of per-row values."""

    def value(view: View) -> Measured:
        return Measured(value=float(per_row(view).mean()))

    return Metric(
        name=name,
        title=title,
        larger_is_better=larger_is_better,
        kind="mean",
        value=value,
        per_row=per_row,
        needs_probabilities=needs_probabilities,
    )

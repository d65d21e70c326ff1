"""Metrics of numbers. Names and formulas are scikit-learn's; sMAPE and WAPE are not in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from assay.base.errors import Error
from assay.evaluate.metrics import Measured, Metric, mean_metric
from assay.evaluate.rows import View

if TYPE_CHECKING:
    from assay.evaluate.rows import Floats, Mask

EPSILON = 2.220446049250313e-16  # of float64
CONSTANT = "the target is constant"


def absolute(view: View) -> Floats:
    """Return |y - f| of each row."""
    import numpy as np

    errors: Floats = np.abs(view.target - view.prediction)
    return errors


def squared(view: View) -> Floats:
    """Return (y - f)^2 of each row."""
    import numpy as np

    errors: Floats = np.square(view.target - view.prediction)
    return errors


def _percentage(view: View) -> Floats:
    import numpy as np

    shares: Floats = absolute(view) / np.maximum(np.abs(view.target), EPSILON)
    return shares


def _symmetric_percentage(view: View) -> Floats:
    import numpy as np

    size = np.abs(view.target) + np.abs(view.prediction)
    return np.asarray(200 * absolute(view) / np.where(size == 0, 1, size))


def _squared_log(view: View) -> Floats:
    import numpy as np

    _refuse(view.target <= -1, "msle", "a target of -1 or less")
    _refuse(view.prediction <= -1, "msle", "a prediction of -1 or less")
    errors: Floats = np.square(np.log1p(view.target) - np.log1p(view.prediction))
    return errors


def _poisson(view: View) -> Floats:
    import numpy as np

    _refuse(view.target < 0, "poisson_deviance", "a target below 0")
    _refuse(view.prediction <= 0, "poisson_deviance", "a prediction of 0 or less")
    y, f = view.target, view.prediction
    ratio = np.where(y > 0, y, 1) / f  # y log(y/f) is 0 for y = 0
    return np.asarray(2 * (np.where(y > 0, y * np.log(ratio), 0) - y + f))


def _refuse(bad: Mask, metric: str, what: str) -> None:
    if bad.any():
        raise Error(
            f"'{metric}' is not defined for {what}: {int(bad.sum()):,} of {len(bad):,} rows",
            where="assay.yaml: evaluation.metrics",
            hint="take another metric, or a model that keeps to the range",
        )


def _rmse(view: View) -> Measured:
    return Measured(value=float(squared(view).mean()) ** 0.5)


def _rmse_terms(view: View) -> Floats:
    return _stack(squared(view))


def _rmse_of(sums: Floats) -> Any:
    import numpy as np

    return np.sqrt(_over(sums[..., 1], sums[..., 0]))


def _wape(view: View) -> Measured:
    import numpy as np

    size = float(np.abs(view.target).sum())
    if size == 0:
        return Measured(value=float("nan"), undefined="all targets are 0")
    return Measured(value=float(absolute(view).sum()) / size)


def _wape_terms(view: View) -> Floats:
    import numpy as np

    return _stack(absolute(view), np.abs(view.target))


def _wape_of(sums: Floats) -> Any:
    return _over(sums[..., 1], sums[..., 2])


def _r2(view: View) -> Measured:
    """Return 1 - SSE/SST; on a constant target 1 for exact answers, else 0."""
    return _explained(view, float(squared(view).sum()))


def _explained_variance(view: View) -> Measured:
    error = view.target - view.prediction
    return _explained(view, float(((error - error.mean()) ** 2).sum()))


def _explained(view: View, unexplained: float) -> Measured:
    import numpy as np

    if view.n_rows < 2:
        return Measured(value=float("nan"), undefined="fewer than two rows")
    if view.target.min() == view.target.max():
        return Measured(value=0.0 if unexplained else 1.0, undefined=CONSTANT)
    total = float(np.square(view.target - view.target.mean()).sum())
    return Measured(value=1 - unexplained / total)


def _r2_terms(view: View) -> Floats:
    """Return 1, y, y^2 and e^2, with y around its mean, so that no digits are lost."""
    y = view.target - view.target.mean()
    return _stack(y, y * y, squared(view))


def _r2_of(sums: Floats) -> Any:
    total = sums[..., 2] - sums[..., 1] ** 2 / _not_zero(sums[..., 0])
    return 1 - _over(sums[..., 3], total)


def _explained_terms(view: View) -> Floats:
    y, error = view.target - view.target.mean(), view.target - view.prediction
    return _stack(y, y * y, error, error * error)


def _explained_of(sums: Floats) -> Any:
    n = _not_zero(sums[..., 0])
    total = sums[..., 2] - sums[..., 1] ** 2 / n
    return 1 - _over(sums[..., 4] - sums[..., 3] ** 2 / n, total)


def _stack(*columns: Floats) -> Floats:
    import numpy as np

    return np.stack([np.ones(len(columns[0])), *columns]).T  # a column lies in one piece


def _over(above: Floats, below: Floats) -> Any:
    """Return a quotient, NaN where the divisor is 0 or below."""
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 0, above / below, np.nan)


def _not_zero(counts: Floats) -> Any:
    import numpy as np

    return np.maximum(counts, 1)


def _median(view: View) -> Measured:
    import numpy as np

    return Measured(value=float(np.median(absolute(view))))


def _max(view: View) -> Measured:
    return Measured(value=float(absolute(view).max()))


METRICS = (
    mean_metric("mae", "mean absolute error", absolute),
    mean_metric("mse", "mean squared error", squared),
    Metric(
        name="rmse",
        title="root mean squared error",
        larger_is_better=False,
        kind="sums",
        value=_rmse,
        terms=_rmse_terms,
        of_sums=_rmse_of,
    ),
    Metric(
        name="r2",
        title="r2",
        larger_is_better=True,
        kind="sums",
        value=_r2,
        terms=_r2_terms,
        of_sums=_r2_of,
    ),
    Metric(
        name="explained_variance",
        title="explained variance",
        larger_is_better=True,
        kind="sums",
        value=_explained_variance,
        terms=_explained_terms,
        of_sums=_explained_of,
    ),
    Metric(
        name="median_absolute_error",
        title="median absolute error",
        larger_is_better=False,
        kind="median",
        value=_median,
        per_row=absolute,
    ),
    Metric(
        name="max_error",
        title="max error",
        larger_is_better=False,
        kind="extreme",
        value=_max,
        per_row=absolute,
    ),
    mean_metric("mape", "mean absolute percentage error", _percentage),
    mean_metric("smape", "symmetric mean absolute percentage error", _symmetric_percentage),
    Metric(
        name="wape",
        title="weighted absolute percentage error",
        larger_is_better=False,
        kind="sums",
        value=_wape,
        terms=_wape_terms,
        of_sums=_wape_of,
    ),
    mean_metric("msle", "mean squared log error", _squared_log),
    mean_metric("poisson_deviance", "mean poisson deviance", _poisson),
)

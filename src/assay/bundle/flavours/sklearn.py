"""Estimators and pipelines of scikit-learn, through skops: no pickle is written or read."""

from __future__ import annotations

import contextlib
import importlib.util
import threading
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from assay.base.errors import Error
from assay.bundle.flavours import Described, audit, canonical
from assay.bundle.signature import Output, type_of

if TYPE_CHECKING:
    from assay.bundle.signature import Values

FILE = "model.skops"
PACKAGES = ("numpy", "scikit-learn", "scipy", "skops")
_reading = threading.Lock()


def describe(model: Any, *, columns: tuple[str, ...]) -> Described:
    """Return what is to be known of a fitted estimator.

    Raises
    ------
    assay.Error
        If it is not fitted, answers nothing, or was fitted on other columns.
    """
    _need_skops()
    from sklearn.base import is_classifier, is_regressor
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    where = _name(model)
    try:
        check_is_fitted(model)
    except NotFittedError:
        raise Error("the model is not fitted", where=where, hint="call its fit() first") from None
    if not (is_classifier(model) or is_regressor(model)):
        raise Error(
            "this is neither a classifier nor a regressor",
            where=where,
            hint="transformers go into a Pipeline whose last step is one of them",
        )
    named = getattr(model, "feature_names_in_", None)
    expected = getattr(model, "n_features_in_", None)
    if named is not None and list(named) != list(columns):
        raise Error(
            f"the model was fitted on the columns {', '.join(map(str, named))}; X has "
            f"{', '.join(columns)}",
            where=where,
            hint="give the columns that it was fitted on, in this order",
        )
    if expected is not None and expected != len(columns):
        raise Error(
            f"the model was fitted on {expected} features, X has {len(columns)} columns",
            where=where,
            hint="give the columns that it was fitted on, in their order",
        )
    form: Literal["array", "dataframe"] = "array" if named is None else "dataframe"
    return Described(
        type=where,
        input=form,
        packages=PACKAGES if named is None else (*PACKAGES, "pandas"),
        task="classification" if is_classifier(model) else "regression",
    )


def dump(model: Any) -> bytes:
    """Return the canonical skops file of a model that holds no code of its own."""
    from skops.io.exceptions import UnsupportedTypeException

    where = _name(model)
    try:
        content = canonical.write(model)
    except (UnsupportedTypeException, TypeError, ValueError, AttributeError, RecursionError) as e:
        raise Error(
            f"the model cannot be kept: {e or type(e).__name__}",
            where=where,
            hint="a bundle keeps estimators and transformers of scikit-learn",
        ) from e
    audit.check(content, where=where)
    return content


def load(content: bytes, *, where: str) -> Any:
    """Return the model of a file.

    Raises
    ------
    assay.Error
        If the file holds anything that could do harm.
    """
    _need_skops()
    import skops.io

    audit.check(content, where=where)
    try:
        # one thread at a time: filters of warnings are the process's, and CPython 3.11's parser,
        # which reads the heads of arrays, fails where two threads are in it (gh-106905)
        with _reading, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # another version is seen, and said, before this
            return skops.io.loads(content, trusted=audit.trusted())
    except Exception as error:  # whatever scikit-learn's own __setstate__ finds wrong with it
        raise canonical.damaged(
            f"it cannot be read ({type(error).__name__}: {error})", where
        ) from (error)


def predict(
    model: Any, columns: Mapping[str, Values], *, form: str, probabilities: bool
) -> dict[str, Values]:
    """Return the answers for columns in the order of the signature."""
    import numpy as np

    table = _frame(columns) if form == "dataframe" else _matrix(columns)
    answers = {"predict": np.asarray(model.predict(table))}
    if probabilities:
        answers["predict_proba"] = np.asarray(model.predict_proba(table))
    return answers


def output(model: Any, answers: Mapping[str, Values]) -> Output:
    """Return what a model gives, seen from some answers."""
    where = _name(model)
    answer = answers["predict"]
    classes = getattr(model, "classes_", None)
    if isinstance(classes, list) or (classes is not None and answer.ndim > 1):
        raise Error(
            "the model predicts several classes at once; a bundle holds one target",
            where=where,
            hint="make a bundle of a model for each target",
        )
    return Output(
        type=type_of(answer, where=where),
        shape=(-1, *answer.shape[1:]),
        classes=None if classes is None else classes.tolist(),
        probabilities="predict_proba" in answers,
    )


def has_probabilities(model: Any) -> bool:
    """Tell whether a model gives a probability of each class."""
    return hasattr(model, "classes_") and hasattr(model, "predict_proba")


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let numeric libraries work with one thread, so that sums are made in one order."""
    threadpoolctl = importlib.import_module("threadpoolctl")
    with threadpoolctl.threadpool_limits(limits=1):
        yield


def _matrix(columns: Mapping[str, Values]) -> Values:
    import numpy as np

    values = list(columns.values())
    if any(column.dtype.kind == "O" for column in values):
        matrix = np.empty((len(values[0]), len(values)), object)
        for at, column in enumerate(values):
            matrix[:, at] = column
        return matrix
    return np.column_stack(values)


def _frame(columns: Mapping[str, Values]) -> Any:
    if importlib.util.find_spec("pandas") is None:
        raise Error(
            "the model was fitted on a data frame and needs pandas", hint="pip install pandas"
        )
    pandas = importlib.import_module("pandas")
    return pandas.DataFrame(dict(columns))


def _name(model: Any) -> str:
    return f"{type(model).__module__}.{type(model).__qualname__}"


def _need_skops() -> None:
    for package in ("sklearn", "skops"):
        if importlib.util.find_spec(package) is None:
            raise Error(
                "models of scikit-learn need an extra that is not installed",
                hint="pip install 'assay[sklearn]'",
            )

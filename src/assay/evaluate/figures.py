"""What a report draws: confusion, calibration, errors over time. Arrays in, small structs out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from assay.base.clock import iso
from assay.evaluate.blocks import cut
from assay.evaluate.classification import right
from assay.evaluate.regression import absolute
from assay.evaluate.rows import Rows, View

if TYPE_CHECKING:
    from assay.evaluate.rows import Floats

N_BINS = 10
MAX_POINTS = 400
MAX_CLASSES = 20


class Bin(msgspec.Struct, frozen=True, kw_only=True):
    """One bin of a calibration curve."""

    model: str
    predicted: float  # mean probability of the positive class
    observed: float  # share of rows that are positive
    n_rows: int


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """How far a model was off in one stretch of time."""

    model: str
    start: str  # ISO 8601, UTC
    error: float


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """How often a model predicts one class for another."""

    model: str
    target: str
    prediction: str
    n_rows: int


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to draw; empty where the task has no such picture."""

    confusion: tuple[Cell, ...] = ()
    calibration: tuple[Bin, ...] = ()
    over_time: tuple[Moment, ...] = ()
    error_name: str = "mean absolute error"


def figures(rows: Rows, models: Sequence[str], *, block_seconds: float | None = None) -> Figures:
    """Return what can be drawn of some models, the base first."""
    views = [(name, rows.view(name)) for name in models]
    is_classes = rows.task != "regression"
    drawn = is_classes and len(rows.classes) <= MAX_CLASSES
    timed = block_seconds is not None and rows.time is not None and rows.n_rows > 0
    return Figures(
        confusion=tuple(c for name, view in views for c in confusion(name, view)) if drawn else (),
        calibration=tuple(
            found
            for name, view in views
            if rows.task == "binary" and view.probabilities is not None
            for found in calibration(name, view.probabilities[:, 1], view.target)
        ),
        over_time=tuple(
            found
            for name, view in views
            if timed
            for found in over_time(name, view, seconds=block_seconds or 0)
        ),
        error_name="share of wrong rows" if is_classes else "mean absolute error",
    )


def confusion(name: str, view: View) -> list[Cell]:
    """Return the counts of each pair of target and prediction."""
    import numpy as np

    k = len(view.classes)
    counts = np.bincount(view.target * k + view.prediction, minlength=k * k).reshape(k, k)
    return [
        Cell(model=name, target=str(true), prediction=str(given), n_rows=int(counts[i, j]))
        for i, true in enumerate(view.classes)
        for j, given in enumerate(view.classes)
    ]


def calibration(name: str, probabilities: Floats, positive: Floats) -> list[Bin]:
    """Return the bins of equal width that have rows; an edge belongs to the bin below it.

    References
    ----------
    The bins are those of scikit-learn's `calibration_curve(strategy="uniform")`.
    """
    import numpy as np

    edges = np.linspace(0, 1, N_BINS + 1)
    ids = np.searchsorted(edges[1:-1], probabilities)
    counts = np.bincount(ids, minlength=N_BINS)
    predicted = np.bincount(ids, weights=probabilities, minlength=N_BINS)
    observed = np.bincount(ids, weights=positive, minlength=N_BINS)
    return [
        Bin(
            model=name,
            predicted=float(predicted[i] / counts[i]),
            observed=float(observed[i] / counts[i]),
            n_rows=int(counts[i]),
        )
        for i in np.flatnonzero(counts)
    ]


def over_time(name: str, view: View, *, seconds: float) -> list[Moment]:
    """Return the mean error of each block of time; long stretches in longer blocks."""
    import numpy as np

    if view.time is None:
        return []
    errors = absolute(view) if view.task == "regression" else 1 - right(view)
    blocks = cut(view.time, seconds)
    while blocks.n_blocks > MAX_POINTS:
        blocks = blocks.doubled()
    ids, n_blocks = blocks.dense()
    means = np.bincount(ids, weights=errors) / np.bincount(ids)
    starts = np.full(n_blocks, np.iinfo(np.int64).max)
    np.minimum.at(starts, ids, view.time)
    return [
        Moment(model=name, start=iso(int(start) // 1000), error=float(mean))
        for start, mean in zip(starts, means, strict=True)
    ]

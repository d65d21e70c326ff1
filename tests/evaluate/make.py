"""Rows for tests: the fixtures of the specification, and rows with random answers."""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.evaluate.rows import Rows, make

B_TRUE = [0] * 6 + [1] * 6
B_FIRST = np.array([0.1, 0.2, 0.2, 0.4, 0.5, 0.7, 0.2, 0.5, 0.6, 0.8, 0.9, 0.9])
B_SECOND = np.array([0.1, 0.3, 0.2, 0.6, 0.5, 0.8, 0.4, 0.5, 0.3, 0.7, 0.9, 0.6])
M_TRUE = [0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2]
M_PREDICTED = [0, 0, 1, 2, 1, 1, 0, 2, 2, 2, 1, 2]
M_GIVEN = np.array([
    [0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.3, 0.5, 0.2], [0.2, 0.2, 0.6],
    [0.1, 0.8, 0.1], [0.2, 0.6, 0.2], [0.5, 0.4, 0.1], [0.1, 0.1, 0.8],
    [0.1, 0.2, 0.7], [0.2, 0.2, 0.6], [0.2, 0.5, 0.3], [0.1, 0.3, 0.6],
])  # fmt: skip
R_TRUE = [3, -0.5, 2, 7, 0, 4.5]
R_PREDICTED = [2.5, 0.0, 2, 8, 0.4, 4]


def regression(target: Any, *, time: Any = None, **models: Any) -> Rows:
    rows = make(target, task="regression", time=time)
    for name, values in models.items():
        rows = rows.with_model(name, values)
    return rows


def binary(target: Any, *, time: Any = None, **scores: Any) -> Rows:
    """Rows of two classes; a score of 0.5 and above is predicted positive."""
    rows = make(target, task="binary", classes=[0, 1], time=time)
    for name, given in scores.items():
        values = np.asarray(given, dtype=float)
        rows = rows.with_model(name, (values >= 0.5).astype(int), probabilities=values)
    return rows


def multiclass(target: Any, predicted: Any, given: Any = None, *, n_classes: int = 3) -> Rows:
    rows = make(target, task="multiclass", classes=list(range(n_classes)))
    return rows.with_model("candidate", predicted, probabilities=given)


def right_or_wrong(both: int, only_candidate: int, only_base: int, neither: int) -> Rows:
    """Rows of two classes by who has them right."""
    base = [1] * both + [0] * only_candidate + [1] * only_base + [0] * neither
    candidate = [1] * both + [1] * only_candidate + [0] * only_base + [0] * neither
    target = [1] * len(base)
    rows = make(target, task="binary", classes=[0, 1])
    return rows.with_model("base", base).with_model("candidate", candidate)


def hours(n: int, *, start: str = "2012-01-01") -> Any:
    return np.datetime64(start) + np.arange(n) * np.timedelta64(1, "h")

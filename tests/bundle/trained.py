"""Small models of each kind, trained on a small table: hours with a number of rentals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from assay.bundle import index
from assay.bundle.load import Bundle
from assay.bundle.make import make

N_ROWS = 120


def table() -> dict[str, Any]:
    """Return the features of some hours; `wind` is missing in some."""
    random = np.random.default_rng(7)
    wind = random.normal(10, 3, N_ROWS)
    wind[::9] = np.nan
    return {
        "hour": np.arange(N_ROWS) % 24,
        "weather": random.integers(0, 4, N_ROWS),
        "wind": wind,
        "holiday": random.random(N_ROWS) < 0.1,
    }


def times() -> Any:
    """Return the times of these hours, on five days."""
    return np.datetime64("2012-01-01T00:00") + np.arange(N_ROWS).astype("timedelta64[h]")


def matrix(columns: dict[str, Any]) -> Any:
    """Return the features as scikit-learn takes them."""
    return np.column_stack(list(columns.values()))


def target(columns: dict[str, Any]) -> Any:
    """Return what is to be predicted."""
    return 20.0 * np.sin(columns["hour"] / 4) + 3.0 * columns["weather"]


def boosting(**options: Any) -> Any:
    """Return a fitted histogram gradient boosting with a categorical column."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    given = {"max_iter": 5, "categorical_features": [1], "random_state": 0} | options
    return HistGradientBoostingRegressor(**given).fit(matrix(table()), target(table()))


def forest(**options: Any) -> Any:
    """Return a fitted forest that tells busy hours."""
    from sklearn.ensemble import RandomForestClassifier

    columns = table()
    busy = np.where(target(columns) > 5, "busy", "calm")
    given = {"n_estimators": 4, "random_state": 0} | options
    return RandomForestClassifier(**given).fit(matrix(columns), busy)


def staged(n_classes: int = 3) -> Any:
    """Return a fitted gradient boosting of several classes, on rows without gaps."""
    from sklearn.ensemble import GradientBoostingClassifier

    columns = whole()
    edges = np.quantile(target(columns), np.arange(1, n_classes) / n_classes)
    classes = np.digitize(target(columns), edges)
    return GradientBoostingClassifier(n_estimators=3, random_state=0).fit(matrix(columns), classes)


def whole() -> dict[str, Any]:
    """Return the features without missing values."""
    return table() | {"wind": np.nan_to_num(table()["wind"], nan=5.0)}


def bundle(to: Path, **options: Any) -> Bundle:
    """Write the bundle of the boosting to a folder."""
    given: dict[str, Any] = {"X": table(), "y": target(table()), "time": times(), "to": to}
    return make(boosting(), **(given | options))


def rewrite(folder: Path, **files: bytes) -> None:
    """Change files of a bundle, and its index with them: a forger knows how to hash."""
    path = folder / index.INDEX
    document = json.loads(path.read_bytes())
    for name, content in files.items():
        full = next(known for known in document["files"] if known.startswith(name))
        (folder / full).write_bytes(content)
        file = index.file_of(content)
        document["files"][full] = {"sha256": file.sha256, "size": file.size}
    write_index(folder, document)


def write_index(folder: Path, document: dict[str, Any]) -> None:
    """Write an index in canonical form."""
    import msgspec

    content = msgspec.json.encode(document, order="sorted") + b"\n"
    (folder / index.INDEX).write_bytes(content)

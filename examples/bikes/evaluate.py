"""Score what the model predicted for the last days, beside the same hour of last week."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

import tables
from tables import TARGET


def score(actual: np.ndarray, predicted: np.ndarray, baseline: np.ndarray) -> dict[str, float]:
    """Return the metrics of a prediction, and the mean absolute error of the baseline."""
    error = predicted - actual
    return {
        "mae": round(float(np.abs(error).mean()), 4),
        "rmse": round(float(np.sqrt((error**2).mean())), 4),
        "r2": round(float(1 - (error**2).mean() / actual.var()), 4),
        "baseline_mae": round(float(np.abs(baseline - actual).mean()), 4),
        "n_rows": len(actual),
    }


def means(by: np.ndarray, **columns: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the distinct values of `by`, and the mean of each column for each of them."""
    groups, index = np.unique(by, return_inverse=True)
    counts = np.bincount(index)
    return groups, {name: np.bincount(index, column) / counts for name, column in columns.items()}


def write_csv(path: str, key: str, groups: np.ndarray, columns: Mapping[str, np.ndarray]) -> None:
    """Write a table for a plot: one row a group, figures rounded for people."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with Path(path).open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([key, *columns])
        for group, *row in zip(groups, *columns.values(), strict=True):
            writer.writerow([group, *(round(float(value), 3) for value in row)])


def main() -> None:
    test = tables.read("work/test.parquet") | tables.read("work/predicted.parquet")
    # Where last week's hour is missing the baseline has no answer: both are scored without it.
    known = ~np.isnan(test["cnt_last_week"])
    test = {name: column[known] for name, column in test.items()}

    actual, baseline = test[TARGET].astype(float), test["cnt_last_week"]
    predicted = test["predicted"]
    metrics = score(actual, predicted, baseline)
    Path("metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")

    day = test["timestamp"].astype("datetime64[D]")
    write_csv("plots/daily.csv", "day", *means(day, actual=actual, predicted=predicted))
    errors = {"mae": np.abs(predicted - actual), "baseline_mae": np.abs(baseline - actual)}
    write_csv("plots/by_hour.csv", "hour", *means(test["hr"], **errors))

    print(
        f"mean absolute error {metrics['mae']:.1f}, of last week's {metrics['baseline_mae']:.1f}"
    )


if __name__ == "__main__":
    main()

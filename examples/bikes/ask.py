"""Ask the endpoint for the rentals of each day, and tell it a day later what they were.

`features.table` makes a request's features as it made those of the training: what the model is
asked about is what it has learned from.
"""

from __future__ import annotations

import argparse
import json
import urllib.request
from typing import Any

import numpy as np

import features
from prepare import read_raw
from tables import TARGET, Table


def post(url: str, document: Any) -> Any:
    """Send JSON and return the JSON that comes back."""
    body = json.dumps(document, allow_nan=False).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)


def times(rows: Table) -> list[str]:
    """Return the hours as ISO 8601: they name a row, in a request and for its truth."""
    return [str(hour) for hour in rows["timestamp"].astype("datetime64[s]")]


def predict(url: str, rows: Table, history: Table) -> dict[str, Any]:
    """Return the reply about some hours, of which all but the rentals is known."""
    seen = features.table(rows, history)
    cells = zip(*(seen[name].tolist() for name in features.FEATURES), strict=True)
    return post(
        f"{url}/predict",
        [
            {"timestamp": time} | dict(zip(features.FEATURES, map(or_null, row), strict=True))
            for time, row in zip(times(rows), cells, strict=True)
        ],
    )


def or_null(value: float) -> float | None:
    """Return null for NaN, which JSON does not have."""
    return None if value != value else value  # noqa: PLR0124 -- NaN alone is not itself


def tell(url: str, rows: Table) -> None:
    """Send what was rented in some hours."""
    truths = zip(times(rows), rows[TARGET].tolist(), strict=True)
    post(
        f"{url}/feedback",
        [{"column": "timestamp", "key": time, "value": count} for time, count in truths],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Ask for a few days, in order.")
    parser.add_argument("url", help="where 'assay serve' answers")
    parser.add_argument("csv", nargs="+", help="file of raw rows, the oldest file first")
    parser.add_argument("--start", required=True, help="the first day, such as 2012-01-01")
    parser.add_argument("--days", type=int, default=1)
    given = parser.parse_args()
    table = read_raw(given.csv)
    day = table["timestamp"].astype("datetime64[D]")

    for today in np.datetime64(given.start) + np.arange(given.days):
        rows, history = (
            {name: column[which] for name, column in table.items()}
            for which in (day == today, day < today)
        )
        reply = predict(given.url, rows, history)
        tell(given.url, rows)  # the day is over
        error = np.abs(np.array(reply["predictions"]) - rows[TARGET]).mean()
        print(
            f"{today}: {len(rows[TARGET])} hours, off by {error:5.1f} rentals an hour, "
            f"prediction {reply['prediction_id']}"
        )


if __name__ == "__main__":
    main()

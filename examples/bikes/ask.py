"""Ask the endpoint for the rentals of each day, and tell it a day later what they were.

`features.table` makes a request's features as it made those of the training: what the model is
asked about is what it has learned from.
"""

from __future__ import annotations

import argparse
import http.client
import json
from typing import Any, Self
from urllib.parse import urlsplit

import numpy as np

import features
from prepare import read_raw
from tables import TARGET, Table


class Endpoint:
    """Where `assay serve` answers: one connection, kept open, in a `with` statement."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._connection.close()

    def predict(self, rows: Table, history: Table) -> dict[str, Any]:
        """Return the reply about some hours, of which all but the rentals is known."""
        seen = features.table(rows, history)
        cells = zip(*(seen[name].tolist() for name in features.FEATURES), strict=True)
        reply: dict[str, Any] = self._post(
            "/predict",
            [
                {"timestamp": time} | dict(zip(features.FEATURES, map(or_null, row), strict=True))
                for time, row in zip(times(rows), cells, strict=True)
            ],
        )
        return reply

    def tell(self, rows: Table) -> None:
        """Send what was rented in some hours."""
        truths = zip(times(rows), rows[TARGET].tolist(), strict=True)
        self._post(
            "/feedback",
            [{"column": "timestamp", "key": time, "value": count} for time, count in truths],
        )

    def _post(self, path: str, document: Any) -> Any:
        """Send JSON and return the JSON that comes back."""
        body = json.dumps(document, allow_nan=False)
        self._connection.request("POST", path, body, {"Content-Type": "application/json"})
        reply = self._connection.getresponse()
        said = reply.read()
        if reply.status != http.client.OK:
            raise SystemExit(f"POST {path}: {reply.status} {said.decode()}")
        return json.loads(said)


def times(rows: Table) -> list[str]:
    """Return the hours as ISO 8601: they name a row, in a request and for its truth."""
    return [str(hour) for hour in rows["timestamp"].astype("datetime64[s]")]


def or_null(value: float) -> float | None:
    """Return null for NaN, which JSON does not have."""
    return None if value != value else value  # noqa: PLR0124 -- NaN alone is not itself


def on(table: Table, day: np.datetime64) -> tuple[Table, Table]:
    """Return the rows of a day, and those of all days before it."""
    days = table["timestamp"].astype("datetime64[D]")
    rows, history = (
        {name: column[which] for name, column in table.items()}
        for which in (days == day, days < day)
    )
    return rows, history


def main() -> None:
    parser = argparse.ArgumentParser(description="Ask for a few days, in order.")
    parser.add_argument("url", help="where 'assay serve' answers")
    parser.add_argument("csv", nargs="+", help="file of raw rows, the oldest file first")
    parser.add_argument("--start", required=True, help="the first day, such as 2012-01-01")
    parser.add_argument("--days", type=int, default=1)
    given = parser.parse_args()
    table = read_raw(given.csv)

    with Endpoint(given.url) as endpoint:
        for day in np.datetime64(given.start) + np.arange(given.days):
            rows, history = on(table, day)
            reply = endpoint.predict(rows, history)
            endpoint.tell(rows)  # the day is over
            error = np.abs(np.array(reply["predictions"]) - rows[TARGET]).mean()
            print(
                f"{day}: {len(rows[TARGET])} hours, off by {error:5.1f} rentals an hour, "
                f"prediction {reply['prediction_id']}"
            )


if __name__ == "__main__":
    main()

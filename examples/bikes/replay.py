"""Live through the days that were not known yet: ask about each, and hear a day later what came.

Nothing here knows what happened in these days, nor what the endpoint does about it.
"""

from __future__ import annotations

import argparse

import numpy as np

from ask import Endpoint, on, times
from prepare import in_order, read_raw
from tables import TARGET, Table

DAY = np.timedelta64(1, "D")
MONDAY = 1


class Replay:
    """The rows of a file from a day on, sent to an endpoint week by week.

    Attributes
    ----------
    n_days : int
        How many days are left.
    errors : array
        How far the answers of the last week were off, row by row, in rentals.
    last_prediction : str
        The id of the last request that was answered.
    """

    def __init__(self, url: str, path: str, start: str, *, shuffled: int | None = None) -> None:
        """Read the file; `shuffled` is the seed of a `cnt` that changes places from `start` on."""
        self.url = url
        self.table = in_order(read_raw([path]))
        self.day = np.datetime64(start, "D")
        if shuffled is not None:
            self.table = shuffle(self.table, self.day, seed=shuffled)
        self.end = self.table["timestamp"][-1].astype("datetime64[D]") + DAY
        self.errors = np.empty(0)
        self.last_prediction = ""
        self._untold: Table | None = None

    @property
    def n_days(self) -> int:
        return int((self.end - self.day) / DAY)

    def week(self) -> str:
        """Send the days to the next Monday, with which the week before is over; return its end.

        That is the last event time, in UTC. Each morning begins with what the day before brought.
        """
        off, last = [], ""
        with Endpoint(self.url) as endpoint:
            while self.n_days:
                rows, history = on(self.table, self.day)
                self._tell(endpoint)
                if rows[TARGET].size:
                    reply = endpoint.predict(rows, history)
                    off.append(np.abs(np.array(reply["predictions"]) - rows[TARGET]))
                    self.last_prediction, last = reply["prediction_id"], f"{times(rows)[-1]}Z"
                    self._untold = rows
                self.day += DAY
                if (self.day - DAY).item().isoweekday() == MONDAY:
                    break
            if not self.n_days:
                self._tell(endpoint)
        self.errors = np.concatenate(off)
        return last

    def _tell(self, endpoint: Endpoint) -> None:
        """Tell what the last day brought, if that was not told yet."""
        if self._untold is not None:
            endpoint.tell(self._untold)
            self._untold = None


def shuffle(table: Table, start: np.datetime64, *, seed: int) -> Table:
    """Return the table with the rentals of whole days from `start` on in another order.

    An hour gets what was rented at this hour of another day; where that day lacks it, what was
    rented in the hour before.
    """
    days, hours = table["timestamp"].astype("datetime64[D]"), table["hr"]
    mixed = np.unique(days[days >= start])
    sources = dict(zip(mixed, np.random.default_rng(seed).permutation(mixed), strict=True))
    counts = table[TARGET].copy()
    for day, source in sources.items():
        here, there = days == day, days == source
        place = np.searchsorted(hours[there], hours[here], side="right") - 1
        counts[here] = table[TARGET][there][np.maximum(place, 0)]
    return table | {TARGET: counts}


def main() -> None:
    parser = argparse.ArgumentParser(description="Live through days that are known by now.")
    parser.add_argument("url", help="where 'assay serve' answers")
    parser.add_argument("csv", help="file of raw rows, with four weeks before the start")
    parser.add_argument("--start", required=True, help="the first day, such as 2012-01-01")
    parser.add_argument("--weeks", type=int, default=1)
    given = parser.parse_args()
    replay = Replay(given.url, given.csv, given.start)
    for _ in range(given.weeks):
        if replay.n_days:
            print(f"week to {replay.week()}: off by {replay.errors.mean():5.1f} rentals an hour")


if __name__ == "__main__":
    main()

"""What the model sees of an hour, a week before that hour: calendar, weather, and past rentals.

`lags` is the one place where past rentals become features, for training and for requests, so
that a model is served what it was trained on.
"""

from __future__ import annotations

import numpy as np

import tables
from tables import CALENDAR, TARGET, WEATHER, Table

LAGS = ("cnt_last_week", "cnt_four_weeks")
FEATURES = (*CALENDAR, *WEATHER, *LAGS)
LOOK_BACK = np.array([168, 336, 504, 672], dtype="timedelta64[h]")  # one to four weeks


def lags(history: Table, at: np.ndarray) -> Table:
    """Return what was rented at the same hour of the weeks before.

    Hours are found by their time, not by their place in the table, so gaps do no harm. Nothing
    younger than 168 hours before a row is ever looked at.

    Parameters
    ----------
    history : Table
        Columns `timestamp` and `cnt`, one row an hour, in any order.
    at : array of datetime64, or one datetime64
        The hours to describe.

    Returns
    -------
    Table
        `cnt_last_week`: the rentals 168 hours before; NaN where the history lacks that hour.
        `cnt_four_weeks`: the mean of those 168, 336, 504 and 672 hours before that the history
        has; NaN where it has none.
    """
    hours = history["timestamp"].astype("datetime64[h]")
    order = np.argsort(hours)
    hours = np.append(hours[order], np.datetime64("NaT"))  # equals no hour: "not found"
    counts = np.append(history[TARGET][order].astype(float), np.nan)

    wanted = np.atleast_1d(at).astype("datetime64[h]")[:, np.newaxis] - LOOK_BACK
    place = np.searchsorted(hours, wanted)
    seen = np.where(hours[place] == wanted, counts[place], np.nan)
    n_seen = np.count_nonzero(~np.isnan(seen), axis=1)
    mean = np.nansum(seen, axis=1) / np.where(n_seen, n_seen, np.nan)
    return {"cnt_last_week": seen[:, 0], "cnt_four_weeks": mean}


def table(rows: Table, history: Table) -> Table:
    """Return `FEATURES` of the rows: their own calendar and weather, and lags of the history."""
    known = {name: rows[name] for name in (*CALENDAR, *WEATHER)}
    return known | lags(history, rows["timestamp"])


def matrix(features: Table) -> np.ndarray:
    """Return the features as scikit-learn's `X`, of shape (n_rows, n_features)."""
    return np.column_stack([features[name] for name in FEATURES]).astype(float)


def main() -> None:
    prepared = tables.read("work/prepared.parquet")
    features = table(prepared, history=prepared)
    about = {name: prepared[name] for name in ("timestamp", TARGET)}
    tables.write(about | features, "work/features.parquet")
    print(f"{len(FEATURES)} features of {len(prepared['timestamp'])} rows")


if __name__ == "__main__":
    main()

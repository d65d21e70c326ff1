"""A table is a dict of equally long NumPy columns, one row an hour; on disk, a Parquet file."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np

Table = dict[str, np.ndarray]

CALENDAR = ("season", "mnth", "hr", "holiday", "weekday", "workingday")
WEATHER = ("weathersit", "temp", "atemp", "hum", "windspeed")
TARGET = "cnt"


def read(path: str) -> Table:
    """Return the columns of a Parquet file; what is missing is NaN, as it was when written."""
    columns: Table = duckdb.read_parquet(path).fetchnumpy()
    return {
        # DuckDB keeps NaN as NULL, and masks it: the number under the mask is a zero.
        name: np.ma.filled(column.astype(float), np.nan) if np.ma.is_masked(column) else column
        for name, column in columns.items()
    }


def write(columns: Table, path: str) -> None:
    """Write the columns to a Parquet file; the same columns always give the same bytes."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as database:
        database.register("columns", columns)
        database.view("columns").write_parquet(path)


def split(table: Table, test_days: int) -> tuple[Table, Table]:
    """Return the rows before the last `test_days` whole days, and those of these days.

    The split is by time: a random one would let the model see the hours around each test row.
    """
    day = table["timestamp"].astype("datetime64[D]")
    is_test = day > day.max() - np.timedelta64(test_days, "D")
    return (
        {name: column[~is_test] for name, column in table.items()},
        {name: column[is_test] for name, column in table.items()},
    )

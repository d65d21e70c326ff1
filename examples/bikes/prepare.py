"""Read the raw hourly rows, check them, and keep what a model may know.

What is not named in `COLUMNS` is dropped. `casual` and `registered` add up to the target, so
they would give it away; `instant` and `yr` only count upwards.
"""

from __future__ import annotations

import argparse

import duckdb
import numpy as np

import tables
from tables import CALENDAR, TARGET, WEATHER, Table

COLUMNS = ("timestamp", *CALENDAR, *WEATHER, TARGET)


def read_raw(paths: list[str]) -> Table:
    """Return `COLUMNS` of the CSV files, with day and hour joined to one timestamp."""
    raw = duckdb.read_csv(paths)
    columns: Table = raw.project(
        ", ".join(("dteday + to_hours(hr) AS timestamp", *COLUMNS[1:]))
    ).fetchnumpy()
    return columns


def check(table: Table) -> None:
    """Stop unless every cell is filled and each row is younger than the row before it."""
    for name, column in table.items():
        empty = np.flatnonzero(np.ma.getmaskarray(column))
        if empty.size:
            raise SystemExit(f"row {empty[0] + 1}: '{name}' is empty; expected a value")
    timestamp = table["timestamp"]
    late = np.flatnonzero(np.diff(timestamp) <= np.timedelta64(0, "h"))
    if late.size:
        row = int(late[0]) + 2
        raise SystemExit(
            f"row {row}: {timestamp[row - 1]} does not come after {timestamp[row - 2]}; "
            "expected one row for an hour, oldest first"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="Prepare raw rows.")
    parser.add_argument("csv", nargs="+", help="file of raw rows, the oldest file first")
    table = read_raw(parser.parse_args().csv)
    check(table)
    tables.write(table, "work/prepared.parquet")
    first, last = table["timestamp"][[0, -1]].astype("datetime64[h]")
    print(f"{len(table['timestamp'])} rows, {first} to {last}")


if __name__ == "__main__":
    main()

"""Read the raw hourly rows, check them, put them in order, and keep what a model may know.

What is not named in `COLUMNS` is dropped. `casual` and `registered` add up to the target, so
they would give it away; `instant` and `yr` only count upwards. Rows that came as requests to the
endpoint have none of these four.
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


def in_order(table: Table) -> Table:
    """Return the rows by their hour, however late they came.

    Every cell has to be filled, and an hour to be there once.
    """
    for name, column in table.items():
        empty = np.flatnonzero(np.ma.getmaskarray(column))
        if empty.size:
            raise SystemExit(f"row {empty[0] + 1}: '{name}' is empty; expected a value")
    order = np.argsort(table["timestamp"], kind="stable")
    hours = table["timestamp"][order]
    again = np.flatnonzero(hours[1:] == hours[:-1]) + 1
    if again.size:
        row, before = order[again[0]] + 1, order[again[0] - 1] + 1
        raise SystemExit(f"row {row}: {hours[again[0]]} is in row {before}, too; expected one row")
    return {name: column[order] for name, column in table.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Prepare raw rows.")
    parser.add_argument("csv", nargs="+", help="file of raw rows")
    table = in_order(read_raw(parser.parse_args().csv))
    tables.write(table, "work/prepared.parquet")
    first, last = table["timestamp"][[0, -1]].astype("datetime64[h]")
    print(f"{len(table['timestamp'])} rows, {first} to {last}")


if __name__ == "__main__":
    main()

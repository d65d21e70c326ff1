"""Rows that are put after those of a table which a run has already, as MLflow puts them.

Columns are known by their names: those of the table come first, then those that are new. A cell
that one side has no column for is missing.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from assay.base.errors import Error, with_article


def as_csv(columns: Mapping[str, list[Any]], before: bytes | None, path: str) -> bytes:
    """Return rows as CSV, after those of a CSV file; its cells are kept as they are written."""
    old = b"" if before is None else before
    names, done = list(columns), b""
    if old:
        known = _header(old, path)
        names = [*known, *(name for name in columns if name not in known)]
        done = old if old.endswith(b"\n") else old + b"\n"
        if len(names) > len(known):
            done = _written(
                names,
                _padded([row for row in _cells(old, path)[1:] if row], len(names), path),
                with_names=True,
            )
    rows = _in_order(columns, names, missing="")
    return done + _written(names, rows, with_names=not old)


def as_rows(
    columns: Mapping[str, list[Any]], before: bytes | None, path: str
) -> tuple[list[str], list[list[Any]]]:
    """Return the names of the columns, and all rows: those of a JSON file first."""
    if before is None:
        return list(columns), _in_order(columns, list(columns), missing=None)
    try:
        held = json.loads(before)
        known = [str(name) for name in held["columns"]]
        old = [list(row) for row in held["data"]]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise _no_table(path, error) from error
    if len(set(known)) < len(known):
        raise _no_table(path)
    names = [*known, *(name for name in columns if name not in known)]
    new = _in_order(columns, names, missing=None)
    return names, [*_padded(old, len(names), path, exactly=len(known), missing=None), *new]


def frame(before: bytes, data: Any, path: str) -> Any:
    """Return a data frame of pandas or Polars with the rows of a Parquet file before its own."""
    pandas, polars = sys.modules.get("pandas"), sys.modules.get("polars")
    try:
        if pandas is not None and isinstance(data, pandas.DataFrame):
            old = pandas.read_parquet(io.BytesIO(before))
            return pandas.concat([old, data], ignore_index=True)
        if polars is not None and isinstance(data, polars.DataFrame):
            old = polars.read_parquet(io.BytesIO(before))
            return polars.concat([old, data], how="diagonal_relaxed")
    except Exception as error:
        raise Error(
            f"the rows cannot be put after those of the table that the run has: {error}",
            where=path,
            hint="log them to another path",
        ) from error
    raise Error(
        f"{with_article(type(data).__name__)} cannot be put after the rows of the table that the "
        "run has; expected is a data frame of pandas or Polars",
        where=path,
        hint="log it to another path",
    )


def _in_order(
    columns: Mapping[str, list[Any]], names: Sequence[str], *, missing: Any
) -> list[list[Any]]:  # fmt: skip
    n_rows = max((len(column) for column in columns.values()), default=0)
    none = [missing] * n_rows
    return [list(row) for row in zip(*(columns.get(name, none) for name in names), strict=True)]


def _written(names: Sequence[str], rows: Sequence[Sequence[Any]], *, with_names: bool) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    if with_names:
        writer.writerow(names)
    writer.writerows(rows)
    return text.getvalue().encode()


def _header(content: bytes, path: str) -> list[str]:
    found = _cells(content, path, most=1)
    if not found or len(set(found[0])) < len(found[0]):
        raise _no_table(path)
    return found[0]


def _cells(content: bytes, path: str, *, most: int | None = None) -> list[list[str]]:
    try:
        reader = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
        return list(itertools.islice(reader, most))
    except (ValueError, csv.Error) as error:
        raise _no_table(path, error) from error


def _padded(
    rows: Sequence[list[Any]],
    width: int,
    path: str,
    *,
    exactly: int | None = None,
    missing: Any = "",
) -> list[list[Any]]:
    if any(len(row) > width or (exactly is not None and len(row) != exactly) for row in rows):
        raise _no_table(path)
    return [row + [missing] * (width - len(row)) for row in rows]


def _no_table(path: str, problem: Exception | None = None) -> Error:
    said = "" if problem is None else f" ({problem})"
    return Error(
        f"the file that the run has there is no table that rows can be put after{said}",
        where=path,
        hint="log the table to another path",
    )

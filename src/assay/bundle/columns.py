"""Rows and columns from whoever has them, as named columns; nothing is converted here.

A table is a mapping of names to columns, a list of mappings (one a row), a structured NumPy
array, or a data frame (whatever has `columns` and gives one of them by its name).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from assay.base.errors import Error, with_article

FORMS = (
    "give a mapping of names to columns, a list of rows as mappings, a structured NumPy array, or "
    "a data frame"
)


class InvalidRows(Error):
    """The rows are not what the model was trained on: a column is missing or of another type."""


def of(table: Any) -> dict[str, Any]:
    """Return the columns of a table by name: arrays or lists, all of one length.

    Raises
    ------
    InvalidRows
        If it is no table, a column is of another length, or a row lacks a value that others have.
    """
    found = _of(table)
    for name in found:
        if type(name) is not str or not name:
            raise InvalidRows(f"the name of a column is {name!r}; expected is text")
    lengths = {name: len(column) for name, column in found.items()}
    for name, length in lengths.items():
        first, expected = next(iter(lengths.items()))
        if length != expected:
            raise InvalidRows(
                f"the column has {length} values, the column '{first}' has {expected}",
                where=f"column '{name}'",
            )
    return found


def n_rows(columns: Mapping[str, Any]) -> int:
    """Return the number of rows; 0 where there is no column."""
    return next((len(column) for column in columns.values()), 0)


def _of(table: Any) -> dict[Any, Any]:
    if isinstance(table, Mapping):
        return {name: _column(name, column) for name, column in table.items()}
    if hasattr(table, "dtype") and hasattr(table, "shape"):
        return _of_array(table)
    if hasattr(table, "columns") and hasattr(table, "__getitem__"):
        return {name: _column(name, table[name]) for name in table.columns}
    if isinstance(table, Sequence) and not isinstance(table, str | bytes):
        return _of_rows(table)
    raise InvalidRows(f"{with_article(type(table).__name__)} is no table", hint=FORMS)


def _of_array(array: Any) -> dict[str, Any]:
    names = array.dtype.names
    if names is None:
        raise InvalidRows("the array has no names of columns", hint=FORMS)
    if array.ndim != 1:
        raise InvalidRows(f"the array has {array.ndim} dimensions, expected 1", hint=FORMS)
    return {name: array[name] for name in names}


def _of_rows(rows: Sequence[Any]) -> dict[str, Any]:
    for at, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise InvalidRows(
                f"it is {with_article(type(row).__name__)}, expected values by the name of "
                "their column",
                where=f"row {at + 1}",
                hint=FORMS,
            )
    names = list(rows[0]) if rows else []
    for at, row in enumerate(rows):
        if row.keys() != rows[0].keys():
            name = min(row.keys() ^ rows[0].keys(), key=str)
            raise InvalidRows(
                f"the column '{name}' is in some rows only",
                where=f"row {at + 1}",
                hint="give the same columns in every row; what is missing is null",
            )
    return {name: [row[name] for row in rows] for name in names}


def _column(name: Any, column: Any) -> Any:
    where = f"column '{name}'"
    if isinstance(column, list | tuple):
        return column
    if hasattr(column, "to_numpy"):  # of a data frame
        column = column.to_numpy()
    if not hasattr(column, "dtype") or not hasattr(column, "ndim"):
        raise InvalidRows(
            f"{with_article(type(column).__name__)} is no column; expected is an array or a list",
            where=where,
        )
    if column.ndim != 1:
        raise InvalidRows(
            f"the column has {column.ndim} dimensions, expected 1",
            where=where,
            hint="give each of its parts a name and a column of its own",
        )
    return column

"""Metrics, parameters and their changes as rows: raw for CSV, and as text for people.

Numbers are rounded as DVC rounds them, to digits after the point; but none becomes 0 by that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from assay.project.params import flatten
from assay.render.tables import ABSENT
from assay.workflows.results import Changed, Values
from assay.workflows.views import View

DIGITS = 5

Rows = tuple[list[str], list[list[Any]]]


def metrics_table(shown: Iterable[tuple[str, View, Sequence[Values]]], *, revised: bool) -> Rows:
    """Return a header and a row a file, its metrics sorted by name; None where one is absent.

    Parameters
    ----------
    shown : iterable of tuple
        The name of a revision, its view, and its metrics.
    revised : bool
        Whether the name of the revision is a column.
    """
    found = [
        (name, view.project.shown(one.path, cwd=view.cwd), _flat(one))
        for name, view, values in shown
        for one in values
        if one.error is None
    ]
    keys = sorted({key for _, _, flat in found for key in flat})
    first = 0 if revised else 1
    header = ["Revision", "Path", *keys][first:]
    return header, [[n, path, *map(flat.get, keys)][first:] for n, path, flat in found]


def _flat(one: Values) -> dict[str, Any]:
    return flatten(one.data) if isinstance(one.data, dict) else {"": one.data}


def changes_table(
    view: View, changes: Iterable[Changed], *, header: Sequence[str], with_path: bool = True
) -> Rows:
    """Return a row for each value that changed.

    Parameters
    ----------
    header : sequence of str
        What the key, the two sides and, where it is wanted, the difference are called.
    """
    first = 0 if with_path else 1
    rows = []
    for one in changes:
        path = view.project.shown(one.path, cwd=view.cwd)
        row = [path, one.key, one.old, one.new, one.difference]
        rows.append(row[first : len(header) + 1])
    return ["Path", *header][first:], rows


def texts(
    rows: Iterable[Sequence[Any]], *, digits: int | None, signed: int | None = None
) -> list[list[str]]:
    """Return the cells of rows as text.

    Parameters
    ----------
    digits : int or None
        Digits after the point; None for numbers as they are.
    signed : int, optional
        The column in which a number has its sign, such as `+0.25`.
    """
    found = []
    for row in rows:
        cells = [rounded(cell, digits) for cell in row]
        if signed is not None and isinstance(row[signed], int | float) and row[signed] > 0:
            cells[signed] = f"+{cells[signed]}"
        found.append(cells)
    return found


def rounded(value: Any, digits: int | None = DIGITS) -> str:
    """Return a value for people; `-` for None.

    Examples
    --------
    >>> [rounded(value) for value in (0.123456789, 32.0, 1234567.8, 1.23e-7, 17, None, "x")]
    ['0.12346', '32.0', '1234567.8', '1.23e-07', '17', '-', 'x']
    """
    if value is None:
        return ABSENT
    if not isinstance(value, float) or digits is None or not math.isfinite(value):
        return str(value)
    short = round(value, digits)
    return str(short) if short or not value else f"{value:.{max(digits, 1)}g}"

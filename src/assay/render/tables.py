"""Figures and text tables for the terminal: aligned, never cut.

`assay.render.markdown` and `assay.render.page` show the same headers and rows in their own form.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence

ABSENT = "-"

_NUMBER = re.compile(
    r"[+-]?(\d[\d,]*\.?\d*|\.\d+)([eE][+-]?\d+)?( ?%| [kKMGT]?i?B)?|[+-]?(nan|inf)"
)


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return header and rows as aligned lines, without a newline at the end.

    Columns are two spaces apart; a column of numbers is right-aligned. No cell is ever cut.
    Control characters are shown as escapes, so that a value cannot steer the terminal. A row
    that is shorter than the header ends in empty cells.

    Examples
    --------
    >>> print(text_table(["Metric", "HEAD"], [["acc", "0.5"], ["loss.train", "12"]]))
    Metric      HEAD
    acc          0.5
    loss.train    12
    """
    lines = [[visible(cell) for cell in line] for line in even([header, *rows], len(header))]
    right = numeric_columns(lines[1:], n_columns=len(header))
    widths = [
        max((width(cell) for cell in column), default=0) for column in zip(*lines, strict=True)
    ]
    return "\n".join(
        "  ".join(
            _pad(cell, size, right=is_right)
            for cell, size, is_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def format_number(value: object, digits: int = 5) -> str:
    """Return a figure for people; whole numbers and text as they are, `-` for None.

    Parameters
    ----------
    value : object
        A float is rounded to `digits` significant digits; digits before the point are never
        lost to that.
    digits : int
        Significant digits, as in DVC's `--precision`.

    Examples
    --------
    >>> [format_number(value) for value in (0.123456789, 0.5, 1234567.8, 1e-7, 17379, None, True)]
    ['0.12346', '0.5', '1234568', '1e-07', '17379', '-', 'True']
    """
    if value is None:
        return ABSENT
    if isinstance(value, float):
        if math.isfinite(value) and abs(value) >= 10**digits:
            return f"{value:.0f}"
        return f"{value + 0.0:.{digits}g}"  # adding zero turns -0.0 into 0
    return str(value)


def format_change(old: object, new: object, digits: int = 5) -> str:
    """Return `new - old` with its sign, or `-` where one of them is not a number.

    Examples
    --------
    >>> format_change(0.5, 0.75), format_change(3, 1), format_change(2, 2), format_change(None, 1)
    ('+0.25', '-2', '0', '-')
    """
    if not (_is_number(old) and _is_number(new)):
        return ABSENT
    change = new - old  # type: ignore[operator]
    text = format_number(change, digits)
    return f"+{text}" if change > 0 else text


def numeric_columns(rows: Sequence[Sequence[str]], *, n_columns: int) -> tuple[bool, ...]:
    """Say of each column whether it holds numbers only; absent and empty cells do not count.

    Examples
    --------
    >>> numeric_columns([["acc", "0.5", "+3 %"], ["f1", "-", ""]], n_columns=3)
    (False, True, True)
    """
    return tuple(
        _holds_numbers([row[index] for row in rows if index < len(row)])
        for index in range(n_columns)
    )


def even(lines: Sequence[Sequence[str]], n_columns: int) -> list[list[str]]:
    """Return the lines as lists of `n_columns` cells: short ones get empty cells.

    Raises
    ------
    ValueError
        If a line has more cells than that.
    """
    for line in lines:
        if len(line) > n_columns:
            raise ValueError(f"a row has {len(line)} cells, the header has {n_columns}")
    return [[*line, *[""] * (n_columns - len(line))] for line in lines]


def width(text: str) -> int:
    """Return how many columns of a terminal the text takes.

    Examples
    --------
    >>> width("acc"), width("日本"), width("e" + chr(0x301))
    (3, 4, 1)
    """
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.combining(char) or unicodedata.category(char) in {"Cf", "Me"}
        else 2
        if unicodedata.east_asian_width(char) in "WF"
        else 1
        for char in text
    )


def _holds_numbers(cells: list[str]) -> bool:
    present = [cell for cell in cells if cell not in {"", ABSENT}]
    return bool(present) and all(_NUMBER.fullmatch(cell) for cell in present)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _pad(cell: str, size: int, *, right: bool) -> str:
    space = " " * (size - width(cell))
    return space + cell if right else cell + space


def visible(cell: str) -> str:
    """Return text whose control characters a terminal shows, and does not obey."""
    if cell.isprintable():
        return cell
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char) == "Cc" else char
        for char in cell
    )

"""The tables of `assay.render.tables` in GitHub's Markdown; what is in a cell stays text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from assay.render.tables import even, numeric_columns, width

_SPECIAL = re.compile(r"[\\|`*\[\]~]|(?<![^\W_])_|_(?![^\W_])")


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    r"""Return header and rows as a Markdown table, without a newline at the end.

    Columns of numbers are right-aligned. Cells are text: what Markdown or HTML would read as
    markup is escaped, a line break becomes a space.

    Examples
    --------
    >>> print(markdown_table(["Metric", "HEAD"], [["acc|top", "0.5"], ["n", "12"]]))
    | Metric   | HEAD |
    | -------- | ---: |
    | acc\|top |  0.5 |
    | n        |   12 |
    """
    right = numeric_columns(rows, n_columns=len(header))
    lines = [[escape(cell) for cell in line] for line in even([header, *rows], len(header))]
    widths = [max(3, *(width(cell) for cell in column)) for column in zip(*lines, strict=True)]
    rules = [
        "-" * (size - 1) + (":" if is_right else "-")
        for size, is_right in zip(widths, right, strict=True)
    ]
    shown = [_line(line, widths, right) for line in lines]
    return "\n".join([shown[0], _line(rules, widths, right), *shown[1:]])


def escape(text: str) -> str:
    r"""Return text so that Markdown shows it as it is, also inside of a table.

    Examples
    --------
    >>> print(escape("f1_score of __init__ <b> a|b"))
    f1_score of \_\_init\_\_ &lt;b> a\|b
    """
    flat = " ".join(text.splitlines())
    return _SPECIAL.sub(r"\\\g<0>", flat.replace("&", "&amp;").replace("<", "&lt;"))


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = (
        " " * (size - width(cell)) + cell if is_right else cell + " " * (size - width(cell))
        for cell, size, is_right in zip(cells, widths, right, strict=True)
    )
    return f"| {' | '.join(padded)} |"

"""A profile as a table for a terminal: one line a column, texts only."""

from __future__ import annotations

from assay.data.columns import Column
from assay.data.profile import Profile

HEADER = ("column", "type", "present", "distinct", "mean / top", "std", "min", "median", "max")
WIDEST = 24  # characters of a value


def summary(profile: Profile) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a table that says what is in a profile."""
    return list(HEADER), [_row(column) for column in profile.columns]


def _row(column: Column) -> list[str]:
    share = f"{100 * column.n_present / column.n_rows:.4g}%" if column.n_rows else ""
    if column.n_missing and share == "100%":
        share = "<100%"
    if column.n_invalid:
        share += f" ({column.n_invalid} invalid)"
    distinct = ""
    if column.distinct is not None:
        distinct = f"{'' if column.distinct.exact else '~'}{column.distinct.count}"
    return [_cut(column.name), column.type, share, distinct, *_statistics(column)]


def _statistics(column: Column) -> list[str]:
    """Return mean or top, std, min, median and max."""
    if (numbers := column.numbers) is not None:
        middle = numbers.quantiles.get("0.5")
        values = (numbers.mean, numbers.std, numbers.min, middle, numbers.max)
        return [_number(value) for value in values]
    if (times := column.times) is not None:
        return ["", "", times.min or "", "", times.max or ""]
    if (booleans := column.booleans) is not None:
        n = booleans.n_true + booleans.n_false
        return [f"true {100 * booleans.n_true / n:.3g}%" if n else "", "", "", "", ""]
    if (texts := column.texts) is not None and texts.top:
        top = texts.top[0]
        return [f"{_cut(top.value)} ({100 * top.count / texts.n:.3g}%)", "", "", "", ""]
    return [""] * 5


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.5g}"


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= WIDEST else f"{line[: WIDEST - 1]}…"

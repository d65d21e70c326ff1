"""Rows of a foreign store are checked as they are read: a bad one is a complaint, others come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

Made = TypeVar("Made")

_LIMIT = 1 << 63  # of the integers that databases keep


def attempt(make: Callable[[], Made], complaints: list[str], *, what: str) -> Made | None:
    """Return what is made of rows; None and a complaint where a field is not what it should be.

    Parameters
    ----------
    make : callable
        Makes a struct, whose fields are checked against their types; a row may hold anything.
    what : str
        What complaints name it by.

    Examples
    --------
    >>> from assay.ledger.exchange.records import ExperimentRecord
    >>> complaints = []
    >>> attempt(lambda: ExperimentRecord(name="a", created="x", updated=1), complaints, what="it")
    >>> complaints
    ['it is left out: Expected `int`, got `str` - at `$.created`']
    """
    try:
        made = make()
        checked: Made = msgspec.convert(msgspec.to_builtins(made), type(made))
    except (ValueError, TypeError, AttributeError, LookupError, OverflowError) as error:
        complaints.append(f"{what} is left out: {str(error)[:300]}")
        return None
    return checked


def point(step: Any, at: Any, value: Any) -> tuple[int, int, float]:
    """Return a point of a metric.

    Raises
    ------
    ValueError
        If it is none, or a number in it is one that no database keeps.

    Examples
    --------
    >>> point("3", 1, "0.5"), point(None, None, 1)
    ((3, 1, 0.5), (0, 0, 1.0))
    """
    try:
        found = (int(step or 0), int(at or 0), float(value))
    except (TypeError, OverflowError) as error:
        raise ValueError(str(error)) from error
    if not all(-_LIMIT <= number < _LIMIT for number in found[:2]):
        raise ValueError("a number has more than 64 bits")
    return found


def number(text: Any) -> int | None:
    """Return the number of a version, or None where that is none.

    Examples
    --------
    >>> number("12"), number(3), number("²"), number("")
    (12, 3, None, None)
    """
    digits = str(text)
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 19 else None

"""What is wrong with a table, in TFDV's names and words, and the edit that would accept it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

Severity = Literal["error", "warning"]
N_EXAMPLES = 3


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """A value that is wrong; `row` counts from 0, without the header of a CSV file."""

    value: str | None
    row: int | None = None


class Anomaly(msgspec.Struct, frozen=True, kw_only=True):
    """One way in which a table falls short of its schema.

    Attributes
    ----------
    type : str
        TFDV's name for it; ours are KEY_NOT_UNIQUE, DATASET_NOT_FRESH and TIME_TYPE_EARLY_TIME
        and TIME_TYPE_LATE_TIME, for which TFDV has none.
    column : str or None
        None where it is about the whole table.
    severity : str
        'warning' where a limit is only suggested: it was inferred, and no person reviewed it.
    n_rows : int or None
        How many rows have it; `share` is their share of all rows.
    edit : dict
        What to merge into `assay.yaml` to accept the data as they are; None removes a key.
    """

    type: str
    column: str | None
    severity: Severity = "error"
    short_description: str
    description: str
    n_rows: int | None = None
    share: float | None = None
    examples: tuple[Example, ...] = ()
    edit: dict[str, Any] = {}


def percent(count: int, total: int | None) -> str:
    """Return a share as TFDV writes it.

    Examples
    --------
    >>> percent(1, 1000), percent(29, 1000), percent(3, 3), percent(1, None)
    ('<1%', '~2%', '~100%', '?')
    """
    if not total:
        return "?"
    return "<1%" if count * 100 < total else f"~{count * 100 // total}%"


def merged(before: Any, edit: Any) -> Any:
    """Return a mapping with an edit applied: mappings merge, None removes, all else replaces.

    Examples
    --------
    >>> merged({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": None, "e": 5}})
    {'a': {'c': 2, 'e': 5}, 'd': 3}
    """
    if not isinstance(edit, dict):
        return edit
    result = dict(before) if isinstance(before, dict) else {}
    for key, value in edit.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def joined(anomalies: Iterable[Anomaly]) -> dict[str, Any]:
    """Return the edits of all anomalies as one; that of a column's type outweighs the others."""
    result: dict[str, Any] = {}
    for anomaly in sorted(anomalies, key=lambda one: one.type in _OF_TYPE):
        result = _overlaid(result, anomaly.edit)
    return result


_OF_TYPE = {"UNEXPECTED_DATA_TYPE", "INT_TYPE_NOT_INT_STRING", "FLOAT_TYPE_STRING_NOT_FLOAT"}


def _overlaid(first: Any, second: Any) -> Any:
    """Return two edits as one: unlike `merged`, a None stays."""
    if not isinstance(first, dict) or not isinstance(second, dict):
        return second
    return first | {key: _overlaid(first.get(key), value) for key, value in second.items()}

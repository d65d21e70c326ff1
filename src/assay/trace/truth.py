"""The truth of one prediction, and how far the answer was from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from assay.base.progress import counted
from assay.traffic import feedback
from assay.traffic.find import Found
from assay.traffic.ids import row_id


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """What a prediction should have been.

    Attributes
    ----------
    target : value
        The truth that counts: the latest one.
    at : int
        When it became known, in Unix milliseconds.
    source : str or None
        Who says so.
    error : float or None
        The answer less the truth, where both are numbers.
    n_corrections : int
        How often another value came.
    """

    target: Any
    at: int
    source: str | None
    error: float | None
    n_corrections: int


def find(folder: Path, found: Found) -> Truth | None:
    """Return the truth of a row that was looked up in the log; None where none has come yet.

    Of the predictions those of its millisecond are read, of the truths all.
    """
    record = found.record
    id_ = row_id(record.id, found.row or 0)
    known = feedback.find(folder, id_, endpoint=record.endpoint, at=record.at)
    if known is None:
        return None
    return Truth(
        target=known.target,
        at=known.at,
        source=known.source,
        error=_error(_answer(found), known.target),
        n_corrections=known.n_corrections,
    )


def words(found: Found, truth: Truth | None) -> str:
    """Return a truth beside its answer as people read it.

    One that the answer cannot be compared with is unreadable: text for a number, say.
    """
    if truth is None:
        return "truth: none yet"
    answer, parts = _answer(found), [f"truth: {truth.target}"]
    expected, given = _kind(answer), _kind(truth.target)
    if answer is not None and expected != given:
        parts = [f"truth: unreadable ({truth.target!r} is {given}, the answer {expected})"]
    elif truth.error is not None:
        parts.append(f"error {truth.error:+.4g}")
    elif isinstance(truth.target, str | bool) and type(answer) is type(truth.target):
        parts.append("right" if answer == truth.target else "wrong")
    if truth.n_corrections:
        parts.append(f"corrected {counted(truth.n_corrections, 'time')}")
    return ", ".join(parts)


def _answer(found: Found) -> Any:
    return found.values()[1].get("predict")


def _kind(value: Any) -> str:
    if isinstance(value, list):
        return "a list"
    return "text" if isinstance(value, str) else "a number"


def _error(answer: Any, target: Any) -> float | None:
    are_numbers = all(type(value) in {int, float} for value in (answer, target))
    return float(answer - target) if are_numbers else None

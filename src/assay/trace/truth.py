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
    query = "SELECT target, target_at, target_source, n_corrections FROM joined"
    with feedback.joined(
        folder, endpoint=record.endpoint, start=record.at, end=record.at + 1, threads=1
    ) as log:
        rows = log.rows(f"{query} WHERE prediction_id = ?", [id_])
    if not rows:
        return None
    target, at, source, n_corrections = rows[0]
    return Truth(
        target=target,
        at=at,
        source=source,
        error=_error(_answer(found), target),
        n_corrections=n_corrections,
    )


def words(found: Found, truth: Truth | None) -> str:
    """Return a truth beside its answer as people read it."""
    if truth is None:
        return "truth: none yet"
    answer, parts = _answer(found), [f"truth: {truth.target}"]
    if truth.error is not None:
        parts.append(f"error {truth.error:+.4g}")
    elif isinstance(truth.target, str | bool) and type(answer) is type(truth.target):
        parts.append("right" if answer == truth.target else "wrong")
    if truth.n_corrections:
        parts.append(f"corrected {counted(truth.n_corrections, 'time')}")
    return ", ".join(parts)


def _answer(found: Found) -> Any:
    return found.values()[1].get("predict")


def _error(answer: Any, target: Any) -> float | None:
    are_numbers = all(type(value) in {int, float} for value in (answer, target))
    return float(answer - target) if are_numbers else None

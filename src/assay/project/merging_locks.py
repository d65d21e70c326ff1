"""Merge two versions of a `dvc.lock` stage by stage: each has the entry of the side that ran it.

A text merge puts the rows of two stages together, or markers into a file that no tool reads then.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assay.base.files import write_atomic
from assay.project import edit, lock
from assay.project.grammar import Source
from assay.project.merging import Conflict

_ABSENT = object()


def merge_locks(*, ancestor: Path, our: Path, their: Path, shown: str = "dvc.lock") -> None:
    """Write the merge of three versions of a lock over `our`.

    Raises
    ------
    Conflict
        If both sides ran a stage on different things; it names them. `our` has the merge of all
        the others then, and our entry for these.
    """
    base, ours, theirs = (_load(path, shown) for path in (ancestor, our, their))
    stages, contested = merge_entries(*(side.get("stages") or {} for side in (base, ours, theirs)))
    merged = _with_datasets(base, ours, theirs) | ({"stages": stages} if stages else {})
    text = our.read_text(encoding="utf-8")
    write_atomic(our, edit.updated(text, merged, keep_order=False))
    if contested:
        names = ", ".join(f"'{name}'" for name in contested)
        raise Conflict(
            f"both sides ran {'stage' if len(contested) == 1 else 'stages'} {names}, "
            "on different things",
            where=shown,
            hint="ours stands there now: run 'assay repro' on the merged files, "
            f"then 'git add {shown}'",
        )


def _load(path: Path, shown: str) -> dict[str, Any]:
    source = Source.of(path, shown=shown)
    lock.parse(source)  # raises where it is none
    return dict(source.load() or {"schema": "2.0"})


def _with_datasets(
    base: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any]
) -> dict[str, Any]:
    """Return all but the stages: ours, unless only the other side changed it."""
    found = dict(ours)
    if ours.get("datasets") == base.get("datasets") and "datasets" in theirs:
        found["datasets"] = theirs["datasets"]
    return found


def merge_entries(
    base: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Return the entries of two locks with what each side changed, and what is contested.

    Ours keep their order; what only the other side has comes after them.

    Examples
    --------
    >>> merge_entries({"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 1, "b": 1, "c": 3})
    ({'a': 2, 'b': 1, 'c': 3}, [])
    >>> merge_entries({"a": 1}, {"a": 2}, {"a": 3})
    ({'a': 2}, ['a'])
    """
    merged: dict[str, Any] = {}
    contested = []
    for name in dict.fromkeys((*ours, *theirs)):
        before, mine, other = (side.get(name, _ABSENT) for side in (base, ours, theirs))
        chosen = other if mine == before else mine
        if mine not in (before, other) and other != before:
            contested.append(name)
            chosen = other if mine is _ABSENT else mine
        if chosen is not _ABSENT:
            merged[name] = chosen
    return merged, contested

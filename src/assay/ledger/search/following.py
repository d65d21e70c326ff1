"""Where a page begins: behind a row, by the values of the order's keys there.

What was added or taken away before that row moves no page; only a run whose values change may
come twice, or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from assay.ledger.search.ordering import Key

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

Value = str | int | None
"""What a page token has of a key: text, a whole number, a float as text; none where it lacks."""

Rank = Literal["there", "nan", "missing"]


class Place(NamedTuple):
    """A row of an order: what decides the condition to be behind it, and the values in that."""

    ranks: tuple[Rank, ...]
    values: dict[str, Any]


def columns(keys: Sequence[Key]) -> list[ColumnElement[Any]]:
    """Return what is read of a row to begin a page behind it."""
    found: list[ColumnElement[Any]] = []
    for number, key in enumerate(keys):
        found.append(key.value.label(f"key_{number}"))
        if key.is_nan is not None:
            found.append(key.is_nan.label(f"nan_{number}"))
    return found


def written(keys: Sequence[Key], row: Sequence[Any]) -> tuple[Value, ...]:
    """Return the `columns` of a row as a page token has them."""
    left = iter(row)
    found: list[Value] = []
    for key in keys:
        value = next(left)
        is_nan = key.is_nan is not None and next(left)
        if is_nan:
            value = "nan"
        found.append(repr(value) if isinstance(value, float) else value)
    return tuple(found)


def read(keys: Sequence[Key], values: Sequence[Value]) -> Place | None:
    """Return the row of a page token, or None where it cannot be one of this order."""
    if len(values) != len(keys):
        return None
    ranks: list[Rank] = []
    found: dict[str, Any] = {}
    for number, (key, value) in enumerate(zip(keys, values, strict=True)):
        rank: Rank = "there"
        if value is None:
            rank = "missing"
        elif key.is_nan is not None and value == "nan":
            rank = "nan"
        else:
            try:
                found[_name(number)] = _plain(key, value)
            except ValueError:
                return None
        if rank == "missing" and key.missing is None:
            return None
        ranks.append(rank)
    return Place(tuple(ranks), found)


def behind(keys: Sequence[Key], ranks: Sequence[Rank]) -> list[ColumnElement[bool]]:
    """Return the conditions that a row is behind one of such ranks; its values are bound later.

    Key by key it is asked whether the row is behind, or before; else the next key decides.
    """
    from sqlalchemy import bindparam, case, false, true

    answers: list[Any] = []
    for number, (key, rank) in enumerate(zip(keys, ranks, strict=True)):
        value = bindparam(_name(number), type_=key.value.type)
        later, earlier = _beside(key, rank, value)
        answers += [(later, true()), (earlier, false())]
    conditions: list[ColumnElement[bool]] = [case(*answers, else_=false())]
    if keys[0].missing is None:  # says nothing new, but leads into an index
        value = bindparam(_name(0), type_=keys[0].value.type)
        down = keys[0].is_descending
        conditions.insert(0, keys[0].value <= value if down else keys[0].value >= value)
    return conditions


def _beside(
    key: Key, rank: Rank, value: ColumnElement[Any]
) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return the conditions that a row is behind another by a key, and that it is before."""
    from sqlalchemy import false, or_

    nan = false() if key.is_nan is None else key.is_nan
    missing = false() if key.missing is None else key.missing
    if rank == "missing":
        return false(), ~missing
    if rank == "nan":
        return missing, ~nan
    less, more = key.value < value, key.value > value
    later, earlier = (less, more) if key.is_descending else (more, less)
    return or_(missing, nan, later), earlier


def _name(number: int) -> str:
    return f"behind_{number}"


def _plain(key: Key, value: str | int) -> Any:
    """Return a value of a token as its column has it."""
    from sqlalchemy import Float, String

    kind = key.value.type
    if isinstance(value, str):
        if isinstance(kind, Float):
            return float(value)
        if not isinstance(kind, String) or "\0" in value:
            raise ValueError(value)
    elif isinstance(kind, (String, Float)) or not -(2**63) <= value < 2**63:
        raise ValueError(value)
    return value

"""Types of logged values: what a column's values have in common, and what holds two columns.

A type is DuckDB's name: BOOLEAN, BIGINT, UBIGINT, DOUBLE, VARCHAR, with `[]` for each dimension
of a tensor. `NOTHING` is the type of a column that has only nulls.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import msgspec

NOTHING = "INTEGER"  # no value has it: whole numbers are BIGINT

_NUMBERS = ("BIGINT", "UBIGINT", "HUGEINT", "DOUBLE")
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1


def type_of(values: Sequence[Any]) -> str:
    """Return the type of a column's values; what has none in common is kept as text.

    Examples
    --------
    >>> type_of([1, None, 2.5]), type_of(["a"]), type_of([[1, 2], []]), type_of([1, "a"])
    ('DOUBLE', 'VARCHAR', 'BIGINT[]', 'VARCHAR')
    """
    return _common(values, exact=False) or "VARCHAR"


def exact_type(values: Sequence[Any]) -> str | None:
    """Return the type that values have in common and that keeps them as they are.

    Examples
    --------
    >>> exact_type([1, 2.5]), exact_type([1, "a"]), exact_type([-1, 2**63])
    ('DOUBLE', None, None)
    """
    return _common(values, exact=True)


def widen(one: str, other: str) -> str | None:
    """Return the type that holds values of both, None where there is none.

    Examples
    --------
    >>> widen("BIGINT", "DOUBLE"), widen("INTEGER", "VARCHAR"), widen("BIGINT", "VARCHAR")
    ('DOUBLE', 'VARCHAR', None)
    """
    if one == other:
        return one
    (base, depth), (other_base, other_depth) = _parts(one), _parts(other)
    if base == NOTHING and depth <= other_depth:
        return other
    if other_base == NOTHING and other_depth <= depth:
        return one
    if depth != other_depth or base not in _NUMBERS or other_base not in _NUMBERS:
        return None
    if {base, other_base} == {"BIGINT", "UBIGINT"}:
        wide = "HUGEINT"
    else:
        wide = max(base, other_base, key=_NUMBERS.index)
    return wide + "[]" * depth


def as_text(value: Any) -> str | None:
    """Return a value as text: text as it is, all else as JSON."""
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def refs(names: Iterable[str]) -> list[str]:
    """Return names for SQL, which does not tell case apart and ends a name at a NUL.

    Examples
    --------
    >>> refs(["input.x", "input.X"])
    ['input.x', 'input.X~2']
    """
    taken: set[str] = set()
    found = []
    for name in names:
        plain = ref = name.replace("\0", "?")
        number = 1
        while ref.lower() in taken:
            number += 1
            ref = f"{plain}~{number}"
        taken.add(ref.lower())
        found.append(ref)
    return found


def _common(values: Iterable[Any], *, exact: bool) -> str | None:
    kinds = set(map(type, values)) - {type(None)}
    if not kinds:
        return NOTHING
    if kinds == {bool}:
        return "BOOLEAN"
    if kinds == {str}:
        return "VARCHAR"
    if kinds == {int}:
        return _whole([value for value in values if value is not None], exact=exact)
    if kinds <= {int, float}:
        return "DOUBLE"
    if kinds == {list}:
        inner = _common(list(chain.from_iterable(filter(None, values))), exact=exact)
        return None if inner is None else f"{inner}[]"
    return None


def _whole(values: Sequence[int], *, exact: bool) -> str | None:
    lowest, highest = min(values), max(values)
    if lowest >= _LOWEST and highest <= _HIGHEST:
        return "BIGINT"
    if lowest >= 0:
        return "UBIGINT"
    return None if exact else "DOUBLE"


def _parts(type_: str) -> tuple[str, int]:
    return type_.rstrip("[]"), type_.count("[]")

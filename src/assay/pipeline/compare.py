"""Is what was made again the same? To the bit, or its numbers within a tolerance."""

from __future__ import annotations

import bisect
import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Literal

import msgspec

from assay.base.errors import Error
from assay.project import params

Sameness = Literal["identical", "close", "differs"]

Point = tuple[int, float]
"""A step, and what was measured at it."""

_Pair = tuple[Sameness, float | None, float | None]

_READABLE = {".json", ".yaml", ".yml", ".toml"}
_TABLES = {".csv": ",", ".tsv": "\t"}


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One output or metric beside its record.

    Attributes
    ----------
    recorded, found : str
        The oids of an output; of a metric the last values, or those of the first step that is
        not identical, and "-" where one side has none.
    step : int or None
        That step, where a metric has several.
    """

    name: str
    sameness: Sameness
    recorded: str
    found: str
    step: int | None = None


def numbers(a: float, b: float, *, rtol: float) -> Sameness:
    """Compare two numbers; `rtol` is relative to the larger one. Two NaN are identical.

    Examples
    --------
    >>> numbers(1.0, 1.0, rtol=0), numbers(1.0, 1.0 + 1e-9, rtol=1e-6), numbers(1, 2, rtol=0)
    ('identical', 'close', 'differs')
    """
    if a == b or (math.isnan(a) and math.isnan(b)):
        return "identical"
    return "close" if rtol > 0 and math.isclose(a, b, rel_tol=rtol) else "differs"


def metrics(
    recorded: Mapping[str, Sequence[Point]], found: Mapping[str, Sequence[Point]], *, rtol: float
) -> list[Compared]:
    """Compare the metrics of a run with those of its reproduction, by name.

    All points of a metric count, each as its step and its value. When they were measured is
    never the same; so the order of the values of one step, which hangs on that, does not count,
    nor how often one value was measured at one step.

    Examples
    --------
    >>> (loss,) = metrics({"loss": [(0, 1.0), (1, 0.5)]}, {"loss": [(0, 0.9), (1, 0.5)]}, rtol=0)
    >>> loss.sameness, loss.step, loss.recorded, loss.found
    ('differs', 0, '1.0', '0.9')
    """
    return [
        _history(name, recorded.get(name, ()), found.get(name, ()), rtol=rtol)
        for name in sorted({*recorded, *found})
    ]


def _history(name: str, then: Sequence[Point], now: Sequence[Point], *, rtol: float) -> Compared:
    """Compare two histories; what is shown is where they part, else where they end."""
    a, b = _by_step(then), _by_step(now)
    is_single = len(a) <= 1 and len(b) <= 1 and (a.keys() == b.keys() or not a or not b)
    first_close = None
    for step in sorted({*a, *b}):
        sameness, x, y = _step(a.get(step, []), b.get(step, []), rtol=rtol)
        if sameness == "identical":
            continue
        parted = Compared(
            name=name,
            sameness=sameness,
            recorded=_shown(x),
            found=_shown(y),
            step=None if is_single else step,
        )
        if sameness == "differs":
            return parted
        first_close = first_close or parted
    ends = [_shown(points[-1][1] if points else None) for points in (then, now)]
    return first_close or Compared(
        name=name, sameness="identical", recorded=ends[0], found=ends[1]
    )


def _by_step(points: Sequence[Point]) -> dict[int, list[float]]:
    """Return the values of each step, sorted, each once; NaN is the last."""
    found: dict[int, dict[str, float]] = {}
    for step, value in points:
        found.setdefault(step, {})[repr(value)] = value
    return {step: sorted(values.values(), key=_order) for step, values in found.items()}


def _step(then: Sequence[float], now: Sequence[float], *, rtol: float) -> _Pair:
    """Compare the values of one step: each needs its like on the other side."""
    forth = [(sameness, a, b) for a in then for sameness, b in [_like(a, now, rtol=rtol)]]
    back = [(sameness, a, b) for b in now for sameness, a in [_like(b, then, rtol=rtol)]]
    for wanted in ("differs", "close"):
        parted = next((pair for pair in forth if pair[0] == wanted), None)
        other = next((pair for pair in back if pair[0] == wanted), None)
        if parted is not None or other is not None:
            a = parted[1] if parted is not None else None
            b = other[2] if other is not None else None
            return wanted, a, b
    return "identical", None, None


def _like(value: float, others: Sequence[float], *, rtol: float) -> tuple[Sameness, float | None]:
    """Return the best match of a value among sorted ones: one of its two neighbours."""
    at = bisect.bisect_left(others, _order(value), key=_order)
    best: tuple[Sameness, float | None] = ("differs", None)
    for one in others[max(at - 1, 0) : at + 1]:
        sameness = numbers(value, one, rtol=rtol)
        if sameness == "identical":
            return sameness, one
        if sameness == "close":
            best = sameness, one
    return best


def _order(value: float) -> tuple[bool, float]:
    return (True, 0.0) if math.isnan(value) else (False, value)


def _shown(value: float | None) -> str:
    return "-" if value is None else repr(value)


def contents(name: str, recorded: bytes, found: bytes, *, rtol: float) -> Sameness:
    """Compare two files whose bytes differ, by the numbers in them; text must be equal."""
    try:
        a, b = _parsed(name, recorded), _parsed(name, found)
    except (Error, UnicodeDecodeError):
        return "differs"
    return _values(a, b, rtol=rtol)


def _parsed(name: str, content: bytes) -> Any:
    suffix = PurePosixPath(name).suffix
    if suffix in _READABLE:
        return params.parse(content.decode(), suffix=suffix, where=name)
    if suffix in _TABLES:
        text = io.StringIO(content.decode())
        return [
            [_number(cell) for cell in row] for row in csv.reader(text, delimiter=_TABLES[suffix])
        ]
    raise Error("there are no numbers to read in it", where=name)


def _number(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell


def _values(a: Any, b: Any, *, rtol: float) -> Sameness:
    if isinstance(a, dict) and isinstance(b, dict):
        if a.keys() != b.keys():
            return "differs"
        return _worst(_values(a[key], b[key], rtol=rtol) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        if len(a) != len(b):
            return "differs"
        return _worst(_values(x, y, rtol=rtol) for x, y in zip(a, b, strict=True))
    if isinstance(a, bool) or isinstance(b, bool):
        return "identical" if a is b else "differs"
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return numbers(a, b, rtol=rtol)
    return "identical" if a == b else "differs"


def _worst(found: Any) -> Sameness:
    seen = set(found)
    return "differs" if "differs" in seen else "close" if "close" in seen else "identical"


def worst(compared: list[Compared]) -> Sameness:
    """Return how far the farthest is."""
    return _worst(one.sameness for one in compared)

"""Is what was made again the same? To the bit, or its numbers within a tolerance."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Literal

import msgspec

from assay.base.errors import Error
from assay.project import params

Sameness = Literal["identical", "close", "differs"]

_READABLE = {".json", ".yaml", ".yml", ".toml"}
_TABLES = {".csv": ",", ".tsv": "\t"}


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One output or metric beside its record."""

    name: str
    sameness: Sameness
    recorded: str
    found: str
    note: str = ""


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
    recorded: Mapping[str, float], found: Mapping[str, float], *, rtol: float
) -> list[Compared]:
    """Compare the metrics of a run with those of its reproduction, by name."""
    compared = []
    for name in sorted({*recorded, *found}):
        a, b = recorded.get(name), found.get(name)
        sameness = "differs" if a is None or b is None else numbers(a, b, rtol=rtol)
        compared.append(
            Compared(name=name, sameness=sameness, recorded=_shown(a), found=_shown(b))
        )
    return compared


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

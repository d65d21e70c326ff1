"""What the text of one scalar means in YAML 1.2, by the rules of ruamel.yaml, DVC's reader.

Source: ruamel.yaml 0.19.1, `implicit_resolvers` of version 1.2 and `SafeConstructor`.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

STARTS = frozenset("tTfFnN~-+.0123456789<=")  # with any other start it is text

_KINDS = re.compile(
    r"""(?P<bool>true|True|TRUE|false|False|FALSE)$
    |(?P<float>[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?
        |[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+
        |[-+]?\.[0-9_]+(?:[eE][-+][0-9]+)?
        |[-+]?\.(?:inf|Inf|INF)
        |\.(?:nan|NaN|NAN))$
    |(?P<int>[-+]?0b[0-1_]+|[-+]?0o?[0-7_]+|[-+]?[0-9_]+|[-+]?0x[0-9a-fA-F_]+)$
    |(?P<merge><<)$
    |(?P<null>~|null|Null|NULL|)$
    |(?P<timestamp>[0-9]{4}-[0-9]{2}-[0-9]{2}
        |[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}
         (?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?)$
    |(?P<value>=)$""",
    re.VERBOSE,
)
_TIMESTAMP = re.compile(
    r"""([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})
    (?:(?:[Tt]|[ \t]+)([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]*))?
    (?:[ \t]*(Z|([-+])([0-9]{1,2})(?::([0-9]{2}))?))?)?$""",
    re.VERBOSE,
)
_TRUE = frozenset({"true", "yes", "y", "on"})
_FALSE = frozenset({"false", "no", "n", "off"})


def kind_of(text: str) -> str | None:
    """Return what a plain scalar of this text would be other than text, by YAML 1.2's rules.

    Returns
    -------
    str or None
        "bool", "float", "int", "merge", "null", "timestamp" or "value"; `None` for text.

    Examples
    --------
    >>> [kind_of(text) for text in ("yes", "~", "1_000", "1e5", "2026-01-31")]
    [None, 'null', 'int', 'float', 'timestamp']
    """
    if text and text[0] not in STARTS:
        return None
    match = _KINDS.match(text)
    return None if match is None else match.lastgroup


def convert(kind: str, text: str) -> Any:
    """Return the value of a scalar of this kind; of a "merge" or "value" its text.

    Raises
    ------
    ValueError, OverflowError
        If the text only looks like one: month 13, digits that are all underscores.

    Examples
    --------
    >>> convert("int", "0x1F"), convert("float", "-.inf"), convert("bool", "TRUE")
    (31, -inf, True)
    """
    match kind:
        case "int":
            return _int(text)
        case "float":
            return _float(text)
        case "bool":
            return _bool(text)
        case "timestamp":
            return _timestamp(text)
        case "null":
            return None
        case _:
            return text


def _int(text: str) -> int:
    digits = text.replace("_", "")
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("+-")
    base = {"0b": 2, "0o": 8, "0x": 16}.get(digits[:2])
    return sign * (int(digits) if base is None else int(digits[2:], base))


def _float(text: str) -> float:
    return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))


def _bool(text: str) -> bool:
    if text.lower() not in _TRUE | _FALSE:
        raise ValueError(text)
    return text.lower() in _TRUE


def _timestamp(text: str) -> dt.date:
    match = _TIMESTAMP.match(text)
    if match is None:
        raise ValueError(text)
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    fraction, zone, sign, zone_hours, zone_minutes = match.groups()[6:]
    if match.group(4) is None:
        return dt.date(year, month, day)
    tzinfo = None
    if zone is not None:
        offset = dt.timedelta(hours=int(zone_hours or 0), minutes=int(zone_minutes or 0))
        tzinfo = dt.timezone(-offset if sign == "-" else offset)
    digits = (fraction or "").ljust(7, "0")
    microseconds = int(digits[:6]) + (digits[6] > "4")
    moment = dt.datetime(year, month, day, hour, minute, second, tzinfo=tzinfo)
    return moment + dt.timedelta(microseconds=microseconds)

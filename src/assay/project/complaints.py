"""What is wrong with a file of typed sections: where, in words, with the nearest known name."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from assay.base.errors import did_you_mean
from assay.project.grammar import Source

_AT = re.compile(r" - at `(?:key in )?\$(?P<path>.*)`$")
_UNKNOWN = re.compile(r"contains unknown field `(?P<key>.*)`")
_STEP = re.compile(r"\.(?P<key>[^.\[]+)|\[(?P<index>\d+|\.\.\.)\]")


def explained(
    source: Source, data: Any, message: str, *, grammar: type[msgspec.Struct]
) -> Exception:
    """Return msgspec's complaint about a text as an error with a line and the nearest name.

    Parameters
    ----------
    grammar : type
        What `data` had to be converted to.
    """
    found = _AT.search(message)
    what = message[: found.start()] if found else message
    at = _keys(data, found["path"] if found else "", what, grammar)
    unknown = _UNKNOWN.search(what)
    if unknown:
        known = _fields(at, grammar)
        hint = did_you_mean(unknown["key"], known) or f"known are: {', '.join(known)}"
        place = ".".join(str(key) for key in at) or "the file"
        return source.fail([*at, unknown["key"]], f"'{place}' has the unknown key "
                           f"'{unknown['key']}'", hint=hint)  # fmt: skip
    place = ".".join(str(key) for key in at)
    return source.fail(at, f"'{place}': {_in_words(what)}" if place else _in_words(what))


def _in_words(what: str) -> str:
    """Return msgspec's complaint in the words of this house."""
    if "matching regex" in what:
        form = "a duration such as 7d or 12h" if "smhdw" in what else "a name without blanks"
        return f"expected {form}"
    if re.search(r"got `(date|datetime)`", what):
        return "expected text, got a date: write it in quotes"
    missing = re.search(r"missing required field `(.*)`", what)
    if missing:
        return f"the key '{missing[1]}' is missing"
    what = what.replace("`", "'").replace("'str'", "text").replace("'float'", "a number")
    return f"{what[:1].lower()}{what[1:]}"


def _keys(data: Any, path: str, what: str, grammar: type[msgspec.Struct]) -> list[str | int]:
    """Return the keys of a path of msgspec's; it writes `[...]` for any key of a mapping."""
    keys: list[str | int] = []
    current = data
    for step in _STEP.finditer(path):
        if step["key"] is not None:
            keys.append(step["key"])
        elif step["index"] != "...":
            keys.append(int(step["index"]))
        else:
            keys.append(_guilty(current, keys, what, grammar))
        current = current[keys[-1]] if _has(current, keys[-1]) else None
    return keys


def _guilty(mapping: Any, keys: list[str | int], what: str, grammar: type[msgspec.Struct]) -> str:
    """Return the first key of a mapping whose value has the fault."""
    names = (
        [name for name in mapping if isinstance(name, str)] if isinstance(mapping, dict) else []
    )
    for name in names:
        type_ = _type_at([*keys, name], grammar)
        try:
            msgspec.convert(mapping[name], type_)
        except msgspec.ValidationError as error:
            if what in str(error):
                return name
    return names[0] if names else ""


def _has(value: Any, key: str | int) -> bool:
    if isinstance(value, dict):
        return key in value
    return isinstance(value, list) and isinstance(key, int) and key < len(value)


def _type_at(keys: list[str | int], grammar: type[msgspec.Struct]) -> Any:
    """Return the type that the grammar has at a key path."""
    from typing import get_args, get_origin, get_type_hints

    current: Any = grammar
    for key in keys:
        current = _struct_or_self(current)
        if isinstance(current, type) and issubclass(current, msgspec.Struct):
            current = get_type_hints(current, include_extras=True).get(str(key), Any)
        elif get_origin(current) is dict:
            current = get_args(current)[1]
        elif get_origin(current) is list:
            current = get_args(current)[0]
        else:
            return Any
    return _struct_or_self(current)


def _struct_or_self(type_: Any) -> Any:
    """Return the struct in an optional type."""
    from typing import get_args

    for option in get_args(type_):
        if isinstance(option, type) and issubclass(option, msgspec.Struct):
            origin = getattr(type_, "__origin__", None)
            if origin not in {dict, list}:
                return option
    return type_


def _fields(at: list[str | int], grammar: type[msgspec.Struct]) -> list[str]:
    type_ = _type_at(at, grammar)
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        return list(type_.__struct_fields__)
    return []

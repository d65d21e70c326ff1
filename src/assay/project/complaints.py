"""What is wrong with a file of typed sections: where, in words, with the nearest known name."""

from __future__ import annotations

import re
from datetime import date
from typing import Any, Literal, get_args, get_origin

import msgspec

from assay.base.errors import did_you_mean
from assay.project import examples
from assay.project.grammar import Source, kind_of

_AT = re.compile(r" - at (?P<is_key>`key` in )?`\$(?P<path>.*)`$")
_EXPECTED = re.compile(r"^Expected `(?P<types>[^`]*)`, got `(?P<found>[^`]*)`$")
_LIMIT = re.compile(r"^Expected `(?P<type>int|float)` (?P<limit>[<>]=? .*)$")
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
        near = did_you_mean(unknown["key"], known) or f"known are: {', '.join(known)}"
        place = ".".join(str(key) for key in at) or "the file"
        return source.fail([*at, unknown["key"]], f"'{place}' has the unknown key "
                           f"'{unknown['key']}'", hint=near)  # fmt: skip
    place = ".".join(str(key) for key in at)
    words, hint = _in_words(what, at, data, grammar)
    if found and found["is_key"]:
        words = "a key is expected to be text: write it in quotes"
    return source.fail(at, f"'{place}': {words}" if place else words, hint=hint)


def _in_words(
    what: str, at: list[str | int], data: Any, grammar: type[msgspec.Struct]
) -> tuple[str, str | None]:
    """Return msgspec's complaint in the words of this house, and a hint."""
    value, type_ = _value_at(data, at), _type_at(at, grammar)
    if "matching regex" in what:
        return f"expected {_form(what)}, got {kind_of(value)}", None
    missing = re.search(r"missing required field `(.*)`", what)
    if missing:
        return f"the key '{missing[1]}' is missing", None
    allowed = [str(option) for option in _allowed(type_)]
    if allowed and "missing" not in what:
        listed = ", ".join(f"'{option}'" for option in allowed)
        return f"expected one of {listed}, got {kind_of(value)}", did_you_mean(str(value), allowed)
    limit = _LIMIT.match(what)
    if limit:
        return f"expected {_TYPES[limit['type']]} {limit['limit']}, got {kind_of(value)}", None
    expected = _EXPECTED.match(what)
    if expected:
        name = str(at[-1]) if at else ""
        return _of_type(expected["types"].split(" | "), name, value, type_), None
    return f"{what[:1].lower()}{what[1:]}".replace("`", "'"), None


_TYPES = {
    "array": "a list",
    "bool": "true or false",
    "float": "a number",
    "int": "a whole number",
    "object": "a mapping",
    "str": "text",
}


def _of_type(wanted: list[str], name: str, value: Any, type_: Any) -> str:
    """Return what is said of a value of another type than these."""
    types = [_TYPES.get(one, one) for one in wanted if one != "null"]
    text = f"expected {' or '.join(types)}"
    is_scalar = not isinstance(value, list | dict) and value is not None
    if types == ["a list"] and is_scalar:
        return f"{text}: write {examples.flow([value])}"
    if types == ["a mapping"]:
        example = examples.mapping(type_, name, value)
        return f"{text}, got {kind_of(value)}" if example is None else f"{text}, such as {example}"
    if types == ["text"]:
        form = _form(str(examples.pattern(type_)))
        if isinstance(value, date):
            return f"{text}, got a date: write it in quotes"
        if form.startswith("a duration"):
            return f"expected {form}, got {kind_of(value)}"
        return f"{text}, got {kind_of(value)}" + (": write it in quotes" if is_scalar else "")
    return f"{text}, got {kind_of(value)}"


def _form(pattern: str) -> str:
    return "a duration such as 7d or 12h" if "smhdw" in pattern else "a name without blanks"


def _allowed(type_: Any) -> tuple[Any, ...]:
    """Return the values of an enumeration, also of one that may be left out."""
    options = get_args(type_)
    if get_origin(type_) is Literal:
        return options
    return next((get_args(one) for one in options if get_origin(one) is Literal), ())


def _value_at(data: Any, at: list[str | int]) -> Any:
    for key in at:
        data = data[key] if _has(data, key) else None
    return data


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
    current: Any = grammar
    for key in keys:
        if isinstance(current, type) and issubclass(current, msgspec.Struct):
            current = examples.types(current).get(str(key), Any)
        elif get_origin(current) is dict:
            current = get_args(current)[1]
        elif get_origin(current) is list:
            current = get_args(current)[0]
        else:
            return Any
        current = examples.alone(current)
    return current


def _fields(at: list[str | int], grammar: type[msgspec.Struct]) -> list[str]:
    type_ = _type_at(at, grammar)
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        return list(type_.__struct_fields__)
    return []

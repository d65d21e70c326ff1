"""What a person may have meant who wrote something else where a mapping of known keys goes."""

from __future__ import annotations

import re
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

LONGEST = 80  # characters of an example
SOMETHING = "..."
_BARE = re.compile(r"[A-Za-z_.][\w. /-]*")
_READ_OTHERWISE = {"true", "false", "null", "yes", "no", "on", "off"}


def types(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the types of the keys of a section."""
    return get_type_hints(struct, include_extras=True)


def alone(type_: Any) -> Any:
    """Return the one type of a key that may be left out; another union stays as it is.

    Examples
    --------
    >>> alone(int | None), alone(int | str)
    (<class 'int'>, int | str)
    """
    if get_origin(type_) in {Union, UnionType}:
        options = [
            one for one in get_args(type_) if one not in {type(None), msgspec.UnsetType}
        ]  # fmt: skip
        return options[0] if len(options) == 1 else type_
    return type_


def pattern(type_: Any) -> str | None:
    """Return the pattern that a text has to match; None where any will do."""
    if get_origin(type_) is not Annotated:
        return None
    found = [one.pattern for one in get_args(type_)[1:] if isinstance(one, msgspec.Meta)]
    return next((one for one in found if one is not None), None)


def mapping(type_: Any, name: str, value: Any) -> str | None:
    """Return the mapping that was meant by a value, on one line; None where that is not clear.

    Parameters
    ----------
    type_ : type
        What is expected: a section, or a mapping of names to something.
    name : str
        The key under which the value stands.

    Examples
    --------
    >>> class Rule(msgspec.Struct):
    ...     margin: float = 0.0
    >>> mapping(Rule, "mae", 0.5), mapping(dict[str, Rule], "metrics", ["mae"])
    ('{margin: 0.5}', '{mae: {}}')
    """
    if _is_section(type_):
        field = _field(type_, name, value)
        found = _least(type_) if field is None else {field: value}
    elif get_origin(type_) is dict and isinstance(value, list):
        if not all(isinstance(one, str) for one in value):
            return None
        inner = alone(get_args(type_)[1])
        found = {one: _meant(inner, one) for one in value}
    else:
        return None
    text = flow(found)
    return text if found and len(text) <= LONGEST else None


def flow(value: Any) -> str:
    """Return a value as YAML on one line.

    Examples
    --------
    >>> flow({"a": [True, "x", "7"]})
    "{a: [true, x, '7']}"
    """
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {flow(one)}' for key, one in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(flow, value))}]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if not isinstance(value, str):
        return str(value)
    if _BARE.fullmatch(value) and value.lower() not in _READ_OTHERWISE:
        return value
    doubled = value.replace("'", "''")
    return f"'{doubled}'"


def _is_section(type_: Any) -> bool:
    return isinstance(type_, type) and issubclass(type_, msgspec.Struct)


def _field(section: type[msgspec.Struct], name: str, value: Any) -> str | None:
    """Return the key to which a value belongs: of its name, or needed, or the first it fits."""
    known = types(section)
    fitting = [field for field, type_ in known.items() if _fits(value, type_)]
    needed = [one.name for one in msgspec.structs.fields(section) if one.required]
    order = [name, *needed, *fitting]
    return next((field for field in order if field in fitting), None)


def _fits(value: Any, type_: Any) -> bool:
    try:
        msgspec.convert(value, type_)
    except msgspec.ValidationError:
        return False
    return value is not None


def _least(section: type[msgspec.Struct]) -> dict[str, Any]:
    return {one.name: SOMETHING for one in msgspec.structs.fields(section) if one.required}


def _meant(type_: Any, name: str) -> Any:
    """Return what a mere name in a list stands for, where a mapping by name is expected."""
    if not _is_section(type_):
        return SOMETHING
    return {name: True} if types(type_).get(name) is bool else _least(type_)

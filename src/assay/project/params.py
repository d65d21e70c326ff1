"""Parameter and metric files: YAML, JSON, TOML, and Python read without being run."""

from __future__ import annotations

import ast
import datetime as dt
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from assay.base.files import explain
from assay.project import yaml12
from assay.project.grammar import Invalid


def read(path: Path, *, shown: str | None = None) -> Any:
    """Return the data of a file by its suffix; one that is not known is read as YAML.

    Raises
    ------
    Invalid
        If the file does not parse; with its line.
    """
    where = shown or str(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid("the file is not UTF-8 text", where=where) from error
    except OSError as error:
        raise explain(error, where) from error
    return parse(text, suffix=path.suffix, where=where)


def parse(text: str, *, suffix: str, where: str) -> Any:
    """Return the data of a text in the format that a file with this suffix has."""
    try:
        if suffix == ".json":
            return json.loads(text) if text.strip() else {}
        if suffix == ".toml":
            import tomllib

            return _without_dates(tomllib.loads(text))
        if suffix == ".py":
            return _python(text)
    except RecursionError as error:
        raise Invalid("the file is nested too deeply to be read", where=where) from error
    except (ValueError, SyntaxError) as error:
        line = getattr(error, "lineno", None) or _line_in(str(error))
        place = f"{where}:{line}" if line else where
        raise Invalid(
            f"the file does not parse: {getattr(error, 'msg', None) or error}", where=place
        ) from error
    data = yaml12.load(text, where=where)
    return {} if data is None else _without_dates(data)


def _without_dates(data: Any) -> Any:
    """Return the data with dates as text: neither a lock nor JSON has them, and DVC fails on them.

    What is there twice by an alias stays one object, and is looked at once: the lock has an alias
    for it then.
    """
    seen: set[int] = set()

    def without(value: Any) -> Any:
        if isinstance(value, (dt.date, dt.time)):
            return value.isoformat()
        if isinstance(value, (dict, list)) and id(value) not in seen:
            seen.add(id(value))
            places = value.items() if isinstance(value, dict) else enumerate(value)
            for place, item in list(places):
                value[place] = without(item)
        return value

    return without(data)


def _line_in(message: str) -> int | None:
    """Return the line that an error of `tomllib` names in its text only (before Python 3.14)."""
    import re

    found = re.search(r"\(at line (\d+), column \d+\)", message)
    return int(found[1]) if found else None


def _python(text: str) -> dict[str, Any]:
    """Read literals assigned at the top level, in classes, and to `self` in `__init__`."""
    return _assigned(ast.parse(text).body)


def _assigned(body: Iterable[ast.stmt], *, only_self: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            found[statement.name] = _assigned(statement.body)
        elif isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            found.update(_assigned(statement.body, only_self=True))
        elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            _assign(found, statement.targets[0], statement.value, only_self=only_self)
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            _assign(found, statement.target, statement.value, only_self=only_self)
    return found


def _assign(found: dict[str, Any], target: ast.expr, value: ast.expr, *, only_self: bool) -> None:
    if isinstance(target, ast.Name) and not only_self:
        name = target.id
    elif (
        isinstance(target, ast.Attribute)
        and isinstance(target.value, ast.Name)
        and target.value.id == "self"
    ):
        name = target.attr
    else:
        return
    try:
        found[name] = _plain(ast.literal_eval(value))
    except (ValueError, TypeError):  # a call, a sum, a list as a key: not a literal
        return


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


_ABSENT = object()


def get(data: Any, key: str) -> Any:
    """Return the value at a dotted key; a number names an element of a list, or a key.

    Raises
    ------
    KeyError
        If there is none.

    Examples
    --------
    >>> get({"train": {"layers": [8, 4]}}, "train.layers.1")
    4
    """
    value = _find(data, key)
    if value is _ABSENT:
        raise KeyError(key)
    return value


def _find(data: Any, key: str) -> Any:
    current = data
    for part in key.split("."):
        if isinstance(current, dict) and part in current:
            current = current[part]
            continue
        try:
            current = current[int(part)] if isinstance(current, (dict, list)) else _ABSENT
        except (ValueError, LookupError):
            return _ABSENT
        if current is _ABSENT:
            return _ABSENT
    return current


def select(data: Any, keys: Iterable[str]) -> dict[str, Any]:
    """Return the values at those dotted keys that are there; no keys means the whole top level."""
    asked = list(keys)
    if not asked:
        return dict(data) if isinstance(data, dict) else {}
    found = {key: _find(data, key) for key in asked}
    return {key: value for key, value in found.items() if value is not _ABSENT}


def flatten(data: Any, prefix: str = "") -> dict[str, Any]:
    """Return a nested mapping as dotted keys.

    Examples
    --------
    >>> flatten({"a": {"b": 1}, "c": [2]})
    {'a.b': 1, 'c': [2]}
    """
    flat: dict[str, Any] = {}
    for key, value in data.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            flat.update(flatten(value, f"{name}."))
        else:
            flat[name] = value
    return flat

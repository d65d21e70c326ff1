"""`--set-param`: which parameter files change, how, and the experiments that a sweep stands for.

Nothing here reads or writes a file: `assay.pipeline.experiments.param_files` does.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from assay.base.errors import Error, Usage, did_you_mean
from assay.pipeline.experiments import grammar
from assay.pipeline.experiments.functions import Sweep
from assay.pipeline.experiments.grammar import Override
from assay.project import params

DEFAULT = "params.yaml"

_SIGNS = {"change": "", "add": "+", "force": "++", "delete": "~"}

Overrides = Mapping[str, Sequence[Override]]
"""The changes by file, as a person names it."""


def parse(given: Iterable[str]) -> dict[str, list[Override]]:
    """Read what `--set-param` was given: `[FILE:]KEY=VALUE`, each.

    Raises
    ------
    Usage
        If one does not follow the grammar.

    Examples
    --------
    >>> {file: [o.key for o in found] for file, found in parse(["lr=1", "c.toml:a.b=2"]).items()}
    {'params.yaml': ['lr'], 'c.toml': ['a.b']}
    """
    found: dict[str, list[Override]] = {}
    for text in given:
        file, colon, rest = text.partition(":")
        if not colon or "=" in file:
            file, rest = DEFAULT, text
        found.setdefault(file, []).append(grammar.parse(rest))
    return found


def is_sweep(overrides: Overrides) -> bool:
    """Say whether the changes stand for more than one experiment."""
    return any(isinstance(o.value, Sweep) for found in overrides.values() for o in found)


def product(overrides: Overrides) -> list[dict[str, list[Override]]]:
    """Return the changes of each experiment of a sweep; the last override changes fastest."""
    flat = [(file, one) for file, found in overrides.items() for one in found]
    choices = [
        [(file, single) for single in _singles(one)]
        for file, one in flat
    ]  # fmt: skip
    result = []
    for chosen in itertools.product(*choices):
        by_file: dict[str, list[Override]] = {}
        for file, one in chosen:
            by_file.setdefault(file, []).append(one)
        result.append(by_file)
    return result


def _singles(one: Override) -> list[Override]:
    if not isinstance(one.value, Sweep):
        return [one]
    if not one.value.values:
        raise Usage(f"'{one.text}' tries no value at all", where="--set-param")
    key = f"{_SIGNS[one.kind]}{one.key}"
    return [
        msgspec.structs.replace(one, value=value, text=f"{key}={_shown(value)}")
        for value in one.value.values
    ]


def _shown(value: Any) -> str:
    """Return a value as a person would give it."""
    if isinstance(value, bool) or value is None:
        return str(value).lower().replace("none", "null")
    if isinstance(value, list):
        return f"[{','.join(map(_shown, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{_shown(k)}:{_shown(v)}' for k, v in value.items())}}}"
    return str(value)


def describe(overrides: Overrides) -> str:
    """Return the changes in one line.

    Examples
    --------
    >>> describe(parse(["lr=0.5", "c.toml:a.b=2"]))
    'lr=0.5, c.toml:a.b=2'
    """
    return ", ".join(
        one.text if file == DEFAULT else f"{file}:{one.text}"
        for file, found in overrides.items()
        for one in found
    )


def arguments(overrides: Overrides) -> list[str]:
    """Return the changes as arguments of a command line.

    Examples
    --------
    >>> arguments(parse(["lr=0.5", "c.toml:a.b=2"]))
    ['--set-param', 'lr=0.5', '--set-param', 'c.toml:a.b=2']
    """
    return [
        argument
        for file, found in overrides.items()
        for one in found
        for argument in ("--set-param", one.text if file == DEFAULT else f"{file}:{one.text}")
    ]


def applied(data: Any, overrides: Iterable[Override], *, where: str) -> Any:
    """Return the data of a file with changes made to it.

    Raises
    ------
    Error
        If a key is not there (it names the nearest), or is there and should not be.

    Examples
    --------
    >>> applied({"lr": 0.1, "model": {"n": 1}}, parse(["model.n=5", "+k=x"])["params.yaml"],
    ...         where="params.yaml")
    {'lr': 0.1, 'model': {'n': 5}, 'k': 'x'}
    """
    found = copy.deepcopy(data)
    if not isinstance(found, dict):
        raise Error("the file has no parameters by name", where=where, hint="write 'KEY: VALUE'")
    for one in overrides:
        if one.kind == "delete":
            _delete(found, one, where)
        else:
            _set(found, one, where)
    return found


def _set(data: dict[Any, Any], one: Override, where: str) -> None:
    parts = one.key.split(".")
    may_add = one.kind != "change"
    is_one = one.kind == "add" and not isinstance(one.value, dict | list)
    if is_one and _find(data, parts) is not None:
        raise Error(
            f"'{one.key}' is there already",
            where=where,
            hint=f"to change it: -S '{one.text[1:]}'; to set it either way: -S '+{one.text}'",
        )
    holder: Any = data
    for part in parts[:-1]:
        at = _place(holder, part)
        below = _get(holder, at)
        if not isinstance(below, dict | list):
            if not may_add or not isinstance(holder, dict):
                raise _unknown(data, one, where)
            below = holder[at] = {}
        holder = below
    at = _place(holder, parts[-1])
    if isinstance(holder, list):
        if not isinstance(at, int) or not -len(holder) <= at < len(holder):
            raise _unknown(data, one, where)
    elif at not in holder and not may_add:
        raise _unknown(data, one, where)
    before = _get(holder, at)
    if isinstance(before, dict) and isinstance(one.value, dict):
        _merge(before, one, one.value, where, may_add=may_add)
    elif {type(before), type(one.value)} == {dict, list}:
        raise Error(
            f"'{one.key}' is {_kind(before)}, and cannot become {_kind(one.value)}",
            where=where,
            hint=f"delete it and add the other: -S '~{one.key}' -S '+{one.key}=...'",
        )
    else:
        holder[at] = one.value


def _merge(
    into: dict[Any, Any], one: Override, value: Mapping[Any, Any], where: str, *, may_add: bool
) -> None:
    """Set the keys of a mapping in another one; only those that are there, without a '+'."""
    for key, item in value.items():
        if key not in into and not may_add:
            raise Error(
                f"there is no '{one.key}.{key}'",
                where=where,
                hint=did_you_mean(str(key), map(str, into)) or f"to add it: -S '+{one.text}'",
            )
        before = into.get(key)
        if isinstance(before, dict) and isinstance(item, dict):
            _merge(before, one, item, where, may_add=may_add)
        else:
            into[key] = item


def _delete(data: dict[Any, Any], one: Override, where: str) -> None:
    parts = one.key.split(".")
    found = _find(data, parts)
    holder = _find(data, parts[:-1]) if len(parts) > 1 else data
    if found is None or not isinstance(holder, dict):
        raise _unknown(data, one, where)
    if one.value is not None and one.value != found:
        raise Error(
            f"'{one.key}' is {found!r}, not {one.value!r}: it is not deleted",
            where=where,
            hint=f"to delete it whatever it is: -S '~{one.key}'",
        )
    del holder[_place(holder, parts[-1])]


def _place(holder: Any, part: str) -> Any:
    """Return a part of a dotted key as the holder has it: a number in a list."""
    return int(part) if isinstance(holder, list) and part.isdigit() else part


def _get(holder: Any, at: Any) -> Any:
    if isinstance(holder, list):
        return holder[at] if isinstance(at, int) and at < len(holder) else None
    return holder.get(at) if isinstance(holder, dict) else None


def _find(data: Any, parts: Sequence[str]) -> Any:
    current = data
    for part in parts:
        current = _get(current, _place(current, part))
        if current is None:
            return None
    return current


def _unknown(data: dict[Any, Any], one: Override, where: str) -> Error:
    known = list(params.flatten(data))
    near = did_you_mean(one.key, known)
    add = f"to add it: -S '+{one.text}'"
    hints = [near] if one.kind == "delete" else [near, add]
    return Error(
        f"there is no parameter '{one.key}'",
        where=where,
        hint=" ".join(filter(None, hints)) or f"there are: {', '.join(known[:20]) or 'none'}",
    )


def _kind(value: object) -> str:
    return "a list" if isinstance(value, list) else "a mapping"

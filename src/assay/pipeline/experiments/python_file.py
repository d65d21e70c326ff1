"""Put values into a parameter file that is Python, at the places where they are assigned.

Read are the same assignments as by `assay.project.params`: at the top level, in classes, and to
`self` in `__init__`; a file is never run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Any

from assay.base.errors import Error
from assay.project import params

_Path = tuple[Any, ...]  # of names, and of the keys of dictionaries
_Span = tuple[int, int, int, int]  # first line and its column in bytes, last line and its column


def replaced(text: str, before: dict[str, Any], after: dict[str, Any], *, where: str) -> str:
    r"""Return the text with the values of `after`.

    Raises
    ------
    Error
        If a value is added, deleted, or assigned where it cannot be replaced.

    Examples
    --------
    >>> replaced("LR = 0.1  # fast\n", {"LR": 0.1}, {"LR": 0.5}, where="params.py")
    'LR = 0.5  # fast\n'
    """
    nodes = dict(_values(ast.parse(text).body, ()))
    places = []
    for path, value in _differences(before, after, (), where):
        node = nodes.get(path)
        if node is None:
            raise _elsewhere(path, where)
        places.append((_span(node), repr(value)))
    lines = text.encode().splitlines(keepends=True)
    for span, value in sorted(places, reverse=True):
        _replace(lines, span, value)
    found = b"".join(lines).decode()
    if params.parse(found, suffix=".py", where=where) != after:
        raise _elsewhere(next(iter(_differences(before, after, (), where)))[0], where)
    return found


def _elsewhere(path: _Path, where: str) -> Error:
    return Error(
        f"'{'.'.join(map(str, path))}' cannot be set: no single assignment of a literal has it",
        where=where,
        hint="write it as 'NAME = VALUE' on the top level or in a class, or edit the file",
    )


def _differences(
    before: dict[str, Any], after: dict[str, Any], at: _Path, where: str
) -> Iterator[tuple[_Path, Any]]:
    changed = [key for key in (*before, *after) if key not in before or key not in after]
    if changed:
        name = ".".join(map(str, (*at, changed[0])))
        raise Error(
            f"'{name}' cannot be added to or deleted from a Python file",
            where=where,
            hint="edit the file, or keep such parameters in YAML, JSON or TOML",
        )
    for key, value in before.items():
        other = after[key]
        if isinstance(value, dict) and isinstance(other, dict):
            yield from _differences(value, other, (*at, key), where)
        elif type(value) is not type(other) or value != other:
            yield (*at, key), other


def _values(body: Iterable[ast.stmt], at: _Path) -> Iterator[tuple[_Path, ast.expr]]:
    """Go through the assigned values; the last of a name counts, as when the file is read."""
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            yield from _values(statement.body, (*at, statement.name))
        elif isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            yield from _values(statement.body, at)
        elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            yield from _assigned(statement.targets[0], statement.value, at)
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            yield from _assigned(statement.target, statement.value, at)


def _assigned(target: ast.expr, value: ast.expr, at: _Path) -> Iterator[tuple[_Path, ast.expr]]:
    name = target.id if isinstance(target, ast.Name) else getattr(target, "attr", None)
    if name is not None:
        yield from _below(value, (*at, name))


def _below(value: ast.expr, at: _Path) -> Iterator[tuple[_Path, ast.expr]]:
    yield at, value
    if isinstance(value, ast.Dict):
        for key, item in zip(value.keys, value.values, strict=True):
            if isinstance(key, ast.Constant):
                yield from _below(item, (*at, key.value))


def _span(node: ast.expr) -> _Span:
    last, column = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
    return node.lineno, node.col_offset, last, column


def _replace(lines: list[bytes], span: _Span, value: str) -> None:
    first, begin, last, end = span
    head, tail = lines[first - 1][:begin], lines[last - 1][end:]
    lines[first - 1 : last] = [head + value.encode() + tail]

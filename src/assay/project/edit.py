"""Write a YAML file of DVC's: with our own fast writer, or in place where a person has been there.

A file that is just what the writer would make of its data is written anew. Any other (comments,
another order, flow style) is edited as DVC does it: scalars are put in place, new keys go to the
end of their mapping, comments stay. One stage, or one flag, is put between the lines of a person's
`dvc.yaml` as text, so that no other line changes.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assay.base.errors import Error
from assay.base.files import write_atomic
from assay.project import yaml12


def updated(text: str | None, data: dict[str, Any], *, keep_order: bool = True) -> str:
    """Return the text that holds `data`, keeping what a person wrote into `text`.

    `keep_order` keeps the old order of keys too; a lock's entries are replaced as a whole.
    """
    from assay.project import emit  # slow to import, and most commands write nothing

    fresh = emit.dump(data)
    if not text or text == fresh:
        return fresh
    before = yaml12.load(text, where="")
    if not isinstance(before, dict):
        return fresh
    if emit.dump(before) == text:
        return emit.dump(_merged(data, before)) if keep_order else fresh
    edited = _round_trip(text, data)
    # ruamel loses digits of some floats and blanks of some long texts: then the data counts
    return edited if yaml12.load(edited, where="") == data else fresh


def _merged(data: Any, before: Any) -> Any:
    """Return `data` with the keys that were there before in their old order, as an edit would."""
    if isinstance(data, dict) and isinstance(before, dict):
        old = {key: _merged(data[key], before[key]) for key in before if key in data}
        return old | {key: value for key, value in data.items() if key not in before}
    if isinstance(data, list) and isinstance(before, list) and len(data) == len(before):
        return [_merged(new, old) for new, old in zip(data, before, strict=True)]
    return data


def _round_trip(text: str, data: dict[str, Any]) -> str:
    import io

    from ruamel.yaml import YAML

    yaml = YAML()
    document = yaml.load(text)
    _apply(data, document)
    out = io.StringIO()
    yaml.dump(document, out)
    return out.getvalue()


def _apply(new: Any, old: Any) -> None:
    """Change `old` in place until it equals `new`."""
    if isinstance(new, dict):
        for key in [key for key in old if key not in new]:
            del old[key]
        pairs: list[tuple[Any, Any]] = list(new.items())
    else:
        del old[len(new) :]
        old.extend(new[len(old) :])
        pairs = list(enumerate(new))
    for key, value in pairs:
        present = key in old if isinstance(old, dict) else True
        current = old[key] if present else None
        alike = (isinstance(value, dict) and isinstance(current, dict)) or (
            isinstance(value, list) and isinstance(current, list)
        )
        if alike:
            _apply(value, current)
        elif not present or current != value or type(current) is bool or type(value) is bool:
            old[key] = value


def write(path: Path, data: dict[str, Any]) -> bool:
    """Write `data` to a YAML file; returns False where the file held it already."""
    text = path.read_text(encoding="utf-8") if path.exists() else None
    content = updated(text, data)
    if content == text:
        return False
    write_atomic(path, content)
    return True


def with_stage(text: str | None, name: str, body: dict[str, Any]) -> str:
    r"""Return the text of a `dvc.yaml` with one stage more, or with another body for a stage.

    All other lines stay as they are.

    Examples
    --------
    >>> print(with_stage("stages:\n  a:\n    cmd: x  # keep\n", "b", {"cmd": "y"}), end="")
    stages:
      a:
        cmd: x  # keep
      b:
        cmd: y
    """
    before = yaml12.load(text, where="") if text else None
    data: dict[str, Any] = dict(before) if isinstance(before, dict) else {}
    stages = data.get("stages") or {}
    data["stages"] = stages | {name: body}
    lines = _lines(text or "")
    block = _rendered({"stages": {name: body}})
    if name in stages:
        found = _block(lines, ["stages", name])
        place = found if found is not None else (0, 0)
        block = _shifted(block[1:], _indent(lines[place[0]]))
    elif stages:
        last = _block(lines, ["stages", next(reversed(stages))])
        place = (last[1], last[1]) if last is not None else (0, 0)
        block = _shifted(block[1:], _indent(lines[last[0]])) if last is not None else block
    else:
        place = (len(lines), len(lines))
    return _checked(lines[: place[0]] + block + lines[place[1] :], text, data)


def with_flag(text: str, at: Sequence[str], key: str, *, is_set: bool) -> str:
    r"""Return the text of a YAML file with `key: true` in the mapping at a path, or without it.

    Examples
    --------
    >>> text = "stages:\n  a:\n    cmd: x  # keep\n"
    >>> print(with_flag(text, ["stages", "a"], "frozen", is_set=True), end="")
    stages:
      a:
        cmd: x  # keep
        frozen: true
    """
    data: Any = copy.deepcopy(yaml12.load(text, where=""))
    inner = data
    for part in at:
        inner = inner[part]
    lines, is_there = _lines(text), key in inner
    last = next(reversed(inner))
    inner.pop(key, None)
    if is_set:
        inner[key] = True
    if not is_there and not is_set:
        return text
    own = _block(lines, [*at, key if is_there else last])
    start, end = own if own is not None else (0, 0)
    new = [f"{' ' * _indent(lines[start])}{key}: true\n"] if is_set else []
    edited = lines[: start if is_there else end] + new + lines[end:]
    if yaml12.line_of(text, at) == yaml12.line_of(text, [*at, last]):  # {in: flow, style: too}
        edited = _with_flow_flag(lines, start, key, is_set=is_set, is_there=is_there)
    return _checked(edited, text, data)


def _with_flow_flag(
    lines: list[str], number: int, key: str, *, is_set: bool, is_there: bool
) -> list[str]:
    """Return the lines with a flag in the mapping between braces that ends on one of them."""
    line = lines[number]
    if is_there:
        line = re.sub(rf",?\s*\b{re.escape(key)}:\s*\w+", f", {key}: true" if is_set else "", line)
    else:
        head, _, tail = line.rpartition("}")
        line = f"{head.rstrip()}, {key}: true}}{tail}"
    return [*lines[:number], line, *lines[number + 1 :]]


def _lines(text: str) -> list[str]:
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    return lines


def _rendered(data: dict[str, Any]) -> list[str]:
    from assay.project import emit

    return emit.dump(data).splitlines(keepends=True)


def _shifted(lines: list[str], indent: int) -> list[str]:
    """Return lines that begin at column 2 with another indent."""
    return [f"{' ' * indent}{line[2:]}" for line in lines]


def _block(lines: list[str], at: Sequence[str]) -> tuple[int, int] | None:
    """Return the first line of a key in block style, and the first that is not its own.

    Comments and empty lines behind it belong to what follows.
    """
    first = yaml12.line_of("".join(lines), list(at))
    if first is None:
        return None
    start = first - 1
    end = start + 1
    for number in range(start + 1, len(lines)):
        line = lines[number]
        bare = line.strip()
        indent = _indent(line)
        is_item = indent == _indent(lines[start]) and (bare == "-" or bare.startswith("- "))
        if bare and not bare.startswith("#") and indent <= _indent(lines[start]) and not is_item:
            break
        if bare and not (bare.startswith("#") and indent <= _indent(lines[start])):
            end = number + 1
    return start, end


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _checked(lines: list[str], text: str | None, data: dict[str, Any]) -> str:
    """Return the lines as a text, if they say what they have to; else edit it in the other way."""
    edited = "".join(lines)
    try:
        fits = yaml12.load(edited, where="") == data
    except Error:
        fits = False
    return edited if fits else updated(text, data)

"""Change a parameter file where a value stands: its comments and its layout stay.

A scalar of YAML, or any value of Python, is replaced in the text itself. What is added or deleted
goes through `assay.project.edit` for YAML and tomlkit for TOML; JSON is written anew with the
indent that it had.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from assay.base.errors import Error, NotFound, did_you_mean
from assay.base.files import explain
from assay.pipeline.experiments import overrides as changes
from assay.pipeline.experiments.grammar import Override
from assay.pipeline.experiments.python_file import replaced as replaced_in_python
from assay.project import git, params, yaml12
from assay.project.workspace import Project


def rewritten(wanted: Mapping[Path, tuple[str, Sequence[Override]]]) -> dict[Path, str]:
    """Return the new texts of the files that change; nothing is written.

    Parameters
    ----------
    wanted : mapping
        What a person calls a file, and its changes, by path.

    Raises
    ------
    Error
        If a file is not there or does not parse, or a key is not in it.
    """
    found: dict[Path, str] = {}
    for path, (name, given) in wanted.items():
        before = _read(path, name, given)
        after = changed(before, given, suffix=path.suffix.lower(), where=name)
        if after != before:
            found[path] = after
    return found


def way_back(project: Project, paths: Collection[Path], changes: str, *, cwd: Path) -> str | None:
    """Return what a failure will leave in files that are about to change, and how to undo that.

    Parameters
    ----------
    changes : str
        The changes, in words.
    """
    if not paths:
        return None
    names = sorted(project.shown(path, cwd=cwd) for path in paths)
    keeps = f"{', '.join(names)} {'keeps' if len(names) == 1 else 'keep'} {changes}"
    root = Path(os.path.realpath(project.git_root))
    asked = [f":(top,literal){path.relative_to(root).as_posix()}" for path in paths]
    if git.git("ls-files", "-z", "--modified", "--others", "--", *asked, cwd=root):
        return f"{keeps}, beside what you had changed and not staged: set it back by hand"
    return f"{keeps}; back with '{shlex.join(['git', 'restore', *names])}'"


def changed(text: str, overrides: Sequence[Override], *, suffix: str, where: str) -> str:
    r"""Return the text of a parameter file with changes made to it.

    Examples
    --------
    >>> given = changes.parse(["lr=0.5"])["params.yaml"]
    >>> changed("lr:  0.1  # how fast\n", given, suffix=".yaml", where="params.yaml")
    'lr:  0.5  # how fast\n'
    """
    load = _load_yaml if suffix in {".yaml", ".yml"} else _load_other
    before = load(text, suffix, where)
    after = changes.applied(before, overrides, where=where)
    if _same(before, after):
        return text
    if suffix == ".py":
        return replaced_in_python(text, before, after, where=where)
    if suffix == ".toml":
        return _toml(text, after)
    if suffix == ".json":
        return _json(text, after)
    return _yaml(text, before, after)


def _read(path: Path, name: str, given: Sequence[Override]) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        near = sorted(p.name for p in path.parent.glob("*") if p.suffix in _SUFFIXES)
        raise NotFound(
            "there is no such parameter file",
            where=name,
            hint=did_you_mean(path.name, near)
            or f"name the file before the key: -S 'FILE:{given[0].text}'",
        ) from None
    except UnicodeDecodeError as error:
        raise Error("the file is not UTF-8 text", where=name) from error
    except OSError as error:
        raise explain(error, name) from error


_SUFFIXES = frozenset({".yaml", ".yml", ".json", ".toml", ".py"})


def _load_yaml(text: str, _suffix: str, where: str) -> Any:
    found = yaml12.load(text, where=where)
    return {} if found is None else found


def _load_other(text: str, suffix: str, where: str) -> Any:
    if suffix not in _SUFFIXES:
        raise Error(
            f"parameters cannot be set in a file '{suffix or where}'",
            where=where,
            hint="keep them in YAML, JSON, TOML or Python",
        )
    return params.parse(text, suffix=suffix, where=where)


def _same(one: Any, other: Any) -> bool:
    """Say whether two values are one and the same when written: 1, 1.0 and true are not."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        keys = list(one) == list(other)
        return keys and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other) or one != one  # noqa: PLR0124 -- NaN is not equal to itself


def _yaml(text: str, before: Any, after: Any) -> str:
    """Put scalars into the text where they stand; leave all else to the editor of YAML."""
    from assay.project import edit

    try:
        spans = list(_spans(text, before, after))
    except _Elsewhere:
        return edit.updated(text, after)
    found = text
    for begin, end, value in sorted(spans, reverse=True):
        found = f"{found[:begin]}{value}{found[end:]}"
    try:
        is_right = _same(yaml12.load(found, where=""), after)
    except Error:
        is_right = False
    return found if is_right else edit.updated(text, after)


class _Elsewhere(Exception):
    """The change is more than some values at their places."""


def _spans(text: str, before: Any, after: Any) -> list[tuple[int, int, str]]:
    import yaml

    # not the C loader: its marks count bytes that a mark of byte order shifts
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    found: list[tuple[int, int, str]] = []
    _collect(node, before, after, found)
    return found


def _collect(node: Any, before: Any, after: Any, found: list[tuple[int, int, str]]) -> None:
    if _same(before, after):
        return
    if isinstance(before, dict) and isinstance(after, dict) and node.id == "mapping":
        if list(before) != list(after):
            raise _Elsewhere
        below = {key.value: value for key, value in node.value}
        for key in before:
            if not _same(before[key], after[key]):
                if str(key) not in below:
                    raise _Elsewhere
                _collect(below[str(key)], before[key], after[key], found)
        return
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for item, one, other in zip(node.value, before, after, strict=True):
            _collect(item, one, other, found)
        return
    style = getattr(node, "style", None)  # of a scalar; a collection says whether it is in a line
    is_block = style in {"|", ">"} or getattr(node, "flow_style", True) is False
    if is_block or node.start_mark.index == node.end_mark.index:
        raise _Elsewhere
    found.append((node.start_mark.index, node.end_mark.index, _inline(after)))


def _inline(value: Any) -> str:
    """Return a value as it stands in one line of YAML."""
    from assay.project import emit

    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_inline(k)}: {_inline(v)}' for k, v in value.items())}}}"
    if value is None:
        return "null"
    text = emit.dump([value]).removeprefix("- ").rstrip("\n")
    if "\n" in text or (isinstance(value, str) and any(sign in text for sign in ",[]{}#:")):
        return json.dumps(value, ensure_ascii=False)
    return text


def _toml(text: str, after: Any) -> str:
    import tomlkit

    document = tomlkit.parse(text)
    _put(document, after)
    return tomlkit.dumps(document)


def _put(into: Any, after: dict[str, Any]) -> None:
    for key in [key for key in into if key not in after]:
        del into[key]
    for key, value in after.items():
        before = into.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            _put(before, value)
        elif key not in into or not _same(_unwrapped(before), value):
            into[key] = value


def _unwrapped(value: Any) -> Any:
    unwrap: Callable[[], Any] | None = getattr(value, "unwrap", None)
    return value if unwrap is None else unwrap()


def _json(text: str, after: Any) -> str:
    first = next((line for line in text.splitlines()[1:] if line.strip()), "")
    indent = len(first) - len(first.lstrip()) or None
    ending = "\n" if text.endswith("\n") else ""
    return json.dumps(after, indent=indent, ensure_ascii=False) + ending

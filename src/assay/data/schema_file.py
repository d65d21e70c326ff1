"""Puts a schema into `assay.yaml`, where comments, order and everything else stay."""

from __future__ import annotations

import io
import math
import re
from pathlib import Path
from typing import Any

from assay.base.errors import Error
from assay.base.files import write_atomic
from assay.data.schema import plain
from assay.project import yaml12
from assay.project.declaration import TableSchema

_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*( [A-Za-z0-9_]+)*")


def put(path: Path, name: str, schema: TableSchema) -> bool:
    """Write the schema of a table; returns False where the file said so already.

    Raises
    ------
    assay.Error
        If the file cannot be edited in place; it is as it was then.
    """
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    edited = updated(text, name, schema, where=str(path.name))
    if edited == text:
        return False
    write_atomic(path, edited)
    return True


def updated(text: str, name: str, schema: TableSchema, *, where: str) -> str:
    """Return the text of the declaration with the schema of a table in it."""
    before = yaml12.load(text, where=where) or {}
    wanted = plain(schema)
    if (before.get("schema") or {}).get(name) == wanted:
        return text
    edited = _edit(text, name, wanted)
    after = {**before, "schema": {**(before.get("schema") or {}), name: wanted}}
    if yaml12.load(edited, where=where) != after:
        raise Error(
            "the file cannot be edited in place without changing something else in it",
            where=where,
            hint="run it without '--write' and paste the schema yourself",
        )
    return edited


def _edit(text: str, name: str, wanted: dict[str, Any]) -> str:
    from ruamel.yaml.comments import CommentedMap
    from ruamel.yaml.util import load_yaml_guess_indent

    yaml = _editor()
    _, indent, offset = load_yaml_guess_indent(text)
    if indent is not None and offset is not None:
        yaml.indent(mapping=2, sequence=offset + 2, offset=offset)
    document = yaml.load(text)
    if document is None:  # nothing, or comments only
        start = text if not text or text.endswith("\n") else text + "\n"
        document, text = CommentedMap(), ""
    else:
        start = ""
    schemas = document.get("schema")
    if not isinstance(schemas, dict):
        schemas = document["schema"] = CommentedMap()
    if not isinstance(schemas.get(name), dict):
        schemas[name] = CommentedMap()
    _apply(wanted, schemas[name])
    out = io.StringIO()
    yaml.dump(document, out)
    return start + out.getvalue()


class _Float(float):
    """A float with its text: ruamel's own loses digits of some."""

    text: str

    @classmethod
    def of(cls, text: str) -> _Float:
        value = yaml12.load(text, where="")
        made = cls(value if isinstance(value, int | float) else math.nan)
        made.text = text
        return made


def _editor() -> Any:
    """Return ruamel's round trip, with every float, quote and long line as it was."""
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import RoundTripConstructor
    from ruamel.yaml.representer import RoundTripRepresenter

    class Constructor(RoundTripConstructor):
        """Reads floats with their text."""

    class Representer(RoundTripRepresenter):
        """Writes floats as their text."""

    tag = "tag:yaml.org,2002:float"
    Constructor.add_constructor(tag, lambda _, node: _Float.of(node.value))
    Representer.add_representer(_Float, lambda self, data: self.represent_scalar(tag, data.text))
    yaml = YAML()
    yaml.Constructor, yaml.Representer = Constructor, Representer
    yaml.preserve_quotes = True
    yaml.width = 1 << 20
    return yaml


def _apply(new: dict[str, Any], old: Any) -> None:
    """Change a mapping in place until it equals `new`; what is equal is not touched."""
    for key in [key for key in old if key not in new]:
        del old[key]
    for key, value in new.items():
        current = old.get(key)
        if isinstance(value, dict) and isinstance(current, dict):
            _apply(value, current)
        elif key not in old or not _same(current, value):
            old[_scalar(key)] = _written(value)


def _same(current: Any, value: Any) -> bool:
    """Return whether a value of the file is the one wanted, in ruamel's types or in Python's."""
    is_bool = isinstance(current, bool), isinstance(value, bool)
    return bool(current == value) and is_bool[0] == is_bool[1]


def _written(value: Any) -> Any:
    """Return a value as it is to be written: texts that could be taken for another are quoted."""
    from ruamel.yaml.comments import CommentedMap

    if isinstance(value, dict):
        return CommentedMap((_scalar(key), _written(content)) for key, content in value.items())
    if isinstance(value, list):
        return [_written(item) for item in value]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString, SingleQuotedScalarString

    if isinstance(value, float):
        text = repr(value)
        return _Float.of(text.replace("inf", ".inf").replace("nan", ".nan"))
    if not isinstance(value, str):
        return value
    if _BARE.fullmatch(value) and yaml12.load(value, where="") == value:
        return value
    if value.isprintable():
        return SingleQuotedScalarString(value)
    return DoubleQuotedScalarString(value)

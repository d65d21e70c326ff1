"""Plain data as the bytes that DVC writes into `dvc.lock` and `.dvc` files.

That is what ruamel.yaml's round-trip writer makes of it with its defaults: block style, two
blanks of indent, a list's dash under its key, lines folded at column 80, an anchor where one list
or mapping stands twice. One pass over the data, no ruamel: DVC's own way takes most of the time
of a large pipeline. Comments are not data; who wants to keep a person's file edits it with ruamel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from assay.base.errors import Error
from assay.project import emit_scalars

_LONGEST_KEY = 127  # counted with the tag, which is not written; a longer one needs a '? '
_TAGS = {str: 5, int: 5, bool: 6, type(None): 6, float: 7}
_LONGEST_TAG = len("!!timestamp")
_Kind = Literal["item", "value", "complex"]  # after a dash, after `key:`, after the `:` of a `?`


def dump(data: Mapping[Any, Any] | Sequence[Any]) -> str:
    """Return a mapping or list as YAML text, ending in a line break.

    Parameters
    ----------
    data : mapping or sequence
        Of mappings, lists, `str`, `int`, `float`, `bool`, `None`, `date` and `datetime`; keys are
        written in the order of the mapping.

    Raises
    ------
    assay.Error
        If a value has another type, a key is a list or mapping, or the nesting is too deep.

    Examples
    --------
    >>> print(dump({"schema": "2.0", "stages": {"train": {"cmd": "python train.py", "deps": []}}}))
    schema: '2.0'
    stages:
      train:
        cmd: python train.py
        deps: []
    <BLANKLINE>
    """
    try:
        return _Writer(data).text()
    except RecursionError as error:
        raise Error("the data is nested too deeply to be written as YAML") from error


def has_anchors(data: Any) -> bool:
    """Say whether a list or mapping stands twice in the data, so that it gets a name.

    Examples
    --------
    >>> layers = [8, 4]
    >>> has_anchors({"a": layers, "b": layers}), has_anchors({"a": [8, 4], "b": [8, 4]})
    (True, False)
    """
    return bool(_anchors(data))


class _Writer:
    """Collects lines; `lead` is what already stands on the first line of a collection."""

    def __init__(self, data: Any) -> None:
        self.data = data
        self.lines: list[str] = []
        self.keys: dict[str, str | None] = {}
        self.anchors = _anchors(data)
        self.written: set[int] = set()

    def text(self) -> str:
        if not self.data:
            return "{}\n" if isinstance(self.data, Mapping) else "[]\n"
        anchor = self.anchors.get(id(self.data))
        if anchor is not None:
            self.lines.append(f"&{anchor}")
            self.written.add(id(self.data))
        self.collection(self.data, 0, "")
        self.lines.append("")
        return "\n".join(self.lines)

    def collection(self, data: Any, indent: int, lead: str) -> None:
        if isinstance(data, Mapping):
            self.mapping(data, indent, lead)
        else:
            self.sequence(data, indent, lead)

    def sequence(self, data: Sequence[Any], indent: int, lead: str) -> None:
        pad = " " * indent
        for item in data:
            self.value(item, lead + "-", indent, "item")
            lead = pad

    def mapping(self, data: Mapping[Any, Any], indent: int, lead: str) -> None:
        pad = " " * indent
        for key, value in data.items():
            text = self.simple_key(key)
            if text is None:
                written = emit_scalars.write(key, column=indent + 2, indent=indent + 2)
                self.lines.append(f"{lead}? {written}")
                self.value(value, pad + ":", indent, "complex")
            else:
                self.value(value, f"{lead}{text}:", indent, "value")
            lead = pad

    def simple_key(self, key: Any) -> str | None:
        """Return the text of a key that may stand before its colon, `None` for any other."""
        if type(key) is not str:
            text = emit_scalars.write(key, column=0, indent=0, is_key=True)
            length = len(emit_scalars.literal(key)) + _TAGS.get(type(key), _LONGEST_TAG)
            return text if length <= _LONGEST_KEY else None
        if key not in self.keys:
            is_simple = len(key) + _TAGS[str] <= _LONGEST_KEY and not emit_scalars.is_multiline(
                key
            )
            self.keys[key] = (
                emit_scalars.write(key, column=0, indent=0, is_key=True) if is_simple else None
            )
        return self.keys[key]

    def value(self, value: Any, lead: str, indent: int, kind: _Kind) -> None:
        """Write what follows `lead`, the whole line so far, in a collection at `indent`."""
        if type(value) in _TAGS:
            if value is None:
                self.lines.append(lead + " " if kind == "item" else lead)
            else:
                text = emit_scalars.write(value, column=len(lead) + 1, indent=indent + 2)
                self.lines.append(f"{lead} {text}")
            return
        anchor = self.anchors.get(id(value)) if self.anchors else None
        if anchor is not None:
            if id(value) in self.written:
                self.lines.append(f"{lead} *{anchor}")
                return
            self.written.add(id(value))
            lead = f"{lead} &{anchor}"
        if not _is_collection(value):
            text = emit_scalars.write(value, column=len(lead) + 1, indent=indent + 2)
            self.lines.append(f"{lead} {text}")
        elif not value:
            self.lines.append(lead + (" {}" if isinstance(value, Mapping) else " []"))
        else:
            self.nested(
                value,
                lead,
                indent,
                "value" if anchor and kind == "complex" else kind,
                on_new_line=anchor is not None or kind == "value",
            )

    def nested(
        self, value: Any, lead: str, indent: int, kind: _Kind, *, on_new_line: bool
    ) -> None:
        """Write a collection; a list after `key:` has its dashes under the key."""
        inner = indent if kind == "value" and not isinstance(value, Mapping) else indent + 2
        if on_new_line:
            self.lines.append(lead)
            lead = " " * inner
        else:
            lead += " "
        self.collection(value, inner, lead)


def _is_collection(value: Any) -> bool:
    return isinstance(value, (list, tuple, Mapping))


def _anchors(data: Any) -> dict[int, str]:
    """Name what stands in the data more than once, in the order of the second times."""
    anchors: dict[int, str] = {}
    seen: set[int] = set()
    todo: list[Any] = [data]
    while todo:
        value = todo.pop()
        if type(value) in _TAGS or value == ():
            continue
        if id(value) in seen:
            anchors.setdefault(id(value), f"id{len(anchors) + 1:03d}")
            continue
        seen.add(id(value))
        if _is_collection(value):
            inner = value.values() if isinstance(value, Mapping) else value
            todo.extend(reversed(list(inner)))
    return anchors

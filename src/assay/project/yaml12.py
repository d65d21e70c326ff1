"""What a YAML 1.2 file says, read as DVC reads it, with the line for every complaint.

`on`, `off`, `yes` and `no` are text, `1e-4` is a float, `010` is ten, a key may stand once.
libyaml cuts the text into events, far faster than DVC's own reader. Where it refuses
(it knows YAML 1.1: `[x:, ?]` is an error to it) or is not there, ruamel.yaml's scanner has the
last word. What one scalar means is in `assay.project.yaml12_scalars`; writing is the business of
`assay.project.emit`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from assay.base.errors import Error, NotFound
from assay.base.files import explain
from assay.project.yaml12_scalars import STARTS, convert, kind_of

MAX_DEPTH = 200  # of nested lists and mappings: whoever walks the data may recurse
MAX_MERGED = 1_000_000  # keys that all '<<' of one file may copy

# What ruamel's scanner raises over an escape like "\\UFFFFFFFF" or a version like 1.99.
_RUAMEL_CRASHES = (ArithmeticError, AssertionError, AttributeError, LookupError, ValueError)
_CORE = "tag:yaml.org,2002:"
_CONFLICT = re.compile(r"^(?:<{7}|={7}|>{7})(?:\s|\Z)", re.MULTILINE)


def load(text: str, *, where: str | Path) -> Any:
    """Return what one YAML document says; `None` for an empty one.

    Aliases give the same object again. Scalars are `str`, `int`, `float`, `bool`, `None`,
    `datetime.date` and `datetime.datetime`; a list as a key becomes a tuple.

    Parameters
    ----------
    text : str
        The document.
    where : str or Path
        The file it came from, for errors.

    Raises
    ------
    assay.Error
        If the text is no YAML, has a key twice, an unknown tag, an alias within what it names,
        more than 200 levels, or more than one document.

    Examples
    --------
    >>> load("{on: yes, lr: 1e-4, n: 010}", where="params.yaml")
    {'on': 'yes', 'lr': 0.0001, 'n': 10}
    """
    text = text.removeprefix("\ufeff")
    try:
        return _Builder(text, where).build(_events(text, where))
    except _NotYaml as refusal:
        events = _ruamel_events(text, where)
        try:
            return _Builder(text, where).build(events)
        except _NotYaml:
            raise refusal from None


def read(path: Path) -> Any:
    """Return what the YAML file `path` says (UTF-8, with or without BOM); an empty one is `None`.

    Raises
    ------
    assay.Error
        If it cannot be read, is not UTF-8, or `load` refuses it; `NotFound` if it is not there.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise NotFound("the file does not exist", where=path) from error
    except OSError as error:
        raise explain(error, path) from error
    except UnicodeDecodeError as error:
        raise Error(
            f"the file is not UTF-8 text (byte {error.start})",
            where=path,
            hint="save it with the encoding UTF-8",
        ) from error
    return load(text, where=path)


def line_of(text: str, path: Sequence[str | int]) -> int | None:
    r"""Return the line, counted from 1, on which the key or list item `path` starts.

    For a path that is not there it is the line of the nearest parent that is; `None` only if
    the text is empty or no YAML at all.

    Examples
    --------
    >>> line_of("stages:\n  train:\n    cmd: x\n", ["stages", "train", "deps", 0])
    2
    """
    found: int | None = None
    frames: list[list[Any]] = []  # [is a mapping, levels of `path` it stands for or -1, key, line]
    try:
        for name, event in _named_events(text, "text"):
            if name.endswith("End"):
                frames.pop()
                continue
            line = event.start_mark.line + 1
            level = 0 if not frames else _step(frames[-1], name, event, path)
            if level >= 0:
                found = frames[-1][3] if frames and frames[-1][0] else line
            if level == len(path):
                break
            if name in {"MappingStart", "SequenceStart"}:
                frames.append(
                    [name == "MappingStart", level, _NO_KEY if name[0] == "M" else -1, 0]
                )
    except Error:
        pass
    return found


class _NotYaml(Error):
    """The scanner cannot read on; what comes of data is a plain `Error`."""


class _Sentinel:
    """A value that no document can hold."""


_NO_KEY = _Sentinel()
_MERGE = _Sentinel()


class _Open:
    """A list or mapping whose end has not come yet."""

    __slots__ = ("anchor", "data", "duplicate", "key", "line", "merged")

    def __init__(self, data: Any, line: int, anchor: str | None) -> None:
        self.data = data
        self.line = line
        self.anchor = anchor
        self.key: Any = _NO_KEY
        self.merged: dict[Any, Any] | None = None
        self.duplicate: tuple[Any, int] | None = None


class _Builder:
    """Turns events into data without recursion, so that no depth of nesting can crash it."""

    def __init__(self, text: str, where: str | Path) -> None:
        self.text = text
        self.where = where
        self.stack: list[_Open] = []
        self.anchors: dict[str, Any] = {}
        self.n_merged = 0

    def build(self, events: Iterator[Any]) -> Any:
        document = _Open([], 0, None)
        self.stack.append(document)
        for event in events:
            match type(event).__name__:
                case "ScalarEvent":
                    self.add(self.scalar(event), event)
                case "MappingStartEvent":
                    self.open({}, event, "map")
                case "SequenceStartEvent":
                    self.open([], event, "seq")
                case "MappingEndEvent" | "SequenceEndEvent":
                    self.close(event)
                case "AliasEvent":
                    self.add(self.alias(event), event)
                case "DocumentStartEvent":
                    self.start_document(event, is_first=not document.data)
                case _:
                    pass
        return document.data[0] if document.data else None

    def start_document(self, event: Any, *, is_first: bool) -> None:
        if not is_first:
            raise self.error("expected one document, found a second one", event)
        if event.version not in {None, (1, 2)}:
            number = ".".join(map(str, event.version))
            raise self.error(f"expected YAML 1.2, found a directive for YAML {number}", event)

    def open(self, data: Any, event: Any, kind: str) -> None:
        if len(self.stack) > MAX_DEPTH:
            raise self.error(f"lists and mappings are nested more than {MAX_DEPTH} deep", event)
        if event.tag not in {None, "!", _CORE + kind}:
            raise self.unknown_tag(event)
        frame = _Open(data, event.start_mark.line, event.anchor)
        if event.anchor is not None:
            self.anchors[event.anchor] = frame
        self.stack.append(frame)

    def close(self, event: Any) -> None:
        frame = self.stack.pop()
        data = frame.data
        if frame.merged is not None:
            data = {**frame.merged, **data}
        elif frame.duplicate is not None:
            raise self.duplicate(*frame.duplicate)
        if frame.anchor is not None and self.anchors.get(frame.anchor) is frame:
            self.anchors[frame.anchor] = data
        self.add(data, event)

    def add(self, value: Any, event: Any) -> None:
        """Put a finished value where it belongs: a list, a key, or the value of a key."""
        frame = self.stack[-1]
        data = frame.data
        if type(data) is list:
            data.append("<<" if value is _MERGE else value)
        elif frame.key is _NO_KEY:
            frame.key = self.hashable(value, event)
            if frame.key in data and frame.duplicate is None:
                frame.duplicate = (frame.key, event.start_mark.line)
        elif frame.key is _MERGE:
            self.merge(frame, value, event)
            frame.key = _NO_KEY
        else:
            data[frame.key] = "<<" if value is _MERGE else value
            frame.key = _NO_KEY

    def hashable(self, key: Any, event: Any) -> Any:
        if type(key) is list:
            key = tuple(key)
        try:
            hash(key)
        except TypeError:
            raise self.error("a mapping, or a list that holds one, is no key", event) from None
        return key

    def merge(self, frame: _Open, value: Any, event: Any) -> None:
        if frame.merged is not None:
            raise self.error("the merge key '<<' stands twice in one mapping", event)
        sources = value if type(value) is list else [value]
        if not all(type(source) is dict for source in sources):
            raise self.error("'<<' expects a mapping or a list of mappings", event)
        self.n_merged += sum(map(len, sources))
        if self.n_merged > MAX_MERGED:
            raise self.error(f"the '<<' of this file copy more than {MAX_MERGED} keys", event)
        frame.merged = {}
        for source in reversed(sources):  # the first one wins, and its keys come last
            frame.merged.update(source)

    def alias(self, event: Any) -> Any:
        if event.anchor not in self.anchors:
            raise self.error(f"no anchor '&{event.anchor}' comes before this alias", event)
        value = self.anchors[event.anchor]
        if type(value) is _Open:
            raise self.error(f"the alias '*{event.anchor}' is within what it names", event)
        return value

    def scalar(self, event: Any) -> Any:
        text = event.value
        if event.tag is not None and event.tag != "!":
            value = self.tagged(text, event)
        elif event.tag and not text:  # a bare `!`, which DVC reads as null
            value = None
        elif not event.implicit[0] or (text and text[0] not in STARTS):
            value = text
        else:
            kind = kind_of(text)
            value = text if kind is None else self.convert(kind, text, event)
        if event.anchor is not None:
            self.anchors[event.anchor] = "<<" if value is _MERGE else value
        return value

    def tagged(self, text: str, event: Any) -> Any:
        kind = event.tag.removeprefix(_CORE)
        if kind == "str":
            return text
        if kind not in {"bool", "float", "int", "null", "timestamp"}:
            raise self.unknown_tag(event)
        return self.convert(kind, text, event)

    def convert(self, kind: str, text: str, event: Any) -> Any:
        try:
            return _MERGE if kind == "merge" else convert(kind, text)
        except (ValueError, OverflowError):
            article = "an" if kind == "int" else "a"
            shown = text if len(text) <= 40 else text[:40] + "..."
            raise self.error(
                f"{shown!r} looks like {article} {kind}, but cannot be read as one",
                event,
                hint="put it in quotes if it is text",
            ) from None

    def unknown_tag(self, event: Any) -> Error:
        tag = event.tag.replace(_CORE, "!!")
        return self.error(f"the tag '{tag}' is not known", event, hint="remove the tag")

    def duplicate(self, key: Any, line: int) -> Error:
        keys = [
            len(frame.data) if type(frame.data) is list else frame.key for frame in self.stack[1:]
        ]
        first = line_of(self.text, [*keys, key])
        return Error(
            f"the key {key!r} stands twice in one mapping, first on line {first}",
            where=f"{self.where}:{line + 1}",
            hint=_conflict_hint(self.text) or "remove one of the two, or rename it",
        )

    def error(self, what: str, event: Any, *, hint: str | None = None) -> Error:
        return Error(what, where=f"{self.where}:{event.start_mark.line + 1}", hint=hint)


def _events(text: str, where: str | Path) -> Iterator[Any]:
    """Yield libyaml's events, or ruamel's where libyaml is missing."""
    import yaml

    try:
        from yaml._yaml import CParser
    except ImportError:
        yield from _ruamel_events(text, where)
        return
    try:
        parser: Any = CParser(text)
        while (event := parser.get_event()) is not None:
            yield event
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        raise _explain(error, text, where) from error


def _ruamel_events(text: str, where: str | Path) -> Iterator[Any]:
    """Yield the events of ruamel's scanner for YAML 1.2; they have the names of PyYAML's."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        yield from YAML(typ="safe", pure=True).parse(text)
    except (YAMLError, *_RUAMEL_CRASHES) as error:
        raise _explain(error, text, where) from error


def _explain(error: Exception, text: str, where: str | Path) -> _NotYaml:
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is not None:
        line = min(mark.line, text.rstrip("\n").count("\n")) + 1  # the end has a line of its own
    else:
        position = getattr(error, "position", None) or getattr(error, "start", 0)
        line = text.encode("utf-8", "replace")[:position].count(b"\n") + 1
    context, context_mark = getattr(error, "context", None), getattr(error, "context_mark", None)
    if context and context_mark is not None and context.startswith("while parsing"):
        problem = f"{problem} {context} that starts on line {min(context_mark.line + 1, line)}"
    return _NotYaml(
        "not valid YAML: " + " ".join(problem.split()),
        where=f"{where}:{line}",
        hint=_conflict_hint(text),
    )


def _conflict_hint(text: str) -> str | None:
    if _CONFLICT.search(text) is None:
        return None
    return "this is possibly a merge conflict: resolve the lines between '<<<<<<<' and '>>>>>>>'"


def _named_events(text: str, where: str) -> Iterator[tuple[str, Any]]:
    for event in _events(text, where):
        name = type(event).__name__.removesuffix("Event")
        if not name.startswith(("Stream", "Document")):
            yield name, event


def _step(frame: list[Any], name: str, event: Any, path: Sequence[str | int]) -> int:
    """Note that a child of `frame` starts; return how far along `path` it is, or -1."""
    is_mapping, level, key, _line = frame
    if is_mapping and key is _NO_KEY:
        frame[2] = _key_of(event) if name == "Scalar" else _MERGE
        frame[3] = event.start_mark.line + 1
        return -1
    if is_mapping:
        frame[2] = _NO_KEY
    else:
        frame[2] = key = key + 1
    return level + 1 if 0 <= level < len(path) and key == path[level] else -1


def _key_of(event: Any) -> Any:
    try:
        return _Builder("", "").scalar(event)
    except Error:
        return event.value

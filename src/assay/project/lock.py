"""`dvc.lock`: what was last run on what, byte for byte as DVC writes it.

The file is replaced as a whole and never seen half-written. Entries keep their place; a stage
that ran for the first time goes to the end.
"""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import msgspec

from assay.base.files import write_atomic
from assay.project import edit, rows, versions
from assay.project.grammar import Source, mapping
from assay.project.stages import Row

_TOP: dict[str, Any] = {"schema": str, "stages": dict, "datasets": list}
_ENTRY: dict[str, Any] = {"cmd": (str, list), "deps": list, "params": dict, "outs": list}
_ROW: dict[str, Any] = {
    "path": str,
    "hash": str,
    "md5": (str, int),
    "etag": (str, int),
    "checksum": (str, int),
    "size": int,
    "nfiles": int,
    "isexec": bool,
    "version_id": str,
    "cloud": dict,
    "files": list,
}


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What a stage last ran on: command, dependencies, parameters by file, outputs."""

    cmd: str | list[str] | None = None
    deps: tuple[Row, ...] = ()
    params: dict[str, dict[str, Any]] = {}
    outs: tuple[Row, ...] = ()


def parse(source: Source) -> dict[str, Entry]:
    """Read the text of a lock into entries by stage name, in file order."""
    return _entries(source, source.load())


def _entries(source: Source, data: Any) -> dict[str, Entry]:
    if data is None:
        return {}
    top = mapping(source, data, [], _TOP, what="the lock")
    if top.get("schema") != "2.0":
        raise source.fail(
            ["schema"],
            f"the lock has the schema {top.get('schema')!r}, not '2.0'",
            hint="get the file of the last commit: 'git checkout -- dvc.lock'",
        )
    return {
        name: _entry(source, entry, ["stages", name], name)
        for name, entry in (top.get("stages") or {}).items()
    }


def parse_entry(source: Source) -> Entry:
    """Read the text of one entry that stands by itself, as in the run cache."""
    return _entry(source, source.load(), [], "it")


def _entry(source: Source, value: Any, at: list[Any], name: str) -> Entry:
    body = mapping(source, value, at, _ENTRY, what=f"the entry of stage '{name}'")

    def read(key: str) -> tuple[Row, ...]:
        found = []
        for number, item in enumerate(body.get(key, [])):
            here = [*at, key, number]
            row = mapping(source, item, here, _ROW, what=f"a row of '{name}'", required=["path"])
            found.append(rows.parse(source, row, here))
        return tuple(found)

    return Entry(
        cmd=body.get("cmd"), deps=read("deps"), params=body.get("params", {}), outs=read("outs")
    )


def to_data(entry: Entry) -> dict[str, Any]:
    """Return an entry as it is written: what is empty is left out, `params.yaml` comes first."""
    data: dict[str, Any] = {"cmd": entry.cmd}
    if entry.deps:
        data["deps"] = [rows.for_lock(r) for r in sorted(entry.deps, key=lambda r: r.path)]
    if entry.params:
        files = sorted(entry.params, key=lambda file: (file != "params.yaml", file))
        data["params"] = {f: dict(sorted(entry.params[f].items(), key=_by_key)) for f in files}
    if entry.outs:
        data["outs"] = [rows.for_lock(r) for r in sorted(entry.outs, key=lambda r: r.path)]
    return data


_HEAD = "schema: '2.0'\nstages:\n"


def _by_key(item: tuple[Any, Any]) -> tuple[bool, Any]:
    return isinstance(item[0], str), item[0]  # a file may have numbers for keys beside names


class Lock:
    """The lock beside one `dvc.yaml`.

    What is put into it is written at once, or, where many stages end within a moment, together
    with what follows: see `put` and `write`. The text of each entry is kept, so that one more
    entry does not cost the rendering of all.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pending: dict[str, tuple[Entry, int | None]] = {}
        self._read()

    def _read(self) -> None:
        self._text: str | None = None
        self._data: dict[str, Any] = {}
        self._parts: dict[str, str] | None = None
        self._is_edited = False  # by a person, or with anchors: then it is rendered as a whole
        self._added: dict[str, int] = {}
        self._signature = _signature(self.path)
        self.entries: dict[str, Entry] = {}
        if self.path.exists():
            source = Source.of(self.path, shown=self.path.name)
            self._text = source.text
            data = source.load()
            self.entries = _entries(source, data)
            self._data = data or {}

    def get(self, name: str) -> Entry | None:
        """Return the entry of a stage, or None if it never ran."""
        return self.entries.get(name)

    def put(
        self, name: str, entry: Entry, *, place: int | None = None, later: bool = False
    ) -> bool:
        """Record a stage; returns False where nothing changed.

        Parameters
        ----------
        place : int, optional
            Where a stage without an entry stands among the others that are new, as by their
            order in the plan; at the end, where not given.
        later : bool
            Leave the writing to `write`.
        """
        if self._has_changed_meanwhile():
            self._reread()
        changed = self._put(name, entry, place)
        if changed:
            self._pending[name] = (entry, place)
        if not later:
            self.write()
        return changed

    def write(self) -> None:
        """Write what was put into it, if anything was."""
        if not self._pending:
            return
        if self._has_changed_meanwhile():
            self._reread()
        text = self._whole()
        if text != self._text:
            write_atomic(self.path, text)
            self._text, self._signature = text, _signature(self.path)
        self._pending = {}

    def _has_changed_meanwhile(self) -> bool:
        """Say whether somebody else wrote the file: a command, a person, another tool."""
        return _signature(self.path) != self._signature

    def _reread(self) -> None:
        self._read()
        for name, (entry, place) in self._pending.items():
            self._put(name, entry, place)

    def _put(self, name: str, entry: Entry, place: int | None) -> bool:
        from assay.project import emit  # slow to import, and most commands write nothing

        entry, data = self._with_versions(name, entry)
        data = copy.deepcopy(data)  # what two stages share gets no anchor, as in DVC
        self._data.setdefault("schema", "2.0")
        stages = self._data["stages"] = self._data.get("stages") or {}
        if self._parts is None and not self._is_edited:
            self._take_apart(stages)
        part = _rendered(name, data)
        is_new = name not in stages
        self.entries[name] = entry
        if not is_new:
            before = self._parts[name] if self._parts else _rendered(name, stages[name])
            if before == part:
                return False
        stages[name] = data
        if self._parts is not None:
            self._parts[name] = part
        if emit.has_anchors(data):  # they are numbered through the whole file
            self._parts, self._is_edited = None, True
        if is_new:
            self._sort_in(name, place)
        return True

    def _with_versions(self, name: str, entry: Entry) -> tuple[Entry, dict[str, Any]]:
        """Return an entry that keeps the versions of outputs that are as they were; its data."""
        data = to_data(entry)
        before = {row.path: row for row in self.entries[name].outs} if name in self.entries else {}
        if not any(row.versions for row in (*entry.outs, *before.values())):
            return entry, data
        outs = [versions.carried(row, before.get(row.path)) for row in entry.outs]
        by_path = {row.path: row for row in outs}
        data["outs"] = [versions.to_data(by_path[out["path"]], out) for out in data["outs"]]
        return msgspec.structs.replace(entry, outs=tuple(outs)), data

    def _take_apart(self, stages: dict[str, Any]) -> None:
        """Keep the text of each entry by itself, where it can be told from the others."""
        from assay.project import emit

        is_plain = list(self._data) == ["schema", "stages"] and not emit.has_anchors(self._data)
        self._parts = _apart(self._text or "", stages) if is_plain else None
        self._is_edited = self._parts is None

    def _sort_in(self, name: str, place: int | None) -> None:
        """Give a new entry its place among the new ones."""
        last = max(self._added.values(), default=-1)
        self._added[name] = last + 1 if place is None else place
        if self._added[name] >= last:
            return
        new = sorted(self._added, key=self._added.__getitem__)
        for entries in (self._data["stages"], self._parts or {}):
            for one in new:
                entries[one] = entries.pop(one)

    def _whole(self) -> str:
        if self._parts is not None:
            return _joined(self._parts)
        return edit.updated(self._text, self._data, keep_order=False)


def _rendered(name: str, data: Any) -> str:
    """Return the lines of one entry."""
    from assay.project import emit

    return emit.dump({"stages": {name: data}}).partition("\n")[2]


def _apart(text: str, stages: dict[str, Any]) -> dict[str, str] | None:
    """Return the lines of each entry, or None where they are not as a tool writes them.

    What looks so is not rendered for a comparison: that takes 0.1 s where there are 1,000.
    """
    names = list(stages)
    before, *parts = re.split(r"(?m)^(?=  [^ ])", text.removeprefix(_HEAD))
    if len(parts) == len(names) and not before and "#" not in text and text.endswith("\n"):
        found = dict(zip(names, parts, strict=True))
        if all(part.startswith(f"  {name}:\n    cmd:") for name, part in found.items()):
            return found
    rendered = {name: _rendered(name, data) for name, data in stages.items()}
    return rendered if not stages or text == _joined(rendered) else None


def _joined(parts: dict[str, str]) -> str:
    return "".join([_HEAD, *parts.values()])


def _signature(path: Path) -> tuple[int, int, int] | None:
    """Return what tells a file from the one that was there before."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size

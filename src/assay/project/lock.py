"""`dvc.lock`: what was last run on what, byte for byte as DVC writes it.

The file is replaced as a whole and never seen half-written. Entries keep their place; a stage
that ran for the first time goes to the end.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from assay.base.files import write_atomic
from assay.project import edit, rows
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
    data = source.load()
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


def _by_key(item: tuple[Any, Any]) -> tuple[bool, Any]:
    return isinstance(item[0], str), item[0]  # a file may have numbers for keys beside names


class Lock:
    """The lock beside one `dvc.yaml`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._text: str | None = None
        self._data: dict[str, Any] = {}
        self.entries: dict[str, Entry] = {}
        if path.exists():
            source = Source.of(path, shown=path.name)
            self._text = source.text
            self.entries = parse(source)
            self._data = source.load() or {}

    def get(self, name: str) -> Entry | None:
        """Return the entry of a stage, or None if it never ran."""
        return self.entries.get(name)

    def put(self, name: str, entry: Entry) -> bool:
        """Record a stage and write the file; returns False where nothing changed."""
        self._data.setdefault("schema", "2.0")
        stages = self._data.setdefault("stages", {})
        stages[name] = to_data(entry)
        self.entries[name] = entry
        text = edit.updated(self._text, self._data, keep_order=False)
        if text == self._text:
            return False
        write_atomic(self.path, text)
        self._text = text
        return True

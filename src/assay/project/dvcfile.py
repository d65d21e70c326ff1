"""`.dvc` files: the record of data that was added. Source: DVC 3.67's schema and serializer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from assay.base.errors import Error
from assay.project import edit, rows
from assay.project.grammar import Source, mapping
from assay.project.stages import Out, Row, Stage

SUFFIX = ".dvc"

_TOP: dict[str, Any] = {
    "desc": str,
    "md5": (str, int),
    "cmd": (str, list),
    "wdir": str,
    "frozen": bool,
    "locked": bool,
    "deps": list,
    "outs": list,
    "always_changed": bool,
    "meta": object,
}
_HASHES: dict[str, Any] = {
    "md5": (str, int),
    "etag": (str, int),
    "checksum": (str, int),
    "size": int,
    "nfiles": int,
    "isexec": bool,
    "version_id": str,
    "cloud": dict,
    "hash": str,
    "path": str,
    "fs_config": dict,
    "files": list,
}
_OUT: dict[str, Any] = _HASHES | {
    "desc": str,
    "type": str,
    "labels": list,
    "meta": object,
    "cache": bool,
    "metric": object,
    "plot": object,
    "persist": bool,
    "remote": str,
    "push": bool,
}
_DEP: dict[str, Any] = _HASHES | {"repo": dict, "db": dict}


def parse(source: Source, *, path: Path, root: Path) -> Stage:
    """Read the text of the `.dvc` file at `path` in the project at `root`."""
    data = source.load() or {}
    top = mapping(source, data, [], _TOP, what="the file")
    wdir = Path(os.path.normpath(path.parent / top.get("wdir", ".")))
    outs, recorded = [], {}
    for number, item in enumerate(top.get("outs", [])):
        at = ["outs", number]
        row = mapping(source, item, at, _OUT, what="the output", required=["path"])
        if "files" in row or "cloud" in row:
            raise source.fail(at, "the output is on a cloud-versioned remote, which Assay does "
                              "not read yet", hint="use dvc for this file")  # fmt: skip
        out = Out(
            path=row["path"],
            cache=row.get("cache", True),
            persist=row.get("persist", False),
            push=row.get("push", True),
            remote=row.get("remote"),
        )
        outs.append(out)
        recorded[out.path] = rows.parse(source, row, at)
    for number, item in enumerate(top.get("deps", [])):
        mapping(source, item, ["deps", number], _DEP, what="the dependency")
    address = path.relative_to(root).as_posix()
    return Stage(
        name=address,
        address=address,
        file=path,
        wdir=wdir,
        cmd=top.get("cmd"),
        outs=tuple(outs),
        frozen=top.get("frozen", False),
        desc=top.get("desc"),
        meta=top.get("meta"),
        recorded=recorded,
        is_import=bool(top.get("deps")),
    )


def refuse_other(path: Path, written: str) -> None:
    """Raise if a `.dvc` file that exists is the record of something else than `written`."""
    if path.exists():
        outs = (Source.of(path).load() or {}).get("outs", [])
        if all(out.get("path") != written for out in outs):
            raise _no_output(path, written)


def write(path: Path, row: Row) -> bool:
    """Record the content of one output in its `.dvc` file; returns False where nothing changed.

    Annotations and comments of a file that exists stay.
    """
    if not path.exists():
        return edit.write(path, {"outs": [rows.for_dvc_file(row)]})
    data = Source.of(path).load() or {}
    outs = data.get("outs", [])
    for number, out in enumerate(outs):
        if out.get("path") == row.path:
            kept = {
                key: value
                for key, value in out.items()
                if key not in {"md5", "size", "nfiles", "isexec", "hash"}
            }
            fresh = rows.for_dvc_file(row)
            outs[number] = {k: v for k, v in fresh.items() if k != "path"} | kept
            return edit.write(path, data)
    raise _no_output(path, row.path)


def _no_output(path: Path, written: str) -> Error:
    return Error(
        f"the file has no output '{written}'",
        where=path,
        hint=f"move it away, then run 'assay add {written}' again",
    )

"""`.dvc` files: the record of data that was added. Source: DVC 3.67's schema and serializer."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from assay.base.errors import Error
from assay.objects.hashing import hash_bytes
from assay.objects.tree import Entry
from assay.project import edit, plain, rows, versions
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
_REPO: dict[str, Any] = {
    "url": str,
    "rev": str,
    "rev_lock": str,
    "config": (str, dict),
    "remote": (str, dict),
}

_NOT_IN_MD5 = frozenset(
    "desc type labels meta locked frozen metric persist isexec size nfiles".split()  # noqa: SIM905
)


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where the data of an import come from.

    Attributes
    ----------
    path : str
        As written: a path in the other repository, or a path or URL of its own.
    url, rev, rev_lock : str or None
        The other repository, the revision to follow, the commit that was imported.
    config, remote : mapping, str or None
        What overrides the other repository's configuration: a file or options, and its remote.
    recorded : mapping
        The whole row as it stands in the file.
    """

    path: str
    url: str | None = None
    rev: str | None = None
    rev_lock: str | None = None
    config: str | dict[str, Any] | None = None
    remote: str | dict[str, Any] | None = None
    recorded: dict[str, Any] = {}

    @property
    def is_versioned(self) -> bool:
        """Whether the record says which versions of a bucket the data are."""
        return "version_id" in self.recorded or "files" in self.recorded

    @property
    def is_repository(self) -> bool:
        """Whether the data come from another repository; else from a path or URL."""
        return self.url is not None


def parse(source: Source, *, path: Path, root: Path) -> Stage:
    """Read the text of the `.dvc` file at `path` in the project at `root`."""
    data = plain.load(source.text) or source.load() or {}
    top = mapping(source, data, [], _TOP, what="the file")
    wdir = Path(os.path.normpath(path.parent / top.get("wdir", ".")))
    outs, recorded = [], {}
    deps = [_dep(source, item, number) for number, item in enumerate(top.get("deps", []))]
    is_shared = any("repo" in dep for dep in deps)  # the other repository's remote has it
    for number, item in enumerate(top.get("outs", [])):
        at = ["outs", number]
        row = mapping(source, item, at, _OUT, what="the output", required=["path"])
        out = Out(
            path=row["path"],
            cache=row.get("cache", True),
            persist=row.get("persist", False),
            push=row.get("push", True) and not is_shared,
            remote=row.get("remote"),
        )
        outs.append(out)
        recorded[out.path] = rows.parse(source, row, at)
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
        is_import=bool(deps),
    )


def _dep(source: Source, item: Any, number: int) -> dict[str, Any]:
    at = ["deps", number]
    dep = mapping(source, item, at, _DEP, what="the dependency")
    if "repo" in dep:
        what = "'repo' of the dependency"
        mapping(source, dep["repo"], [*at, "repo"], _REPO, what=what, required=["url"])
        mapping(source, item, at, _DEP, what="the dependency", required=["path"])
    return dep


def origin(source: Source) -> Origin | None:
    """Return where the data of a `.dvc` file come from, or None if it is not an import."""
    deps = (source.load() or {}).get("deps") or []
    if len(deps) != 1 or "db" in deps[0] or "path" not in deps[0]:
        return None
    repo = _dep(source, deps[0], 0).get("repo") or {}
    return Origin(path=deps[0]["path"], recorded=deps[0], **repo)


def stage_md5(data: dict[str, Any]) -> str:
    """Return the `md5` that a `.dvc` file with dependencies has of itself.

    Examples
    --------
    >>> stage_md5({"frozen": True, "outs": [{"path": "a"}]})
    'ade08b712b37b1d3ed2bfc8ad185aa72'
    """
    top = {key: value for key, value in data.items() if key not in {"md5", "meta", "desc"}}
    if top.get("wdir") == ".":
        del top["wdir"]
    return hash_bytes(json.dumps(_filtered(top), sort_keys=True).encode())


def _filtered(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _filtered(v) for k, v in value.items() if k not in _NOT_IN_MD5}
    return [_filtered(item) for item in value] if isinstance(value, list) else value


def refuse_other(path: Path, written: str) -> None:
    """Raise if a `.dvc` file that exists is the record of something else than `written`."""
    if path.exists():
        outs = (Source.of(path).load() or {}).get("outs", [])
        if all(out.get("path") != written for out in outs):
            raise _no_output(path, written)


def write(path: Path, row: Row, *, entries: Sequence[Entry] | None = None) -> bool:
    """Record the content of one output in its `.dvc` file; returns False where nothing changed.

    Annotations and comments of a file that exists stay, and so do the versions that a remote has
    of what is unchanged: in a folder, of the `entries` that are given.
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
                if key not in {"md5", "size", "nfiles", "isexec", "hash"} | versions.KEYS
            }
            old = rows.parse(Source.of(path), out, ["outs", number])
            fresh = rows.for_dvc_file(versions.carried(row, old, entries))
            outs[number] = {k: v for k, v in fresh.items() if k != "path"} | kept
            if "md5" in data and data.get("deps"):
                data["md5"] = stage_md5(data)
            return edit.write(path, data)
    raise _no_output(path, row.path)


def _no_output(path: Path, written: str) -> Error:
    return Error(
        f"the file has no output '{written}'",
        where=path,
        hint=f"move it away, then run 'assay add {written}' again",
    )

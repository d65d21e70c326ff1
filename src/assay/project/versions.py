"""Which version of a bucket has a recorded file: `cloud:` and `files:` of a row. Source: DVC 3.67.

A remote with `version_aware` keeps files under their own paths, and the bucket keeps what they
were before; the record of an output says which version each file is. A folder is recorded by its
files then, and not by the hash of its list, which follows from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from assay.objects import tree
from assay.objects.tree import Entry
from assay.project.grammar import Source, mapping
from assay.project.stages import Row, Version

_FILE: dict[str, Any] = {
    "relpath": str,
    "md5": (str, int),
    "etag": (str, int),
    "checksum": (str, int),
    "size": int,
    "isexec": bool,
    "version_id": (str, int),
    "cloud": dict,
}
_CLOUD: dict[str, Any] = {"etag": (str, int), "checksum": (str, int), "version_id": (str, int)}
KEYS = frozenset({"cloud", "files", "version_id", "etag", "checksum"})
"""The keys of a row that say where its versions are."""


def read(source: Source, row: dict[str, Any], at: Sequence[Any]) -> Row | None:
    """Read a row of a versioned remote that was checked for its keys; None for any other."""
    if "files" not in row:
        return None
    found = [_file(source, item, [*at, "files", n]) for n, item in enumerate(row["files"])]
    entries = [Entry(one.relpath, one.oid) for one in found]
    where = source.fail([*at, "files"], "").where
    tree.load(tree.dump(entries), where=where or source.shown)  # no path leaves its folder
    sizes = [one.size for one in found]
    return Row(
        path=row["path"],
        oid=tree.oid_of(entries),
        size=None if None in sizes else sum(size or 0 for size in sizes),
        n_files=len(found),
        versions=tuple(sorted(found, key=lambda one: one.relpath)),
    )


def of_file(source: Source, row: dict[str, Any], at: Sequence[Any], oid: str) -> Version | None:
    """Return which version of a remote a row of a single file names, or None."""
    if "cloud" not in row and "version_id" not in row:
        return None
    return _version(source, row, at, relpath="", oid=oid)


def _file(source: Source, item: Any, at: Sequence[Any]) -> Version:
    row = mapping(source, item, at, _FILE, what="a file of the folder", required=["relpath"])
    oid = str(row.get("md5") or "").lower()
    if not oid:
        raise source.fail(
            at, "the file has no 'md5'", hint="get the record of the last commit, or add it again"
        )
    return _version(source, row, at, relpath=row["relpath"], oid=oid)


def _version(
    source: Source, row: dict[str, Any], at: Sequence[Any], *, relpath: str, oid: str
) -> Version:
    remote, told = None, row
    cloud = row.get("cloud") or {}
    if len(cloud) > 1:
        raise source.fail([*at, "cloud"], "the file is said to be on more than one remote")
    for name, facts in cloud.items():
        what = "'cloud' of the file"
        remote, told = str(name), mapping(source, facts, [*at, "cloud", name], _CLOUD, what=what)
    etag, version = told.get("etag"), told.get("version_id")
    return Version(
        relpath=relpath,
        oid=oid,
        size=row.get("size"),
        remote=remote,
        etag=None if etag is None else str(etag),
        version_id=None if version is None else str(version),
    )


def to_data(row: Row, plain: dict[str, Any]) -> dict[str, Any]:
    """Return a row as it is written, with its versions; `plain` is what it would be without."""
    if not row.versions:
        return plain
    if row.is_directory:
        kept = {k: v for k, v in plain.items() if k not in {"md5", "size", "nfiles"}}
        return kept | {"files": [_written(one) for one in row.versions]}
    return plain | _cloud(row.versions[0])


def _written(one: Version) -> dict[str, Any]:
    data: dict[str, Any] = {"relpath": one.relpath, "md5": one.oid}
    if one.size is not None:
        data["size"] = one.size
    return data | _cloud(one)


def _cloud(one: Version) -> dict[str, Any]:
    facts = {"etag": one.etag, "version_id": one.version_id}
    told = {key: value for key, value in facts.items() if value is not None}
    if one.remote is None or not told:
        return dict(sorted(told.items(), reverse=True))
    return {"cloud": {one.remote: told}}


def carried(new: Row, old: Row | None, entries: Iterable[Entry] | None = None) -> Row:
    """Return a new record with the versions that the old one had of what is unchanged.

    A folder that was recorded by its files stays so where `entries`, its files now, are given.
    """
    if old is None or not old.versions or new.versions or new.oid is None:
        return new
    if new.oid == old.oid:
        return msgspec.structs.replace(new, versions=old.versions)
    if not new.is_directory or not old.is_directory or entries is None:
        return new
    before = {(one.relpath, one.oid): one for one in old.versions}
    now = tuple(
        before.get((e.relpath, e.oid), Version(relpath=e.relpath, oid=e.oid))
        for e in sorted(entries)
    )
    return msgspec.structs.replace(new, versions=now)


def unpushed(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as it is written without its versions, such as when its path is another one."""
    kept = {key: value for key, value in row.items() if key not in KEYS}
    if "files" in row:
        kept["files"] = [{k: v for k, v in one.items() if k not in KEYS} for one in row["files"]]
    return kept

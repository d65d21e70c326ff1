"""A directory as a list of objects, and that list as a file: DVC's manifest, to the byte.

`json.dumps` of `{"md5", "relpath"}` rows sorted by path. It has no sizes, no modes, no empty
directories. A manifest can come from anywhere, so no path in it is believed before it is checked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from assay.base.errors import Error
from assay.objects.cache import DIR, Cache
from assay.objects.hashing import hash_bytes

EMPTY = "d751713988987e9331980363e24189ce.dir"
"""The oid of the manifest of an empty directory."""


_MD5 = re.compile(r"[0-9a-f]{32}")
_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_. -]*(?:/[A-Za-z0-9_-][A-Za-z0-9_. -]*)*")
"""Paths without a part that begins with a dot, so that nothing more has to be looked at."""


class Entry(NamedTuple):
    """One file of a directory: its path with `/`, relative to the directory, and its oid."""

    relpath: str
    oid: str


def dump(entries: Iterable[Entry]) -> bytes:
    """Return the manifest's bytes.

    Examples
    --------
    >>> dump([Entry("b", "2" * 32), Entry("a", "1" * 32)])[:60]
    b'[{"md5": "11111111111111111111111111111111", "relpath": "a"}'
    """
    rows = [{"md5": e.oid, "relpath": e.relpath} for e in sorted(entries)]
    return json.dumps(rows).encode()


def oid_of(entries: Iterable[Entry]) -> str:
    """Return the oid of the manifest: the MD5 of its bytes and `.dir`."""
    return hash_bytes(dump(entries)) + DIR


def load(content: bytes, *, where: str | Path) -> list[Entry]:
    """Read a manifest, sorted by path.

    Raises
    ------
    Error
        If it is not a list of rows with a hash and a path, or a path in it is absolute, empty,
        or has a `.` or `..` part, or one path is a file and a folder at once.
    """
    try:
        rows = json.loads(content)
        entries = sorted(Entry(row["relpath"], row["md5"]) for row in rows)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _broken("it is not a list of files with their hashes", where) from error
    if not isinstance(rows, list):
        raise _broken("it is not a list of files with their hashes", where)
    seen: set[str] = set()
    for relpath, oid in entries:
        _check(relpath, oid, where)
        if relpath in seen:
            raise _broken(f"it names {relpath!r} twice", where)
        seen.add(relpath)
    for relpath, _ in entries:
        parent = relpath.rpartition("/")[0]
        while parent:
            if parent in seen:
                raise _broken(f"{parent!r} is a file and a folder in it", where)
            parent = parent.rpartition("/")[0]
    return entries


def _check(relpath: object, oid: object, where: str | Path) -> None:
    if not isinstance(relpath, str) or not isinstance(oid, str):
        raise _broken("a path or a hash in it is not text", where)
    if _MD5.fullmatch(oid) is None:
        raise _broken(f"{oid!r} in it is not an MD5", where)
    if _PLAIN.fullmatch(relpath) is not None:
        return
    try:
        relpath.encode()
    except UnicodeEncodeError:
        raise _broken(f"{relpath!r} in it is not UTF-8", where) from None
    parts = relpath.split("/")
    if "\0" in relpath or any(part in {"", ".", ".."} for part in parts):
        raise Error(
            f"the manifest names {relpath!r}, a path that leaves its folder",
            where=where,
            hint="nothing was written; this manifest was not made by a tool you trust",
        )
    if any(part.lower() == ".git" for part in parts):
        raise _broken(f"{relpath!r} in it belongs to git", where)


def _broken(what: str, where: str | Path) -> Error:
    return Error(
        f"the manifest is not valid: {what}",
        where=where,
        hint="get a good one with 'assay pull', or 'assay add' the folder again",
    )


def read(cache: Cache, oid: str) -> list[Entry]:
    """Read the manifest `oid` from a cache, checked against its hash."""
    return load(cache.read(oid), where=cache.path(oid))


def add(cache: Cache, entries: Iterable[Entry]) -> str:
    """Put the manifest of `entries` into a cache and return its oid."""
    return cache.add(dump(entries), suffix=DIR)

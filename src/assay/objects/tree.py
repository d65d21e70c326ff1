"""A directory as a list of objects, and that list as a file: DVC's manifest, to the byte.

`json.dumps` of `{"md5", "relpath"}` rows sorted by path. It has no sizes, no modes, no empty
directories. A manifest can come from anywhere, so no path in it is believed before it is checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from assay.base.errors import Error
from assay.objects.cache import DIR, Cache
from assay.objects.hashing import Algorithm, hash_bytes
from assay.objects.legacy import PREFIX, is_legacy, plain

EMPTY = "d751713988987e9331980363e24189ce.dir"
"""The oid of the manifest of an empty directory."""


_PART = 5000
_SPECIAL = re.compile(r"[/\n][./\n]|/\n")
"""What a list of paths has between two lines if a part of one is empty or begins with a dot."""


class _Row(msgspec.Struct, frozen=True, gc=False):
    md5: str
    relpath: str


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
    from json.encoder import encode_basestring_ascii as quoted

    rows = sorted(entries)
    parts = [  # a text for each of a million files, all at once, would take much memory
        ", ".join(
            f'{{"md5": "{plain(oid)}", "relpath": {quoted(relpath)}}}'
            for relpath, oid in rows[start : start + _PART]
        )
        for start in range(0, len(rows), _PART)
    ]
    return f"[{', '.join(parts)}]".encode()


def oid_of(entries: Iterable[Entry], *, algorithm: Algorithm = "md5") -> str:
    """Return the oid of the manifest: the MD5 of its bytes and `.dir`."""
    return hash_bytes(dump(entries), algorithm=algorithm) + DIR


def load(content: bytes, *, where: str | Path) -> list[Entry]:
    """Read a manifest, sorted by path.

    Raises
    ------
    Error
        If it is not a list of rows with a hash and a path, or a path in it is absolute, empty,
        or has a `.` or `..` part, or one path is a file and a folder at once.
    """
    try:
        rows = msgspec.json.decode(content, type=list[_Row])
        entries = sorted(Entry(row.relpath, row.md5) for row in rows)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        entries = _load_slowly(content, where)
        _refuse(entries, where)
    relpaths = {entry.relpath for entry in entries}
    if not _is_plain(entries) or len(relpaths) < len(entries):
        _refuse(entries, where)
    for parent in {relpath.rpartition("/")[0] for relpath in relpaths}:
        folder = parent
        while folder:
            if folder in relpaths:
                raise _broken(f"{folder!r} is a file and a folder in it", where)
            folder = folder.rpartition("/")[0]
    return entries


def _load_slowly(content: bytes, where: str | Path) -> list[Entry]:
    """Read a manifest that is not as it should be, or has what strict JSON has not."""
    import json

    try:
        rows = json.loads(content)
        entries = sorted(Entry(row["relpath"], row["md5"]) for row in rows)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _broken("it is not a list of files with their hashes", where) from error
    if not isinstance(rows, list):
        raise _broken("it is not a list of files with their hashes", where)
    return entries


def _is_plain(entries: list[Entry]) -> bool:
    """Say whether nothing more has to be looked at: all hashes are MD5, no path is special."""
    oids = "".join([entry.oid for entry in entries if len(entry.oid) == 32])
    if len(oids) != 32 * len(entries) or not _is_hex(oids):
        return False
    relpaths = "\n".join(["", *[entry.relpath for entry in entries], ""])
    return relpaths.isascii() and "\0" not in relpaths and _SPECIAL.search(relpaths) is None


def _is_hex(text: str) -> bool:
    try:
        return bytes.fromhex(text).hex() == text
    except ValueError:
        return False


def _refuse(entries: list[Entry], where: str | Path) -> None:
    seen: set[str] = set()
    for relpath, oid in entries:
        _check(relpath, oid, where)
        if relpath in seen:
            raise _broken(f"it names {relpath!r} twice", where)
        seen.add(relpath)


def _check(relpath: object, oid: object, where: str | Path) -> None:
    if not isinstance(relpath, str) or not isinstance(oid, str):
        raise _broken("a path or a hash in it is not text", where)
    if len(oid) != 32 or not _is_hex(oid):
        raise _broken(f"{oid!r} in it is not an MD5", where)
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
    entries = load(cache.read(oid), where=cache.path(oid))
    return [Entry(name, PREFIX + md5) for name, md5 in entries] if is_legacy(oid) else entries


def add(cache: Cache, entries: Iterable[Entry]) -> str:
    """Put the manifest of `entries` into a cache and return its oid."""
    rows = [*entries]
    store = cache.of(rows[0].oid) if rows else cache
    return store.add(dump(rows), suffix=DIR)

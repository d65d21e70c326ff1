"""What nobody names any more, in a cache or on a remote; what is named comes in as an argument."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Sequence

import msgspec

from assay.base.errors import Error
from assay.base.progress import progress
from assay.objects import legacy, tree
from assay.objects.cache import DIR, Cache
from assay.objects.remotes import Remote
from assay.objects.transfer import MD5_PREFIX


class Unused(msgspec.Struct, frozen=True):
    """An object that nobody names: its oid, where it lies, and its size in bytes, if known."""

    oid: str
    where: str
    size: int | None


def find(cache: Cache, live: Container[str], *, before: float | None = None) -> list[Unused]:
    """Return the objects of a cache that are not live, the lists of folders first.

    Parameters
    ----------
    live : container of str
        The oids that are named, with the files of folders.
    before : float, optional
        Unix seconds; what was written later is left alone.
    """
    found: list[Unused] = []
    for oid in cache:
        if oid not in live:
            try:
                status = os.stat(cache.place(oid))  # noqa: PTH116 -- for every object
            except FileNotFoundError:
                continue
            if before is None or status.st_mtime < before:
                found.append(Unused(oid, cache.place(oid), status.st_size))
    return sorted(found, key=_manifests_first)


def find_on_remote(remote: Remote, live: Container[str]) -> list[Unused]:
    """Return the objects of a remote that are not live, the lists of folders first.

    Those of DVC 2 lie at the top, beside the folder of the others.
    """
    found: list[Unused] = []
    for entry in remote.entries(""):
        oid = data_of(entry.key)
        if oid is not None and oid not in live:
            found.append(Unused(oid, entry.key, entry.size))
    return sorted(found, key=_manifests_first)


def data_of(key: str) -> str | None:
    """Return the oid of the data at a key, of DVC 2 or 3; None where there is none."""
    is_new = key.startswith(f"{MD5_PREFIX}/")
    return oid_of(key) if is_new else legacy.oid_of(key)


def oid_of(key: str) -> str | None:
    """Return the oid of the object at a key of a remote, or None where that is none.

    Examples
    --------
    >>> oid_of("files/md5/d7/51713988987e9331980363e24189ce.dir"), oid_of("files/md5/README")
    ('d751713988987e9331980363e24189ce.dir', None)
    """
    oid = "".join(key.split("/")[-2:])
    digits = oid.removesuffix(DIR)
    is_one = len(digits) in {32, 64} and set(digits) <= set("0123456789abcdef")
    return oid if is_one else None


def _manifests_first(one: Unused) -> tuple[bool, str]:
    return not one.oid.endswith(DIR), one.oid


def delete(cache: Cache, unused: Sequence[Unused]) -> None:
    """Delete objects of a cache: a list of files never outlives the files."""
    with progress("deleting", total=len(unused)) as bar:
        for one in unused:
            cache.remove(one.oid)
            bar.advance()


def delete_on_remote(remote: Remote, unused: Sequence[Unused]) -> None:
    """Delete objects of a remote: first the lists of folders, then the files."""
    for part in (
        [one.where for one in unused if one.oid.endswith(DIR)],
        [one.where for one in unused if not one.oid.endswith(DIR)],
    ):
        if part:
            remote.remove(part)


def with_files(oids: Iterable[str], caches: Sequence[Cache]) -> tuple[set[str], list[str]]:
    """Return oids with the files that folders among them have, and the folders nobody knows.

    Parameters
    ----------
    caches : sequence of Cache
        Where the lists of folders are looked for, in this order; a damaged one counts as lost.
    """
    live: set[str] = set()
    lost: list[str] = []
    for oid in dict.fromkeys(oids):
        live.add(oid)
        if oid.endswith(DIR):
            entries = _entries(oid, caches)
            if entries is None:
                lost.append(oid)
            else:
                live.update(entry.oid for entry in entries)
    return live, lost


def _entries(oid: str, caches: Sequence[Cache]) -> list[tree.Entry] | None:
    for cache in caches:
        if cache.has(oid):
            try:
                return tree.read(cache, oid)
            except Error:
                continue
    return None

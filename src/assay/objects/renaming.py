"""The same bytes under the name of DVC 3 and under that of DVC 2: stored twice, by hard link."""

from __future__ import annotations

from collections.abc import Iterable

from assay.objects import tree
from assay.objects.cache import DIR, Cache
from assay.objects.legacy import PREFIX, is_legacy
from assay.objects.tree import Entry


def renew(cache: Cache, oids: Iterable[str]) -> dict[str, str]:
    """Store files of DVC 2 under their new names too; returns the new oid of each oid.

    Raises
    ------
    NotFound, Damaged
        If one is not in the cache, or its bytes do not have its hash.
    """
    asked = [*dict.fromkeys(oids)]
    old = [oid for oid in asked if is_legacy(oid)]
    for oid in old:
        if not cache.verify(oid):
            raise cache.damaged(oid)
    stored = cache.add_files((cache.place(oid) for oid in old), hardlink=True) if old else []
    return {oid: oid for oid in asked} | {
        oid: one.oid for oid, one in zip(old, stored, strict=True)
    }


def age(cache: Cache, oid: str) -> str:
    """Store an object, with the files of a folder, under the name that DVC 2 gave it too."""
    store = cache.of(PREFIX)
    if not oid.endswith(DIR):
        return store.add_files([cache.place(oid)], hardlink=True)[0].oid
    entries = tree.read(cache, oid)
    stored = store.add_files([cache.place(entry.oid) for entry in entries], hardlink=True)
    rows = [Entry(e.relpath, one.oid) for e, one in zip(entries, stored, strict=True)]
    return tree.add(store, rows)

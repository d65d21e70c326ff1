"""Whether all objects that a manifest names are in a cache, remembered while no folder changes.

The folders of a cache tell by their change times whether anything was added or taken away. Where
nothing was, a manifest that was complete still is, and neither it nor 10,000 names are read.
"""

from __future__ import annotations

import os
import time

from assay.base.errors import Error
from assay.objects import tree
from assay.objects.cache import DIR, Cache
from assay.objects.index import Index, Looks, looks, mark_of

_SETTLED_NS = 2_000_000_000  # longer than a tick of any clock by which folders are marked


def is_complete(oid: str, cache: Cache, index: Index) -> bool:
    """Say whether an object, and every file that a manifest names, is in the cache."""
    if not cache.has(oid):
        return False
    if not oid.endswith(DIR):
        return True
    now = _folders(oid, cache)
    kind = f"complete in {cache.folder}"
    mark = mark_of(now)
    if index.derived(oid, kind) == mark:
        return True
    try:
        entries = tree.read(cache, oid)
    except Error:
        return False
    if cache.lacking(entry.oid for entry in entries):
        return False
    newest = max(look[4] for look in now.values())
    if newest < time.time_ns() - _SETTLED_NS and now == _folders(oid, cache):
        index.put_derived(oid, kind, mark)
    return True


def _folders(oid: str, cache: Cache) -> dict[str, Looks]:
    """Return what the manifest and the folders that may hold its files look like."""
    manifest = cache.place(oid)
    found = {"": looks(os.stat(manifest))}  # noqa: PTH116 -- a path as text
    with os.scandir(os.path.dirname(os.path.dirname(manifest))) as entries:  # noqa: PTH120
        for entry in entries:
            if len(entry.name) == 2 and entry.is_dir():
                found[entry.name] = looks(entry.stat())
    return found

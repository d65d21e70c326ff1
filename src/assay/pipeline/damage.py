"""Which objects of a recorded run are damaged: their bytes have another hash."""

from __future__ import annotations

from collections.abc import Sequence

from assay.objects import tree
from assay.objects.cache import DIR, Cache
from assay.pipeline.record import Plan
from assay.project.stages import Row


def damaged(cache: Cache, plan: Plan) -> list[str]:
    """Name the recorded outputs whose objects in the cache have other bytes."""
    return [
        f"md5:{oid} ({name})"
        for step in plan.steps
        for row in step.entry.outs
        for oid, name in _objects(cache, row)
        if cache.has(oid) and not cache.verify(oid)
    ]


def _objects(cache: Cache, row: Row) -> Sequence[tuple[str, str]]:
    if row.oid is None:
        return []
    found = [(row.oid, row.path)]
    if row.oid.endswith(DIR) and cache.has(row.oid) and cache.verify(row.oid):
        found += [(e.oid, f"{row.path}/{e.relpath}") for e in tree.read(cache, row.oid)]
    return found

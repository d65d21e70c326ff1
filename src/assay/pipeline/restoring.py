"""What is recorded and not here: checked out from the cache, or got from a remote before."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from assay.objects.scan import Content
from assay.pipeline.changes import Changes
from assay.pipeline.graph import Graph
from assay.pipeline.options import Bring
from assay.project import tracking
from assay.project.definition import Definition, Tracked
from assay.project.stages import Stage


class Settled(msgspec.Struct, frozen=True):
    """What was done so that tracked data is what its record says, or the other way round."""

    said: list[str]
    files: list[Path]
    made: list[tuple[Path, Content]]


def items_of(declared: Definition, stage: Stage) -> list[Tracked]:
    """Return the outputs of a stage with what is recorded of them."""
    rows = declared.recorded(stage)
    return [
        Tracked(path=stage.path(out.path), out=out, stage=stage, row=rows.get(out.path))
        for out in stage.outs
    ]


def settle_data(
    declared: Definition, stage: Stage, changes: Changes, *, get: Bring | None
) -> Settled:
    """Bring tracked data to its record where it is missing; record it where it was edited."""
    done = Settled([], [], [])
    for item in items_of(declared, stage):
        path = item.out.path
        if path not in changes.outs:
            continue
        if not os.path.lexists(item.path):
            if get is not None and not _is_here(declared, item):
                get([item])
            tracking.checkout(declared.project, [item])
            done.said.append(f"'{stage.address}': checked out '{path}'")
        elif not stage.frozen:
            added = tracking.commit(declared, item)
            done.files.extend(added.files)
            done.made.append((item.path, added.content))
            done.said.append(
                f"'{stage.address}': recorded '{path}', which is {changes.outs[path]}"
            )
    return done


def bring(declared: Definition, stage: Stage, get: Bring) -> bool:
    """Get the recorded outputs of a stage and check them out; says whether all could be had."""
    items = items_of(declared, stage)
    if any(item.row is None or item.row.oid is None for item in items):
        return False
    if any(not item.out.cache and not item.path.exists() for item in items):
        return False
    cached = [item for item in items if item.out.cache]
    lacking = [item for item in cached if not _is_here(declared, item)]
    if lacking:
        get(lacking)
    if not all(_is_here(declared, item) for item in lacking):
        return False
    tracking.checkout(declared.project, cached)
    return True


def _is_here(declared: Definition, item: Tracked) -> bool:
    oid = item.row.oid if item.row is not None else None
    return oid is not None and tracking.in_cache(declared.project, oid)


def makers_of_missing(graph: Graph, stage: Stage) -> list[Stage]:
    """Return the stages that make what a stage reads and what is not there, each once."""
    found: dict[str, Stage] = {}
    for dep in (*stage.deps, *(params.file for params in stage.params)):
        path = stage.path(dep)
        maker = None if path.exists() else graph.maker(path)
        if maker is not None:
            found[maker.address] = maker
    return list(found.values())

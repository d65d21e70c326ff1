"""Record stages whose commands a person ran by hand: what they read, and what they made."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from assay.base.errors import NotFound
from assay.pipeline.changes import Inspector
from assay.pipeline.execute import store_output
from assay.project import gitignore, tracking
from assay.project.definition import Definition
from assay.project.lock import Entry
from assay.project.stages import Row, Stage


def record(declared: Definition, stages: Iterable[Stage]) -> list[Path]:
    """Write to the lock that stages were run on what lies here; returns the locks that changed.

    Raises
    ------
    NotFound
        If a dependency is missing, or an output of a stage that never ran.
    """
    inspector = Inspector(declared)
    changed: dict[Path, None] = {}
    for stage in stages:
        before = declared.entry(stage)
        changes = inspector.changes(stage)
        if before is not None and not (changes.deps or changes.command):
            continue
        now = inspector.entry(stage)
        outs = before.outs if before is not None else _made(declared, stage)
        deps = _still(declared, stage, now.deps, before)
        if declared.record(stage, msgspec.structs.replace(now, deps=deps, outs=outs)):
            changed[stage.file.with_suffix(".lock")] = None
    return list(changed)


def _made(declared: Definition, stage: Stage) -> tuple[Row, ...]:
    """Store what a stage made, and return its record."""
    absent = next((out for out in stage.outs if not stage.path(out.path).exists()), None)
    if absent is not None:
        raise NotFound(
            f"stage '{stage.address}' has not run yet: there is no '{absent.path}'",
            where=declared.project.relative(stage.file),
            hint=f"run it with 'assay repro {stage.address}'",
        )
    gitignore.add(declared.project, [stage.path(out.path) for out in stage.outs if out.cache])
    return tuple(
        tracking.row_of(out.path, store_output(declared.project, stage, out)) for out in stage.outs
    )


def _still(
    declared: Definition, stage: Stage, rows: tuple[Row, ...], before: Entry | None
) -> tuple[Row, ...]:
    """Keep what DVC 2 recorded, where it is still true."""
    known = {row.path: row for row in before.deps} if before is not None else {}

    def is_true(path: str) -> bool:
        place = stage.path(path)
        old = known[path].oid if path in known else None
        return tracking.is_legacy_of(declared.project, place, old)

    return tuple(known[row.path] if is_true(row.path) else row for row in rows)

"""Record the workspace as it is: outputs, dependencies and parameters; no stage runs."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from assay.base.errors import NotFound
from assay.pipeline import execute
from assay.pipeline.changes import Inspector
from assay.project import tracking
from assay.project.definition import Definition
from assay.project.guarding import using
from assay.project.lock import Entry
from assay.project.stages import Stage


def record(declared: Definition, stages: Sequence[Stage]) -> dict[str, Entry]:
    """Store what lies in the workspace, and record it; return the records of stages by name.

    Raises
    ------
    NotFound
        If an output, a dependency or a parameter is not there; then nothing was recorded.
    """
    project = declared.project
    inspector = Inspector(declared)
    before = {stage.address: inspector.entry(stage) for stage in stages if not stage.is_data}
    for stage in stages:
        if not stage.is_data:
            _refuse_missing(declared, stage)
    found: dict[str, Entry] = {}
    chosen = {stage.address for stage in stages}
    with using(project):
        for item in declared.tracked:
            is_meant = item.stage.is_data and item.stage.address in chosen
            if is_meant and item.path.exists() and tracking.state_of(project, item) is not None:
                tracking.commit(declared, item)
        for stage in stages:
            if stage.is_data:
                continue
            rows = [
                tracking.row_of(out.path, execute.store_output(project, stage, out))
                for out in stage.outs
            ]
            entry = msgspec.structs.replace(before[stage.address], outs=tuple(rows))
            declared.record(stage, entry)
            found[stage.name] = entry
    return found


def _refuse_missing(declared: Definition, stage: Stage) -> None:
    for out in stage.outs:
        if not stage.path(out.path).exists():
            raise NotFound(
                f"the output '{out.path}' of stage '{stage.address}' is not there to be kept",
                where=declared.project.relative(stage.file),
                hint="run it: assay exp run",
            )

"""What a `repro` goes through: which stages in which order, and what will become of each."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from assay.base.errors import Error, NotFound
from assay.pipeline.changes import Changes, Inspector
from assay.pipeline.graph import Graph
from assay.project import dvcyaml, tracking
from assay.project.definition import Definition
from assay.project.lock import Entry
from assay.project.stages import Row, Stage
from assay.project.workspace import Project

State = Literal[
    "ran", "restored", "unchanged", "committed",
    "would run", "would be restored", "would be committed",
]  # fmt: skip


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to one stage of the plan, or would happen, and why."""

    stage: str
    state: State
    why: str = ""
    seconds: float = 0.0


def make(
    declared: Definition, targets: Sequence[str], *, cwd: Path, single: bool
) -> list[Stage]:  # fmt: skip
    """Return the stages to look at, in order.

    Raises
    ------
    Error
        If one of them cannot run: what it reads is not there and nothing in the plan makes it,
        or it writes to the cache from outside the project.
    """
    graph = Graph(declared.all, declared.project)
    if targets:
        chosen = [s.address for t in targets for s in declared.find(t, cwd=cwd)]
    else:
        here = [s.address for s in declared.stages if s.file == cwd / dvcyaml.FILE]
        chosen = here or [s.address for s in declared.all]
    if not chosen:
        raise NotFound(
            "there is no stage to run",
            where=declared.project.root,
            hint=f"write one into {dvcyaml.FILE}, or track data with 'assay add'",
        )
    found = graph.order(chosen, single=single)
    inspector = Inspector(declared)  # of its own: what is there now may be other when it runs
    made = {stage.path(out.path) for stage in found for out in stage.outs}
    around = {parent for path in made for parent in path.parents}

    def coming(path: Path) -> bool:
        return path in around or not made.isdisjoint((path, *path.parents))

    for stage in found:
        if not stage.is_data:
            _refuse_outside(declared.project, stage)
            if not stage.frozen:
                inspector.refuse_missing(stage, coming=coming)
    return found


def _refuse_outside(project: Project, stage: Stage) -> None:
    for out in stage.outs:
        if out.cache and project.root not in stage.path(out.path).parents:
            raise Error(
                f"the output '{out.path}' of stage '{stage.address}' lies outside the project",
                where=project.relative(stage.file),
                hint="write it into the project, or declare it with 'cache: false'",
            )


def foresee(
    declared: Definition,
    chosen: Sequence[Stage],
    inspector: Inspector,
    *,
    force: bool,
    use_run_cache: bool,
) -> list[Done]:
    """Say what would become of each stage of a plan, in order."""
    project = declared.project
    upstream = Graph(declared.all, project).upstream
    stale: set[str] = set()
    found = []
    for stage in chosen:
        above = next((f"'{need}'" for need in upstream[stage.address] if need in stale), None)
        if above is None and inspector.is_uncertain(stage):
            above = "what is restored"
        changes = inspector.changes(stage)
        rows: Iterable[Row] = ()
        state: State = "would run"
        if stage.is_data:
            state, rows = _foreseen_data(declared, stage, changes)
        elif not (changes or force) and (above is None or stage.frozen):
            state = "unchanged"
        elif stage.frozen and not force:
            refuse_frozen(project, stage, changes)
            state, rows = "would be restored", declared.recorded(stage).values()
        elif above is None and use_run_cache and not (force or changes.always):
            known = known_outputs(project, declared, stage, inspector.entry(stage))
            if known is not None:
                state, rows = "would be restored", known.outs
        if state == "would run":
            stale.add(stage.address)
        if rows:
            inspector.assume(stage, rows)
        why = changes.in_words() or (f"{above} comes before it" if above else "forced")
        found.append(
            Done(stage=stage.address, state=state, why="" if state == "unchanged" else why)
        )
    return found


def _foreseen_data(
    declared: Definition, stage: Stage, changes: Changes
) -> tuple[State, Iterable[Row]]:
    if not changes:
        return "unchanged", ()
    missing = [path for path in changes.outs if not os.path.lexists(stage.path(path))]
    if len(missing) < len(changes.outs):
        return "would be committed", ()
    return "would be restored", declared.recorded(stage).values()


def known_outputs(
    project: Project, declared: Definition, stage: Stage, now: Entry
) -> Entry | None:  # fmt: skip
    """Return what the stage made of the same things before, if the cache still has it."""
    locked = declared.entry(stage)
    if locked is not None and not stage.always_changed and _same_inputs(locked, now):
        rows = {row.path: row for row in locked.outs}
        if all(
            (row := rows.get(out.path)) is not None
            and row.oid is not None
            and tracking.in_cache(project, row.oid)
            for out in stage.outs
        ):
            return locked
    from assay.pipeline import run_cache

    return run_cache.find(project, stage, now)


def _same_inputs(locked: Entry, now: Entry) -> bool:
    return (
        locked.cmd == now.cmd
        and {r.path: r.oid for r in locked.deps} == {r.path: r.oid for r in now.deps}
        and locked.params == now.params
    )


def refuse_frozen(project: Project, stage: Stage, changes: Changes) -> None:
    """Raise where a frozen stage's record does not tell what its outputs are."""
    if changes.command or any(state == "not in cache" for state in changes.outs.values()):
        raise Error(
            f"the frozen stage '{stage.address}' does not match its record: {changes.in_words()}",
            where=project.relative(stage.file),
            hint="get its outputs with 'assay pull', or take 'frozen' away to run it",
        )

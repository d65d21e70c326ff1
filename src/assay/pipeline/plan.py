"""What a `repro` goes through: which stages, and in which order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from assay.base.errors import Error, Negative, NotFound
from assay.pipeline.changes import Changes, Inspector
from assay.pipeline.graph import Graph, folders
from assay.pipeline.options import Options
from assay.project import dvcyaml, tracking
from assay.project.definition import Definition
from assay.project.lock import Entry
from assay.project.stages import Stage
from assay.project.workspace import Project

State = Literal[
    "ran", "restored", "pulled", "unchanged", "frozen", "committed", "failed", "left out",
    "would run", "would be restored", "would be pulled", "would be committed",
]  # fmt: skip


class Declined(Negative):
    """A person said that a stage is not to run."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(
            f"you said no to stage '{stage.address}'",
            hint="what ran before it is recorded; go on with the same command",
        )


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to one stage of the plan, or would happen, and why."""

    stage: str
    state: State
    why: str = ""
    seconds: float = 0.0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The stages to look at, in order, and the whole graph that they are a part of."""

    stages: list[Stage]
    graph: Graph

    @property
    def upstream(self) -> dict[str, tuple[str, ...]]:
        """What each stage waits for; a frozen one for nothing, as it does not look at its deps."""
        return {
            stage.address: () if stage.frozen else self.graph.upstream[stage.address]
            for stage in self.stages
        }


def make(
    declared: Definition, targets: Sequence[str], *, cwd: Path, options: Options | None = None
) -> Plan:
    """Return the stages to look at, in order.

    Raises
    ------
    Error
        If one of them cannot run: what it reads is not there and nothing in the plan makes it,
        or it writes to the cache from outside the project.
    """
    options = options or Options()
    graph = Graph(declared.all, declared.project)
    chosen = _chosen(declared, targets, cwd=cwd, options=options)
    if not chosen:
        raise NotFound(
            "there is no stage to run",
            where=declared.project.root,
            hint=f"write one into {dvcyaml.FILE}, or track data with 'assay add'",
        )
    found = _ordered(graph, chosen, options)
    _check(declared, found, options)
    return Plan(stages=found, graph=graph)


def _chosen(
    declared: Definition, targets: Sequence[str], *, cwd: Path, options: Options
) -> list[str]:
    """Return the addresses of the stages that a person named; those in `cwd` if none."""
    if options.all_pipelines:
        return [stage.address for stage in declared.all]
    if options.recursive:
        return [a for t in targets or ["."] for a in _below(declared, t, cwd=cwd)]
    if options.glob and targets:
        return [a for t in targets for a in _matching(declared, t, cwd=cwd)]
    if targets:
        return [stage.address for t in targets for stage in declared.find(t, cwd=cwd)]
    here = [stage.address for stage in declared.stages if stage.file == cwd / dvcyaml.FILE]
    return here or [stage.address for stage in declared.all]


def _below(declared: Definition, target: str, *, cwd: Path) -> list[str]:
    folder = Path(os.path.normpath(cwd / target))
    if not folder.is_dir():
        return [stage.address for stage in declared.find(target, cwd=cwd)]
    found = [stage.address for stage in declared.all if folder in stage.file.parents]
    if not found:
        raise NotFound(
            "there is no stage in this folder, nor below it",
            where=target,
            hint="see 'assay stage list --all'; nothing was run",
        )
    return found


def _matching(declared: Definition, pattern: str, *, cwd: Path) -> list[str]:
    found = [stage.address for stage in declared.glob(pattern, cwd=cwd)]
    if not found:
        raise NotFound(
            f"no stage matches '{pattern}'",
            where=declared.project.root,
            hint="see 'assay stage list' for the names; nothing was run",
        )
    return found


def _ordered(graph: Graph, chosen: Sequence[str], options: Options) -> list[Stage]:
    if options.pipeline or options.all_pipelines:
        wanted = set(chosen)
        together = {a for part in graph.parts if not wanted.isdisjoint(part) for a in part}
        return graph.order([a for a in graph.stages if a in together])
    if options.downstream and not options.single:
        below = graph.below(chosen)
        return graph.order([a for a in graph.stages if a in below], single=True)
    return graph.order(chosen, single=options.single)


def _check(declared: Definition, found: Sequence[Stage], options: Options) -> None:
    """Raise where a stage could not run, before any does."""
    project = declared.project
    for stage in found:
        if not stage.is_data:
            _refuse_outside(project, stage)
    if not options.expects_all:
        return
    inspector = Inspector(declared)  # of its own: what is there now may be other when it runs
    made = {str(stage.path(out.path)) for stage in found for out in stage.outs}
    around = {folder for path in made for folder in folders(path)}

    def coming(path: Path) -> bool:
        text = str(path)
        return text in made or text in around or not made.isdisjoint(folders(text))

    for stage in found:
        if not (stage.is_data or stage.frozen):
            inspector.refuse_missing(stage, coming=coming)


def _refuse_outside(project: Project, stage: Stage) -> None:
    for out in stage.outs:
        if out.cache and project.root not in stage.path(out.path).parents:
            raise Error(
                f"the output '{out.path}' of stage '{stage.address}' lies outside the project",
                where=stage.place(project.root),
                hint="write it into the project, or declare it with 'cache: false'",
            )


def what_counts(
    declared: Definition, graph: Graph, stage: Stage, changes: Changes, *, allow_missing: bool
) -> Changes:
    """Return the changes for which a stage has to run; what is only missing may be let pass."""
    if not allow_missing:
        return changes
    entry = declared.entry(stage)
    recorded = {row.path: row.oid for row in entry.deps} if entry else {}
    replaced = set()
    for dep, state in changes.deps.items():
        maker = graph.maker(stage.path(dep)) if state == "deleted" else None
        if maker is not None:
            rows = {str(maker.path(p)): row for p, row in declared.recorded(maker).items()}
            row = rows.get(str(stage.path(dep)))
            if row is not None and row.oid != recorded.get(dep):
                replaced.add(dep)
    return changes.without_missing(replaced)


def known_outputs(
    project: Project, declared: Definition, stage: Stage, now: Entry, *, options: Options
) -> Entry | None:
    """Return what the stage made of the same things before, if the cache still has it."""
    locked = declared.entry(stage)
    if (
        locked is not None
        and not stage.always_changed
        and _same_inputs(project, stage, locked, now)
    ):
        rows = {row.path: row for row in locked.outs}
        if all(
            (row := rows.get(out.path)) is not None
            and row.oid is not None
            and tracking.in_cache(project, row.oid)
            for out in stage.outs
        ):
            return locked
    from assay.pipeline import run_cache

    bring = options.bring

    def fetch(entry: Entry) -> None:
        from assay.pipeline.execute import outputs_as

        if bring is not None:
            bring(outputs_as(stage, entry.outs))

    return run_cache.find(project, stage, now, bring=None if bring is None else fetch)


def _same_inputs(project: Project, stage: Stage, locked: Entry, now: Entry) -> bool:
    before, present = ({row.path: row.oid for row in entry.deps} for entry in (locked, now))
    return (
        locked.cmd == now.cmd
        and locked.params == now.params
        and before.keys() == present.keys()
        and all(
            oid == present[path] or tracking.is_legacy_of(project, stage.path(path), oid)
            for path, oid in before.items()
        )
    )


def refuse_frozen(project: Project, stage: Stage, changes: Changes) -> None:
    """Raise where a frozen stage's outputs are not here and cannot be had without a run."""
    missing = [path for path, state in changes.outs.items() if state == "deleted"]
    if changes.unrecorded and missing:
        raise Error(
            f"the frozen stage '{stage.address}' has not run yet, and its output '{missing[0]}' "
            "is not there",
            where=stage.place(project.root),
            hint=f"let it run: assay unfreeze {stage.address}",
        )
    if "not in cache" in changes.outs.values():
        raise Error(
            f"the frozen stage '{stage.address}' does not match its record: {changes.in_words()}",
            where=stage.place(project.root),
            hint=f"get its outputs with 'assay pull', or let it run: "
            f"assay unfreeze {stage.address}",
        )


def about_frozen(stage: Stage, changes: Changes) -> str:
    """Return what a person should know of a stage that does not run because it is frozen."""
    kept = msgspec.structs.replace(
        changes, outs={path: state for path, state in changes.outs.items() if state == "modified"}
    )
    more = f" ({kept.in_words()})" if kept or kept.unrecorded else ""
    return (
        f"stage '{stage.address}' is frozen: it does not run, whatever it depends on{more}; "
        f"let it with 'assay unfreeze {stage.address}'"
    )

"""`repro` with the profiles of what it made; `status` and the list of stages."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

import msgspec

from assay.base.errors import Error
from assay.pipeline import repro as pipeline_repro
from assay.pipeline.changes import Changes, Inspector
from assay.pipeline.graph import Graph
from assay.pipeline.options import Bring, Flags
from assay.pipeline.repro import Events, Outcome
from assay.project import definition, dvcyaml
from assay.project.definition import Definition, Tracked
from assay.project.settings import ledger_where
from assay.project.stages import Stage
from assay.project.workspace import Project


def repro(
    project: Project,
    targets: Sequence[str],
    *,
    cwd: Path,
    events: Events,
    profile: bool = True,
    pull: bool = False,
    **flags: Unpack[Flags],
) -> tuple[Outcome, list[str]]:
    """Run what changed, then profile the tables that were made.

    Returns what was done, and why a table could not be profiled.

    Parameters
    ----------
    pull : bool
        Get what is missing, and what commands made before, from the remotes.
    flags
        See `assay.pipeline.options.Options`.
    """
    if pull:
        _fetch_runs(project, events)
        flags["bring"] = _bring(project)
    try:
        outcome = pipeline_repro.repro(project, targets, cwd=cwd, events=events, **flags)
    except Error:
        _tell_hub(project, events)  # of a stage that failed, too
        raise
    complaints = _profiled(project, outcome) if outcome.made and profile else []
    if outcome.run is not None:
        _tell_hub(project, events)
    return outcome, complaints


def _tell_hub(project: Project, events: Events) -> None:
    """Send what was recorded to the hub, where there is one."""
    from assay.ledger.sdk import places

    if places.hub(project) is not None:
        from assay.workflows import hub_records

        hub_records.at_end(project, events.say)


def _profiled(project: Project, outcome: Outcome) -> list[str]:
    """Profile the tables that were made; return why one could not be."""
    from assay.workflows import profiles

    found, complaints = profiles.after(project, outcome.made)
    if found and outcome.run is not None:
        from assay.ledger.database import open_ledger
        from assay.ledger.writer import Writer

        with open_ledger(ledger_where(project)) as ledger:
            Writer(ledger).set_profiles({f"md5:{c}": f"sha256:{p}" for c, p in found.items()})
    return complaints


def dry(
    project: Project,
    targets: Sequence[str],
    *,
    cwd: Path,
    pull: bool = False,
    **flags: Unpack[Flags],
) -> Outcome:
    """Say what `repro` would do, without doing it; no remote is asked."""
    if pull:
        flags["bring"] = _bring(project)
    return pipeline_repro.dry(project, targets, cwd=cwd, **flags)


def _fetch_runs(project: Project, events: Events) -> None:
    """Get what commands made elsewhere; a remote that cannot tell is no failure."""
    from assay.objects.remotes import open_remote
    from assay.workflows import shared_runs

    settings = project.config.remote(None)  # raises where there is none
    try:
        shared_runs.fetch(project, open_remote(settings))
    except Error as error:
        events.say(f"  warning: no run cache from remote '{settings.name}': {error.what}")


def _bring(project: Project) -> Bring:
    """Return what copies recorded contents from their remotes, as far as they have them."""

    def bring(items: Sequence[Tracked]) -> None:
        from assay.project.choosing import Chosen
        from assay.workflows import transfers
        from assay.workflows.data import Targets

        imported = [project.relative(item.path) for item in items if item.stage.is_import]
        everything = transfers.Request(targets=Targets(cwd=project.root))
        if imported:
            targets = Targets(names=tuple(imported), cwd=project.root)
            transfers.fetch(project, transfers.Request(targets=targets), allow_missing=True)
        rest = [(None, Chosen(item=item)) for item in items if not item.stage.is_import]
        for group in transfers.groups(project, transfers.Collected([*rest], []), everything):
            transfers.bring(project, group)

    return bring


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Which stages and data differ from their records; the imports that were looked at."""

    changes: dict[str, Changes]
    frozen: list[str]
    imports: list[Stage]
    is_empty: bool
    n_hashed: int

    def document(self) -> dict[str, list[Any]]:
        """Return the form that `dvc status --json` has."""
        return {address: _as_dvc(changes) for address, changes in self.changes.items()}


def _as_dvc(changes: Changes) -> list[Any]:
    found: list[Any] = []
    if changes.deps:
        found.append({"changed deps": changes.deps})
    if changes.outs:
        found.append({"changed outs": changes.outs})
    if changes.always:
        found.append("always changed")
    if changes.command:
        found.append("changed command")
    return found


def status(project: Project, targets: Sequence[str], *, cwd: Path) -> Status:
    """Compare the workspace with the records; nothing is written or run."""
    declared = definition.read(project)
    if targets:
        chosen = [stage for t in targets for stage in declared.find(t, cwd=cwd)]
    else:
        Graph(declared.all, project)  # raises where stages contradict each other
        chosen = list(declared.all)
    inspector = Inspector(declared)
    compared = ((stage, inspector.changes(stage)) for stage in chosen)
    return Status(
        changes={
            _shown(project, stage, cwd): msgspec.structs.replace(
                changes,
                deps={_place(project, stage, p, cwd): s for p, s in changes.deps.items()},
                outs={_place(project, stage, p, cwd): s for p, s in changes.outs.items()},
            )
            for stage, changes in compared
            if changes
        },
        frozen=[stage.address for stage in chosen if stage.frozen and not stage.is_data],
        imports=[stage for stage in chosen if stage.is_import],
        is_empty=not declared.all,
        n_hashed=inspector.n_hashed,
    )


def _place(project: Project, stage: Stage, written: str, cwd: Path) -> str:
    """Return a path of a stage relative to where a person is, as DVC prints it."""
    path = stage.path(written)
    if Path(written).is_absolute():
        return written
    return os.path.relpath(path, cwd) if project.root in path.parents else str(path)


def _shown(project: Project, stage: Stage, cwd: Path) -> str:
    """Return an address relative to where a person is, as DVC prints it."""
    if cwd == project.root:
        return stage.address
    file = os.path.relpath(stage.file, cwd)
    if stage.is_data:
        return file
    return stage.name if file == "dvc.yaml" else f"{file}:{stage.name}"


def stages(
    project: Project,
    targets: Sequence[str] = (),
    *,
    cwd: Path | None = None,
    every: bool = True,
    recursive: bool = False,
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return the resolved stages as a document for scripts, and name and text for people.

    Parameters
    ----------
    every : bool
        Without targets all stages, and not those of the `dvc.yaml` in `cwd` alone.
    recursive : bool
        The targets are folders.

    Raises
    ------
    NotFound
        If a target names nothing.
    """
    declared = definition.read(project)
    whole = Graph(declared.stages, project)
    here = cwd or project.root
    chosen = _listed(declared, targets, cwd=here, every=every, recursive=recursive)
    addresses = {stage.address for stage in chosen}
    document = {
        "stages": {s.address: _resolved(project, s) for s in chosen if not s.is_data},
        "edges": [edge for edge in whole.edges if addresses.issuperset(edge)],
    }
    return document, [(_shown(project, stage, here), _described(stage)) for stage in chosen]


def _listed(
    declared: Definition, targets: Sequence[str], *, cwd: Path, every: bool, recursive: bool
) -> list[Stage]:
    if recursive:
        folders = [Path(os.path.normpath(cwd / target)) for target in targets or ["."]]
        return [s for s in declared.all if not set(folders).isdisjoint(s.file.parents)]
    if targets:
        found = [stage for target in targets for stage in declared.find(target, cwd=cwd)]
        return list({stage.address: stage for stage in found}.values())
    local = [stage for stage in declared.stages if stage.file == cwd / dvcyaml.FILE]
    return list(declared.all) if every or not local else local


def _resolved(project: Project, stage: Stage) -> dict[str, Any]:
    return {
        "cmd": stage.cmd,
        "wdir": os.path.relpath(stage.wdir, project.root),
        "deps": list(stage.deps),
        "params": {dep.file: list(dep.keys) for dep in stage.params},
        "outs": [
            {
                "path": out.path,
                "kind": out.kind,
                "cache": out.cache,
                "persist": out.persist,
                "push": out.push,
                **({"remote": out.remote} if out.remote else {}),
                **out.properties,
            }
            for out in stage.outs
        ],
        "frozen": stage.frozen,
        "always_changed": stage.always_changed,
    }


def _described(stage: Stage) -> str:
    if stage.desc:
        return next((line.strip() for line in stage.desc.splitlines() if line.strip()), "")
    outs = [out.path for out in stage.outs if out.kind == "out"]
    reports = [out.path for out in stage.outs if out.kind != "out"]
    parts = [f"Outputs {', '.join(outs)}"] if outs else []
    parts += [f"Reports {', '.join(reports)}"] if reports else []
    if not parts and stage.deps:
        return f"Depends on {', '.join(stage.deps)}"
    return "; ".join(parts) or "No outputs or dependencies"

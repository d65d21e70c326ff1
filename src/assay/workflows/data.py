"""Add, commit and check out data, and what is kept beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from assay.base.errors import Error, Negative
from assay.objects import scan
from assay.objects.checkout import Change
from assay.project import choosing, definition, parts, tracking
from assay.project.choosing import Chosen
from assay.project.definition import Definition
from assay.project.guarding import using
from assay.project.tracking import Added
from assay.project.workspace import Project


class Targets(msgspec.Struct, frozen=True, kw_only=True):
    """What a person named, from where, and how far that reaches.

    Attributes
    ----------
    names : tuple of str
        Paths, patterns, stages; all of the project where there are none.
    with_deps : bool
        Also what the named stages depend on.
    recursive : bool
        A folder names the stages in it, too.
    glob : bool
        The names are patterns.
    """

    names: tuple[str, ...] = ()
    cwd: Path
    with_deps: bool = False
    recursive: bool = False
    glob: bool = False


def add(
    project: Project,
    paths: Sequence[str],
    *,
    cwd: Path,
    profile: bool,
    glob: bool = False,
    keep: bool = True,
    relink: bool = True,
) -> tuple[list[Added], list[str]]:
    """Put paths under version control, then profile those that are tables.

    All paths are looked at before the first is added: a wrong one changes nothing. Returns what
    was added, and why a table could not be profiled.

    Parameters
    ----------
    glob : bool
        The paths are patterns.
    keep : bool
        Put the content into the cache; without it only the record is written.
    relink : bool
        Link the files to the cache, as `cache.type` says.
    """
    names = choosing.expand_new(paths, cwd=cwd) if glob else paths
    resolved = [project.resolve(path, cwd=cwd) for path in names]
    declared = definition.read(project)
    tracked = [item.path for item in declared.tracked]
    for path in resolved:
        if os.path.lexists(path):
            scan.look(path)
            tracking.refuse_new(declared, path)
        elif not any(one in path.parents for one in tracked):  # there it may be gone on purpose
            raise Error(
                "there is no such file or folder",
                where=project.shown(path, cwd=cwd),
                hint="check the spelling; nothing was added",
            )
    with using(project):
        unique = dict.fromkeys(resolved)
        added = [tracking.add(project, path, keep=keep, relink=relink) for path in unique]
    return added, profiled(project, added, profile=profile)


def commit(
    project: Project, targets: Targets, *, force: bool, profile: bool, relink: bool = True
) -> tuple[list[Added], list[str]]:
    """Record the present content of tracked data and outputs that changed.

    With `force` also what stages read, and the outputs of those that never ran: as if the
    commands had run on what lies here. Returns what was recorded, and why a table could not be
    profiled.

    Raises
    ------
    Negative
        If an output of a stage changed and `force` is not given: then the lock says that the
        stage's command made it.
    """
    declared = definition.read(project)
    choosing.refuse_nested(declared)
    with using(project):
        chosen = choose(declared, targets)
        changed = [one for one in chosen if _is_changed(declared, one)]
        made = [one.item for one in changed if not one.item.stage.is_data]
        if made and not force:
            raise Negative(
                f"'{project.shown(made[0].path)}' is made by stage '{made[0].stage.address}'; "
                "recording it says that the stage's command made it like this",
                hint="run the stage with 'assay repro', or record it with 'assay commit --force'",
            )
        recorded = [_commit(declared, one, relink=relink) for one in changed]
        if force:
            from assay.workflows import committing

            meant = [one.item.stage.address for one in chosen if not one.within]
            committing.record(
                declared,
                [s for s in declared.stages if not targets.names or s.address in meant],
            )
    return recorded, profiled(project, recorded, profile=profile)


def _is_changed(declared: Definition, one: Chosen) -> bool:
    item = one.item
    if not item.path.exists() or not declared.recorded(item.stage):
        return False
    return bool(one.within) or tracking.state_of(declared.project, item) is not None


def _commit(declared: Definition, one: Chosen, *, relink: bool) -> Added:
    if one.within and one.item.stage.is_data:
        return parts.record(declared, one.item, one.within)
    return tracking.commit(declared, one.item, relink=relink)


def profiled(project: Project, added: Sequence[Added], *, profile: bool) -> list[str]:
    """Profile tables that were added; return why one could not be."""
    if not profile:
        return []
    from assay.workflows import profiles

    here = [(one.path, one.content) for one in added if one.path.exists()]
    return profiles.after(project, here)[1]


def checkout(
    project: Project,
    targets: Targets,
    *,
    force: bool = False,
    relink: bool = False,
    allow_missing: bool = False,
) -> list[Change]:
    """Bring data to what is recorded."""
    declared = definition.read(project)
    choosing.refuse_nested(declared)
    with using(project):
        return tracking.checkout(
            project,
            choose(declared, targets),
            force=force,
            relink=relink,
            allow_missing=allow_missing,
        )


def choose(declared: Definition, targets: Targets) -> list[Chosen]:
    """Return the outputs, or parts of them, that targets name.

    Raises
    ------
    NotFound
        If a target names nothing.
    """
    names: Sequence[str] = targets.names
    if targets.glob:
        names = choosing.expand(names, declared, cwd=targets.cwd)
    chosen = choosing.choose(declared, names, cwd=targets.cwd, recursive=targets.recursive)
    if not targets.with_deps or not names:
        return chosen
    from assay.pipeline.graph import Graph

    graph = Graph(declared.all, declared.project)
    wanted = graph.with_needs([one.item.stage.address for one in chosen]).stages
    known = {one.item.path for one in chosen}
    needed = [
        Chosen(item=item)
        for item in declared.tracked
        if item.stage.address in wanted and item.path not in known
    ]
    return sorted(chosen + needed, key=lambda one: str(one.item.path))

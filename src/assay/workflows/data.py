"""Add, commit, check out, push and pull: data, and what is kept beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from assay.base.errors import Error, Negative, Usage
from assay.objects import scan, transfer
from assay.objects.checkout import Change
from assay.objects.remotes import open_remote
from assay.objects.transfer import Moved
from assay.project import definition, tracking
from assay.project.definition import Tracked
from assay.project.tracking import Added
from assay.project.workspace import Project


def add(
    project: Project, paths: Sequence[str], *, cwd: Path, profile: bool
) -> tuple[list[Added], list[str]]:
    """Put paths under version control, then profile those that are tables.

    All paths are looked at before the first is added: a wrong one changes nothing. Returns what
    was added, and why a table could not be profiled.
    """
    resolved = [project.resolve(path, cwd=cwd) for path in paths]
    for path in resolved:
        if os.path.lexists(path):
            scan.look(path)
        else:
            raise Error(
                "there is no such file or folder",
                where=project.shown(path, cwd=cwd),
                hint="check the spelling; nothing was added",
            )
    added = [tracking.add(project, path) for path in dict.fromkeys(resolved)]
    return added, _profiled(project, added, profile=profile)


def commit(
    project: Project, targets: tuple[str, ...], *, cwd: Path, force: bool, profile: bool
) -> tuple[list[Added], list[str]]:
    """Record the present content of tracked data and outputs that changed.

    Returns what was recorded, and why a table could not be profiled.

    Raises
    ------
    Negative
        If an output of a stage changed and `force` is not given: then the lock says that the
        stage's command made it.
    """
    declared = definition.read(project)
    chosen = [item for item in declared.select(targets, cwd=cwd) if item.path.exists()]
    changed = [
        item
        for item in chosen
        if tracking.state_of(project, item) is not None and declared.recorded(item.stage)
    ]
    made = [item for item in changed if not item.stage.is_data]
    if made and not force:
        raise Negative(
            f"'{project.shown(made[0].path)}' is made by stage '{made[0].stage.address}'; "
            "recording it says that the stage's command made it like this",
            hint="run the stage with 'assay repro', or record it with 'assay commit --force'",
        )
    recorded = [tracking.commit(declared, item) for item in changed]
    return recorded, _profiled(project, recorded, profile=profile)


def _profiled(project: Project, added: Sequence[Added], *, profile: bool) -> list[str]:
    if not profile:
        return []
    from assay.workflows import profiles

    return profiles.after(project, [(one.path, one.content) for one in added])[1]


def checkout(
    project: Project, targets: tuple[str, ...], *, cwd: Path, force: bool
) -> list[Change]:  # fmt: skip
    """Bring data to what is recorded."""
    declared = definition.read(project)
    return tracking.checkout(project, declared.select(targets, cwd=cwd), force=force)


class Synced(msgspec.Struct, frozen=True, kw_only=True):
    """What a push or pull did: the objects, and the workspace."""

    remote: str
    data: Moved
    changes: list[Change] = []


def push(project: Project, targets: tuple[str, ...], *, cwd: Path, remote: str | None) -> Synced:
    """Copy the objects of tracked data to a remote.

    Raises
    ------
    Error
        If something could not be pushed; what could, was.
    """
    settings = project.config.remote(remote)
    store = open_remote(settings)
    declared = definition.read(project)
    items = [item for item in declared.select(targets, cwd=cwd) if item.out.push]
    _refuse_unrecorded(project, items, targets)
    oids = _oids(items)
    data = transfer.push(oids, project.cache, store)
    transfer.raise_incomplete(data, remote=settings.name, verb="pushed")
    return Synced(remote=settings.name, data=data)


def pull(
    project: Project, targets: tuple[str, ...], *, cwd: Path, remote: str | None, force: bool
) -> Synced:
    """Copy the objects of tracked data from a remote, and check them out."""
    settings = project.config.remote(remote)
    store = open_remote(settings)
    declared = definition.read(project)
    items = [item for item in declared.select(targets, cwd=cwd) if item.out.push]
    oids = _oids(items)
    data = transfer.pull(oids, project.cache, store)
    transfer.raise_incomplete(data, remote=settings.name, verb="pulled")
    changes = tracking.checkout(project, items, force=force)
    return Synced(remote=settings.name, data=data, changes=changes)


def _oids(items: Sequence[Tracked]) -> list[str]:
    found = (i.row.oid for i in items if i.row is not None and i.out.cache)
    return [oid for oid in dict.fromkeys(found) if oid is not None]


def _refuse_unrecorded(
    project: Project, items: Sequence[Tracked], targets: tuple[str, ...]
) -> None:  # fmt: skip
    for item in items:
        if targets and (item.row is None or item.row.oid is None):
            raise Usage(
                "nothing is recorded of it yet",
                where=project.shown(item.path),
                hint=f"run 'assay repro {item.stage.address}' first",
            )

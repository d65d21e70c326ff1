"""Add, commit, check out, push and pull: data, and what is kept beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from assay.base.errors import Error, Negative, Usage
from assay.objects import transfer
from assay.objects.checkout import Change
from assay.objects.remotes import open_remote
from assay.objects.transfer import Moved
from assay.project import definition, tracking
from assay.project.definition import Tracked
from assay.project.tracking import Added
from assay.project.workspace import Project
from assay.workflows import profiles


def add(project: Project, paths: Sequence[str], *, cwd: Path, profile: bool) -> list[Added]:
    """Put paths under version control, then profile those that are tables.

    All paths are looked at before the first is added: a wrong one changes nothing.
    """
    resolved = [project.resolve(path, cwd=cwd) for path in paths]
    for path in resolved:
        if not path.exists():
            raise Error(
                "there is no such file or folder",
                where=project.shown(path, cwd=cwd),
                hint="check the spelling; nothing was added",
            )
    added = [tracking.add(project, path) for path in dict.fromkeys(resolved)]
    if profile:
        for one in added:
            profiles.after(project, one.path, one.content.oid, one.content.size)
    return added


def commit(
    project: Project, targets: tuple[str, ...], *, cwd: Path, force: bool, profile: bool
) -> list[Added]:
    """Record the present content of tracked data and outputs that changed.

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
    if profile:
        for one in recorded:
            profiles.after(project, one.path, one.content.oid, one.content.size)
    return recorded


def checkout(
    project: Project, targets: tuple[str, ...], *, cwd: Path, force: bool
) -> list[Change]:  # fmt: skip
    """Bring data to what is recorded."""
    declared = definition.read(project)
    return tracking.checkout(project, declared.select(targets, cwd=cwd), force=force)


class Synced(msgspec.Struct, frozen=True, kw_only=True):
    """What a push or pull did: DVC's objects, ours, and the workspace."""

    remote: str
    data: Moved
    assay: Moved
    changes: list[Change] = []


def push(project: Project, targets: tuple[str, ...], *, cwd: Path, remote: str | None) -> Synced:
    """Copy the objects of tracked data, and their profiles, to a remote.

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
    ours = profiles.push(project, oids, store)
    transfer.raise_incomplete(data, remote=settings.name, verb="pushed")
    return Synced(remote=settings.name, data=data, assay=ours)


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
    ours = profiles.pull(project, oids, store)
    transfer.raise_incomplete(data, remote=settings.name, verb="pulled")
    changes = tracking.checkout(project, items, force=force)
    return Synced(remote=settings.name, data=data, assay=ours, changes=changes)


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

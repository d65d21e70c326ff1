"""Record a part of a tracked folder: the rest of it stays as it was recorded."""

from __future__ import annotations

import os
from collections.abc import Sequence

import msgspec

from assay.base.errors import NotFound
from assay.objects import scan, tree
from assay.objects.renaming import renew
from assay.objects.scan import Content
from assay.objects.tree import Entry
from assay.project import dvcfile, tracking
from assay.project.choosing import is_within
from assay.project.definition import Definition, Tracked
from assay.project.tracking import Added, row_of
from assay.project.workspace import Project


def record(
    declared: Definition, item: Tracked, within: Sequence[str], *, keep: bool = True
) -> Added:
    """Record the present content of some paths inside a tracked folder; what is gone, as gone.

    Parameters
    ----------
    within : sequence of str
        Paths relative to the folder.
    keep : bool
        Put the content into the cache, too.

    Raises
    ------
    NotFound
        If a path neither lies there nor is recorded, or what is recorded is not known here.
    """
    project = declared.project
    like = item.row.oid if item.row is not None else None
    if tracking.is_legacy_of(project, item.path, like):  # as DVC 2 recorded it, and still so
        if keep:
            return tracking.commit(declared, item)
        content = scan.scan(item.path, project.index.like(like), skip=project.ignore)
        return Added(path=item.path, content=content, files=[], changed=False)
    before = _recorded(project, item)
    now: dict[str, str] = {}
    for part in within:
        if os.path.lexists(item.path / part):
            project.ignore.refuse(item.path / part, shown=project.shown(item.path / part))
        found = _present(project, item, part, keep=keep)
        if not found and not any(is_within(name, [part]) for name in before):
            raise NotFound(
                "there is no such file or folder, and none is recorded",
                where=project.shown(item.path / part),
                hint="check the spelling; nothing was recorded",
            )
        now |= found
    rest = {name: oid for name, oid in before.items() if not is_within(name, within)}
    renewed = renew(project.cache, rest.values())
    oids = {name: renewed[oid] for name, oid in rest.items()} | now
    entries = [Entry(name, oid) for name, oid in sorted(oids.items())]
    if keep:
        tree.add(project.cache, entries)
    size = _size(project, item, entries)
    content = Content(
        oid=tree.oid_of(entries), size=size or 0, n_files=len(entries), entries=entries
    )
    row = msgspec.structs.replace(row_of(item.out.path, content), size=size)
    changed = dvcfile.write(item.stage.file, row, entries=entries)
    return Added(path=item.path, content=content, files=[item.stage.file], changed=changed)


def _recorded(project: Project, item: Tracked) -> dict[str, str]:
    if item.row is None or item.row.oid is None:
        return {}
    if not item.row.is_directory:
        raise NotFound(
            "what is recorded is a file, not a folder",
            where=project.shown(item.stage.file),
            hint=f"record the folder with 'assay add {project.shown(item.path)}'",
        )
    entries = tree.read(project.cache, item.row.oid)
    return {entry.relpath: entry.oid for entry in entries}


def _present(project: Project, item: Tracked, part: str, *, keep: bool) -> dict[str, str]:
    """Return the files that lie at a path inside the folder, by their path in it."""
    path = item.path / part
    if not os.path.lexists(path):
        return {}
    content = scan.scan(path, project.index, skip=project.ignore)
    if content.entries is None:
        found = {part: content.oid}
    else:
        found = {f"{part}/{entry.relpath}": entry.oid for entry in content.entries}
    if keep:
        lacking = [name for name, oid in found.items() if not project.cache.has(oid)]
        project.cache.add_files(item.path / name for name in lacking)
    return found


def _size(project: Project, item: Tracked, entries: Sequence[Entry]) -> int | None:
    """Return the bytes of all files, by their objects or else the workspace; None if unknown."""
    total = 0
    for entry in entries:
        for place in (project.cache.place(entry.oid), f"{item.path}/{entry.relpath}"):
            try:
                total += os.stat(place).st_size  # noqa: PTH116 -- for every file
                break
            except OSError:
                continue
        else:
            return None
    return total

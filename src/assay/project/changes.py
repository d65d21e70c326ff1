"""What differs between two states of tracked data: a commit, the record, the workspace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from assay.base.errors import Error
from assay.objects import scan, tree
from assay.objects.cache import DIR, Cache
from assay.project import definition, git
from assay.project.definition import Definition
from assay.project.tracking import in_cache
from assay.project.workspace import Project

Files = dict[str, str | None]
"""Oid by path relative to the root; a folder ends with `/`; None where it is not recorded."""


class Rename(msgspec.Struct, frozen=True):
    """A path that has another name now."""

    old: str
    new: str


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be done to get from one state to the other, each list sorted."""

    added: list[str] = []
    deleted: list[str] = []
    modified: list[str] = []
    renamed: list[Rename] = []

    def __bool__(self) -> bool:
        return bool(self.added or self.deleted or self.modified or self.renamed)


def compare(before: Files, after: Files) -> Difference:
    """Return the difference of two states; a file that moved with equal content is renamed."""
    added = {path for path in after if path not in before}
    deleted = {path for path in before if path not in after}
    by_oid: dict[tuple[str, bool], list[str]] = {}
    for path in sorted(deleted):
        oid = before[path]
        if oid is not None:
            by_oid.setdefault((oid, path.endswith("/")), []).append(path)
    renamed = []
    for path in sorted(added):
        oid = after[path]
        olds = by_oid.get((oid, path.endswith("/"))) if oid is not None else None
        if olds:
            old = olds.pop(0)
            renamed.append(Rename(old, path))
            added.discard(path)
            deleted.discard(old)
    modified = [path for path in after if path in before and before[path] != after[path]]
    return Difference(
        added=sorted(added), deleted=sorted(deleted), modified=sorted(modified), renamed=renamed
    )


def recorded(declared: Definition, *, granular: bool = True) -> Files:
    """Return what the `.dvc` files and locks of a definition say is there."""
    found: Files = {}
    for item in declared.tracked:
        if item.row is None or item.row.oid is None:
            continue
        path = declared.project.relative(item.path)
        _put(found, path, item.row.oid, declared.project.cache, granular=granular)
    return found


def _put(found: Files, path: str, oid: str, cache: Cache, *, granular: bool) -> None:
    if not oid.endswith(DIR):
        found[path] = oid
        return
    found[f"{path}/"] = oid
    if granular and cache.has(oid):
        found.update({f"{path}/{e.relpath}": e.oid for e in tree.read(cache, oid)})


def present(declared: Definition, *, granular: bool = True) -> Files:
    """Return what lies in the workspace where something is tracked."""
    project, found = declared.project, dict[str, str | None]()
    for item in declared.tracked:
        if not item.path.exists():
            continue
        now = scan.scan(item.path, project.index, skip=project.ignore)
        path = project.relative(item.path)
        if now.entries is None:
            found[path] = now.oid
        else:
            found[f"{path}/"] = now.oid
            if granular:
                found.update({f"{path}/{e.relpath}": e.oid for e in now.entries})
    return found


Block = Literal["not_in_cache", "committed", "uncommitted", "unchanged"]


class DataStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The state of all tracked data.

    Attributes
    ----------
    not_in_cache : list of str
        Recorded, but no longer in the cache.
    committed : Difference
        From the last git commit to the `.dvc` files and locks.
    uncommitted : Difference
        From those to the workspace.
    unchanged : list of str
        The same in all three.
    git_dirty : bool
        Whether git has changes or new files.
    """

    not_in_cache: list[str]
    committed: Difference
    uncommitted: Difference
    unchanged: list[str]
    git_dirty: bool


def status(project: Project, *, granular: bool = False) -> DataStatus:
    """Compare the last commit, the records, the cache and the workspace."""
    declared = definition.read(project)
    record = recorded(declared, granular=granular)
    workspace = present(declared, granular=granular)
    head = git.head(project.git_root)
    last = (
        recorded(definition.read_at(project, head), granular=granular)
        if head is not None
        else Files()
    )
    absent = [
        path
        for item in declared.tracked
        if item.row is not None
        and item.row.oid is not None
        and item.out.cache
        and not in_cache(project, item.row.oid)
        for path in [project.relative(item.path) + ("/" if item.row.is_directory else "")]
    ]
    return DataStatus(
        not_in_cache=sorted(absent),
        committed=compare(last, record),
        uncommitted=compare(record, workspace),
        unchanged=sorted(p for p in record if last.get(p) == record[p] == workspace.get(p)),
        git_dirty=git.is_dirty(project.git_root),
    )


def diff(project: Project, before: str, after: str | None) -> tuple[Difference, Files, Files]:
    """Return what differs between two commits, or a commit and the workspace, with both states.

    Raises
    ------
    NotFound
        If git does not know a revision.
    """
    old = recorded(definition.read_at(project, git.resolve(project.git_root, before)))
    if after is None:
        new = present(definition.read(project))
    else:
        new = recorded(definition.read_at(project, git.resolve(project.git_root, after)))
    _refuse_unknown_trees(project, old, new, recorded=[old] if after is None else [old, new])
    return compare(old, new), old, new


def _refuse_unknown_trees(
    project: Project, first: Files, second: Files, *, recorded: Sequence[Files]
) -> None:
    """Raise where a folder's manifest is not here: its files cannot be compared then."""
    for path in sorted({*first, *second}):
        for oid in (state.get(path) for state in recorded):
            differs = first.get(path) != second.get(path)
            if differs and oid and oid.endswith(DIR) and not project.cache.has(oid):
                raise Error(
                    f"the list of files of '{path}' at that revision is not in the cache",
                    where=f"md5:{oid}",
                    hint="check that revision out and run 'assay pull'",
                )

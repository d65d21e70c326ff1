"""What differs between two states of tracked data: a commit, the record, the workspace."""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from assay.base.errors import Error, NotFound, did_you_mean
from assay.objects import scan, tree
from assay.objects.cache import DIR, Cache
from assay.objects.legacy import named
from assay.objects.scan import Content
from assay.objects.transfer import key_of
from assay.project import definition, git
from assay.project.choosing import Chosen, choose, is_within
from assay.project.definition import Definition
from assay.project.tracking import in_cache
from assay.project.workspace import Project

Files = dict[str, str | None]
"""Oid by path relative to the root; a folder ends with `/`; None where it is not recorded."""


class Finder(Protocol):
    """A remote, or what is known of one."""

    def find(self, keys: Sequence[str]) -> set[str]:
        """Return those of `keys` that are there."""


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


class _Listed:
    """The files of folders.

    Parameters
    ----------
    shared : bool
        States agree in most folders: each list is made once, for all of them.
    """

    def __init__(self, cache: Cache, *, shared: bool) -> None:
        self._cache, self._shared = cache, shared
        self._made: dict[tuple[str, str], Files] = {}

    def add_to(
        self, found: Files, folder: str, oid: str, entries: Iterable[tree.Entry] | None = None
    ) -> None:
        """Add the files of a folder, by the list of them that is given or in the cache."""
        if (folder, oid) in self._made:
            found.update(self._made[folder, oid])
            return
        if entries is None:
            if not self._cache.has(oid):
                return
            entries = tree.read(self._cache, oid)
        files = ((f"{folder}{entry.relpath}", entry.oid) for entry in entries)
        if self._shared:
            self._made[folder, oid] = dict(files)
            found.update(self._made[folder, oid])
        else:
            found.update(files)


def recorded(declared: Definition) -> Files:
    """Return what the `.dvc` files and locks of a definition say is there, folders as a whole.

    As with DVC without outputs that the cache does not get: they are git's, or nobody's.
    """
    found: Files = {}
    for item in declared.tracked:
        if item.row is not None and item.row.oid is not None and item.out.cache:
            path = declared.project.relative(item.path)
            found[f"{path}/" if item.row.oid.endswith(DIR) else path] = item.row.oid
    return found


def _contents(declared: Definition, chosen: Sequence[Chosen]) -> dict[str, Content]:
    """Return what lies in the workspace where something is tracked; a folder ends with `/`."""
    project, found = declared.project, dict[str, Content]()
    for item in (one.item for one in chosen):
        if item.out.cache and item.path.exists():
            index = project.index.like(item.row.oid if item.row is not None else None)
            now = scan.scan(item.path, index, skip=project.ignore)
            path = project.relative(item.path)
            found[path if now.entries is None else f"{path}/"] = now
    return found


def _in_full(
    files: Files,
    listed: _Listed,
    *,
    contents: dict[str, Content] | None = None,
    but: Container[str] = (),
) -> Files:
    """Return a state with the files in its folders, but for those that need no list."""
    found: Files = {}
    for path, oid in files.items():
        found[path] = oid
        if oid is not None and oid.endswith(DIR) and path not in but:
            entries = contents[path].entries if contents is not None else None
            listed.add_to(found, path, oid, entries)
    return found


class DataStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The state of all tracked data, or of what was asked for.

    Attributes
    ----------
    not_in_remote : list of str
        Recorded, but not on the remote that was asked.
    not_in_cache : list of str
        Recorded, but no longer in the cache.
    committed : Difference
        From the last git commit to the `.dvc` files and locks.
    uncommitted : Difference
        From those to the workspace.
    untracked : list of str
        Files that neither git nor a record knows, relative to where the person is.
    unchanged : list of str
        The same in all three.
    git_dirty : bool
        Whether git has changes or new files.
    """

    not_in_remote: list[str] = []
    not_in_cache: list[str]
    committed: Difference
    uncommitted: Difference
    untracked: list[str] = []
    unchanged: list[str]
    git_dirty: bool


def status(
    project: Project,
    *,
    granular: bool = False,
    targets: Sequence[str] = (),
    cwd: Path | None = None,
    remote: Callable[[str | None], Finder] | None = None,
    untracked: bool = False,
) -> DataStatus:
    """Compare the last commit, the records, the cache and the workspace.

    Parameters
    ----------
    granular : bool
        Also file by file inside tracked folders.
    targets : sequence of str
        What is asked for; all without them.
    remote : callable, optional
        Returns a remote by its name, the default one for None; each output asks its own.
    untracked : bool
        List the files that nobody tracks.
    """
    declared = definition.read(project)
    cwd = cwd or Path.cwd()
    chosen = choose(declared, targets, cwd=cwd)
    asked = _Asked(project, chosen if targets else None)
    head = git.head(project.git_root) if project.uses_git else None
    contents = _contents(declared, chosen)
    record = recorded(declared)
    workspace: Files = {path: now.oid for path, now in contents.items()}
    before = Files() if project.uses_git else record  # without git nothing is committed
    if head is not None:
        before = recorded(definition.read_at(project, head))
    if granular:
        listed = _Listed(project.cache, shared=True)
        record, before = _in_full(record, listed), _in_full(before, listed)
        workspace = _in_full(workspace, listed, contents=contents)
    record, before, workspace = (asked.part_of(one) for one in (record, before, workspace))
    absent = _absent(project, chosen, granular=granular)
    lacking = [] if remote is None else _not_there(project, chosen, remote, granular=granular)
    return DataStatus(
        not_in_remote=sorted(lacking),
        not_in_cache=sorted(asked.part_of(dict.fromkeys(absent))),
        committed=compare(before, record),
        uncommitted=compare(record, workspace),
        untracked=_untracked(project, cwd) if untracked and project.uses_git else [],
        unchanged=sorted(p for p in record if before.get(p) == record[p] == workspace.get(p)),
        git_dirty=project.uses_git and git.is_dirty(project.git_root),
    )


class _Asked:
    """What a person asked for, of all the paths there are."""

    def __init__(self, project: Project, chosen: Sequence[Chosen] | None) -> None:
        self._paths: list[str] | None = None
        if chosen is not None:
            self._paths = [
                f"{project.relative(one.item.path)}/{inside}" if inside else path
                for one in chosen
                for path in [project.relative(one.item.path)]
                for inside in (one.within or ("",))
            ]

    def part_of(self, files: Files) -> Files:
        """Return those of the files that are meant."""
        if self._paths is None:
            return files
        return {p: oid for p, oid in files.items() if is_within(p.rstrip("/"), self._paths)}


def _recorded_outs(chosen: Sequence[Chosen]) -> Iterator[tuple[Chosen, str]]:
    for one in chosen:
        row = one.item.row
        if row is not None and row.oid is not None and one.item.out.cache:
            yield one, row.oid


def _absent(project: Project, chosen: Sequence[Chosen], *, granular: bool) -> Iterator[str]:
    """Go through what is recorded and not in the cache; whole outputs, or file by file."""
    for one, oid in _recorded_outs(chosen):
        path = project.relative(one.item.path)
        if not oid.endswith(DIR):
            if not project.cache.has(oid):
                yield path
        elif in_cache(project, oid):
            continue
        elif not granular or not project.cache.has(oid):
            yield f"{path}/"
        else:
            for entry in tree.read(project.cache, oid):
                if not project.cache.has(entry.oid):
                    yield f"{path}/{entry.relpath}"


def _not_there(
    project: Project,
    chosen: Sequence[Chosen],
    remote: Callable[[str | None], Finder],
    *,
    granular: bool,
) -> list[str]:
    """Return what is recorded and not on its remote: the output's own, else the default one."""
    by_remote: dict[str | None, dict[str, list[str]]] = {}
    for one, oid in _recorded_outs(chosen):
        if not one.item.out.push:
            continue
        path = project.relative(one.item.path)
        is_tree = oid.endswith(DIR)
        keys = by_remote.setdefault(one.item.out.remote, {})
        keys.setdefault(key_of(oid), []).append(f"{path}/" if is_tree else path)
        for entry in tree.read(project.cache, oid) if is_tree and project.cache.has(oid) else ():
            if one.holds(entry.relpath):
                shown = f"{path}/{entry.relpath}" if granular else f"{path}/"
                keys.setdefault(key_of(entry.oid), []).append(shown)
    lacking: dict[str, None] = {}
    for name, keys in by_remote.items():
        there = remote(name).find(list(keys))
        lacking |= dict.fromkeys(p for k, paths in keys.items() if k not in there for p in paths)
    return list(lacking)


def _untracked(project: Project, cwd: Path) -> list[str]:
    root = project.git_root
    paths = [root / name for name in git.untracked(root)]
    return [os.path.relpath(path, cwd) for path in paths if project.root in path.parents]


class Diff(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between two states, with the states.

    Attributes
    ----------
    not_in_cache : list of str
        Of the older state, where the newer one is the workspace.
    """

    difference: Difference
    before: Files
    after: Files
    not_in_cache: list[str] = []


def diff(
    project: Project,
    before: str,
    after: str | None,
    *,
    targets: Sequence[str] = (),
    cwd: Path | None = None,
) -> Diff:
    """Return what differs between two commits, or a commit and the workspace.

    Raises
    ------
    NotFound
        If git does not know a revision, or neither state has a target.
    """
    first = definition.read_at(project, git.resolve(project.git_root, before))
    contents: dict[str, Content] | None = None
    if after is None:
        second = definition.read(project)
        contents = _contents(second, choose(second, (), cwd=project.root))
        new: Files = {path: now.oid for path, now in contents.items()}
    else:
        second = definition.read_at(project, git.resolve(project.git_root, after))
        new = recorded(second)
    listed, old = _Listed(project.cache, shared=False), recorded(first)
    alike = () if targets else _alike(project, old, new)
    old = _in_full(old, listed, but=alike)
    new = _in_full(new, listed, contents=contents, but=alike)
    if targets:
        old, new = _targeted(project, old, new, targets, cwd=cwd or Path.cwd())
    absent: list[str] = []
    if after is None:
        chosen = [Chosen(item=item) for item in first.tracked]
        absent = sorted(path for path in _absent(project, chosen, granular=True) if path in old)
    _refuse_unknown_trees(project, old, new, recorded=[old] if after is None else [old, new])
    return Diff(difference=compare(old, new), before=old, after=new, not_in_cache=absent)


def _alike(project: Project, old: Files, new: Files) -> frozenset[str]:
    """Return the folders that are equal and complete: nothing can be said of their files."""
    return frozenset(
        path
        for path, oid in old.items()
        if oid is not None
        and oid.endswith(DIR)
        and oid == new.get(path)
        and in_cache(project, oid)
    )


def _targeted(
    project: Project, old: Files, new: Files, targets: Sequence[str], *, cwd: Path
) -> tuple[Files, Files]:
    """Return the part of two states that targets name; a target in neither raises."""
    names = [os.path.relpath(cwd / target, project.root) for target in targets]
    for name, target in zip(names, targets, strict=True):
        if not _named(old | new, [name]):
            raise NotFound(
                f"'{target}' is tracked in neither of the two",
                where=project.root,
                hint=did_you_mean(name, [path.rstrip("/") for path in old | new]),
            )
    return _named(old, names), _named(new, names)


def _named(files: Files, names: Sequence[str]) -> Files:
    return {path: oid for path, oid in files.items() if is_within(path.rstrip("/"), names)}


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
                    where=named(oid),
                    hint="check that revision out and run 'assay pull'",
                )

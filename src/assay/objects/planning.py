"""What a checkout would write and remove, found out before anything is touched."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

import msgspec

from assay.base.errors import Error, NotFound
from assay.base.files import inside
from assay.objects import alike, scan, tree
from assay.objects.cache import DIR, Cache
from assay.objects.index import Index
from assay.objects.scan import Skip

State = Literal["added", "modified", "deleted", "missing"]


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What should lie at a path; `oid` None means nothing should.

    Attributes
    ----------
    holds : callable, optional
        Says of a path inside a folder that it is meant; all are, without it.
    """

    path: Path
    oid: str | None
    is_executable: bool = False
    holds: Callable[[str], bool] | None = None


class Plan(msgspec.Struct, kw_only=True):
    """What brings one target to its content.

    Attributes
    ----------
    write : list
        Absolute path and oid of the files that are new or other.
    remove : list of str
        Files that go.
    again : list
        Files that are as they should be, and are linked anew.
    missing : list of str
        Oids that are in no cache and are left out.
    n_new : int
        How many of `write` were not there.
    """

    target: Target
    state: State
    write: list[tuple[str, str]] = []
    remove: list[str] = []
    again: list[tuple[str, str]] = []
    missing: list[str] = []
    n_new: int = 0
    remove_tree: bool = False

    @property
    def is_new_folder(self) -> bool:
        """Whether a folder comes where nothing is."""
        oid = self.target.oid
        is_tree = oid is not None and oid.endswith(DIR)
        return is_tree and self.state == "added" and not self.remove

    def leave_out(self, absent: Iterable[str]) -> None:
        """Do not write what is not there to be written."""
        gone = set(absent)
        self.missing += [oid for _, oid in self.write if oid in gone]
        self.n_new = min(self.n_new, len(self.write) - len(self.missing))
        self.write = [row for row in self.write if row[1] not in gone]
        self.again = [row for row in self.again if row[1] not in gone]
        if self.missing and not self.write:
            self.remove_tree = False  # what lies there is better than nothing


class Planner:
    """Compares targets with what lies there."""

    def __init__(
        self,
        cache: Cache,
        index: Index,
        *,
        skip: Skip,
        relink: bool = False,
        allow_missing: bool = False,
        ignores_case: Callable[[], bool],
    ) -> None:
        self._cache, self._index, self._skip = cache, index, skip
        self._relink, self._allow_missing = relink, allow_missing
        self._ignores_case = ignores_case

    def plan(self, target: Target) -> Plan | None:
        """Return what has to be done for a target, or None where nothing has."""
        path, oid = target.path, target.oid
        there = os.path.lexists(path)
        if oid is None:
            if not there:
                return None
            is_tree = path.is_dir() and not path.is_symlink()
            removed = [] if is_tree else [str(path)]
            return Plan(target=target, state="deleted", remove=removed, remove_tree=is_tree)
        if oid.endswith(DIR):
            return self._directory(target, oid)
        row = (str(path), oid)
        if not there or not path.exists():
            return Plan(target=target, state="added", write=[row], n_new=1)
        if path.is_dir() and not path.is_symlink():
            return Plan(target=target, state="modified", write=[row], remove_tree=True)
        now = scan.scan(path, self._index.like(oid))
        own_bit = now.is_executable and not target.is_executable  # an x bit of the user's own
        if now.oid == oid and (own_bit or now.is_executable == target.is_executable):
            return Plan(target=target, state="modified", again=[row]) if self._relink else None
        return Plan(target=target, state="modified", write=[row])

    def _directory(self, target: Target, oid: str) -> Plan | None:
        path, holds = target.path, target.holds
        _refuse_link(path)
        try:
            entries = tree.read(self._cache, oid)
        except NotFound:
            if not self._allow_missing:
                raise
            return Plan(target=target, state="missing", missing=[oid])
        is_there = path.is_dir()
        before: dict[str, str] = {}
        if is_there:
            index = self._index.like(oid)
            now = scan.scan(path, index, skip=self._skip, label=f"checking {path.name}")
            if now.oid == oid and not self._relink:
                return None
            before = {e.relpath: e.oid for e in now.entries or []}
        after = {e.relpath: e.oid for e in entries}
        del entries
        if holds is not None:
            before = {name: o for name, o in before.items() if holds(name)}
            after = {name: o for name, o in after.items() if holds(name)}
        alike.refuse(after, where=path, is_one=self._ignores_case)
        write = [(f"{path}/{name}", o) for name, o in after.items() if before.get(name) != o]
        remove = [f"{path}/{name}" for name in before if name not in after]
        same: list[tuple[str, str]] = []
        if self._relink:
            same = [(f"{path}/{name}", o) for name, o in after.items() if before.get(name) == o]
        if os.path.lexists(path) and not is_there:
            remove.append(str(path))
        _refuse_links(
            path, after, {n for n in before if n not in after}, where=self._cache.path(oid)
        )
        plan = Plan(
            target=target,
            state="modified" if is_there else "added",
            write=write,
            remove=remove,
            again=same,
            n_new=sum(name not in before for name in after),
        )
        is_new = holds is None and not is_there
        return plan if plan.write or plan.remove or plan.again or is_new else None


def _refuse_link(path: Path) -> None:
    if path.is_symlink() and path.is_dir():
        raise Error(
            "the path is a link to a folder, and what it points to is not ours to change",
            where=path,
            hint="remove the link; then 'assay checkout' makes the folder",
        )


def _refuse_links(root: Path, names: Iterable[str], gone: set[str], *, where: Path) -> None:
    """Raise if a folder that files go to is a link; one that is removed first does not count."""
    for folder in {name.rpartition("/")[0] for name in names} - {""}:
        parts = folder.split("/")
        if gone.isdisjoint("/".join(parts[:n]) for n in range(1, len(parts) + 1)):
            inside(root, f"{folder}/file", where=where)

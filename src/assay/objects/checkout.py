"""Bring a path of the workspace to recorded content: all of it is prepared, then put in place.

Nothing of a person's that is not in the cache is overwritten or removed without `force`, and
nothing at all is touched when an object is missing or damaged.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from assay.base.errors import Error, NotFound
from assay.base.files import explain, inside, temporary_beside
from assay.base.progress import counted, progress
from assay.objects import scan, tree
from assay.objects.cache import DIR, Cache
from assay.objects.index import Index, seen
from assay.objects.links import DEFAULT, Linker, LinkType
from assay.objects.scan import Skip, no_skip
from assay.objects.staging import Staging, staging

State = Literal["added", "modified", "deleted"]


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What should lie at a path; `oid` None means nothing should."""

    path: Path
    oid: str | None
    is_executable: bool = False


class Change(msgspec.Struct, frozen=True):
    """What a checkout did to a path."""

    path: Path
    state: State
    n_files: int


class _Plan(msgspec.Struct):
    target: Target
    state: State
    write: list[tuple[str, str]]  # (absolute path, oid)
    remove: list[str]
    remove_tree: bool = False


def checkout(
    targets: Sequence[Target],
    cache: Cache,
    index: Index,
    *,
    work: Path,
    types: Sequence[LinkType] = DEFAULT,
    skip: Skip = no_skip,
    force: bool = False,
) -> list[Change]:
    """Bring every target to its content and say what changed.

    Parameters
    ----------
    targets : sequence of Target
        Paths and what should lie there.
    cache, index : Cache, Index
        Where the objects are, and what was hashed before.
    work : Path
        A folder on the workspace's file system for what is being prepared.
    types : sequence of str
        Link types, the preferred one first.
    skip : callable
        What in the workspace does not count.
    force : bool
        Overwrite and remove also what is not saved in the cache.

    Raises
    ------
    NotFound
        If objects are missing; all of them are named.
    Negative
        If unsaved files are in the way.
    """
    plans = [plan for plan in (_plan(t, cache, index, skip=skip) for t in targets) if plan]
    wanted = {oid for plan in plans for _, oid in plan.write}
    missing = sorted(oid for oid in wanted if not cache.has(oid))
    if missing:
        raise missing_objects(missing, cache)
    if not force:
        _refuse_unsaved(plans, cache, index)
    if not plans:
        return []
    linker = Linker(cache, index, types)
    with staging(work) as stage:
        ready = _prepare(plans, linker, stage)
        for plan in plans:
            _apply(plan, ready)
    _remember(plans, index)
    return [
        Change(p.target.path, p.state, len(p.write) + len(p.remove))
        for p in plans
        if p.write or p.remove or p.remove_tree or p.state == "added"
    ]


def missing_objects(missing: Sequence[str], cache: Cache) -> NotFound:
    """Return the error that names objects that are not in the cache."""
    first = ", ".join(f"{cache.algorithm}:{oid}" for oid in missing[:5])
    more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
    return NotFound(
        f"{counted(len(missing), 'object')} missing from the cache: {first}{more}",
        where=cache.folder,
        hint="get them from a remote with 'assay pull'; nothing was changed",
    )


def _plan(target: Target, cache: Cache, index: Index, *, skip: Skip) -> _Plan | None:
    path, oid = target.path, target.oid
    there = os.path.lexists(path)
    if oid is None:
        if not there:
            return None
        is_tree = path.is_dir() and not path.is_symlink()
        return _Plan(target, "deleted", [], [] if is_tree else [str(path)], is_tree)
    if oid.endswith(DIR):
        return _plan_directory(target, oid, cache, index, skip=skip)
    if not there or not path.exists():
        return _Plan(target, "added", [(str(path), oid)], [])
    if path.is_dir() and not path.is_symlink():
        return _Plan(target, "modified", [(str(path), oid)], [], remove_tree=True)
    now = scan.scan(path, index)
    if now.oid == oid and now.is_executable == target.is_executable:
        return None
    if now.oid == oid and not target.is_executable:
        return None  # an x bit of the user's own
    return _Plan(target, "modified", [(str(path), oid)], [])


def _plan_directory(
    target: Target, oid: str, cache: Cache, index: Index, *, skip: Skip
) -> _Plan | None:
    path = target.path
    if path.is_symlink() and path.is_dir():
        raise Error(
            "the path is a link to a folder, and what it points to is not ours to change",
            where=path,
            hint="remove the link; then 'assay checkout' makes the folder",
        )
    entries = tree.read(cache, oid)
    if path.is_dir():
        now = scan.scan(path, index, skip=skip, label=f"checking {path.name}")
        if now.oid == oid:
            return None
        before = {e.relpath: e.oid for e in now.entries or []}
    else:
        before = {}
    after = {e.relpath: e.oid for e in entries}
    write = [(f"{path}/{name}", o) for name, o in after.items() if before.get(name) != o]
    remove = [f"{path}/{name}" for name in before if name not in after]
    if os.path.lexists(path) and not path.is_dir():
        remove.append(str(path))
    _refuse_links(path, after, {n for n in before if n not in after}, where=cache.path(oid))
    return _Plan(target, "modified" if path.is_dir() else "added", write, remove)


def _refuse_links(root: Path, names: Iterable[str], gone: set[str], *, where: Path) -> None:
    """Raise if a folder that files go to is a link; one that is removed first does not count."""
    for folder in {name.rpartition("/")[0] for name in names} - {""}:
        parts = folder.split("/")
        if gone.isdisjoint("/".join(parts[:n]) for n in range(1, len(parts) + 1)):
            inside(root, f"{folder}/file", where=where)


def _refuse_unsaved(plans: list[_Plan], cache: Cache, index: Index) -> None:
    unsaved: list[str] = []
    for plan in plans:
        if plan.remove_tree:
            entries = scan.scan(plan.target.path, index).entries or []  # ignored files go, too
            unsaved += [f"{plan.target.path}/{e.relpath}" for e in entries if not cache.has(e.oid)]
            continue
        for name in [*plan.remove, *(path for path, _ in plan.write)]:
            there = os.path.isfile(name)  # noqa: PTH113 -- asked for every file
            if there and not cache.has(scan.scan(Path(name), index).oid):
                unsaved.append(name)
    if unsaved:
        more = f" and {len(unsaved) - 5} more" if len(unsaved) > 5 else ""
        raise Unsaved(
            f"unsaved data would be lost: {', '.join(unsaved[:5])}{more}",
            hint="save it with 'assay commit' or 'assay add', or overwrite it with '--force'",
        )


class Unsaved(Error):
    """Data in the workspace that is in no cache is in the way."""

    exit_code = 1


def _prepare(plans: list[_Plan], linker: Linker, stage: Staging) -> dict[str, str]:
    """Stage every new file; returns the staged path by final path."""
    ready: dict[str, str] = {}
    total = sum(len(plan.write) for plan in plans)
    with progress("checking out", total=total) as bar:
        for plan in plans:
            for path, oid in plan.write:
                staged = stage.new()
                linker.place(oid, staged, is_executable=plan.target.is_executable)
                ready[path] = staged
                bar.advance()
    return ready


def _apply(plan: _Plan, ready: dict[str, str]) -> None:
    root = plan.target.path
    try:
        if plan.remove_tree:
            import shutil

            shutil.rmtree(root)
        emptied = set()
        for name in plan.remove:
            Path(name).unlink(missing_ok=True)
            emptied.add(os.path.dirname(name))  # noqa: PTH120
        _remove_emptied(emptied, root)  # first: a file may belong where a folder was
        made: set[str] = set()
        if plan.target.oid is not None and plan.target.oid.endswith(DIR):
            root.mkdir(parents=True, exist_ok=True)
        for name, _ in plan.write:
            parent = os.path.dirname(name)  # noqa: PTH120
            if parent not in made:
                os.makedirs(parent, exist_ok=True)  # noqa: PTH103
                made.add(parent)
            _rename(ready[name], name)
    except OSError as error:
        raise explain(error, error.filename or root) from error


def _rename(staged: str, final: str) -> None:
    try:
        os.rename(staged, final)  # noqa: PTH104
    except OSError as error:
        if error.errno == errno.EISDIR:  # an empty folder where a file belongs
            os.rmdir(final)  # noqa: PTH106
            os.rename(staged, final)  # noqa: PTH104
            return
        if error.errno != errno.EXDEV:
            raise
        import shutil

        beside = temporary_beside(Path(final))
        shutil.copy2(staged, beside, follow_symlinks=False)
        beside.replace(final)


def _remove_emptied(folders: set[str], root: Path) -> None:
    """Remove the folders whose last file this checkout took away; a user's own stay."""
    stop = os.path.dirname(root)  # noqa: PTH120
    for folder in sorted(folders, key=len, reverse=True):
        current = folder
        while len(current) > len(str(root)) and current != stop:
            try:
                os.rmdir(current)  # noqa: PTH106
            except OSError:
                break
            current = os.path.dirname(current)  # noqa: PTH120


def _remember(plans: list[_Plan], index: Index) -> None:
    rows = {}
    for plan in plans:
        for path, oid in plan.write:
            status = os.stat(path)  # noqa: PTH116
            if stat.S_ISREG(status.st_mode):
                rows[path] = seen(status, oid)
    index.put(rows, settled=True)

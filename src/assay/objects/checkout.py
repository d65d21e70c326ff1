"""Bring a path of the workspace to recorded content: all of it is prepared, then put in place.

Nothing of a person's that is not in the cache is overwritten or removed without `force`, and
nothing at all is touched when an object is missing or damaged.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path

import msgspec

from assay.base.errors import Error, NotFound
from assay.base.files import explain, temporary_beside
from assay.base.progress import counted, progress
from assay.objects import scan
from assay.objects.cache import DIR, Cache
from assay.objects.index import Index, seen
from assay.objects.links import DEFAULT, Linker, LinkType
from assay.objects.planning import Plan, Planner, State, Target
from assay.objects.scan import Skip, no_skip
from assay.objects.staging import Staging, staging

__all__ = ["Change", "State", "Target", "Unsaved", "checkout", "missing_objects"]


class Change(msgspec.Struct, frozen=True):
    """What a checkout did to a path.

    Attributes
    ----------
    n_files : int
        Files that were written or removed; of state "missing", those that could not be written.
    n_added, n_deleted : int
        How many of them were not there before, and are not there now.
    """

    path: Path
    state: State
    n_files: int
    n_added: int = 0
    n_deleted: int = 0


def checkout(
    targets: Sequence[Target],
    cache: Cache,
    index: Index,
    *,
    work: Path,
    types: Sequence[LinkType] = DEFAULT,
    skip: Skip = no_skip,
    force: bool = False,
    relink: bool = False,
    allow_missing: bool = False,
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
    relink : bool
        Link files anew that are as they should be.
    allow_missing : bool
        Leave out what is not in the cache; a change of state "missing" counts it.

    Raises
    ------
    NotFound
        If objects are missing; all of them are named.
    Unsaved
        If unsaved files are in the way.
    """
    planner = Planner(cache, index, skip=skip, relink=relink, allow_missing=allow_missing)
    plans = [plan for plan in map(planner.plan, targets) if plan]
    wanted = {oid for plan in plans for _, oid in (*plan.write, *plan.again)}
    missing = sorted(oid for oid in wanted if not cache.has(oid))
    if missing and not allow_missing:
        raise missing_objects(missing, cache)
    for plan in plans if missing else ():
        plan.leave_out(missing)
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
    return [change for plan in plans for change in _changes(plan)]


def _changes(plan: Plan) -> list[Change]:
    path, n_files = plan.target.path, len(plan.write) + len(plan.remove)
    found = []
    is_new = plan.state == "added" and not plan.missing
    if n_files or plan.remove_tree or is_new:
        found.append(Change(path, plan.state, n_files, plan.n_new, len(plan.remove)))
    if plan.missing:
        found.append(Change(path, "missing", len(plan.missing)))
    return found


def missing_objects(missing: Sequence[str], cache: Cache) -> NotFound:
    """Return the error that names objects that are not in the cache."""
    first = ", ".join(f"{cache.algorithm}:{oid}" for oid in missing[:5])
    more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
    return NotFound(
        f"{counted(len(missing), 'object')} missing from the cache: {first}{more}",
        where=cache.folder,
        hint="get them from a remote with 'assay pull'; nothing was changed",
    )


def _refuse_unsaved(plans: list[Plan], cache: Cache, index: Index) -> None:
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


def _prepare(plans: list[Plan], linker: Linker, stage: Staging) -> dict[str, str]:
    """Stage every new file; returns the staged path by final path."""
    ready: dict[str, str] = {}
    total = sum(len(plan.write) + len(plan.again) for plan in plans)
    with progress("checking out", total=total) as bar:
        for plan in plans:
            for path, oid in (*plan.write, *plan.again):
                staged = stage.new()
                linker.place(oid, staged, is_executable=plan.target.is_executable)
                ready[path] = staged
                bar.advance()
    return ready


def _apply(plan: Plan, ready: dict[str, str]) -> None:
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
        is_tree = plan.target.oid is not None and plan.target.oid.endswith(DIR)
        if is_tree and plan.state != "missing":
            root.mkdir(parents=True, exist_ok=True)
        for name, _ in (*plan.write, *plan.again):
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


def _remember(plans: list[Plan], index: Index) -> None:
    rows = {}
    for plan in plans:
        for path, oid in (*plan.write, *plan.again):
            status = os.stat(path)  # noqa: PTH116
            if stat.S_ISREG(status.st_mode):
                rows[path] = seen(status, oid)
    index.put(rows, settled=True)

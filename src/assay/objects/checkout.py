"""Bring a path of the workspace to recorded content: all of it is prepared, then put in place.

Nothing of a person's that is not in the cache is overwritten or removed without `force`, and
nothing at all is touched when an object is missing or damaged.
"""

from __future__ import annotations

import errno
import functools
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from assay.base.errors import Error, NotFound
from assay.base.files import explain, temporary_beside
from assay.base.progress import counted, progress
from assay.objects import alike, legacy, scan
from assay.objects.cache import DIR, Cache
from assay.objects.index import Index, Looks, Seen, seen
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
    ignores_case: Callable[[Path], bool] = alike.ignores_case,
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
    ignores_case : callable
        Says of a folder that its file system does not tell capital letters from small ones.

    Raises
    ------
    NotFound
        If objects are missing; all of them are named.
    Unsaved
        If unsaved files are in the way.
    """
    is_one = functools.cache(lambda: ignores_case(work))
    alike.refuse((str(target.path) for target in targets), where=work, is_one=is_one)
    planner = Planner(
        cache, index, skip=skip, relink=relink, allow_missing=allow_missing, ignores_case=is_one
    )
    plans = [plan for plan in map(planner.plan, targets) if plan]
    wanted = {oid for plan in plans for _, oid in (*plan.write, *plan.again)}
    missing = _missing(wanted, cache) if allow_missing else []
    for plan in plans if missing else ():
        plan.leave_out(missing)
    if not force:
        _refuse_unsaved(plans, cache, index)
    if not plans:
        return []
    linker = Linker(cache, index, types)
    with staging(work) as stage:
        try:
            ready = [_prepare(plan, linker, stage) for plan in plans]
        except NotFound:
            if not _missing(wanted, cache):
                raise
            raise missing_objects(_missing(wanted, cache), cache) from None
        for plan, one in zip(plans, ready, strict=True):
            _apply(plan, one)
    _remember(plans, ready, index)
    return [change for plan in plans for change in _changes(plan)]


def _missing(oids: Iterable[str], cache: Cache) -> list[str]:
    return sorted(cache.lacking(oids))


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
    first = ", ".join(cache.named(oid) for oid in missing[:5])
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
            lacking = [f"{plan.target.path}/{e.relpath}" for e in entries if not cache.has(e.oid)]
        elif plan.is_new_folder:
            continue
        else:
            names = [*plan.remove, *(path for path, _ in plan.write)]
            there = [name for name in names if os.path.isfile(name)]  # noqa: PTH113 -- for all
            lacking = [n for n in there if not cache.has(scan.scan(Path(n), index).oid)]
        unsaved += [name for name in lacking if not _is_in_legacy(name, cache, index)]
    if unsaved:
        more = f" and {len(unsaved) - 5} more" if len(unsaved) > 5 else ""
        raise Unsaved(
            f"unsaved data would be lost: {', '.join(unsaved[:5])}{more}",
            hint="save it with 'assay commit' or 'assay add', or overwrite it with '--force'",
        )


def _is_in_legacy(name: str, cache: Cache, index: Index) -> bool:
    """Say whether DVC 2 stored a file."""
    store = cache.of(legacy.PREFIX)
    if not store.folder.is_dir() or next(iter(store), None) is None:
        return False
    return store.has(scan.scan(Path(name), index.like(legacy.PREFIX)).oid)


class Unsaved(Error):
    """Data in the workspace that is in no cache is in the way."""

    exit_code = 1


class _Ready(msgspec.Struct):
    """The files of a plan as they are prepared.

    Attributes
    ----------
    rows : list of tuple
        Path and oid of each file.
    place : str
        The folder in which it is prepared: under its own relative path, or its number.
    is_tree : bool
        Whether that folder can be moved to the plan's path as it is.
    looks : list of tuple
        What each copy looks like, where it was not moved alone.
    """

    root: str
    rows: list[tuple[str, str]]
    place: str
    is_tree: bool
    looks: list[Looks | None] = []

    def name(self, number: int) -> str:
        """Return where a file is prepared."""
        if self.is_tree:
            return self.place + self.rows[number][0][len(self.root) :]
        return f"{self.place}/{number}"


def _prepare(plan: Plan, linker: Linker, stage: Staging) -> _Ready:
    """Prepare every new file of a plan."""
    rows = plan.write + plan.again
    ready = _Ready(str(plan.target.path), rows, stage.new(), plan.is_new_folder)
    with progress("checking out", total=len(rows)) as bar:
        if plan.target.is_executable:
            Path(ready.place).mkdir()
            for number, (_, oid) in enumerate(rows):
                linker.place(oid, ready.name(number), is_executable=True)
        else:
            ready.looks = linker.place_all(rows, ready.name, advance=bar.advance)
    return ready


def _apply(plan: Plan, ready: _Ready) -> None:
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
        if ready.is_tree and _moved(ready.place, root):
            return
        ready.looks = []  # a file that gets another name has another change time
        made: set[str] = set()
        is_tree = plan.target.oid is not None and plan.target.oid.endswith(DIR)
        if is_tree and plan.state != "missing":
            root.mkdir(parents=True, exist_ok=True)
        for number, (name, _) in enumerate(ready.rows):
            parent = os.path.dirname(name)  # noqa: PTH120
            if parent not in made:
                os.makedirs(parent, exist_ok=True)  # noqa: PTH103
                made.add(parent)
            _rename(ready.name(number), name)
    except OSError as error:
        raise explain(error, error.filename2 or error.filename or root) from error


def _moved(tree: str, root: Path) -> bool:
    """Move a prepared folder to its place as a whole, if that can be done."""
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        os.rename(tree, root)  # noqa: PTH104
    except OSError:  # another file system, or somebody made the folder meanwhile
        return False
    return True


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


def _remember(plans: Sequence[Plan], ready: Sequence[_Ready], index: Index) -> None:
    rows: dict[Index, dict[str, Seen]] = {}
    for plan, one in zip(plans, ready, strict=True):
        known = rows.setdefault(index.like(plan.target.oid), {})
        for number, (path, oid) in enumerate(one.rows):
            look = one.looks[number] if one.looks else None
            if look is not None:
                known[path] = (look, oid)
                continue
            there = os.stat(path)  # noqa: PTH116
            if stat.S_ISREG(there.st_mode):
                known[path] = seen(there, oid)
        one.looks = []
    for to, known in rows.items():
        to.put(known, settled=True)

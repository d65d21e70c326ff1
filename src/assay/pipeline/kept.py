"""The second store of data: versions that a run which counts read and made, beside DVC's cache.

`dvc gc` deletes from `.dvc/cache` what the work tree does not name. The data of a run that a
registered version names lie under `.assay/objects/md5` as well, by hard link, or as a copy where
links fail; from there they come back.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator

from assay.base.files import explain, sync_filesystem
from assay.objects import tree
from assay.objects.cache import DIR, Cache
from assay.pipeline.record import Plan
from assay.project import definition
from assay.project.workspace import Project

_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.EACCES}


def store(project: Project) -> Cache:
    """Return the second store of a project."""
    return Cache(project.assay_dir / "objects" / "md5")


def keep(project: Project, oids: Iterable[str]) -> int:
    """Take contents of the cache into the second store; return how many of them are there now.

    What is not in the cache, such as code, is passed by.
    """
    kept = store(project)
    wanted = [*dict.fromkeys(oids)]
    _link(project.cache, kept, wanted)
    return sum(is_whole(kept, oid) for oid in wanted)


def restore(project: Project, oids: Iterable[str]) -> None:
    """Bring contents that are gone from the cache back, as far as the second store has them."""
    kept = store(project)
    if kept.folder.is_dir():
        good = [oid for oid in oids if kept.has(oid) and (oid[-4:] != DIR or kept.verify(oid))]
        _link(kept, project.cache, good)  # files are checked when they are placed


def is_whole(cache: Cache, oid: str) -> bool:
    """Say whether an object is in a store, and the files too that it names as a manifest."""
    if not cache.has(oid):
        return False
    return not oid.endswith(DIR) or all(cache.has(entry.oid) for entry in tree.read(cache, oid))


def oids_of(plan: Plan) -> list[str]:
    """Return what the stages of a run read and made."""
    rows = [row for step in plan.steps for row in (*step.entry.deps, *step.entry.outs)]
    return [*dict.fromkeys(row.oid for row in rows if row.oid is not None)]


def tracked_inside(project: Project, plan: Plan, *, commit: str | None) -> list[str]:
    """Return tracked data that lie inside folders that a stage read as a whole.

    The manifest of such a folder is in no cache: parts of it are code.
    """
    if commit is None:
        return []
    read = {
        os.path.normpath(project.root / step.wdir / row.path)
        for step in plan.steps
        for row in step.entry.deps
        if row.oid is not None and row.oid.endswith(DIR)
    }
    if not read:
        return []
    return [
        item.row.oid
        for item in definition.read_at(project, commit).tracked
        if item.row is not None
        and item.row.oid is not None
        and not read.isdisjoint(str(parent) for parent in item.path.parents)
    ]


def _link(source: Cache, target: Cache, oids: Iterable[str]) -> None:
    """Put objects of one store into another; a manifest after the files that it names."""
    linked = False
    try:
        for oid in _expanded(source, oids):
            if not target.has(oid) and source.has(oid):
                _put(source, target, oid)
                linked = True
        if linked:
            sync_filesystem(target.folder)
    except OSError as error:
        raise explain(error, error.filename2 or error.filename or target.folder) from error


def _expanded(source: Cache, oids: Iterable[str]) -> Iterator[str]:
    for oid in oids:
        if oid.endswith(DIR) and source.has(oid):
            yield from (entry.oid for entry in tree.read(source, oid))
        yield oid


def _put(source: Cache, target: Cache, oid: str) -> None:
    place = target.path(oid)
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.place(oid), place)
    except FileExistsError:  # another process was faster
        return
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        _copy(source, target, oid)


def _copy(source: Cache, target: Cache, oid: str) -> None:
    if oid.endswith(DIR):
        target.of(oid).add(source.read(oid), suffix=DIR)
    elif target.of(oid).add_file(source.path(oid)).oid != oid:
        raise source.damaged(oid)

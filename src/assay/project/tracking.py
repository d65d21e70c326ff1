"""Data under version control: add, commit, check out, and what differs from the record."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from assay.base.errors import Error, Negative, NotFound, Usage
from assay.objects import scan
from assay.objects.legacy import is_legacy
from assay.objects.scan import Content
from assay.project import definition, dvcfile, gitignore
from assay.project.choosing import Chosen
from assay.project.definition import Definition, Tracked
from assay.project.stages import Row
from assay.project.workspace import Project

if TYPE_CHECKING:
    from assay.objects.checkout import Change

_NOT_DATA = frozenset({".git", ".hg", ".dvc", ".assay"})


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """What an add or commit did with one path.

    Attributes
    ----------
    files : list of Path
        The files that git should get: the `.dvc` file and, where it changed, the `.gitignore`.
    changed : bool
        Whether the record changed.
    """

    path: Path
    content: Content
    files: list[Path]
    changed: bool


def add(project: Project, path: Path, *, keep: bool = True, relink: bool = True) -> Added:
    """Put a file or folder under version control, or record its present content.

    A path inside a tracked folder records that part of the folder.

    Parameters
    ----------
    keep : bool
        Put the content into the cache, too.
    relink : bool
        Have the file share its bytes with the cache, where `cache.type` asks for that.

    Raises
    ------
    Error
        If git tracks it, it does not exist, it is ignored, or it overlaps with other outputs.
    """
    declared = definition.read(project)
    around = next((item for item in declared.tracked if item.path in path.parents), None)
    if around is not None and around.stage.is_data:
        from assay.project import parts

        inside = path.relative_to(around.path).as_posix()
        return parts.record(declared, around, [inside], keep=keep)
    scan.look(path)
    if path.is_symlink() and path.is_dir():
        raise Usage(
            "a link to a folder cannot be tracked",
            where=project.shown(path),
            hint="put the folder itself there; 'cache.dir' may lie on another disk",
        )
    refuse(declared, path)
    before = next((item.row for item in declared.tracked if item.path == path), None)
    like = before.oid if before is not None else None
    if not keep:
        return record(project, path, _scan(project, path, like=like))
    return record(project, path, store(project, path, like=like, relink=relink))


def refuse_new(declared: Definition, path: Path) -> None:
    """Raise if `add` would refuse a path that is there, before anything is locked or made."""
    around = next((item for item in declared.tracked if item.path in path.parents), None)
    if around is None or not around.stage.is_data:
        refuse(declared, path)
    else:
        declared.project.ignore.refuse(path, shown=declared.project.shown(path))


def refuse(declared: Definition, path: Path) -> None:
    """Raise if a path cannot be tracked as data, whatever lies there."""
    project = declared.project
    if path.suffix == dvcfile.SUFFIX:
        raise Usage("a '.dvc' file is a record and cannot be data", where=project.shown(path))
    if path in {project.root, project.dvc_dir} or project.dvc_dir in path.parents:
        raise Usage(
            "the project itself cannot be tracked as data",
            where=project.shown(path),
            hint="name the files and folders in it that are data",
        )
    for item in declared.tracked:
        if (item.path == path and not item.stage.is_data) or item.path in path.parents:
            raise Usage(
                f"this is an output of stage '{item.stage.address}'",
                where=project.shown(path),
                hint=f"record it with 'assay commit {item.stage.address}'",
            )
        if path in item.path.parents:
            raise Negative(
                f"it holds '{project.shown(item.path)}', which is tracked by itself",
                where=project.shown(path),
                hint="stop tracking that first, then add the folder",
            )
    project.ignore.refuse(path, shown=project.shown(path))
    gitignore.refuse_tracked(project, path)
    dvcfile.refuse_other(path.with_name(path.name + dvcfile.SUFFIX), path.name)


def record(project: Project, path: Path, content: Content) -> Added:
    """Write the `.dvc` file of a path that `refuse` let pass, and make git ignore the data."""
    file = path.with_name(path.name + dvcfile.SUFFIX)
    is_new = not file.exists()
    row = row_of(path.name, content)
    changed = dvcfile.write(file, row, entries=content.entries)
    try:
        ignored = gitignore.add(project, [path])
    except BaseException:  # both or neither
        if is_new:
            file.unlink(missing_ok=True)
        raise
    return Added(path=path, content=content, files=[file, *ignored], changed=changed)


def commit(declared: Definition, item: Tracked, *, relink: bool = True) -> Added:
    """Record the present content of an output: store it and update its record."""
    project = declared.project
    like = item.row.oid if item.row is not None else None
    if item.out.cache:
        content = store(project, item.path, like=like, relink=relink)
    else:
        content = _scan(project, item.path, like=like)
    row = row_of(item.out.path, content)
    files = [item.stage.file]
    if item.stage.is_data:
        changed = dvcfile.write(item.stage.file, row, entries=content.entries)
        files += gitignore.add(project, [item.path]) if item.out.cache else []
    else:
        entry = declared.entry(item.stage)
        if entry is None:
            raise NotFound(
                f"stage '{item.stage.address}' has not run yet",
                where=item.stage.file.with_suffix(".lock"),
                hint=f"run it with 'assay repro {item.stage.address}'",
            )
        outs = tuple(row if r.path == row.path else r for r in entry.outs)
        changed = declared.record(item.stage, msgspec.structs.replace(entry, outs=outs))
        files = [item.stage.file.with_suffix(".lock")]
    return Added(path=item.path, content=content, files=files, changed=changed)


def row_of(path: str, content: Content) -> Row:
    """Return the record of a content under a path as written."""
    return Row(
        path=path,
        oid=content.oid,
        size=content.size,
        n_files=content.n_files,
        is_executable=content.is_executable,
    )


def store(
    project: Project, path: Path, *, like: str | None = None, relink: bool = True
) -> Content:
    """Put a path into the cache, linked as `cache.type` asks.

    Parameters
    ----------
    like : str, optional
        What is recorded of it: if that is of DVC 2 and still true, it stays so.
    relink : bool
        Link it; the workspace has a copy otherwise.
    """
    types = project.config.link_types() if relink else ("copy",)
    linked = types[:1] == ("hardlink",)
    kind = _kind(project, path, like)
    content = scan.store(
        path,
        project.cache.of(kind),
        project.index.like(kind),
        skip=project.ignore,
        label=f"adding {path.name}",
        hardlink=linked,
    )
    if types[:1] == ("symlink",):
        _relink(project, path, content)
    return content


def _relink(project: Project, path: Path, content: Content) -> None:
    """Replace files by links to their objects, as `cache.type` asks."""
    from assay.objects.links import Linker

    linker = Linker(project.cache, project.index, project.config.link_types())
    entries = content.entries
    places = (
        [(str(path), content.oid)]
        if entries is None
        else [(f"{path}/{entry.relpath}", entry.oid) for entry in entries]
    )
    for place, oid in places:
        if Path(place).is_symlink():
            continue
        temporary = f"{place}.assay-link"
        linker.place(oid, temporary, is_executable=content.is_executable)
        os.replace(temporary, place)  # noqa: PTH105


def _kind(project: Project, path: Path, like: str | None) -> str:
    """Return an oid of the kind that is to be recorded: the old one only while it is true."""
    if like is None or not is_legacy(like):
        return ""
    return like if _looked(project, path, like).oid == like else ""


def _scan(project: Project, path: Path, *, like: str | None = None) -> Content:
    return _looked(project, path, _kind(project, path, like))


def _looked(project: Project, path: Path, like: str) -> Content:
    index = project.index.like(like)
    return scan.scan(path, index, skip=project.ignore, label=f"checking {path.name}")


def checkout(
    project: Project,
    items: Sequence[Tracked | Chosen],
    *,
    force: bool = False,
    relink: bool = False,
    allow_missing: bool = False,
) -> list[Change]:
    """Bring outputs to their recorded content; those without a record or cache are passed by."""
    from assay.objects import checkout as objects_checkout

    targets = []
    for one in items:
        item, within = (one.item, one.within) if isinstance(one, Chosen) else (one, ())
        if item.row is not None and item.row.oid is not None and item.out.cache:
            _refuse_outside(project, item)
            targets.append(
                objects_checkout.Target(
                    path=item.path,
                    oid=item.row.oid,
                    is_executable=item.row.is_executable,
                    holds=one.holds if isinstance(one, Chosen) and within else None,
                )
            )
    return objects_checkout.checkout(
        targets,
        project.cache,
        project.index,
        work=project.work_dir,
        types=project.config.link_types(),
        skip=project.ignore,
        force=force,
        relink=relink,
        allow_missing=allow_missing,
    )


def _refuse_outside(project: Project, item: Tracked) -> None:
    """Raise if a record names a place that is not data's: a repository may come from anybody."""
    real = Path(os.path.realpath(item.path.parent)) / item.path.name
    inside = item.path != project.root and project.root in real.parents
    parts = real.relative_to(project.root).parts if inside else ()
    if not inside or _NOT_DATA.intersection(part.lower() for part in parts):
        raise Error(
            f"the path '{item.out.path}' does not lie in the project's own folders",
            where=project.shown(item.stage.file),
            hint="nothing was written; if this file is yours, correct the path",
        )


State = Literal["modified", "deleted", "not in cache", "new"]


def state_of(project: Project, item: Tracked) -> State | None:
    """Return how an output differs from its record, or None where it does not.

    The order is DVC's: an object that is missing from the cache counts before all else.
    """
    if item.row is None or item.row.oid is None:
        return "modified" if item.path.exists() else "deleted"
    if item.out.cache and not in_cache(project, item.row.oid):
        return "not in cache"
    if not os.path.lexists(item.path):
        return "deleted"
    try:
        now = _looked(project, item.path, item.row.oid)
    except NotFound:
        return "deleted"
    return None if now.oid == item.row.oid else "modified"


def is_legacy_of(project: Project, path: Path, oid: str | None) -> bool:
    """Say whether an oid of DVC 2 names what lies at a path."""
    if oid is None or not is_legacy(oid):
        return False
    try:
        return _looked(project, path, oid).oid == oid
    except NotFound:
        return False


def in_cache(project: Project, oid: str) -> bool:
    """Say whether an object, and every file that a manifest names, is in the cache."""
    from assay.objects.complete import is_complete

    return is_complete(oid, project.cache, project.index)

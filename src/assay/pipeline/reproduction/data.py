"""The data that a script reads: the versions that its run recorded, else those of its commit.

A script declares nothing. What it opened, and what it logged as a data set, is on record by its
content, and that is what it gets again: a file may have been changed and not been added, and then
its commit tracks another version. All else that the commit tracks is placed as far as it can be
had, since a library may have read it unheard.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from assay.base.errors import Error, NotFound
from assay.base.files import inside
from assay.objects import checkout, scan
from assay.objects.legacy import is_legacy
from assay.pipeline import kept, sources
from assay.pipeline.previous import remove
from assay.project import definition, tracking
from assay.project.definition import Tracked
from assay.project.workspace import Project

if TYPE_CHECKING:
    from assay.ledger.runs import Run
    from assay.ledger.writer import Data

_MD5 = "md5:"


def put(project: Project, there: Project, run: Run, *, say: Callable[[str], None]) -> list[str]:
    """Place what a script reads into its work tree; name what could not be had.

    Raises
    ------
    NotFound
        If a version that it opened is gone from cache and remotes.
    """
    tracked = definition.read(there).tracked
    read = _recorded(there, run, tracked)
    lost = _put_tracked(project, there, tracked, read, say)
    lost += _put_recorded(project, there, run, tracked, read, say)
    for one in run.inputs:
        if one.kind == "params" and not (there.root / one.path).exists():
            target = inside(there.root, one.path, where=f"run {run.id}")  # git ignores it
            target.write_bytes(project.objects.read(one.oid.removeprefix("sha256:")))
    return lost


def _recorded(there: Project, run: Run, tracked: Sequence[Tracked]) -> dict[Path, Data]:
    """Return what is on record of tracked data, by its place; what was opened goes first."""
    ours = {item.path for item in tracked}
    found: dict[Path, Data] = {}
    for one in run.inputs:
        path = one.path
        if one.kind == "dataset" and one.details is not None:  # its name may be another one
            path = str(one.details.get("source") or path)
        elif one.kind != "dep":
            continue
        place = there.root / path
        is_ours = one.kind == "dep" or not ours.isdisjoint([place, *place.parents])
        if is_ours and one.oid.startswith(_MD5):
            inside(there.root, path, where=f"run {run.id}")
            if one.kind == "dep" or place not in found:
                found[place] = one
    return found


def _put_tracked(
    project: Project,
    there: Project,
    tracked: Sequence[Tracked],
    read: Mapping[Path, Data],
    say: Callable[[str], None],
) -> list[str]:
    """Place what the commit tracks, but for what is on record in another version."""
    wanted = {}
    for item in tracked:
        oid = item.row.oid if item.row is not None else None
        if oid is not None and item.out.cache:
            recorded = read.get(item.path)
            if recorded is None or recorded.oid == f"{_MD5}{oid}" or is_legacy(oid):
                wanted[oid, item.path] = item
    sources.pull(project, [oid for oid, _ in wanted], say=say)
    tracking.checkout(there, [*wanted.values()], force=True, allow_missing=True)
    return [
        there.relative(path)
        for oid, path in wanted
        if path not in read and not tracking.in_cache(there, oid)
    ]


def _put_recorded(
    project: Project,
    there: Project,
    run: Run,
    tracked: Sequence[Tracked],
    read: Mapping[Path, Data],
    say: Callable[[str], None],
) -> list[str]:
    """Place what the run read in a version that its commit does not track."""
    others = {
        place: one.oid.removeprefix(_MD5)
        for place, one in read.items()
        if _oid_at(there, place) != one.oid.removeprefix(_MD5)
    }
    sources.pull(project, others.values(), say=say)
    lost = [place for place, oid in others.items() if not kept.is_whole(there.cache, oid)]
    for place in lost:
        if read[place].kind == "dep":
            raise _gone(project, there, run, tracked, place, others[place])
        remove(place)  # the script may make it: a data set is logged where that is not known
    executable = {item.path for item in tracked if item.row and item.row.is_executable}
    checkout.checkout(
        [
            checkout.Target(path=place, oid=oid, is_executable=place in executable)
            for place, oid in others.items()
            if place not in lost
        ],
        there.cache,
        there.index,
        work=there.work_dir,
        types=("reflink", "copy"),
        skip=there.ignore,
        force=True,
    )
    return [there.relative(place) for place in lost]


def _oid_at(project: Project, place: Path) -> str | None:
    try:
        return scan.scan(place, project.index, skip=project.ignore).oid
    except NotFound:
        return None


def _gone(
    project: Project,
    there: Project,
    run: Run,
    tracked: Sequence[Tracked],
    place: Path,
    oid: str,
) -> Error:
    """Say which version is gone; where the person's tree has it, how it is kept."""
    path = there.relative(place)
    hint = None
    if _oid_at(project, project.root / path) == oid:
        shown = project.shown(project.root / path)
        around = {place, *place.parents}
        stage = next((item.stage for item in tracked if item.path in around), None)
        how = f"add {shown}" if stage is None or stage.is_data else f"commit {stage.address}"
        hint = f"the tree still has it: 'assay {how}' keeps it, then the run can be done again"
    return sources.gone(project, path, oid, read_by=f"script '{run.name}'", hint=hint)

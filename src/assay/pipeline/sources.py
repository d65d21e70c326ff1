"""The data that a recorded run read: which versions, where they come from, and their places.

What a stage of the run made is no source: the stage makes it again. Code comes with the commit.
Data of runs that count lie in a second store too (`assay.pipeline.kept`): what is gone from the
cache is taken from there before a remote is asked.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from assay.base.errors import Error, NotFound
from assay.base.files import inside
from assay.base.progress import counted
from assay.objects import scan, transfer, tree
from assay.objects.cache import DIR
from assay.objects.links import Linker
from assay.objects.remotes import RemoteSettings, open_remote
from assay.pipeline import kept
from assay.pipeline.record import Plan, Step
from assay.project import definition, git
from assay.project.stages import Row
from assay.project.workspace import Project

Say = Callable[[str], None]


def fetch(project: Project, plan: Plan, *, say: Say) -> None:
    """Get data that is not here from the second store or the remotes; code is in none."""
    kept.restore(project, kept.oids_of(plan))
    wanted = []
    for step, row in _sources(plan):
        place = project.root / _place(step, row)
        if row.oid is None or not _is_inside(place, project.git_root):
            continue
        if not git.tracked(project.git_root, place.relative_to(project.git_root).as_posix()):
            wanted.append(row.oid)
    pull(project, wanted, say=say)


def put(project: Project, there: Project, plan: Plan, *, say: Say) -> None:
    """Place the data that the run read into its work tree, and check that its code is the same.

    Raises
    ------
    Error
        If a version is gone from cache and remotes, or the code is not what a stage read.
    """
    linker = Linker(there.cache, there.index, ("reflink", "copy"))
    _put_tracked(project, there, plan, linker, say)
    for step, row in _sources(plan):
        path = Path(os.path.normpath(there.root / step.wdir / row.path))
        if row.oid is None or not _is_inside(path, there.git_root):
            continue  # outside the repository: if it changed, the outputs say so
        if not path.exists():
            _put_row(project, there, linker, path, row, oid=row.oid, read_by=step.address)
            continue
        found = scan.scan(path, there.index, skip=there.ignore)
        if found.oid != row.oid:
            raise Error(
                f"'{row.path}' is not what stage '{step.address}' read: the record has "
                f"md5:{row.oid}, its commit md5:{found.oid}",
                hint="it was changed by something that git does not see, such as a filter",
            )


def _put_tracked(project: Project, there: Project, plan: Plan, linker: Linker, say: Say) -> None:
    """Place tracked data that lies inside a folder that a stage read as a whole."""
    read = {there.root / _place(step, row): step for step in plan.steps for row in step.entry.deps}
    items = [
        (item, next(read[parent] for parent in item.path.parents if parent in read))
        for item in definition.read(there).tracked
        if item.stage.is_data and not read.keys().isdisjoint(item.path.parents)
    ]
    pull(project, [i.row.oid for i, _ in items if i.row and i.row.oid], say=say)
    for item, step in items:
        if item.row is not None and item.row.oid is not None and not item.path.exists():
            _put_row(
                project, there, linker, item.path, item.row,
                oid=item.row.oid, read_by=step.address,
            )  # fmt: skip


def gone(
    project: Project, path: str, oid: str, *, read_by: str, hint: str | None = None
) -> NotFound:
    """Return the error that says which version is gone, and where it was looked for."""
    names = ", ".join(f"'{one.name}'" for one in remotes_of(project))
    return NotFound(
        f"the version of '{path}' that {read_by} read is gone: md5:{oid} is not in the cache"
        + (f", nor on the remotes {names}" if names else ", and the project has no remote"),
        hint=hint
        or "who has it in a clone can 'assay push' it; another remote that may have it: "
        "'assay remote add NAME URL'",
    )


def _put_row(
    project: Project,
    there: Project,
    linker: Linker,
    path: Path,
    row: Row,
    *,
    oid: str,
    read_by: str,
) -> None:
    if not kept.is_whole(there.cache, oid):
        raise gone(project, row.path, oid, read_by=f"stage '{read_by}'")
    path.parent.mkdir(parents=True, exist_ok=True)
    if not oid.endswith(DIR):
        linker.place(oid, str(path), is_executable=row.is_executable)
        return
    path.mkdir()
    for entry in tree.read(there.cache, oid):
        target = inside(path, entry.relpath, where=f"md5:{oid}")
        target.parent.mkdir(parents=True, exist_ok=True)
        linker.place(entry.oid, str(target))


def _sources(plan: Plan) -> Iterator[tuple[Step, Row]]:
    """Go through the dependencies that no stage of the plan makes."""
    made = {_place(step, row) for step in plan.steps for row in step.entry.outs}
    for step in plan.steps:
        for row in step.entry.deps:
            place = _place(step, row)
            parents = [str(p) for p in Path(place).parents]
            below = any(out.startswith(f"{place}/") for out in made)
            if place not in made and made.isdisjoint(parents) and not below:
                yield step, row


def _place(step: Step, row: Row) -> str:
    return os.path.normpath(os.path.join(step.wdir, row.path))  # noqa: PTH118


def pull(project: Project, oids: Iterable[str], *, say: Say) -> None:
    """Get contents from the second store, then from each remote in turn, the default one first."""
    wanted = [*dict.fromkeys(oids)]
    kept.restore(project, wanted)
    missing = [oid for oid in wanted if not kept.is_whole(project.cache, oid)]
    problems: list[Error] = []
    for settings in remotes_of(project):
        if not missing:
            return
        if settings.is_versioned:
            problems.append(_by_name_only(settings, len(missing)))
            continue
        try:
            moved = transfer.pull(missing, project.cache, open_remote(settings)).moved
        except Error as error:  # another one may have it
            problems.append(error)
            continue
        if moved:
            say(f"fetched {counted(moved, 'object')} of the run's data from '{settings.name}'")
        missing = [oid for oid in missing if not kept.is_whole(project.cache, oid)]
    if missing and problems:
        raise problems[0]


def remotes_of(project: Project) -> list[RemoteSettings]:
    """Return where data may come from: the default remote, then the others by name."""
    default = (project.config.get("core", "remote") or "").lower()
    names = sorted(project.config.remotes(), key=lambda name: (name != default, name))
    return [project.config.remote(name) for name in names]


def _by_name_only(settings: RemoteSettings, n_missing: int) -> NotFound:
    return NotFound(
        f"{counted(n_missing, 'object')} of the run's data not in the cache, and a remote "
        "that keeps files under their own names is asked by their paths only",
        where=settings.where,
        hint="bring what all commits name, then try again: assay fetch -A",
    )


def _is_inside(path: Path, folder: Path) -> bool:
    return path == folder or folder in path.parents

"""Take a project away: DVC's files and ours. The data, the code and git's history stay."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec

from assay.base.errors import Error, Usage
from assay.base.files import explain
from assay.project import definition, gitignore, unprotecting
from assay.project.workspace import Project


class Doomed(msgspec.Struct, frozen=True, kw_only=True):
    """What goes with a project.

    Attributes
    ----------
    records : list of Path
        `.dvc` files, `dvc.yaml` and their locks.
    folders : list of Path
        `.dvc` and `.assay`.
    cache : Path or None
        The cache, where it goes too since it lies in `.dvc`.
    has_ledger : bool
        Whether there are recorded runs.
    ignoring : list of Path
        The `.gitignore` files that name data, and stay as they are.
    """

    records: list[Path]
    folders: list[Path]
    cache: Path | None
    has_ledger: bool
    ignoring: list[Path] = []


def look(project: Project) -> Doomed:
    """Return what would go."""
    if project.root != project.home:
        raise Usage(
            "this is a linked work tree; the project belongs to the clone",
            where=project.home,
            hint="remove the work tree with 'git worktree remove'",
        )
    records = []
    for path in definition.find_files(project):
        records.append(path)
        lock = path.with_suffix(".lock")
        if path.suffix == ".yaml" and lock.exists():
            records.append(lock)
    cache = project.cache.folder.parent.parent
    inside = project.dvc_dir in cache.parents
    return Doomed(
        records=records,
        folders=[f for f in (project.dvc_dir, project.home / ".assay") if f.exists()],
        cache=cache if inside and cache.exists() else None,
        has_ledger=(project.home / ".assay" / "ledger.db").exists(),
        ignoring=_ignoring(project),
    )


def _ignoring(project: Project) -> list[Path]:
    """Return the `.gitignore` files with a line for data; none where a record is unreadable."""
    try:
        tracked = definition.read(project).tracked
    except Error:
        return []
    found: dict[Path, None] = {}
    for item in tracked:
        file = item.path.parent / ".gitignore"
        line = os.fsencode(f"/{gitignore.escape(item.path.name)}")
        if file.is_file() and line in file.read_bytes().splitlines():
            found[file] = None
    return list(found)


def destroy(project: Project, doomed: Doomed) -> None:
    """Take all of it away; data that are links into the cache become files first."""
    try:
        data = [t.path for t in definition.read(project).tracked if os.path.lexists(t.path)]
    except Error:  # a record that is not understood: look at all that lies here
        never = {project.root / ".git", project.root / ".hg", *doomed.folders}
        data = [path for path in project.root.iterdir() if path not in never]
    inside = [path for path in data if project.root in path.parents]
    unprotecting.unprotect(project, inside)
    project.index.close()
    try:
        for path in [*doomed.records, project.root / ".dvcignore"]:
            path.unlink(missing_ok=True)
        for folder in doomed.folders:
            shutil.rmtree(folder)
    except OSError as error:
        raise explain(error, error.filename or project.root) from error

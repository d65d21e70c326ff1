"""The profile of a tracked table: made once for a content, kept as an object of our own."""

from __future__ import annotations

from pathlib import Path

from assay.base.errors import NotFound
from assay.base.progress import progress
from assay.data import files, profile
from assay.data.profile import Profile
from assay.project.workspace import Project

_KIND = "profile"


def find(project: Project, oid: str) -> str | None:
    """Return the oid of the profile of the content `oid` (an MD5), or None."""
    known = project.index.derived(oid, _KIND)
    return known if known is not None and project.objects.has(known) else None


def load(project: Project, stored: str) -> Profile:
    """Read a stored profile by its oid."""
    return profile.load(project.objects.read(stored), where=str(project.objects.path(stored)))


def ensure(project: Project, path: Path, oid: str) -> str | None:
    """Return the oid of the profile of the table at `path`, whose content is `oid`.

    It is made unless it is there. None where the path is not one table.

    Raises
    ------
    Error
        If the table cannot be read.
    """
    known = find(project, oid)
    if known is not None:
        return known
    table = files.table_files(path)
    if table is None:
        return None
    with progress(f"profiling {path.name}"):
        made = profile.make(table, source=project.relative(path))
    stored = project.objects.add(profile.dump(made))
    project.index.put_derived(oid, _KIND, stored)
    return stored


def need(project: Project, path: Path, oid: str) -> Profile:
    """Return the profile of a table, made now if it was not before; a path that is none raises."""
    stored = ensure(project, path, oid)
    if stored is None:
        raise NotFound(
            "this is not a table: neither CSV nor Parquet, nor a folder of either with one header",
            where=project.shown(path),
            hint="give a .csv, .tsv or .parquet file, or a folder of them",
        )
    return load(project, stored)

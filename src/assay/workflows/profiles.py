"""Profiles that make themselves: of every table that is added or produced, once for a content."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assay.base.errors import Error, NotFound
from assay.data import stored
from assay.data.profile import Profile
from assay.objects import scan
from assay.objects.scan import Content
from assay.project.settings import Store
from assay.project.workspace import Project


def after(
    project: Project, made: Sequence[tuple[Path, Content]]
) -> tuple[dict[str, str], list[str]]:
    """Profile what a command added or produced, after its own work.

    Tables above `profile.max_size` wait for the first command that needs their profile.

    Returns
    -------
    dict
        Oid of the profile by oid of the content (MD5), for what is a table.
    list of str
        Why a table could not be profiled: that is no failure of the command.
    """
    settings = Store(project)
    if not settings.value("profile.auto"):
        return {}, []
    largest = int(settings.value("profile.max_size"))
    found: dict[str, str] = {}
    complaints: list[str] = []
    for path, content in made:
        if content.size > largest:
            continue
        try:
            profile = stored.ensure(project, path, content.oid)
        except Error as error:
            complaints.append(f"no profile of '{project.shown(path)}': {error.what}")
            continue
        if profile is not None:
            found[content.oid] = profile
    return found, complaints


def of(project: Project, path: Path) -> Profile:
    """Return the profile of the table at a path, tracked or not."""
    if not path.exists():
        raise NotFound(
            "there is no such file or folder",
            where=project.shown(path),
            hint="if it is tracked, get it with 'assay checkout' or 'assay pull'",
        )
    content = scan.scan(path, project.index, skip=project.ignore)
    return stored.need(project, path, content.oid)


def on_edges(project: Project, path: Path, edges: Profile) -> Profile:
    """Return the profile of a table counted on the cells of another profile."""
    from assay.data import files, profile

    table = files.table_files(path)
    if table is None:
        raise NotFound(
            "this is not a table",
            where=project.shown(path),
            hint="give a .csv, .tsv or .parquet file, or a folder of them",
        )
    return profile.make(table, edges=edges, source=project.relative(path))

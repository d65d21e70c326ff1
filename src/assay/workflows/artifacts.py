"""Artifacts of another repository by their names and versions, as DVC's registry has them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from assay.base.errors import NotFound, Usage, did_you_mean
from assay.project import artifact_tags, definition
from assay.project.dvcyaml import FILE
from assay.project.supply import Overrides
from assay.project.workspace import Project
from assay.workflows import getting
from assay.workflows.browsing import opened
from assay.workflows.getting import Got


class Place(NamedTuple):
    """Where an artifact lies: a path of a commit, relative to the root of the project."""

    commit: str
    path: str


def find(
    url: str,
    name: str,
    *,
    cwd: Path,
    version: str | None = None,
    stage: str | None = None,
    overrides: Overrides | None = None,
) -> Place:
    """Return where a version of an artifact lies.

    Parameters
    ----------
    name : str
        `name`, `folder:name` or `folder/dvc.yaml:name`.
    version : str, optional
        Such as `v1.0.0`.
    stage : str, optional
        The version that is there now; with neither, the highest one.

    Raises
    ------
    Usage
        If both are given.
    NotFound
        If there is no such artifact, version or stage.
    """
    if version is not None and stage is not None:
        raise Usage("an artifact has one version: '--rev' and '--stage' name two")
    full = _full_name(name)
    with opened(url, cwd=cwd, overrides=overrides) as source:
        project = Project(source.root)
        try:
            tags = artifact_tags.read(project.git_root)
            commit = artifact_tags.commit_of(tags, full, version=version, stage=stage)
        except NotFound as error:
            error.where = error.where or source.shown
            raise
        known = dict(_declared(project, commit))
        if full not in known:
            raise NotFound(
                f"the dvc.yaml of commit {commit[:12]} has no artifact '{full}'",
                where=source.shown,
                hint=did_you_mean(full, known)
                or f"name its path under 'artifacts:' in {_file_of(full)}, and register that",
            )
        return Place(commit, os.path.relpath(known[full], project.root))


def get(
    url: str,
    place: Place,
    *,
    cwd: Path,
    out: str | None = None,
    force: bool = False,
    overrides: Overrides | None = None,
) -> Got:
    """Copy an artifact from where it lies."""
    return getting.get(
        url, place.path, cwd=cwd, out=out, rev=place.commit, force=force, overrides=overrides
    )


def address(url: str, place: Place, *, cwd: Path, overrides: Overrides | None = None) -> str:
    """Return where the object of an artifact is shared."""
    with opened(url, cwd=cwd, rev=place.commit, overrides=overrides) as source:
        return getting.address_of(source, place.path)


def _declared(project: Project, commit: str) -> Iterator[tuple[str, str]]:
    """Go through the artifacts of a commit: full names, and their paths."""
    for file in definition.read_at(project, commit).files:
        folder = os.path.relpath(file.path.parent, project.git_root)
        for name, artifact in file.artifacts.items():
            path = os.path.normpath(file.path.parent / artifact.path)
            yield (name if folder == "." else f"{folder}:{name}"), path


def _full_name(name: str) -> str:
    """Return `folder:name` for `folder/dvc.yaml:name`, and the name alone for the root's."""
    folder, colon, own = name.rpartition(":")
    if not colon:
        return name
    folder = re.sub(rf"(^|/){re.escape(FILE)}$", "", folder)
    folder = os.path.normpath(folder) if folder else "."
    return own if folder == "." else f"{folder}:{own}"


def _file_of(full: str) -> str:
    folder, _, _ = full.rpartition(":")
    return f"{folder}/{FILE}" if folder else FILE

"""How metrics and parameters of two experiments, commits or the workspace differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assay.base.errors import NotFound
from assay.pipeline.experiments import refs
from assay.project import git
from assay.project.workspace import Project
from assay.workflows import experiment_records, results
from assay.workflows.results import Values
from assay.workflows.views import WORKSPACE


def diff(
    project: Project,
    old: str,
    new: str | None,
    *,
    cwd: Path,
    unchanged: bool = False,
    param_deps: bool = False,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return what differs, in the form of `dvc exp diff --json`.

    Parameters
    ----------
    old, new : str
        An experiment, or what git resolves to a commit; the workspace where `new` is None.

    Raises
    ------
    NotFound
        If there is no such experiment or commit.
    """
    sides = [
        experiment_records.one(project, commit_of(project, side), param_deps=param_deps)
        for side in (old, new or WORKSPACE)
    ]
    found: dict[str, dict[str, dict[str, Any]]] = {"metrics": {}, "params": {}}
    for part, changed in found.items():
        before, after = (_values(project, side, part) for side in sides)
        for one in results.compare(before, after, unchanged=unchanged):
            entry = {"old": one.old, "new": one.new}
            if one.difference is not None:
                entry["diff"] = one.difference
            changed.setdefault(project.shown(one.path, cwd=cwd), {})[one.key] = entry
    return found


def commit_of(project: Project, name: str) -> str:
    """Return the commit of a revision or of an experiment; `workspace` is itself."""
    if name == WORKSPACE:
        return name
    try:
        return git.resolve(project.git_root, name)
    except NotFound:
        return refs.find(project.git_root, name).commit


def _values(project: Project, side: dict[str, Any], part: str) -> list[Values]:
    found = (side["data"] or {}).get(part, {})
    return [
        Values(path=project.root / file, data=one["data"])
        for file, one in found.items()
        if "data" in one
    ]

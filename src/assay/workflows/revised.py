"""The files of a project at many commits at once: the tips of branches, tags, all commits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from assay.base.errors import Error
from assay.project import git, revisions
from assay.project.revisions import Scope
from assay.project.workspace import Project
from assay.workflows.views import WORKSPACE, View


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """The workspace or a commit under the names that were asked for, or why it cannot be read."""

    name: str
    view: View | None = None
    error: Error | None = None


def read(project: Project, scope: Scope, *, cwd: Path) -> Iterator[Revision]:
    """Go through the workspace and the commits of a scope, each once.

    The names are DVC's: the branches and tags that point to a commit with commas between them,
    or, of a commit out of all of them, its whole id.
    """
    yield _read(project, WORKSPACE, WORKSPACE, cwd=cwd)
    for commit, names in _named(project, scope).items():
        yield _read(project, commit, ",".join(names), cwd=cwd)


def _read(project: Project, revision: str, name: str, *, cwd: Path) -> Revision:
    try:
        view = View(project, revision, cwd=cwd, name=name.partition(",")[0])
        return Revision(name=name, view=view)
    except Error as error:
        return Revision(name=name, error=error)


def _named(project: Project, scope: Scope) -> dict[str, list[str]]:
    root = project.git_root
    revisions.check(scope)
    if scope.commits:
        return {commit: [commit] for commit in revisions.all_commits(root)}
    found: dict[str, list[str]] = {}
    kinds = [kind for kind, on in (("heads", scope.branches), ("tags", scope.tags)) if on]
    for kind in kinds:
        form = "--format=%(refname:strip=2)%00%(objectname)%00%(*objectname)%00"
        form += "%(objecttype)%(*objecttype)"
        rows = git.git("for-each-ref", form, f"refs/{kind}", cwd=root).decode().splitlines()
        for row in rows:
            name, own, peeled, types = row.split("\0")
            if types in {"commit", "tagcommit"}:  # a tag can also name a file or a folder
                found.setdefault(peeled or own, []).append(name)
    return found


def without_workspace(project: Project, found: dict[str, Any]) -> None:
    """Take the workspace out where it says what the branch that is checked out says, as DVC."""
    branch = git.branch(project.git_root)
    if branch is not None and found.get(branch) == found.get(WORKSPACE):
        found.pop(WORKSPACE, None)

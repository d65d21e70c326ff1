"""Outputs that were declared before an experiment was applied, and are not any more.

Git ignores them no longer, and a stage that depends on the folder around them would see them. They
go as far as the cache has them as they are; what a person made of them stays.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from assay.base.errors import Error
from assay.objects import checkout
from assay.objects.checkout import Change, Target, Unsaved
from assay.project import definition, git
from assay.project.workspace import Project


class Leftovers(msgspec.Struct, frozen=True, kw_only=True):
    """What became of them.

    Attributes
    ----------
    gone : list of Change
        Those that were taken away.
    left : list of str
        Those that stay, as the cache has not what lies there; relative to the project.
    """

    gone: list[Change] = []
    left: list[str] = []


def recorded(project: Project) -> list[Path]:
    """Return the outputs whose content the workspace records; none where it cannot be read."""
    with contextlib.suppress(Error):
        return [
            item.path
            for item in definition.read(project).tracked
            if item.out.cache and item.row is not None and item.row.oid is not None
        ]
    return []


def remove(project: Project, before: Sequence[Path], *, commit: str) -> Leftovers:
    """Take away those outputs of `before` that the workspace does not declare now.

    Parameters
    ----------
    commit : str
        The experiment; files that it has in git stay, as do those in the index.
    """
    try:
        declared = {item.path for item in definition.read(project).tracked}
    except Error:
        return Leftovers()  # what is needed is not known
    stale = [
        path
        for path in before
        if path not in declared and declared.isdisjoint(path.parents) and _lies_in(project, path)
    ]
    gone: list[Change] = []
    left: list[str] = []
    others = declared | _in_git(project, commit) if stale else declared
    for path in (piece for one in stale for piece in _pieces(one, others)):
        try:
            gone += _take_away(project, path)
        except Unsaved:
            left.append(project.relative(path))
    return Leftovers(gone=gone, left=left)


def _lies_in(project: Project, path: Path) -> bool:
    """Say whether something is at a path, and that in the project: a record may name any."""
    folder = Path(os.path.realpath(path.parent))
    root = Path(os.path.realpath(project.root))
    return os.path.lexists(path) and (folder == root or root in folder.parents)


def _in_git(project: Project, commit: str) -> set[Path]:
    """Return the files that an experiment or the index has in git."""
    root = project.git_root
    index = git.git("ls-files", "-z", cwd=root).split(b"\0")
    names = {*git.list_files(root, commit), *(os.fsdecode(name) for name in index if name)}
    return {root / name for name in names}


def _pieces(path: Path, others: set[Path]) -> Iterator[Path]:
    """Give what is at a path: as one, or file by file where something else lies in it."""
    if path in others:
        return
    if path.is_symlink() or not any(path in other.parents for other in others):
        yield path
        return
    for place, _, names in os.walk(path):
        for name in names:
            file = Path(place, name)
            if file not in others and others.isdisjoint(file.parents):
                yield file


def _take_away(project: Project, path: Path) -> list[Change]:
    return checkout.checkout(
        [Target(path=path, oid=None)],
        project.cache,
        project.index,
        work=project.work_dir,
        skip=project.ignore,
    )

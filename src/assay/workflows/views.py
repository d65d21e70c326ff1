"""The files of a project, in the workspace or at a commit, read in one and the same way.

A file may lie in the work tree, in a commit, or, as a recorded output, in the cache only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from assay.base.errors import Error, NotFound, Usage
from assay.base.files import explain
from assay.objects import tree
from assay.objects.legacy import named
from assay.objects.tree import Entry
from assay.project import definition, git
from assay.project.definition import Tracked
from assay.project.workspace import Project

WORKSPACE = "workspace"
"""DVC's name for what lies in the work tree, wherever a revision can be given."""


class Missing(NotFound):
    """A file that is declared is not there, or its content is not on this machine."""


class View:
    """The files of a project as they are in the workspace, or were at a commit.

    Parameters
    ----------
    revision : str
        What git resolves to a commit, or `workspace`.
    cwd : Path
        What the paths of a person are relative to, given and shown.
    name : str, optional
        What messages call the revision, where it is not as it was given.

    Raises
    ------
    NotFound
        If git does not know the revision.
    Error
        If its definitions cannot be read.
    """

    def __init__(
        self, project: Project, revision: str = WORKSPACE, *, cwd: Path, name: str | None = None
    ) -> None:
        self.project, self.name, self.cwd = project, name or revision, cwd
        self.commit: str | None = None
        if revision == WORKSPACE:
            self.declared = definition.read(project)
        else:
            self.commit = git.resolve(project.git_root, revision)
            try:
                self.declared = definition.read_at(project, self.commit)
            except Error as error:  # a person knows the revision by its name
                error.where = error.where and error.where.replace(self.commit, self.name)
                raise
        self._manifests: dict[str, list[Entry]] = {}

    def shown(self, path: Path) -> str:
        """Return a path for messages; at a commit, in git's form `REVISION:PATH`."""
        if self.commit is None:
            return self.project.shown(path, cwd=self.cwd)
        return f"{self.name}:{os.path.relpath(path, self.project.git_root)}"

    def read(self, path: Path) -> bytes:
        """Return the content of a file.

        Raises
        ------
        Missing
            If it is not there.
        """
        self.check_inside(path)
        content = self._plain(path)
        if content is None:
            content = self._recorded(path)
        if content is None:
            raise Missing("there is no such file", where=self.shown(path))
        return content

    def has(self, path: Path) -> bool:
        """Say whether there is a file or folder."""
        if self._is_plain(path) or any(self._plain_below(path)):
            return True
        return self._oid(path) is not None or any(self._recorded_below(path))

    def list_files(self, path: Path) -> list[Path]:
        """Return the files below a folder, sorted, without hidden ones; else the path itself."""
        if self._is_plain(path):
            return [path]
        below = {*self._plain_below(path), *self._recorded_below(path)}
        return sorted(file for file in below if not _is_hidden(file, path)) or [path]

    def check_inside(self, path: Path) -> None:
        """Raise `Usage` for a path outside the project."""
        if path != self.project.root and self.project.root not in path.parents:
            raise Usage("the path is outside the project", where=self.shown(path))

    def _plain(self, path: Path) -> bytes | None:
        if self.commit is not None:
            name = path.relative_to(self.project.git_root).as_posix()
            root = self.project.git_root
            return git.read_file(root, self.commit, name) if name in self._names else None
        try:
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise explain(error, self.shown(path)) from error

    def _is_plain(self, path: Path) -> bool:
        if self.commit is None:
            return path.is_file()
        return os.path.relpath(path, self.project.git_root) in self._names

    def _plain_below(self, path: Path) -> Iterator[Path]:
        if self.commit is None:
            for folder, folders, names in os.walk(path):
                folders[:] = [name for name in folders if not name.startswith(".")]
                yield from (Path(folder, name) for name in names)
            return
        prefix = os.path.relpath(path, self.project.git_root) + "/"
        for name in self._names:
            if name.startswith(prefix):
                yield self.project.git_root / name

    @cached_property
    def _names(self) -> frozenset[str]:
        """All files of the commit, relative to the root of the repository."""
        return frozenset(git.list_files(self.project.git_root, self.commit or "HEAD"))

    @cached_property
    def _outs(self) -> dict[Path, Tracked]:
        """The outputs whose content is recorded and kept in the cache."""
        return {
            item.path: item
            for item in self.declared.tracked
            if item.out.cache and item.row is not None and item.row.oid is not None
        }

    def _recorded(self, path: Path) -> bytes | None:
        oid = self._oid(path)
        if oid is None:
            return None
        try:
            return self.project.cache.read(oid)
        except NotFound as error:
            pull = "run 'assay pull'"
            raise Missing(
                f"its content, {named(oid)}, is not in the cache",
                where=self.shown(path),
                hint=pull if self.commit is None else f"check that revision out and {pull}",
            ) from error

    def _oid(self, path: Path) -> str | None:
        for place in (path, *path.parents):
            item = self._outs.get(place)
            if item is None or item.row is None:
                continue
            if place == path:
                return None if item.row.is_directory else item.row.oid
            relpath = path.relative_to(place).as_posix()
            return next((e.oid for e in self._entries(item) if e.relpath == relpath), None)
        return None

    def _recorded_below(self, path: Path) -> Iterator[Path]:
        for place, item in self._outs.items():
            if item.row is None or not item.row.is_directory:
                if path in place.parents:
                    yield place
            elif path == place or path in place.parents or place in path.parents:
                below = (place / entry.relpath for entry in self._entries(item))
                yield from (file for file in below if path in file.parents)

    def _entries(self, item: Tracked) -> list[Entry]:
        """Return the files of a recorded folder; none where the list is not in the cache."""
        oid = item.row.oid if item.row else None
        if oid is None or not item.row or not item.row.is_directory:
            return []
        if oid not in self._manifests:
            here = self.project.cache.has(oid)
            self._manifests[oid] = tree.read(self.project.cache, oid) if here else []
        return self._manifests[oid]


def beside(file: Path, name: str) -> Path:
    """Return a path that is written in a file, as an absolute path."""
    return Path(os.path.normpath(file.parent / name))


def _is_hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)

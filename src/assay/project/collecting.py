"""What a project recorded at its commits: each metafile is read and parsed once, however many.

A commit is walked tree by tree; a tree that was seen before is not walked again, and commits with
the same metafiles, and the same files of variables that these name, are one version.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from assay.base.errors import Error
from assay.project import definition, dvcfile, dvcyaml, lock
from assay.project.blobs import Blobs
from assay.project.definition import Definition
from assay.project.dvcyaml import PipelineFile
from assay.project.grammar import Source
from assay.project.lock import Entry
from assay.project.stages import Stage
from assay.project.variables import Files
from assay.project.workspace import Project

_NEVER = frozenset({".git", ".hg", ".dvc", ".assay"})
LOCK = "dvc.lock"


class Metafile(NamedTuple):
    """A file that records data: its path relative to the root of git, and git's object."""

    path: str
    blob: str


_Identity = tuple[Any, ...]
"""A metafile, and the content of each file of variables that it asks for."""


class Version(NamedTuple):
    """What a project recorded at a commit."""

    commit: str
    declared: Definition


class History:
    """The metafiles of a project at its commits; close it, or use it in a `with`.

    Attributes
    ----------
    complaints : dict
        Why a metafile cannot be read, by where it stands (`COMMIT:PATH`).
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.complaints: dict[str, str] = {}
        self._blobs = Blobs(project.git_root)
        self._trees: dict[str, tuple[Metafile, ...]] = {}
        self._parsed: dict[_Identity, Any] = {}
        self._asked: dict[Metafile, dict[Path, None]] = {}  # the files of variables, by `dvc.yaml`
        self._flags = definition.flags(project.config)
        prefix = project.root.relative_to(project.git_root).as_posix()
        self._prefix = "" if prefix == "." else f"{prefix}/"

    def metafiles(self, commit: str) -> tuple[Metafile, ...]:
        """Return the `dvc.yaml`, `dvc.lock` and `.dvc` files of the project at a commit."""
        tree: str | None = f"{commit}^{{tree}}"
        for part in filter(None, self._prefix.split("/")):
            rows = self._blobs.tree(tree) if tree else []
            tree = next((row.object for row in rows if row.is_tree and row.name == part), None)
        if tree is None:
            return ()
        below = self._walk(tree, is_root=True)
        return tuple(Metafile(self._prefix + file.path, file.blob) for file in below)

    def _walk(self, tree: str, *, is_root: bool = False) -> tuple[Metafile, ...]:
        if tree in self._trees and not is_root:
            return self._trees[tree]
        rows = self._blobs.tree(tree)
        found: list[Metafile] = []
        if is_root or not any(row.is_tree and row.name == ".dvc" for row in rows):
            for row in rows:
                if not row.is_tree and is_metafile(row.name):
                    found.append(Metafile(row.name, row.object))
                elif row.is_tree and row.name not in _NEVER:
                    below = self._walk(row.object)
                    found += [Metafile(f"{row.name}/{f.path}", f.blob) for f in below]
        if not is_root:
            self._trees[tree] = tuple(found)
        return tuple(found)

    def versions(self, commits: Iterable[str]) -> Iterator[Version]:
        """Go through what commits recorded, equal ones once; what cannot be read is left out."""
        seen: set[tuple[_Identity, ...]] = set()
        for commit in commits:
            found = {self._identity(commit, f): f for f in self.metafiles(commit)}
            if tuple(found) not in seen:
                seen.add(tuple(found))
                yield Version(commit, self._definition(found))

    def _identity(self, commit: str, file: Metafile) -> _Identity:
        """Return what decides what a metafile says at a commit, and see that it is parsed."""
        identity = self._with_variables(commit, file)
        if identity not in self._parsed:
            parsed = self._parse(commit, file)
            identity = self._with_variables(
                commit, file
            )  # now it is known which files it asks for
            self._parsed[identity] = parsed
        return identity

    def _with_variables(self, commit: str, file: Metafile) -> _Identity:
        asked = self._asked.get(file, ())
        return (file, *(self._content(commit, path) for path in asked))

    def _definition(self, found: Mapping[_Identity, Metafile]) -> Definition:
        pipelines: list[PipelineFile] = []
        data: list[Stage] = []
        entries: dict[Path, dict[str, Entry]] = {}
        for identity, file in found.items():
            parsed = self._parsed[identity]
            if isinstance(parsed, PipelineFile):
                pipelines.append(parsed)
            elif isinstance(parsed, Stage):
                data.append(parsed)
            elif parsed is not None:
                entries[(self.project.git_root / file.path).with_suffix(".yaml")] = parsed
        return Definition(
            self.project, files=tuple(pipelines), data=tuple(data), entries=entries
        )  # fmt: skip

    def _parse(self, commit: str, file: Metafile) -> Any:
        path, root = self.project.git_root / file.path, self.project.root
        source = Source(f"{commit[:10]}:{file.path}", self.read(file).decode(errors="replace"))
        try:
            if path.name == dvcyaml.FILE:
                files = Files(lambda path: self._variables(commit, file, path), root)
                return dvcyaml.parse(source, path=path, root=root, files=files, flags=self._flags)
            if path.name == LOCK:
                return lock.parse(source)
            return dvcfile.parse(source, path=path, root=root)
        except Error as error:
            self.complaints[error.where or source.shown] = error.what
            return None

    def _variables(self, commit: str, file: Metafile, path: Path) -> Source | None:
        """Return a file of variables as it is in a commit, and note who asked for it."""
        self._asked.setdefault(file, {})[path] = None
        content = self._content(commit, path)
        if content is None:
            return None
        shown = f"{commit[:10]}:{path.relative_to(self.project.git_root).as_posix()}"
        return Source(shown, content.decode(errors="replace"))

    def _content(self, commit: str, path: Path) -> bytes | None:
        if self.project.git_root not in path.parents:
            return None  # no commit has it
        name = path.relative_to(self.project.git_root).as_posix()
        return None if "\n" in name else self._blobs.read(f"{commit}:{name}")

    def read(self, file: Metafile) -> bytes:
        """Return the bytes of a metafile."""
        return self._blobs.read(file.blob) or b""

    def close(self) -> None:
        """End what reads git."""
        self._blobs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def is_metafile(name: str) -> bool:
    """Say whether a file of this name records data."""
    return name in {dvcyaml.FILE, LOCK} or (
        name.endswith(dvcfile.SUFFIX) and name != dvcfile.SUFFIX
    )

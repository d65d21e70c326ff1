"""Where a content comes from that no run wrote: tracked data, git, or what a run kept of the tree.

Each answer was checked by a hash: of the bytes, or of the record that names them.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Protocol

import msgspec

from assay.base.errors import Error
from assay.ledger.sdk import places
from assay.ledger.writer import Code
from assay.objects import tree
from assay.objects.cache import DIR
from assay.objects.hashing import hash_bytes
from assay.project import definition, git
from assay.project.definition import Definition, Tracked
from assay.project.workspace import Project


class Coded(Protocol):
    """A run whose code is on record."""

    @property
    def id(self) -> str:
        """Its id in the ledger."""

    @property
    def code(self) -> Code:
        """The commit, the patch, and the files that were kept."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """A place that had a content, in words; or that none is on record.

    Attributes
    ----------
    is_its_own : bool
        Whether it is on record of the path that was asked for, not of another with these bytes.
    """

    id: str
    label: str
    relation: str = "is"
    is_its_own: bool = True

    @property
    def is_known(self) -> bool:
        """Whether git or a record that git keeps has it."""
        return bool(self.relation)


class Origins:
    """Looks into commits, patches and kept files; each commit is read once."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._definitions: dict[str, Definition] = {}

    def of(self, path: str, oid: str, owner: Coded | None) -> Origin:
        """Return the origin of a content that a run with this code read.

        None means HEAD, and the records of tracked data in the work tree that are not committed.

        Parameters
        ----------
        path : str
            Relative to the project.
        oid : str
            Its MD5, with `.dir` for a folder.
        """
        commit = owner.code.commit if owner else git.head(self._project.git_root)
        found = self._beside(owner, path, oid) if owner else None
        if found is None and commit is not None:
            found = self._in_commit(commit, path, oid)
        if owner is None and (found is None or not found.is_its_own):
            found = self._in_work_tree(path, oid) or found
        if found is not None:
            return found
        where = "it is not in git's HEAD" if owner is None else self._where_not(commit)
        return Origin(
            id=f"unknown:data:md5:{oid}",
            label=f"unknown: no run of this ledger wrote it, and {where}",
            relation="",
            is_its_own=False,
        )

    def _where_not(self, commit: str | None) -> str:
        """Say of a commit that it does not have a content, or that this clone does not have it."""
        if commit is not None:
            try:
                git.resolve(self._project.git_root, commit)
            except Error:
                return f"this clone does not have its commit {commit[:12]}"
        return "its commit does not have it"

    def _beside(self, owner: Coded, path: str, oid: str) -> Origin | None:
        """Look into the files and the patch that a run kept of its work tree."""
        for name in (self.in_git(path), self.in_git(f"{path}.dvc")):
            for file in owner.code.untracked:
                if file.path == name and self._has(self.kept(file.oid), name, oid):
                    label = f"{name}, untracked by git then, kept with the run"
                    return Origin(id=f"file:{file.oid}", label=label)
            patched = self.patched(owner, name)
            if patched is not None and self._has(patched, name, oid):
                label = f"the uncommitted changes of run {owner.id[:13]}"
                return Origin(id=f"patch:{owner.code.diff}", label=label)
        return None

    @staticmethod
    def _has(content: bytes | None, name: str, oid: str) -> bool:
        if content is None:
            return False
        is_record = name.endswith(".dvc") and f"md5: {oid}\n".encode() in content
        return is_record or hash_bytes(content) == oid

    def kept(self, oid: str) -> bytes | None:
        """Return a patch or an untracked file that a run kept; None where it is gone."""
        try:
            return places.find(self._project).read(oid.removeprefix("sha256:"))
        except Error:
            return None

    def patched(self, owner: Coded, name: str) -> bytes | None:
        """Return a file of a run's commit with its patch applied; None where it is not in it."""
        patch = self.kept(owner.code.diff) if owner.code.diff else None
        before = None if patch is None else git.patched(patch).get(name)
        if patch is None or before is None:
            return None
        commit = owner.code.commit
        base = git.read_file(self._project.git_root, commit, before) if commit else None
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / before
            try:
                if base is not None:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(base)
                git.apply_to(Path(folder), patch, name)
                path = Path(folder) / name
                return None if path.is_symlink() else path.read_bytes()
            except (git.Failed, OSError):
                return None

    def _in_commit(self, commit: str, path: str, oid: str) -> Origin | None:
        place = self._project.root / path
        items = [item for item in self._tracked(commit) if self._records(item, place, oid)]
        items.sort(key=lambda i: (i.path != place, not i.stage.is_data))
        places = {place, *place.parents}
        here = [item for item in items if item.path in places]
        if here:
            return self._recorded(commit, here[0], is_here=True)
        name = self.in_git(path)
        content = git.read_file(self._project.git_root, commit, name)
        is_in_git = content is not None and hash_bytes(content) == oid
        if is_in_git or (oid.endswith(DIR) and self._folder(commit, path) == oid):
            return Origin(id=f"git:{commit}:{name}", label=f"in git at commit {commit[:12]}")
        return self._recorded(commit, items[0], is_here=False) if items else None

    def _in_work_tree(self, path: str, oid: str) -> Origin | None:
        """Look into the records of tracked data that are here; one that is broken says nothing."""
        place = self._project.root / path
        with contextlib.suppress(Error):
            for item in definition.read(self._project).tracked:
                is_here = item.stage.is_data and item.path in {place, *place.parents}
                if is_here and self._records(item, place, oid):
                    file = item.stage.address
                    more = ", not committed yet" if self._project.uses_git else ""
                    return Origin(id=f"tracked:here:{file}", label=f"tracked by {file}{more}")
        return None

    def _recorded(self, commit: str, item: Tracked, *, is_here: bool) -> Origin:
        """Say what a record of a commit says of a content."""
        file, short = item.stage.address, commit[:12]
        if not item.stage.is_data:
            label = (
                f"unknown: no run of this ledger wrote it; dvc.lock at commit {short} "
                f"says that stage '{file}' did"
            )
            id_ = f"lock:{commit}:{file}"
            return Origin(id=id_, label=label, relation="", is_its_own=is_here)
        as_what = "" if is_here else f" as {self._project.relative(item.path)}"
        label = f"tracked by {file} at commit {short}{as_what}"
        return Origin(id=f"tracked:{commit}:{file}", label=label, is_its_own=is_here)

    def _tracked(self, commit: str) -> tuple[Tracked, ...]:
        if commit not in self._definitions:
            self._definitions[commit] = definition.read_at(self._project, commit)
        return self._definitions[commit].tracked

    def _records(self, item: Tracked, place: Path, oid: str) -> bool:
        """Say whether a record is of a content, or of a folder with it at this place."""
        if item.row is None or item.row.oid is None:
            return False
        if item.row.oid == oid:
            return True
        if item.path not in place.parents:
            return False
        inside = place.relative_to(item.path).as_posix()
        return tree.Entry(inside, oid) in self._files(item.row.oid)

    def _files(self, oid: str) -> list[tree.Entry]:
        if not oid.endswith(DIR) or not self._project.cache.has(oid):
            return []
        try:
            return tree.read(self._project.cache, oid)
        except Error:
            return []

    def _folder(self, commit: str, path: str) -> str:
        """Return the oid of a folder as a commit has it, with the data that is tracked in it."""
        root, prefix = self._project.git_root, f"{self.in_git(path)}/"
        entries = [
            tree.Entry(name.removeprefix(prefix), hash_bytes(content))
            for name in git.list_files(root, commit)
            if name.startswith(prefix)
            and (content := git.read_file(root, commit, name)) is not None
        ]
        place = self._project.root / path
        for item in self._tracked(commit):
            if place in item.path.parents and item.row is not None and item.row.oid is not None:
                inside = item.path.relative_to(place).as_posix()
                below = [
                    tree.Entry(f"{inside}/{e.relpath}", e.oid) for e in self._files(item.row.oid)
                ]
                is_folder = item.row.oid.endswith(DIR)
                entries += below if is_folder else [tree.Entry(inside, item.row.oid)]
        return tree.oid_of(entries)

    def in_git(self, path: str) -> str:
        """Return a path of the project relative to the repository's root."""
        prefix = self._project.root.relative_to(self._project.git_root).as_posix()
        return path if prefix == "." else f"{prefix}/{path}"

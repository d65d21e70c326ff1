"""In which version a run had a file of its code: as its commit has it, patched, or untracked.

By what is on record: the commit, the patch and the untracked files that the run kept. A file that
is in none of them was not there, as far as anybody can tell.
"""

from __future__ import annotations

import msgspec

from assay.base.errors import Error
from assay.objects.hashing import hash_bytes
from assay.pipeline.origins import Origins
from assay.project import git
from assay.project.workspace import Project
from assay.trace.facts import RunFacts


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a file.

    Attributes
    ----------
    oid : str or None
        The hash of its content, with its algorithm; None where the content cannot be had.
    words : str
        Where it is from.
    """

    oid: str | None
    words: str


class Versions:
    """Looks files up in the code of runs; each commit and each patch is asked once for a file."""

    def __init__(self, project: Project, origins: Origins) -> None:
        self._root, self._origins = project.git_root, origins
        self._commits: dict[str, bool] = {}
        self._oids: dict[tuple[str | None, str | None, str], str | None] = {}

    def has(self, path: str, owner: RunFacts) -> bool:
        """Tell whether a file is on record as part of a run's code.

        Where its commit is not in this clone, it may be.
        """
        name, commit = self._origins.in_git(path), owner.code.commit
        if any(file.path == name for file in owner.code.untracked):
            return True
        if self._is_patched(name, owner):
            return True
        if commit is None:
            return False
        return not self._is_here(commit) or self._oid(None, commit, name) is not None

    def of(self, path: str, owner: RunFacts) -> Version:
        """Return the version of a file that a run has."""
        name, code = self._origins.in_git(path), owner.code
        for file in code.untracked:
            if file.path == name:
                content = self._origins.kept(file.oid)
                oid = None if content is None else f"md5:{hash_bytes(content)}"
                return Version(oid=oid, words="untracked by git then, kept with the run")
        short = (code.commit or "")[:12]
        if code.commit is None or not self._is_here(code.commit):
            return Version(oid=None, words=f"commit {short}, which this clone does not have")
        if code.diff and self._origins.kept(code.diff) is None:
            return Version(
                oid=None, words=f"commit {short} with uncommitted changes that are gone"
            )
        if self._is_patched(name, owner):
            oid = self._oid(owner, code.commit, name)
            return Version(oid=oid, words=f"commit {short} with uncommitted changes to it")
        return Version(oid=self._oid(None, code.commit, name), words=f"commit {short}")

    def _is_here(self, commit: str) -> bool:
        if commit not in self._commits:
            try:
                git.resolve(self._root, commit)
                self._commits[commit] = True
            except Error:
                self._commits[commit] = False
        return self._commits[commit]

    def _is_patched(self, name: str, owner: RunFacts) -> bool:
        patch = self._origins.kept(owner.code.diff) if owner.code.diff else None
        return patch is not None and f" b/{name}\n".encode() in patch

    def _oid(self, patched: RunFacts | None, commit: str, name: str) -> str | None:
        """Return the hash of a file of a commit, with the patch of a run where one is given."""
        key = (None if patched is None else patched.code.diff, commit, name)
        if key not in self._oids:
            content = (
                git.read_file(self._root, commit, name)
                if patched is None
                else self._origins.patched(patched, name)
            )
            self._oids[key] = None if content is None else f"md5:{hash_bytes(content)}"
        return self._oids[key]

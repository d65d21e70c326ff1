"""In which version a run had a file of its code: as its commit has it, patched, or untracked.

By what is on record: the commit, the patch and the untracked files that the run kept. A file that
is in none of them was not there, as far as anybody can tell.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from assay.base.errors import Error
from assay.objects.hashing import hash_bytes
from assay.pipeline.origins import Origins
from assay.project import git
from assay.project.workspace import Project
from assay.trace.run_facts import RunFacts


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
        self._lists: dict[str, list[str]] = {}
        self._patches: dict[str, frozenset[str] | None] = {}
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
        if code.commit is None:
            if not self._is_patched(name, owner):
                return Version(oid=None, words="no commit is on record")
            oid = self._oid(owner, "", name)
            return Version(oid=oid, words="added to git before its first commit")
        words = f"commit {code.commit[:12]}"
        if not self._is_here(code.commit):
            return Version(oid=None, words=f"{words}, which this clone does not have")
        if self._patched(owner) is None:
            return Version(oid=None, words=f"{words} with uncommitted changes that are gone")
        if self._is_patched(name, owner):
            oid = self._oid(owner, code.commit, name)
            return Version(oid=oid, words=f"{words} with uncommitted changes to it")
        return Version(oid=self._oid(None, code.commit, name), words=words)

    def only_ending(self, ends: Sequence[str], owner: RunFacts) -> list[str]:
        """Return the file of a run's code that ends so, relative to the project, if it is one."""
        if owner.code.commit is None or not self._is_here(owner.code.commit):
            return []
        names = {*self._files(owner.code.commit), *(one.path for one in owner.code.untracked)}
        inside = self._origins.in_git("")
        ending = tuple(f"/{end}" for end in ends)
        found = [name for name in names if f"/{name}".endswith(ending)]
        return [n.removeprefix(inside) for n in found if len(found) == 1 and n.startswith(inside)]

    def _files(self, commit: str) -> list[str]:
        if commit not in self._lists:
            self._lists[commit] = git.list_files(self._root, commit)
        return self._lists[commit]

    def _is_here(self, commit: str) -> bool:
        if commit not in self._commits:
            try:
                git.resolve(self._root, commit)
                self._commits[commit] = True
            except Error:
                self._commits[commit] = False
        return self._commits[commit]

    def _is_patched(self, name: str, owner: RunFacts) -> bool:
        return name in (self._patched(owner) or ())

    def _patched(self, owner: RunFacts) -> frozenset[str] | None:
        """Return the files that the patch of a run changes; None where it is gone or no patch."""
        diff = owner.code.diff
        if not diff:
            return frozenset()
        if diff not in self._patches:
            patch = self._origins.kept(diff)
            names = frozenset() if patch is None else frozenset(git.patched(patch))
            self._patches[diff] = names or None
        return self._patches[diff]

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

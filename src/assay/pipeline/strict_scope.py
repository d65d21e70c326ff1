"""Which files a strict run asks about, and which of them a stage has declared.

All files of the repository count, ignored ones too: what git ignores can change what a stage
makes as well as any other file. Left out are what tools keep for themselves, what an environment
is made of, and Python's bytecode, which stands for its source.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable, Iterator

from assay.project.stages import Stage
from assay.project.workspace import Project

_TOOLS = frozenset({".git", ".dvc", ".assay"})
_MADE = frozenset({"__pycache__", "node_modules"})
_ENVIRONMENTS = ("pyvenv.cfg", "conda-meta")  # what lies in the folder of one
_DESCRIPTIONS = (".dist-info", ".egg-info")
_BYTECODE = re.compile(r"(.*/)__pycache__/([^/]+)\.(?:cpython|pypy)[^/]*\.pyc", re.DOTALL)
_KNOWN = frozenset({"dvc.yaml", "dvc.lock", ".dvcignore"})


class Scope:
    """The files of a repository as one stage sees them; paths are absolute, without links."""

    def __init__(self, project: Project, stage: Stage) -> None:
        self._project = project
        self.root = os.path.realpath(project.git_root)
        self._base = os.path.realpath(project.root)
        params = [dep.file for dep in stage.params]
        self._deps = _both(stage, [*stage.deps, *params])
        self._outs = _both(stage, [out.path for out in stage.outs])

    def counts(self, path: str) -> bool:
        """Say whether a file is the repository's own, and not a tool's or an environment's."""
        if not path.startswith(f"{self.root}/"):
            return False
        *folders, name = path.removeprefix(f"{self.root}/").split("/")
        if name.endswith(".pyc") or name in _TOOLS:
            return False
        if any(f in _TOOLS or f in _MADE or f.endswith(_DESCRIPTIONS) for f in folders):
            return False
        return not _is_in_environment(os.path.dirname(path), self.root)  # noqa: PTH120 -- fast

    def is_tools(self, path: str) -> bool:
        """Say whether a file lies in a folder of git, DVC or Assay: the cache, above all."""
        inner = path.removeprefix(f"{self.root}/")
        return inner != path and not _TOOLS.isdisjoint(inner.split("/"))

    def is_out(self, path: str) -> bool:
        """Say whether a file is an output of the stage, or in one."""
        return self._covers(self._outs, path)

    def is_dep(self, path: str) -> bool:
        """Say whether a file is a dependency of the stage, or in one, or has its parameters."""
        return self._covers(self._deps, path)

    def is_known(self, path: str) -> bool:
        """Say whether a stage may read a file: declared, or about the pipeline itself."""
        name = path.rpartition("/")[2]
        if name in _KNOWN or name.startswith(".git") or name.endswith(".dvc"):
            return True
        return self.is_dep(path) or self.is_out(path)

    def _covers(self, declared: frozenset[str], path: str) -> bool:
        """Look for a file among declared paths; what `.dvcignore` leaves out is in no folder."""
        if path in declared:
            return True
        if not any(folder in declared for folder in _parents(path)):
            return False
        inner = path.removeprefix(f"{self._base}/")
        return inner == path or not self._project.ignore(f"{self._project.root}/{inner}", False)

    def shown(self, path: str) -> str:
        """Return a path as `dvc.yaml` would have it: relative to the project's root."""
        return os.path.relpath(path, self._base)


def source(path: str) -> str:
    """Return the module that a file of bytecode was made of; any other path as it is.

    Python does not open the module where its bytecode is current.

    Examples
    --------
    >>> source("/a/__pycache__/b.cpython-311.pyc"), source("/a/b.py")
    ('/a/b.py', '/a/b.py')
    """
    found = _BYTECODE.fullmatch(path) if path.endswith(".pyc") else None
    return f"{found[1]}{found[2]}.py" if found else path


def _both(stage: Stage, written: Iterable[str]) -> frozenset[str]:
    """Return declared paths as they are written and where their links lead; no URLs."""
    paths = [str(stage.path(path)) for path in written if "://" not in path]
    return frozenset((*paths, *map(os.path.realpath, paths)))


def _parents(path: str) -> Iterator[str]:
    at = path.rfind("/")
    while at > 0:
        yield path[:at]
        at = path.rfind("/", 0, at)


@functools.lru_cache(maxsize=4096)
def _is_in_environment(folder: str, root: str) -> bool:
    if len(folder) <= len(root):
        return False
    if any(os.path.lexists(f"{folder}/{name}") for name in _ENVIRONMENTS):
        return True
    return _is_in_environment(folder[: folder.rfind("/")], root)

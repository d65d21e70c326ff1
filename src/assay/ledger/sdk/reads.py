"""Which tracked data a script read: what it opened in its run, by the hash of its content.

Python tells of each file that it opens (`sys.addaudithook`). What a library opens by itself, as
DuckDB and Arrow do, is not seen; `assay.log_dataset` says that. A file counts where DVC tracks it
or a folder that it lies in, and the script did not write it in the same run.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

from assay.base.errors import Error
from assay.ledger.writer import Data

if TYPE_CHECKING:
    from pathlib import Path

    from assay.project.definition import Tracked
    from assay.project.workspace import Project

_MOST = 100_000  # paths that are remembered
_WRITES = os.O_WRONLY | os.O_RDWR


class Reads:
    """The files that this process opened below a folder since `begin`."""

    def __init__(self) -> None:
        self._root: str | None = None
        self._users = 0
        self._lock = threading.Lock()
        self._is_hooked = False
        self._read: set[str] = set()
        self._written: set[str] = set()

    def begin(self, root: Path) -> None:
        """Listen from now on; runs at one time share what is heard."""
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._read, self._written = set(), set()
                self._root = f"{root}{os.sep}"
            if not self._is_hooked:  # it cannot be taken away again
                self._is_hooked = True
                sys.addaudithook(self._hear)

    def end(self) -> set[str]:
        """Listen no more when nobody does; return the paths that were read and not written."""
        with self._lock:
            self._users -= 1
            if not self._users:
                self._root = None
            return self._read - self._written

    @property
    def _has_space(self) -> bool:
        return len(self._read) + len(self._written) < _MOST

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or self._root is None:
            return
        with contextlib.suppress(Exception):  # it would reach the script
            name, mode, flags = arguments
            if not isinstance(name, (str, bytes)):
                return
            path = os.path.join(os.getcwd(), os.fsdecode(name))  # noqa: PTH109, PTH118 -- often
            if path.startswith(self._root):
                path = os.path.normpath(path)
                writes = flags & _WRITES if mode is None else set(mode) & set("wax+")
                if path in self._read or self._has_space:
                    (self._written if writes else self._read).add(path)


of_process = Reads()
"""The one of this process."""


def tracked(project: Project, paths: set[str]) -> tuple[Data, ...]:
    """Return what DVC tracks of files, each file or folder of it once."""
    ours = tuple(f"{folder}{os.sep}" for folder in (project.root / ".git", project.dvc_dir))
    ours += (f"{project.home / '.assay'}{os.sep}",)
    found = sorted(path for path in paths if not path.startswith(ours) and os.path.isfile(path))  # noqa: PTH113
    if not found or not _has_tracked(project):
        return ()
    from assay.project import definition

    try:
        known = {str(item.path): item for item in definition.read(project).tracked}
    except Error:  # a file of the pipeline that cannot be read is not this run's business
        return ()
    read = {out for path in found for out in _above(project, path) if out in known}
    return tuple(_data(project, known[out]) for out in sorted(read))


def _has_tracked(project: Project) -> bool:
    """Tell quickly whether there is anything that DVC tracks."""
    if (project.root / "dvc.lock").exists():
        return True
    from assay.project import definition

    return any(True for _ in definition.find_files(project))


def _above(project: Project, path: str) -> list[str]:
    """Return a path and the folders that it lies in, up to the project's."""
    root = str(project.root)
    found = [path]
    while len(found[-1]) > len(root):
        found.append(os.path.dirname(found[-1]))  # noqa: PTH120
    return found


def _data(project: Project, item: Tracked) -> Data:
    from assay.objects import scan

    content = scan.scan(item.path, project.index, skip=project.ignore)
    return Data(
        path=project.relative(item.path),
        oid=f"md5:{content.oid}",
        size=content.size,
        n_files=content.n_files,
    )

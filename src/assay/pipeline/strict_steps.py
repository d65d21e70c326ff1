"""What processes did to files, step by step, by absolute paths: who was where when it was done.

The kernel says where a file that was opened lies; all other calls have paths that are relative to
the folder of their process, which is the one that its maker was in, or where it went since.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from assay.pipeline.strict_log import Call, Log

Kind = Literal["read", "write", "make folder", "remove", "move", "swap", "link"]


class Step(NamedTuple):
    """One thing that was done to a file.

    Attributes
    ----------
    path : str
        Absolute, as it was named.
    real : str
        Where the links in it lead, where the system said so; the path where not.
    other : str
        What was moved, swapped or linked to `path`.
    is_new : bool
        Whether nothing can have been there before.
    is_sure : bool
        Whether it changed the file; one that was only opened to be changed may be as it was.
    """

    kind: Kind
    path: str
    real: str
    other: str = ""
    is_new: bool = False
    is_sure: bool = True


class _Place:
    """The current folder of a process, shared by its threads."""

    __slots__ = ("folder",)

    def __init__(self, folder: str) -> None:
        self.folder = folder


class Reader:
    """One pass through a log of `strace`.

    Parameters
    ----------
    folder : str
        Where the first process of each command began; absolute, without links.
    """

    def __init__(self, log: Log, *, folder: str) -> None:
        self._log, self._folder = log, folder
        self._places: dict[int, _Place] = {}
        self._gits: set[int] = set()

    def steps(self) -> Iterator[Step]:
        """Go through what was done."""
        for call in self._log.calls():
            for pid in self._log.ended:
                self._places.pop(pid, None)  # its number may be given again
                self._gits.discard(pid)
            self._log.ended.clear()
            if call.is_birth:
                self._born(call)
            elif call.name == "chdir":
                self._place(call.pid).folder = os.path.realpath(self._path(call, 0))
            elif call.name == "fchdir":
                self._place(call.pid).folder = call.folder or self._folder
            else:
                yield from self._steps(call)

    def _born(self, call: Call) -> None:
        parent = self._place(call.pid)
        if call.pid in self._gits:
            self._gits.add(call.result)
        if any("CLONE_FS" in argument for argument in call.arguments):
            child = self._places.get(call.result)
            if child is not None:  # it may have gone elsewhere before its maker was told of it
                parent.folder = child.folder
            self._places[call.result] = parent
        else:
            self._places.setdefault(call.result, _Place(parent.folder))

    def _place(self, pid: int) -> _Place:
        """Return where a process is; one that is new is where the process is that made it."""
        if pid not in self._places:
            self._places[pid] = _Place(self._place_of_birth(pid))
        return self._places[pid]

    def _place_of_birth(self, pid: int) -> str:
        makers = [maker for maker in self._log.in_birth() if maker in self._places]
        folders = {self._places[maker].folder for maker in makers}
        if len(folders) <= 1:
            return next(iter(folders), self._folder)
        maker = self._log.maker(pid)
        return self._places[maker].folder if maker in self._places else self._folder

    def _path(self, call: Call, number: int) -> str:
        """Return one of a call's paths as an absolute path."""
        given = call.paths[number]
        if given.text.startswith("/"):
            return os.path.normpath(given.text)
        if given.at is None:
            folder = self._place(call.pid).folder
        else:
            folder = given.at
            if given.is_at_process:
                self._place(call.pid).folder = folder
        return os.path.normpath(os.path.join(folder, given.text))  # noqa: PTH118 -- of many, fast

    def _steps(self, call: Call) -> Iterator[Step]:
        """Say what a call did to files; `mkdir` matters for what is moved with the folder."""
        match call.name:
            case "open" | "openat" | "openat2":
                yield from self._opened(call)
            case "execve" | "execveat":
                path = self._path(call, 0)
                is_git = path.rpartition("/")[2] == "git"
                (self._gits.add if is_git else self._gits.discard)(call.pid)
                yield Step("read", path, os.path.realpath(path))
            case "creat" | "truncate":
                path = self._path(call, 0)
                yield Step("write", path, call.opened or os.path.realpath(path))
            case "mknod" | "mknodat" | "symlink" | "symlinkat":
                path = self._path(call, -1)
                yield Step("write", path, path, is_new=True)
            case "mkdir" | "mkdirat":
                yield self._step("make folder", call)
            case "unlink" | "unlinkat":
                if "AT_REMOVEDIR" not in call.arguments:  # an empty folder is nobody's content
                    yield self._step("remove", call)
            case "rename" | "renameat" | "renameat2":
                is_swap = "RENAME_EXCHANGE" in call.arguments[-1]
                yield self._step("swap" if is_swap else "move", call)
            case "link" | "linkat":
                yield self._step("link", call)
            case _:
                pass

    def _step(self, kind: Kind, call: Call) -> Step:
        """Return the step of a call with one path, or with a source and a target."""
        has_two = kind in {"move", "swap", "link"}
        path = self._path(call, 1 if has_two else 0)
        return Step(kind, path, path, other=self._path(call, 0) if has_two else "")

    def _opened(self, call: Call) -> Iterator[Step]:
        path = self._path(call, 0)
        flags = set(re.findall(r"O_\w+", " ".join(call.arguments)))
        if flags & {"O_PATH", "O_DIRECTORY", "O_TMPFILE"}:
            return  # nothing is read or made that has a name
        real = call.opened or os.path.realpath(path)
        if not flags & {"O_WRONLY", "O_RDWR", "O_TRUNC"}:
            if call.pid not in self._gits:  # it looks for edits of any file, or not, as it likes
                yield Step("read", path, real)
        else:
            is_sure = bool(flags & {"O_TRUNC", "O_EXCL"})
            yield Step("write", path, real, is_new="O_EXCL" in flags, is_sure=is_sure)

"""What is left of all that a stage did: files it read that it had not made, files it changed.

A file that the stage made and took away again is nobody's business, and neither is what it made
and then read.
"""

from __future__ import annotations

import functools
import os
from typing import Literal

from assay.pipeline.strict_scope import Scope, source
from assay.pipeline.strict_steps import Step

_Made = Literal["new", "written", "opened", "folder"]


class Effects:
    """The sum of steps; paths are absolute.

    Attributes
    ----------
    read : dict of str
        Files that were there before and that nobody declared, in the order of their reading.
    """

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self.read: dict[str, None] = {}
        self._made: dict[str, _Made] = {}
        self._gone: dict[str, None] = {}
        self._written_and_gone: dict[str, None] = {}

    @property
    def written(self) -> list[str]:
        """Undeclared files that are new, changed, or gone although they were there before."""
        files = (path for path, made in self._made.items() if made in {"new", "written"})
        return [*dict.fromkeys((*files, *self._gone))]

    @property
    def opened(self) -> list[str]:
        """Undeclared files that were opened to be changed, and may be as they were."""
        return [path for path, made in self._made.items() if made == "opened"]

    @property
    def in_doubt(self) -> list[str]:
        """Undeclared files that were opened to be written, and are gone.

        Whether they were there before is not in the log.
        """
        return [*self._written_and_gone]

    def add(self, step: Step) -> None:
        """Go on by one step."""
        match step.kind:
            case "read":
                self._read(source(step.path), source(step.real))
            case "write":
                made: _Made = "written" if step.is_sure else "opened"
                self._write(step.path, step.real, "new" if step.is_new else made)
            case "make folder":
                path = _real(step.path)
                self._write(path, path, "folder")
            case "remove":
                self._remove(_real(step.path))
            case "move":
                self._move(_real(step.other), _real(step.path))
            case "swap":
                for path in (_real(step.other), _real(step.path)):
                    self._write(path, path, "written")
            case "link":
                self._read(_real(step.other), _real(step.other))
                self._write(_real(step.path), _real(step.path), "new")

    def _read(self, path: str, real: str) -> None:
        scope = self._scope
        if scope.is_known(path) or scope.is_known(real) or self._is_made(real):
            return
        if scope.counts(real):
            self.read[real] = None
        elif real == path or (real.startswith(f"{scope.root}/") and not scope.is_tools(real)):
            return
        elif scope.counts(path) and not self._is_made(path):  # a link to the cache, or to outside
            self.read[path] = None

    def _write(self, path: str, real: str, made: _Made) -> None:
        if made == "new":
            real = _real(real)
        if self._scope.is_out(path) or self._scope.is_out(real) or not self._scope.counts(real):
            return
        before = self._made.get(real)
        if (made == "opened" and before) or (made == "written" and before == "new"):
            return
        self._made[real] = made

    def _remove(self, path: str) -> None:
        if self._scope.is_out(path) or not self._scope.counts(path):
            return
        made = self._made.pop(path, None)
        if made in {"written", "opened"}:
            self._written_and_gone[path] = None
        if made is None:
            self._gone[path] = None

    def _move(self, path: str, target: str) -> None:
        """Let go of what has moved, with all that was made below it, and have it elsewhere."""
        below = [p for p in self._made if p == path or p.startswith(f"{path}/")]
        was_made = path in self._made or self._scope.is_out(path)
        for old in below:
            made = self._made.pop(old)
            if made in {"written", "opened"}:
                self._written_and_gone[old] = None
            if made == "opened" or (made == "new" and old == path):
                made = "written"  # over a file that may have been there
            new = target + old[len(path) :]
            self._write(new, new, made)
        if not was_made:
            self._read(path, path)
            if self._scope.counts(path):
                self._gone[path] = None
        if path not in below:
            self._write(target, target, "written")

    def _is_made(self, path: str) -> bool:
        """Say whether the stage made a file, or moved a folder to where the file is in it."""
        if path in self._made:
            return True
        at = path.rfind("/")
        while at > len(self._scope.root):
            if self._made.get(path[:at], "folder") != "folder":
                return True
            at = path.rfind("/", 0, at)
        return False


def _real(path: str) -> str:
    """Return a path whose folder has no links; the last part may be one."""
    folder, _, name = path.rpartition("/")
    return f"{_real_folder(folder or '/').rstrip('/')}/{name}"


@functools.lru_cache(maxsize=4096)
def _real_folder(folder: str) -> str:
    return os.path.realpath(folder)

"""`.dvcignore`: gitignore patterns that say what DVC and Assay do not look at."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

_BUILT_IN = frozenset({".git", ".hg", ".dvc", ".assay"})


class Ignore:
    """Says of a path below a project's root whether it is ignored.

    Files named `.dvcignore` are read when a path in their folder is first asked about; a deeper
    one refines those above it, and in one file the last match wins.
    """

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._chains: dict[str, list[tuple[str, Any]]] = {}

    def __call__(self, path: str, is_dir: bool) -> bool:
        """Say whether the absolute `path` is ignored; its parents are taken as not ignored."""
        folder, _, name = path.rpartition("/")
        if name in _BUILT_IN:
            return True
        for place, spec in self._around(folder):
            relative = path[len(place) + 1 :] + ("/" if is_dir else "")
            include = spec.check_file(relative).include
            if include is not None:
                return bool(include)
        return False

    def _around(self, folder: str) -> list[tuple[str, Any]]:
        """Return the patterns that count in a folder: its own, then those of its parents."""
        known = self._chains.get(folder)
        if known is None:
            own = self._spec(folder)
            known = [(folder, own)] if own is not None else []
            if len(folder) > len(self._root):
                known = known + self._around(folder.rpartition("/")[0])
            self._chains[folder] = known
        return known

    def covers(self, path: str, *, is_dir: bool) -> bool:
        """Say whether a path or one of its parents is ignored."""
        parts = Path(os.path.relpath(path, self._root)).parts
        if parts[0] == "..":
            return False
        current = self._root
        for number, part in enumerate(parts, 1):
            current = f"{current}/{part}"
            if self(current, is_dir or number < len(parts)):
                return True
        return False

    @staticmethod
    def _spec(folder: str) -> Any:
        try:
            text = os.fsdecode(Path(folder, ".dvcignore").read_bytes())
        except OSError:
            return None
        lines = [line.strip() for line in text.split("\n")]
        patterns = [line for line in lines if line and not line.startswith("#")]
        return _compile(patterns) if patterns else None


def _compile(patterns: list[str]) -> Any:
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(patterns)

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
        self._specs: dict[str, Any] = {}

    def __call__(self, path: str, is_dir: bool) -> bool:
        """Say whether the absolute `path` is ignored; its parents are taken as not ignored."""
        if os.path.basename(path) in _BUILT_IN:  # noqa: PTH119 -- called for every file
            return True
        folder = os.path.dirname(path)  # noqa: PTH120
        while len(folder) >= len(self._root):
            spec = self._spec(folder)
            if spec is not None:
                relative = path[len(folder) + 1 :] + ("/" if is_dir else "")
                include = spec.check_file(relative).include
                if include is not None:
                    return bool(include)
            folder = os.path.dirname(folder)  # noqa: PTH120
        return False

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

    def _spec(self, folder: str) -> Any:
        if folder not in self._specs:
            try:
                text = os.fsdecode(Path(folder, ".dvcignore").read_bytes())
            except OSError:
                text = ""
            lines = [line.strip() for line in text.split("\n")]
            patterns = [line for line in lines if line and not line.startswith("#")]
            self._specs[folder] = _compile(patterns) if patterns else None
        return self._specs[folder]


def _compile(patterns: list[str]) -> Any:
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(patterns)

"""`.dvcignore`: gitignore patterns that say what DVC and Assay do not look at."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from assay.base.errors import Negative

_BUILT_IN = frozenset({".git", ".hg", ".dvc", ".assay"})


class Rule(NamedTuple):
    """A pattern with the place where it stands; a built-in one has neither file nor line."""

    file: str
    line: int
    pattern: str
    ignores: bool


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

    def names_in(self, folder: str) -> frozenset[str] | None:
        """Return the names that alone are ignored in a folder, or None where patterns count."""
        return None if self._around(folder) else _BUILT_IN

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

    def refuse(self, path: Path, *, shown: str) -> None:
        """Raise if a path or one of its parents is ignored; names the pattern that says so."""
        is_dir = path.is_dir()
        if not self.covers(str(path), is_dir=is_dir):
            return
        rule = next((r for r in reversed(self.rules(str(path), is_dir=is_dir)) if r.ignores), None)
        if rule is None or not rule.file:
            name = rule.pattern.rstrip("/") if rule else path.name
            raise Negative(f"'{name}' is never data", where=shown)
        raise Negative(
            f"{os.path.relpath(rule.file, self._root)} says not to look at this: line {rule.line} "
            f"has '{rule.pattern}'",
            where=shown,
            hint="change that line, or give the data another place",
        )

    def rules(self, path: str, *, is_dir: bool) -> list[Rule]:
        """Return the patterns that match a path, or the first of its parents that is ignored.

        The last one decides.
        """
        parts = Path(os.path.relpath(path, self._root)).parts
        found: list[Rule] = []
        current = self._root
        if parts[:1] == ("..",):
            return found
        for number, part in enumerate(parts, 1):
            current = f"{current}/{part}"
            is_folder = is_dir or number < len(parts)
            found = self._rules_of(current, is_dir=is_folder)
            hit = self(current, is_folder)
            while found and found[-1].ignores != hit:
                found.pop()  # it matches a folder around, and gives way to a closer one
            if hit:
                break
        return found

    def _rules_of(self, path: str, *, is_dir: bool) -> list[Rule]:
        folder, _, name = path.rpartition("/")
        if name in _BUILT_IN:
            return [Rule("", 0, f"{name}/" if is_dir else name, True)]
        found = []
        for place, _ in reversed(self._around(folder)):
            relative = path[len(place) + 1 :] + ("/" if is_dir else "")
            for number, line in enumerate(_lines(place), 1):
                if not line or line.startswith("#"):
                    continue
                for pattern in _compile([line]).patterns:
                    if pattern.include is not None and pattern.match_file(relative) is not None:
                        file = f"{place}/.dvcignore"
                        found.append(Rule(file, number, line, bool(pattern.include)))
        return found

    @staticmethod
    def _spec(folder: str) -> Any:
        patterns = [line for line in _lines(folder) if line and not line.startswith("#")]
        return _compile(patterns) if patterns else None


def _lines(folder: str) -> list[str]:
    try:
        text = os.fsdecode(Path(folder, ".dvcignore").read_bytes())
    except OSError:
        return []
    return [line.strip() for line in text.split("\n")]


def _compile(patterns: list[str]) -> Any:
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(patterns)

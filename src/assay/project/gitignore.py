"""Keep tracked data out of git: one line in the `.gitignore` of its folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from assay.base.errors import Negative
from assay.base.files import write_atomic
from assay.project import git
from assay.project.workspace import Project


def refuse_tracked(project: Project, path: Path) -> None:
    """Raise if git tracks what is about to be tracked as data."""
    if not project.uses_git:
        return
    relative = path.relative_to(project.git_root).as_posix()
    if git.tracked(project.git_root, relative):
        shown = project.shown(path)
        raise Negative(
            "git tracks this already",
            where=shown,
            hint=f"take it out of git first: git rm -r --cached '{shown}'",
        )


def add(project: Project, paths: Iterable[Path]) -> list[Path]:
    """Make git ignore the paths, and return the `.gitignore` files that changed for it."""
    wanted: dict[Path, dict[str, None]] = {}
    for path in not_ignored(project, paths):
        wanted.setdefault(path.parent / ".gitignore", {})[f"/{escape(path.name)}"] = None
    changed = []
    for file, lines in wanted.items():
        text = _text(file)
        new = [line for line in lines if line not in text.split("\n")]
        if new:
            gap = "" if not text or text.endswith("\n") else "\n"
            write_atomic(file, os.fsencode("".join([text, gap, *(f"{line}\n" for line in new)])))
            changed.append(file)
    return changed


def not_ignored(project: Project, paths: Iterable[Path]) -> list[Path]:
    """Return those of the paths that git sees; it is asked once, and not at all without need."""
    if not project.uses_git:
        return []
    lines: dict[Path, set[str]] = {}
    wanted: dict[str, Path] = {}
    for path in paths:
        if path.parent not in lines:
            lines[path.parent] = set(_text(path.parent / ".gitignore").split("\n"))
        if f"/{escape(path.name)}" not in lines[path.parent]:
            wanted[path.relative_to(project.git_root).as_posix()] = path
    ignored = git.ignored(project.git_root, wanted)
    return [path for name, path in wanted.items() if name not in ignored]


def remove(project: Project, paths: Iterable[Path]) -> list[Path]:
    """Take the lines of paths away, and return the `.gitignore` files that changed for it.

    A file in which nothing is left is deleted, as DVC does.
    """
    if not project.uses_git:
        return []
    changed = []
    for path in paths:
        file = path.parent / ".gitignore"
        lines = re.findall(r"[^\n]*\n|[^\n]+", _text(file))
        ours = {f"/{escape(path.name)}", f"/{path.name}"}
        kept = [line for line in lines if line.rstrip("\r\n") not in ours]
        if kept == lines:
            continue
        if kept:
            write_atomic(file, os.fsencode("".join(kept)))
        else:
            file.unlink()
        changed.append(file)
    return list(dict.fromkeys(changed))


def _text(file: Path) -> str:
    return os.fsdecode(file.read_bytes()) if file.exists() else ""


def escape(name: str) -> str:
    r"""Return a file name as a pattern that matches just it.

    A line cannot hold a newline: any character stands for it. Blanks at the end of a line do not
    count without a backslash.

    Examples
    --------
    >>> print(escape("[b]*!#.txt"), escape("two\nlines"))
    \[b\]\*\!\#.txt two?lines
    """
    pattern = re.sub(r"([\[\]*?!#\\])", r"\\\1", name)
    pattern = re.sub(r" +\Z", lambda blanks: "\\ " * len(blanks[0]), pattern)
    return re.sub(r"[\r\n]", "?", pattern)

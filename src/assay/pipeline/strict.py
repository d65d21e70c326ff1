"""`repro --strict`: what a stage reads and writes without saying so.

A dependency that nobody declared is what breaks reproduction: the stage does not run again when
it changes. On Linux the program `strace` writes down which files the processes of a stage open,
make, move and remove; what of it is undeclared is decided here.

Not seen are what a server does on a stage's behalf, files that are opened through `io_uring`,
and the listing of a folder: only files that are opened count.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from assay.base.errors import Error
from assay.pipeline.strict_effects import Effects
from assay.pipeline.strict_log import OPTIONS, Log
from assay.pipeline.strict_scope import Scope
from assay.pipeline.strict_steps import Reader
from assay.project import git
from assay.project.stages import Stage
from assay.project.workspace import Project

_MOST_NAMED = 12
_TICK_SECONDS = 0.01  # the clock of file systems is behind by that much


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """Files that a stage uses without declaring them; false where there are none.

    Attributes
    ----------
    read, written : tuple of str
        Relative to the project's root, sorted.
    """

    read: tuple[str, ...] = ()
    written: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.read or self.written)

    @property
    def what(self) -> str:
        """What is wrong, in words."""
        parts = []
        if self.read:
            parts.append(f"it reads {_listed(self.read)}, undeclared")
        if self.written:
            parts.append(f"it changes {_listed(self.written)}, undeclared")
        return "; ".join(parts)

    @property
    def hint(self) -> str:
        """What to do about it."""
        keys = ["'deps' or 'params'"] * bool(self.read) + ["'outs'"] * bool(self.written)
        return f"add what belongs to it to {' and '.join(keys)} of the stage, or leave it alone"


def _listed(paths: Sequence[str]) -> str:
    """Return paths for people, the first dozen by name.

    Examples
    --------
    >>> _listed(["a", "b", "c"])
    "'a', 'b' and 'c'"
    """
    named = [f"'{_printable(path)}'" for path in paths[:_MOST_NAMED]]
    if len(paths) > len(named):
        named.append(f"{len(paths) - len(named):,} more")
    return " and ".join([", ".join(named[:-1]), named[-1]]) if len(named) > 1 else named[0]


def _printable(path: str) -> str:
    return os.fsencode(path).decode(errors="backslashreplace")


def available() -> None:
    """Make sure that processes can be traced here.

    Raises
    ------
    Error
        If this is not Linux, there is no `strace`, or tracing is not allowed.
    """
    import subprocess

    what = "'--strict' traces what a stage opens, and cannot do so here"
    if sys.platform != "linux":
        raise Error(f"{what}: this is not Linux", hint="run it on Linux, or without '--strict'")
    try:
        tried = subprocess.run(
            wrap(["true"], Path(os.devnull)), capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise Error(
            f"{what}: there is no 'strace'",
            hint="install it ('apt-get install strace'), or run without '--strict'",
        ) from None
    if tried.returncode != 0:
        said = tried.stderr.strip().splitlines() or ["it fails"]
        raise Error(
            f"{what}: {said[-1]}",
            hint="allow ptrace (a container needs '--cap-add=SYS_PTRACE'), "
            "or run without '--strict'",
        )


def wrap(argv: list[str], log: Path) -> list[str]:
    """Return the arguments that run a command and add what it does to a log.

    All commands of a stage go to one log. The exit status is that of the command; what it leaves
    running in the background is waited for.
    """
    return ["strace", *OPTIONS, "-o", str(log), "--", *argv]


def check(project: Project, stage: Stage, log: Path) -> Findings:
    """Return what a stage did to undeclared files of the repository, from the log of its commands.

    Raises
    ------
    Error
        If there is no log.
    """
    scope = Scope(project, stage)
    effects = Effects(scope)
    try:
        with log.open("rb") as lines:
            calls = Log(lines, inside=scope.root)
            for step in Reader(calls, folder=os.path.realpath(stage.wdir)).steps():
                effects.add(step)
    except FileNotFoundError:
        raise Error(
            "there is no record of what the stage opened",
            where=f"stage '{stage.address}'",
            hint="run it again; the program 'strace' was ended before it began",
        ) from None
    doubted = effects.in_doubt
    before = _there_before(project, scope, doubted) if doubted else []
    changed = {p for p in effects.opened if _is_changed(p, since=calls.began)}
    only_read = {p for p in effects.opened if p not in changed and not scope.is_known(p)}
    read = {path for path in effects.read if not os.path.isdir(path)}  # noqa: PTH112 -- of many
    return Findings(
        read=tuple(sorted(map(scope.shown, read | only_read))),
        written=tuple(sorted(map(scope.shown, {*effects.written, *before, *changed}))),
    )


def _is_changed(path: str, *, since: float | None) -> bool:
    """Say whether a file has changed: SQLite opens one to be changed that it only reads."""
    try:
        status = os.stat(path)  # noqa: PTH116 -- of many, fast
    except OSError:
        return True
    return since is None or status.st_mtime >= since - _TICK_SECONDS


def _there_before(project: Project, scope: Scope, paths: list[str]) -> list[str]:
    """Return the files that were there before the stage: dependencies, and what git has."""
    kept = set()
    if project.uses_git:
        names = git.git("ls-files", "-z", cwd=project.git_root).split(b"\0")
        kept = {f"{scope.root}/{os.fsdecode(name)}" for name in names}
    return [path for path in paths if path in kept or scope.is_dep(path)]

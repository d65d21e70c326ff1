"""Which commits a person means: tips of branches, tags, all commits, a date, the last few."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from assay.base.errors import Usage
from assay.project import git


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Which commits count beside the work tree.

    Attributes
    ----------
    branches, tags, commits : bool
        The tips of all branches; all tags; all commits of both and of remote branches.
    experiments : bool
        All experiments of DVC, done or waiting.
    date : str or None
        All commits since this day (YYYY-MM-DD, local time).
    revisions : tuple of str
        Revisions by name.
    n : int or None
        How many commits of each revision and branch, its tip among them; 1 where not given.
    """

    branches: bool = False
    tags: bool = False
    commits: bool = False
    experiments: bool = False
    date: str | None = None
    revisions: tuple[str, ...] = ()
    n: int | None = None

    def __bool__(self) -> bool:
        kinds = (self.branches, self.tags, self.commits, self.experiments)
        return any(kinds) or bool(self.date or self.revisions)


def check(scope: Scope) -> None:
    """Refuse options that contradict each other.

    Raises
    ------
    Usage
        Also for a date that is none.
    """
    if scope.n is not None and not (scope.revisions or scope.branches):
        raise Usage("'--num' counts from a revision", hint="give --rev REVISION or --all-branches")
    if scope.n is not None and scope.n < 1:
        raise Usage(f"'--num' is {scope.n}, expected 1 or more")
    if scope.date is not None:
        _midnight(scope.date)


def commits(root: Path, scope: Scope, *, every_ref: bool = False) -> list[str]:
    """Return the commits of a scope, each once.

    Parameters
    ----------
    every_ref : bool
        All commits are those of every reference: stashes, notes and experiments too.

    Raises
    ------
    NotFound
        If git does not know a revision.
    """
    check(scope)
    found: dict[str, None] = {}
    n = scope.n or 1
    for revision in scope.revisions:
        found.update(dict.fromkeys(_last(root, git.resolve(root, revision), n)))
    if scope.branches:
        for tip in _listed(root, "--no-walk=unsorted", "--branches"):
            found.update(dict.fromkeys(_last(root, tip, n)))
    if scope.tags:
        found.update(dict.fromkeys(_listed(root, "--no-walk=unsorted", "--tags")))
    if scope.experiments:
        found.update(dict.fromkeys(_experiments(root)))
    if scope.commits:
        found.update(dict.fromkeys(all_commits(root, every_ref=every_ref)))
    elif scope.date is not None:
        found.update(dict.fromkeys(_since(root, _midnight(scope.date))))
    return list(found)


def all_commits(root: Path, *, every_ref: bool = False) -> list[str]:
    """Return all commits: of branches, tags and remote branches, or of every reference."""
    return _listed(root, *_all(root, every_ref=every_ref))


def _all(root: Path, *, every_ref: bool) -> list[str]:
    if every_ref:
        return ["--all"]
    head = git.head(root)
    return [*([head] if head else []), "--branches", "--tags", "--remotes"]


def _experiments(root: Path) -> list[str]:
    """Return the commits of DVC's experiments; those that wait stand in the logs of references."""
    found = _listed(root, "--glob=refs/exps", "--not", "--branches", "--tags", "--remotes")
    refs = git.git("for-each-ref", "--format=%(refname)", "refs/exps", cwd=root).decode().split()
    for ref in (ref for ref in refs if ref.endswith("stash")):
        found += _listed(root, "--walk-reflogs", ref)
    return found


def _listed(root: Path, *arguments: str) -> list[str]:
    return git.git("rev-list", *arguments, "--", cwd=root).decode().split()


def _last(root: Path, commit: str, n: int) -> list[str]:
    return [commit] if n == 1 else _listed(root, "--first-parent", f"--max-count={n}", commit)


def _since(root: Path, moment: float) -> list[str]:
    lines = git.git("log", "--format=%H %ct", "--all", "--", cwd=root).decode().splitlines()
    pairs = (line.split() for line in lines)
    return [commit for commit, seconds in pairs if int(seconds) >= moment]


def _midnight(date: str) -> float:
    """Return the first second of a day, local time, in Unix seconds."""
    try:
        return time.mktime(time.strptime(date, "%Y-%m-%d"))
    except (ValueError, OverflowError):
        raise Usage(
            f"'--date' is '{date}', expected a day as YYYY-MM-DD", hint="such as 2026-01-31"
        ) from None


def linked_roots(root: Path) -> list[Path]:
    """Return the roots of all work trees of a clone that are there, this one first."""
    out = git.git("worktree", "list", "--porcelain", "-z", cwd=root).decode(
        errors="surrogateescape"
    )
    folders = [Path(row[9:]) for row in out.split("\0") if row.startswith("worktree ")]
    return list(dict.fromkeys([root, *(folder for folder in folders if folder.is_dir())]))

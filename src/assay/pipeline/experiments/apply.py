"""Bring the workspace to what an experiment has: its files, and the data that they record.

What would be lost is committed first, under `refs/assay/before-apply`, whose reflog has the times
before that, too. HEAD, branches and the index stay as they are.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from assay.base.errors import Error
from assay.objects.checkout import Change
from assay.pipeline.experiments import commit, leftovers, refs
from assay.project import definition, git, tracking
from assay.project.workspace import Project

BACKUP = "refs/assay/before-apply"


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What applying an experiment did.

    Attributes
    ----------
    written, removed : list of str
        Files of git, relative to its root.
    backup : str or None
        The commit that has what was there before and was not committed.
    left : list of str
        Outputs that are declared no longer and stay, as the cache has not what lies there.
    """

    written: list[str]
    removed: list[str]
    data: list[Change]
    backup: str | None
    left: list[str] = []


def apply(project: Project, wanted: str, *, name: str, force: bool = False) -> Applied:
    """Bring the workspace to a commit.

    Parameters
    ----------
    force : bool
        Overwrite data that is not in the cache.

    Raises
    ------
    Unsaved
        If data is in the way that is not in the cache; nothing was changed.
    """
    root = project.git_root
    head = refs.require_baseline(root)
    before = commit.snapshot(project)
    changes = _changes(root, before, f"{wanted}^{{tree}}")
    kept = _of_person(root, head, [path for path, state in changes if state == "D"])
    removed = [path for path, state in changes if state == "D" and path not in kept]
    written = [path for path, state in changes if state != "D"]
    _refuse_folders(root, written)
    backup = _back_up(project, head, written, name=name)
    recorded = leftovers.recorded(project)
    data = _check_out(project, wanted, force=force)
    _write(project, wanted, written)
    for path in removed:
        (root / path).unlink(missing_ok=True)
    old = leftovers.remove(project, recorded, commit=wanted)
    return Applied(
        written=written,
        removed=removed,
        data=[*data, *old.gone],
        backup=backup,
        left=old.left,
    )


def _changes(root: Path, before: str, after: str) -> list[tuple[str, str]]:
    """Return the paths that differ between two trees, each with git's letter for how."""
    options = ("-r", "-z", "--no-renames", "--name-status", "--ignore-submodules")
    fields = os.fsdecode(git.git("diff-tree", *options, before, after, cwd=root)).split("\0")
    return [(path, state) for state, path in zip(fields[::2], fields[1::2], strict=False)]


def _of_person(root: Path, head: str, gone: Sequence[str]) -> set[str]:
    """Return those files that are not as HEAD has them: a person made or changed them."""
    if not gone:
        return set()
    names = [f":(top,literal){path}" for path in gone]
    out = git.git("diff", "-z", "--name-only", "--no-renames", head, "--", *names, cwd=root)
    return {os.fsdecode(name) for name in out.split(b"\0") if name}


def _back_up(project: Project, head: str, written: Sequence[str], *, name: str) -> str | None:
    """Commit what will be overwritten and is in no commit; None where nothing is."""
    root = project.git_root
    tracked = set(git.git("ls-files", "-z", cwd=root).split(b"\0"))
    mine = [p for p in written if os.fsencode(p) not in tracked and os.path.lexists(root / p)]
    if not mine and not git.diff(root):
        return None
    made = commit.make(
        root,
        commit.snapshot(project, add=mine),
        parent=head,
        message=f"assay: the workspace before experiment '{name}' was applied\n",
    )
    git.git(
        "update-ref", "--create-reflog", "-m", f"before '{name}' was applied", BACKUP, made,
        cwd=root,
    )  # fmt: skip
    return made


def _check_out(project: Project, wanted: str, *, force: bool) -> list[Change]:
    items = [item for item in definition.read_at(project, wanted).tracked if item.row is not None]
    return tracking.checkout(project, items, force=force, allow_missing=True)


def _refuse_folders(root: Path, paths: Sequence[str]) -> None:
    for path in paths:
        if (root / path).is_dir() and not (root / path).is_symlink():
            raise Error(
                "a folder stands where the experiment has a file",
                where=path,
                hint="move it away, then apply again; nothing was changed",
            )


def _write(project: Project, wanted: str, paths: Sequence[str]) -> None:
    """Write files of a commit into the work tree, by an index that nobody else uses."""
    if not paths:
        return
    root = project.git_root
    index = project.work_dir / f"apply-index-{os.urandom(6).hex()}"
    env = {"GIT_INDEX_FILE": str(index)}
    try:
        git.git("read-tree", wanted, cwd=root, env=env)
        stdin = b"\0".join(os.fsencode(path) for path in paths) + b"\0"
        git.git("checkout-index", "-f", "-z", "--stdin", cwd=root, stdin=stdin, env=env)
    finally:
        index.unlink(missing_ok=True)
        index.with_name(f"{index.name}.lock").unlink(missing_ok=True)

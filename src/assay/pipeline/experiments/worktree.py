"""Work trees that live as long as one experiment runs: `.assay/worktrees/exp-NAME-...`.

Each is detached, at the baseline, with the files of the experiment in it. Cache, ledger and
configuration are the clone's. What a killed process left is taken away by the next one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from assay.base.errors import Error, NotFound
from assay.project import definition, git, linked, tracking
from assay.project.workspace import Project

_PREFIX = "exp-"


@contextlib.contextmanager
def temporary(
    project: Project, tree: str, *, baseline: str, name: str, copy: Sequence[str] = ()
) -> Iterator[Project]:
    """Make a work tree with the files of a git tree and the data they record; take it away after.

    Parameters
    ----------
    tree : str
        The tree, or a commit of it.
    copy : sequence of str
        Files and folders of the project, relative to its root, that git does not have.
    """
    sweep(project)
    sources = [_source(project, path) for path in copy]
    folder = project.assay_dir / "worktrees" / f"{_PREFIX}{name}-{os.urandom(4).hex()}"
    with held(folder):
        try:
            git.unattended(
                "worktree", "add", "--detach", "--no-checkout", "-q", str(folder), baseline,
                cwd=project.git_root,
            )  # fmt: skip
            git.unattended(
                "read-tree", "--reset", "-u", "--no-recurse-submodules", f"{tree}^{{tree}}",
                cwd=folder,
            )  # fmt: skip
            there = Project(folder / project.root.relative_to(project.git_root))
            if not there.dvc_dir.is_dir():
                raise Error(
                    "the project is not in git, so no other work tree can have it",
                    where=project.dvc_dir,
                    hint="commit it: git add .dvc .dvcignore && git commit -m 'begin'",
                )
            linked.configure(project, there)
            for source, path in zip(sources, copy, strict=True):
                _copy(source, there.root / path)
            _check_out(there)
            yield there
        finally:
            remove(project, folder)


def check_copies(project: Project, copy: Sequence[str]) -> None:
    """Refuse paths to copy that are not there, or not in the project."""
    for path in copy:
        _source(project, path)


def sweep(project: Project, *, prefix: str = _PREFIX) -> int:
    """Take away the work trees of processes that were killed; return how many there were."""
    count = 0
    for mark in sorted((project.assay_dir / "worktrees").glob(f"{prefix}*.held")):
        with contextlib.suppress(OSError), mark.open() as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove(project, mark.with_suffix(""))
            mark.unlink(missing_ok=True)
            count += 1
    return count


def _check_out(there: Project) -> None:
    """Place the data that the files record, as far as it is in the cache."""
    items = [item for item in definition.read(there).tracked if item.row is not None]
    tracking.checkout(there, items, force=True, allow_missing=True)


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Leave a file beside a work tree that is locked as long as this process lives."""
    folder.parent.mkdir(exist_ok=True)
    mark = folder.with_name(f"{folder.name}.held")
    descriptor = os.open(mark, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        mark.unlink(missing_ok=True)
        os.close(descriptor)


def remove(project: Project, folder: Path) -> None:
    """Take a work tree away, whole or half made, in its folder and in git's."""
    with contextlib.suppress(git.Failed):
        git.unattended("worktree", "remove", "--force", str(folder), cwd=project.git_root)
    if folder.exists():
        _make_writable(folder)
        shutil.rmtree(folder, ignore_errors=True)
        git.unattended("worktree", "prune", cwd=project.git_root)


def _make_writable(folder: Path) -> None:
    for place, folders, _ in os.walk(folder):
        for name in folders:
            path = Path(place, name)
            if not path.is_symlink():
                path.chmod(0o755)


def _source(project: Project, path: str) -> Path:
    source = project.root / path
    inside = Path(os.path.normpath(source))
    if project.root not in inside.parents:
        raise Error(
            "the path does not lie in the project, and cannot be copied into an experiment",
            where=path,
            hint="name files and folders of the project, relative to its root",
        )
    if not os.path.lexists(source):
        raise NotFound(
            "there is nothing to copy into the experiment",
            where=path,
            hint="check '--copy-paths': it is relative to the root of the project",
        )
    return source


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir() and not source.is_symlink():
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target, follow_symlinks=False)

"""The work tree in which a run is done again: its code as it was, beside everything else.

It lies in `.assay/worktrees`, and a file beside it is held as long as this process lives: what a
killed process left is taken away by the next one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from assay.base.errors import Error
from assay.base.files import inside
from assay.ledger.runs import Run
from assay.pipeline.experiments import worktree
from assay.pipeline.previous import remove
from assay.project import git, linked
from assay.project.workspace import Project

_PREFIX = "reproduce-"


@contextlib.contextmanager
def temporary(
    project: Project, run: Run, *, keep: bool, say: Callable[[str], None]
) -> Iterator[Project]:
    """Check out the code of a run, with its patch and untracked files; take it away afterwards.

    Parameters
    ----------
    keep : bool
        Leave it behind, to look at; nobody takes it away then.
    """
    worktree.sweep(project, prefix=_PREFIX)
    folder = project.assay_dir / "worktrees" / f"{_PREFIX}{run.id[:13]}-{os.urandom(4).hex()}"
    with worktree.held(folder):
        try:
            _check_out(project, run, folder)
            apply(project, run, folder)
            there = Project(folder / (run.code.directory or "."))
            linked.configure(project, there)
            yield there
        finally:
            if keep and folder.exists():
                say(f"the work tree is kept in {folder}")
            else:
                worktree.remove(project, folder)


def _check_out(project: Project, run: Run, folder: Path) -> None:
    commit = run.code.commit or ""
    try:
        git.add_worktree(project.git_root, folder, commit)
    except git.Failed as error:
        if git.git("cat-file", "-t", commit, cwd=project.git_root, accept=(0, 128)).strip():
            raise
        raise Error(
            f"the commit {commit[:12]} of the run is not in this repository",
            where=f"run {run.id}",
            hint=f"bring it from where it was made: git fetch ORIGIN {commit}",
        ) from error


def put_back(project: Project, run: Run, folder: Path) -> None:
    """Put the code of a run back as it was, whatever was written over, removed or committed."""
    if patch := _patch(project, run):
        rows = git.unattended("apply", "--numstat", "-z", "-", cwd=folder, stdin=patch)
        for row in filter(None, rows.split(b"\0")):
            name = os.fsdecode(row.split(b"\t", 2)[2])
            remove(inside(folder, name, where=f"run {run.id}"))
    git.unattended("reset", "--hard", "--quiet", run.code.commit or "HEAD", cwd=folder)
    apply(project, run, folder)


def apply(project: Project, run: Run, folder: Path) -> None:
    """Add the patch and the untracked files of a run to a work tree of its commit.

    Links are in the commit or in the patch; nothing is written through one.
    """
    git.apply(folder, _patch(project, run))
    for file in run.code.untracked:
        path = inside(folder, file.path, where=f"run {run.id}")
        content = _kept(project, run, file.oid, f"untracked file '{file.path}'")
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():  # what it leads to is not the run's
            path.unlink()
        path.write_bytes(content)
        if file.is_executable:
            path.chmod(0o755)


def _patch(project: Project, run: Run) -> bytes:
    if run.code.diff is None:
        return b""
    return _kept(project, run, run.code.diff, "uncommitted changes")


def _kept(project: Project, run: Run, oid: str, what: str) -> bytes:
    """Return what was kept of the code; it comes with the run's record where that was pulled."""
    digest = oid.removeprefix("sha256:")
    if not project.objects.has(digest):
        raise Error(
            f"of the code of the run, the {what} did not come here: {oid}",
            where=f"run {run.id}",
            hint="it travels with the record of the run: assay pull; or ask who made the run to "
            "'assay push'",
        )
    return project.objects.read(digest)

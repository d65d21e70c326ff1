"""Which code runs: HEAD, what differs from it, and the files that git does not know yet.

Patch and files go into the project's object store, so that the run can be done again from the
record alone; an untracked link is a part of the patch. Where they do not tell everything, the
record says so and why.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from assay.base.errors import Error
from assay.base.progress import human_size
from assay.ledger.forms import is_inside
from assay.ledger.sdk import links
from assay.ledger.writer import Code, Untracked

if TYPE_CHECKING:
    from pathlib import Path

    from assay.project.workspace import Project


def capture(project: Project) -> Code:
    """Return the code of a project as it is now; its patch and untracked files are stored."""
    from assay.project import git
    from assay.project.settings import Store

    root = project.git_root
    most = int(Store(project).value("run.max_untracked"))
    try:
        snapshot = git.snapshot(root)
    except git.Failed as error:
        return Code(reason=f"git cannot tell which code runs: {error.what}")
    reason = _too_much(root, snapshot.untracked, most=most)
    changes, names, patch = snapshot.patch, snapshot.untracked, None
    if reason is None:
        try:
            changes, names = _with_links(root, changes, names)
        except OSError:
            reason = "an untracked link cannot be read"
    try:
        patch = project.objects.add(changes) if changes else None
    except (OSError, Error) as error:  # a full disk, which no run fails by
        reason = f"the uncommitted changes cannot be kept: {getattr(error, 'what', error)}"
    files: tuple[Untracked, ...] = ()
    if reason is None:
        try:
            files = tuple(_stored(project, name) for name in names)
        except (OSError, Error):
            reason = "an untracked file cannot be read"
    if snapshot.commit is None:
        reason = "there is no commit yet"
    return Code(
        commit=snapshot.commit,
        branch=snapshot.branch,
        diff=None if patch is None else f"sha256:{patch}",
        untracked=files,
        reproducible=reason is None,
        reason=reason,
        directory=project.root.relative_to(root).as_posix(),
    )


def _too_much(root: Path, names: list[str], *, most: int) -> str | None:
    """Return why untracked files cannot be kept, or None where they can."""
    size = 0
    for name in names:
        try:
            name.encode()
            found = (root / name).lstat()
        except UnicodeEncodeError:
            return f"the name of the untracked file {os.fsencode(name)!r} is not UTF-8"
        except OSError:
            return f"the untracked file {name!r} cannot be read"
        if stat.S_ISDIR(found.st_mode):  # git names a folder for no other reason
            return f"the folder {name!r} is a git repository of its own, whose files are not kept"
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode)):
            return f"{name!r} is untracked, and neither a file nor a link"
        if not is_inside(name):
            return f"the untracked file {name!r} has a name that is not kept"
        size += found.st_size
    if size > most:
        return f"{human_size(size)} are untracked; at most {human_size(most)} are kept"
    return None


def _with_links(root: Path, patch: bytes, names: list[str]) -> tuple[bytes, list[str]]:
    """Return a patch that makes the untracked links too, and the other names."""
    found = {name for name in names if (root / name).is_symlink()}
    made = b"".join(links.patch(root, name) for name in names if name in found)
    return patch + made, [name for name in names if name not in found]


def _stored(project: Project, name: str) -> Untracked:
    path = project.git_root / name
    stored = project.objects.add_file(path)
    return Untracked(
        path=name,
        oid=f"sha256:{stored.oid}",
        size=stored.size,
        is_executable=os.access(path, os.X_OK),
    )

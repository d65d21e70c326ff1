"""Git for the loop's work tree: what is run there, and how what a kill left is put away."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from assay.base.errors import Error
from assay.project import git
from assay.project.workspace import Project

_ALONE = (
    "-c", "core.hooksPath=/dev/null", "-c", "commit.gpgsign=false", "-c", "core.fsmonitor=false",
)  # fmt: skip
_IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Assay"), ("EMAIL", "assay@localhost"))
}
_PATIENCE = 10.0  # seconds that a git of a killed loop has to end


def is_whole(folder: Path, admin: Path, ref: str) -> bool:
    """Say whether folder and git know each other, and the branch is the right one."""
    try:
        back = os.fsdecode((admin / "gitdir").read_bytes()).strip()
        head = (admin / "HEAD").read_text(encoding="utf-8").strip()
    except OSError:
        return False
    is_made = not (admin / "locked").exists()  # git's own mark while it makes one
    return is_made and Path(back) == folder / ".git" and head == f"ref: {ref}"


def remove(project: Project, common: Path, folder: Path) -> None:
    """Take away what is left of a work tree that is not whole, in its folder and in git's."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)
    for place in (common / "worktrees").glob("*"):
        try:
            back = os.fsdecode((place / "gitdir").read_bytes()).strip()
        except OSError:
            back = ""
        is_half = not back and place.name == folder.name
        if is_half or Path(back) == folder / ".git":
            shutil.rmtree(place, ignore_errors=True)
    on_repository(project, common, "worktree", "prune")


def remove_stale_locks(folder: Path, common: Path, admin: Path | None, ours: str) -> None:
    """Remove what a killed git left locked, once no process works in the folder any more."""
    locks = [common / "refs" / "heads" / f"{ours}.lock"]
    if admin is not None:
        locks += [admin / "index.lock", admin / "HEAD.lock", admin / "assay-index.lock"]
    end = time.monotonic() + _PATIENCE
    for lock in filter(os.path.lexists, locks):
        while (process := _working_in(folder)) is not None:
            if time.monotonic() > end:
                raise Error(
                    f"the process {process} works in the loop's work tree and git is locked there",
                    where=lock,
                    hint="let it end, then start again",
                )
            time.sleep(0.05)
        lock.unlink(missing_ok=True)


def _working_in(folder: Path) -> int | None:
    """Return a process whose current folder is in `folder`, where the system tells."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            current = (place / "cwd").readlink()
        except OSError:
            continue
        if (current == folder or folder in current.parents) and int(place.name) != os.getpid():
            return int(place.name)
    return None


def common_folder(project: Project) -> Path:
    """Return git's folder of the clone."""
    options = ("--path-format=absolute", "--git-common-dir")
    return Path(os.fsdecode(git.git("rev-parse", *options, cwd=project.git_root).strip()))


def find_admin(folder: Path) -> Path | None:
    """Return git's folder about a work tree, or None where the work tree does not name one."""
    try:
        text = os.fsdecode((folder / ".git").read_bytes())
    except OSError:
        return None
    place = Path(text.removeprefix("gitdir: ").strip())
    return place if text.startswith("gitdir: ") and place.is_dir() else None


def read_admin(folder: Path) -> Path:
    """Return git's folder about a work tree; raises where there is none."""
    admin = find_admin(folder)
    if admin is None:
        raise Error("it is no work tree of the loop any more", where=folder, hint="start again")
    return admin


def on_repository(
    project: Project, common: Path, *arguments: str, accept: Sequence[int] = (0,)
) -> bytes:
    """Run git on the repository as such; nothing here looks at a work tree or an index."""
    return git.git(
        *_ALONE, *arguments, cwd=project.git_root, accept=accept, env={"GIT_DIR": str(common)}
    )


def in_tree(
    folder: Path,
    *arguments: str,
    stdin: bytes | None = None,
    accept: Sequence[int] = (0,),
    index: Path | None = None,
) -> bytes:
    """Run git in the loop's work tree, whatever a hook that started us says of another one."""
    admin = read_admin(folder)
    place = {
        "GIT_DIR": str(admin),
        "GIT_WORK_TREE": str(folder),
        "GIT_INDEX_FILE": str(index or admin / "index"),
    }
    return git.git(
        *_ALONE, *arguments, cwd=folder, stdin=stdin, accept=accept, env=_IDENTITY | place
    )

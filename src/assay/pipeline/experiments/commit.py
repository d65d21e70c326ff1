"""The commit of an experiment, made beside a person's index and HEAD, which nobody touches.

A copy of the index takes the tracked files as they are; `git commit-tree` makes a commit of it.
No hook runs, and a kill at any moment leaves at most objects that `git gc` collects.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from assay.base.errors import Error
from assay.project import git, lock
from assay.project.lock import Entry
from assay.project.workspace import Project

_ALONE = ("-c", "core.hooksPath=/dev/null", "-c", "commit.gpgsign=false")
_NOBODY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Assay"), ("EMAIL", "assay@localhost"))
}


def snapshot(
    project: Project, *, add: Iterable[str] = (), texts: Mapping[Path, str] | None = None
) -> str:
    """Return a git tree of all tracked files as they lie in the work tree.

    Parameters
    ----------
    add : iterable of str
        Files beside the tracked ones, relative to the root of git.
    texts : mapping of Path to str
        Files that get another text in the tree than they have; nothing is written to them.

    Raises
    ------
    Error
        If a merge is going on.
    """
    root = project.git_root
    with _index(project) as env:
        if git.git("ls-files", "-u", cwd=root, env=env):
            raise Error(
                "a merge is going on: some files have conflicts",
                where=root,
                hint="resolve and commit them first; see 'git status'",
            )
        git.git(*_ALONE, "add", "-u", "--", ":/", cwd=root, env=env)
        names = [f":(top,literal){name}" for name in add]
        if names:
            git.git(*_ALONE, "add", "-f", "--", *names, cwd=root, env=env)
        if texts:
            _put_texts(root, texts, env)
        return git.git("write-tree", cwd=root, env=env).decode().strip()


def make(root: Path, tree: str, *, parent: str, message: str) -> str:
    """Return a new commit of a tree; no reference names it yet."""
    arguments = (*_ALONE, "commit-tree", tree, "-p", parent)
    try:
        out = git.git(*arguments, cwd=root, stdin=message.encode())
    except git.Failed:
        if git.git("var", "GIT_COMMITTER_IDENT", cwd=root, accept=(0, 1, 128)):
            raise
        out = git.git(*arguments, cwd=root, stdin=message.encode(), env=_NOBODY)
    return out.decode().strip()


def message_of(entries: Mapping[str, Entry]) -> str:
    """Return the message of an experiment: DVC's, with the hash of what its stages recorded.

    Parameters
    ----------
    entries : mapping of str to Entry
        The records of the stages that ran or were restored, by the stage's name.
    """
    data = {name: lock.to_data(entry) for name, entry in entries.items()}
    text = json.dumps(data, sort_keys=True, default=str)
    return f"dvc: commit experiment {hashlib.sha256(text.encode()).hexdigest()}"


@contextlib.contextmanager
def _index(project: Project) -> Iterator[dict[str, str]]:
    """Make a copy of the index, and return the environment in which git uses it."""
    project.work_dir.mkdir(exist_ok=True)
    copy = project.work_dir / f"experiment-index-{os.urandom(6).hex()}"
    out = git.git("rev-parse", "--git-path", "index", cwd=project.git_root)
    index = project.git_root / os.fsdecode(out.strip())
    try:
        with contextlib.suppress(FileNotFoundError):
            shutil.copy2(index, copy)  # with its time, by which git knows what to look at again
        yield {"GIT_INDEX_FILE": str(copy)}
    finally:
        copy.unlink(missing_ok=True)
        copy.with_name(f"{copy.name}.lock").unlink(missing_ok=True)


def _put_texts(root: Path, texts: Mapping[Path, str], env: Mapping[str, str]) -> None:
    lines = []
    for path, text in texts.items():
        name = path.relative_to(root).as_posix()
        asked = ("hash-object", "-w", "--path", name, "--stdin")
        blob = git.git(*asked, cwd=root, stdin=text.encode())
        mode = "100755" if os.access(path, os.X_OK) else "100644"
        lines.append(f"{mode} {blob.decode().strip()}\t{name}\0")
    git.git("update-index", "-z", "--index-info", cwd=root, stdin="".join(lines).encode(), env=env)

"""Git, by the `git` program."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from assay.base.errors import Error, NotFound

if TYPE_CHECKING:
    from assay.project.blobs import Blobs

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""Git's name for the tree without files: what a repository without commits is compared with."""

_UNATTENDED = (
    "-c", "core.hooksPath=/dev/null",
    "-c", "commit.gpgsign=false",
    "-c", "advice.detachedHead=false",
)  # fmt: skip
_PLAIN = (
    "--binary", "--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/",
    "--dst-prefix=b/", "--unified=3", "--submodule=short",
)  # fmt: skip
"""A patch that `git apply` reads, whatever a person's settings are."""


class Failed(Error):
    """A git command failed."""


def git(
    *arguments: str,
    cwd: Path,
    stdin: bytes | None = None,
    accept: Sequence[int] = (0,),
    env: Mapping[str, str] | None = None,
) -> bytes:
    """Run git and return what it prints.

    Raises
    ------
    Failed
        If its exit status is not one of `accept`; with git's own words.
    """
    import subprocess

    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=cwd,
            input=stdin,
            stdin=None if stdin is not None else subprocess.DEVNULL,
            capture_output=True,
            check=False,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", **(env or {})},
        )
    except FileNotFoundError:
        raise Failed(
            "git is not installed", hint="install git; Assay keeps code with it"
        ) from None
    if done.returncode not in accept:
        if top(cwd) is None and not (cwd / "HEAD").exists():  # nor a bare repository
            raise Failed(
                f"'git {arguments[0]}' failed: this is not a git repository",
                where=cwd,
                hint="make one with 'git init', then 'git add' and 'git commit'",
            )
        said = done.stderr.decode(errors="replace").strip() or f"exit status {done.returncode}"
        lines = said.splitlines()  # what follows on 'fatal:' may be one sentence over several
        why = next((line for line in lines if line.startswith("fatal:")), lines[-1])
        raise Failed(f"'git {arguments[0]}' failed: {why}", where=cwd)
    return done.stdout


def unattended(*arguments: str, cwd: Path, stdin: bytes | None = None) -> bytes:
    """Run git without a person's hooks, signatures or editor."""
    return git(*_UNATTENDED, *arguments, cwd=cwd, stdin=stdin)


def top(start: Path) -> Path | None:
    """Return the root of the git work tree around `start`, found without running git."""
    for folder in (start, *start.parents):
        if (folder / ".git").exists():
            return folder
    return None


def main_root(root: Path) -> Path:
    """Return the root of the main work tree that a (possibly linked) work tree belongs to."""
    if not (root / ".git").is_file():
        return root
    common = git("rev-parse", "--path-format=absolute", "--git-common-dir", cwd=root)
    folder = Path(os.fsdecode(common.strip()))
    return folder.parent if folder.name == ".git" else root


def head(root: Path) -> str | None:
    """Return the commit that is checked out, or None before the first commit."""
    out = git("rev-parse", "--verify", "-q", "HEAD", cwd=root, accept=(0, 1, 128))
    return out.decode().strip() or None


def branch(root: Path) -> str | None:
    """Return the branch that is checked out, or None on a detached HEAD."""
    out = git("symbolic-ref", "-q", "--short", "HEAD", cwd=root, accept=(0, 1, 128))
    return out.decode().strip() or None


_reader: ContextVar[tuple[Path, Blobs] | None] = ContextVar("reader", default=None)
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@contextlib.contextmanager
def reading(root: Path) -> Iterator[None]:
    """Read many commits of a repository by one process, as long as the block runs.

    What is asked by the whole hash of a commit is answered by it: `resolve`, `read_file`,
    `list_files`.
    """
    from assay.project.blobs import Blobs

    with Blobs(root) as blobs:
        token = _reader.set((root, blobs))
        try:
            yield
        finally:
            _reader.reset(token)


def _reading(root: Path, commit: str) -> Blobs | None:
    found = _reader.get()
    is_meant = found is not None and found[0] == root and _COMMIT.fullmatch(commit)
    return found[1] if found is not None and is_meant else None


def resolve(root: Path, revision: str) -> str:
    """Return the commit that a revision names.

    Raises
    ------
    NotFound
        If git does not know it.
    """
    reader = _reading(root, revision)
    if reader is not None and reader.is_commit(revision):
        return revision
    if not revision.startswith("-"):
        out = git(
            "rev-parse", "--verify", "-q", f"{revision}^{{commit}}", cwd=root, accept=(0, 1, 128)
        )
        if out.strip():
            return out.decode().strip()
    if top(root) is None and not (root / "HEAD").exists():
        raise NotFound(
            f"there are no revisions such as '{revision}': the project is not in a git repository",
            where=root,
            hint="make one with 'git init', then 'git add' and 'git commit'",
        )
    if not git("rev-list", "--all", "--max-count=1", cwd=root, accept=(0, 128)).strip():
        raise NotFound(
            f"there is no revision '{revision}': nothing was committed yet",
            where=root,
            hint="begin with 'git add .' and 'git commit'",
        )
    raise NotFound(
        f"git knows no revision '{revision}'",
        where=root,
        hint="see 'git log' for commits, 'git branch' and 'git tag' for names",
    )


def read_file(root: Path, revision: str, path: str) -> bytes | None:
    """Return a file as it is in a commit, or None if it is not there."""
    reader = _reading(root, revision)
    if reader is not None and "\n" not in path:
        return reader.file(revision, path)
    try:
        return git("cat-file", "blob", f"{revision}:{path}", cwd=root)
    except Failed:
        return None


def list_files(root: Path, revision: str) -> list[str]:
    """Return the paths of all files in a commit."""
    reader = _reading(root, revision)
    if reader is not None:
        return reader.list_files(revision)
    out = git("ls-tree", "-r", "-z", "--name-only", "--full-tree", revision, cwd=root)
    return [os.fsdecode(name) for name in out.split(b"\0") if name]


def ignored(root: Path, paths: Iterable[str]) -> set[str]:
    """Return those of `paths` (relative to the root) that git ignores."""
    names = list(paths)
    if not names:
        return set()
    stdin = b"\0".join(os.fsencode(n) for n in names) + b"\0"
    out = git("check-ignore", "--no-index", "-z", "--stdin", cwd=root, stdin=stdin, accept=(0, 1))
    return {os.fsdecode(name) for name in out.split(b"\0") if name}


def tracked(root: Path, path: str) -> bool:
    """Say whether git tracks a file, or a file below the folder, at `path`."""
    return bool(git("ls-files", "-z", "--", f":(literal){path}", cwd=root))


def untracked(root: Path) -> list[str]:
    """Return the files that git neither tracks nor ignores, relative to the root."""
    out = git("ls-files", "--others", "--exclude-standard", "-z", cwd=root)
    return sorted(os.fsdecode(name) for name in out.split(b"\0") if name)


def diff(root: Path) -> bytes:
    """Return the patch from HEAD to the work tree, with binary files."""
    base = head(root) or EMPTY_TREE
    return git("diff", *_PLAIN, base, cwd=root)


def stage(root: Path, paths: Iterable[str]) -> None:
    """`git add` files."""
    git("add", "-f", "--", *(f":(literal){p}" for p in paths), cwd=root)


def is_dirty(root: Path) -> bool:
    """Say whether files that git tracks are changed, or others are there; no without git."""
    return top(root) is not None and bool(git("status", "--porcelain", cwd=root).strip())


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The code of a work tree: a commit, the patch on top of it, and the files beside it."""

    commit: str | None
    branch: str | None
    patch: bytes
    untracked: list[str]


def snapshot(root: Path) -> Snapshot:
    """Return what it takes to have this code again."""
    return Snapshot(
        commit=head(root), branch=branch(root), patch=diff(root), untracked=untracked(root)
    )


def add_worktree(root: Path, folder: Path, commit: str) -> None:
    """Make a detached work tree of a commit in an empty or new folder."""
    unattended("worktree", "prune", cwd=root)
    unattended("worktree", "add", "--detach", "--quiet", str(folder), commit, cwd=root)


def remove_worktree(root: Path, folder: Path) -> None:
    """Take a work tree away, with all that is in it."""
    unattended("worktree", "remove", "--force", str(folder), cwd=root)


def apply(root: Path, patch: bytes) -> None:
    """Apply a patch to the work tree."""
    if patch:
        unattended("apply", "--whitespace=nowarn", "-", cwd=root, stdin=patch)


_CHANGED = re.compile(
    rb"(?m)^diff --git (.+)\n"
    rb"(?:(?:old|new|similarity|dissimilarity) .+\n)*"
    rb"(?:(rename|copy) from (.+)\n(?:rename|copy) to (.+)\n)?"
)


def patched(patch: bytes) -> dict[str, str | None]:
    r"""Return the files that a patch changes, each with the name that it had before.

    That is None for a file that only has another name now. All is read from the lines that
    begin a change, where git quotes odd names; 'git apply --numstat' says no former names.

    Examples
    --------
    >>> patched(b'diff --git "a/caf\\303\\251.py" "b/caf\\303\\251.py"\nold mode 100644\n')
    {'café.py': 'café.py'}
    """
    names: dict[str, str | None] = {}
    for match in _CHANGED.finditer(patch):
        both, kind, before, after = match.groups()
        if kind is None:  # one name twice, with a prefix each
            name = _unquoted(both[len(both) // 2 + 1 :])
            is_bare = both[: len(both) // 2] == both[len(both) // 2 + 1 :]
            name = name if is_bare else name.partition("/")[2]
            names[name] = name
            continue
        names[_unquoted(after)] = _unquoted(before)
        if kind == b"rename":
            names.setdefault(_unquoted(before), None)
    return names


def _unquoted(name: bytes) -> str:
    if name.startswith(b'"'):
        name = name[1:-1].decode("unicode_escape").encode("latin-1")
    return os.fsdecode(name)


def apply_to(folder: Path, patch: bytes, name: str) -> None:
    """Apply what a patch has for one file to a folder that is no work tree of git."""
    pattern = re.sub(r"([*?\[\\])", r"\\\1", name)
    git(
        *_UNATTENDED, "apply", "--whitespace=nowarn", f"--include={pattern}", "-",
        cwd=folder, stdin=patch, env={"GIT_CEILING_DIRECTORIES": str(folder.resolve().parent)},
    )  # fmt: skip

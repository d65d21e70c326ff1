"""Repositories by their address: a folder on this machine, or a clone of what git can fetch.

A folder is asked in place, and not written to. For any other address git fetches into a folder of
clones, one for each address; a commit that is there already is not asked for again. A clone of
which nothing was asked for 30 days goes when another one is asked for.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

from assay.base.errors import NotFound
from assay.objects.cache import Cache
from assay.project import git
from assay.project.external import Repository
from assay.project.holding import Held, holding
from assay.project.supply import Overrides
from assay.project.workspace import Project

KEPT_DAYS = 30
"""So long a clone stays after its last use."""

_HEAD = "refs/assay/head"
_REFSPECS = (f"+HEAD:{_HEAD}", "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def open_repository(
    url: str,
    *,
    cwd: Path,
    clones: Path,
    cache: Cache,
    rev: str | None = None,
    committed: bool = False,
    overrides: Overrides | None = None,
) -> Repository:
    """Open a repository by its address: a folder on this machine, or what git can fetch.

    Parameters
    ----------
    clones : Path
        Where clones are kept; made when needed.
    cache : Cache
        Where lists of files of tracked folders go.
    rev : str, optional
        A revision; without it the workspace of a folder, the default branch of any other.
    committed : bool
        Read the last commit of a folder instead of its workspace.

    Raises
    ------
    NotFound
        If there is no such repository or revision.
    """
    root = _root(cwd / Path(url).expanduser()) if "://" not in url else None
    chosen = overrides or Overrides()
    if root is None:
        folder, commit = _fetched(url, clones, cwd=cwd, rev=rev)
        project = Project(folder)
    else:
        project, commit = Project(root), None
        has_git = (project.git_root / ".git").exists()
        if (rev is not None or committed) and has_git:
            commit = _resolved(project.git_root, rev or "HEAD", shown(url))
        elif rev is not None:
            raise NotFound("the folder is not a git repository", where=url, hint="omit '--rev'")
    return Repository(
        project,
        shown=shown(url),
        commit=commit,
        cache=cache,
        overrides=chosen,
        is_here=root is not None,
        home=_work_tree(url),
    )


def latest(url: str, *, cwd: Path, clones: Path, rev: str | None) -> str | None:
    """Return the commit that an import of `rev` would take now; None where git knows none."""
    root = _root(cwd / Path(url).expanduser()) if "://" not in url else None
    if root is None:
        return _fetched(url, clones, cwd=cwd, rev=rev)[1]
    top = git.top(root)
    return None if top is None else _resolved(top, rev or "HEAD", shown(url))


def looks_local(url: str) -> bool:
    """Say whether an address is a path, and nothing that git fetches from elsewhere."""
    return "://" not in url and not re.match(r"[\w.@-]+:", url)


def is_folder(url: str, *, cwd: Path) -> bool:
    """Say whether an address is a folder on this machine."""
    return "://" not in url and (cwd / Path(url).expanduser()).is_dir()


def has(url: str, commit: str, *, cwd: Path) -> bool:
    """Say whether the repository in a folder on this machine has a commit."""
    root = _root(cwd / Path(url).expanduser())
    top = git.top(root) if root is not None else None
    return top is not None and _has(top, commit)


def _root(place: Path) -> Path | None:
    """Return the root of the project, or else of the git work tree, that a folder lies in."""
    if not place.is_dir():
        return None
    here = Path(os.path.realpath(place))
    for folder in (here, *here.parents):
        if (folder / ".dvc").is_dir():
            return folder
    return git.top(here)


def _work_tree(url: str) -> Path | None:
    """Return the work tree at a `file://` address: its remotes are as seen from there."""
    if not url.startswith("file://"):
        return None
    place = Path(unquote(urlsplit(url).path))
    return place if (place / ".git").exists() else None


def _resolved(root: Path, rev: str, where: str) -> str:
    try:
        return git.resolve(root, rev)
    except NotFound:
        raise _no_revision(rev, where) from None


def _no_revision(rev: str, where: str) -> NotFound:
    if rev in {"HEAD", _HEAD}:
        what, hint = "the repository has no commit yet", "commit there first, then try again"
    else:
        what = f"the repository has no revision '{rev}'"
        hint = "give a branch, a tag or a commit that is there; see 'git ls-remote'"
    return NotFound(what, where=where, hint=hint)


def _fetched(url: str, clones: Path, *, cwd: Path, rev: str | None) -> tuple[Path, str]:
    """Return the clone of an address and the commit of a revision, fetched where it can move."""
    here = is_folder(url, cwd=cwd)
    if looks_local(url) and not here:
        raise NotFound("there is no such folder", where=url, hint="check the path or the address")
    address = str((cwd / Path(url).expanduser()).resolve()) if here else url
    folder = clones / hashlib.sha256(address.encode()).hexdigest()[:16]
    clones.mkdir(parents=True, exist_ok=True)
    _prune(clones, keep=folder)
    with holding(_lock_of(clones), shared=True):
        folder.mkdir(exist_ok=True)
        return _updated(folder, address, rev, where=shown(url))


def _lock_of(clones: Path) -> Path:
    """Return the lock that each who uses a clone shares, and who removes some has alone."""
    return clones.with_name(f"{clones.name}.lock")


def _prune(clones: Path, *, keep: Path) -> None:
    """Remove the clones that nobody asked for in a long time, unless somebody is at work there."""
    import shutil

    before = time.time() - KEPT_DAYS * 86_400
    stale = [one for one in clones.iterdir() if one != keep and _last_use(one) < before]
    if stale:
        with contextlib.suppress(Held), holding(_lock_of(clones), wait=False):
            for one in stale:
                shutil.rmtree(one, ignore_errors=True)


def _last_use(clone: Path) -> float:
    for path in (clone / "lock", clone):  # each use writes who holds the lock
        with contextlib.suppress(OSError):
            return path.stat().st_mtime
    return time.time()


def _updated(folder: Path, address: str, rev: str | None, *, where: str) -> tuple[Path, str]:
    """Fetch into a clone where that is needed, and return it with the commit of a revision."""
    with holding(folder / "lock"):
        if not (folder / ".git" / "HEAD").exists():
            git.unattended("init", "-q", "--bare", ".git", cwd=folder)
        if rev is None or _SHA.fullmatch(rev) is None or not _has(folder, rev):
            _fetch(folder, address, where=where)
        if rev and _SHA.fullmatch(rev) and not _has(folder, rev):
            with contextlib.suppress(git.Failed):  # not every server gives out any commit
                git.unattended("fetch", "-q", "--", address, rev, cwd=folder)
    return folder, _resolved(folder, rev or _HEAD, where)


def _fetch(folder: Path, address: str, *, where: str) -> None:
    try:
        git.unattended(
            "fetch", "-q", "--force", "--prune", "--no-tags", "--no-write-fetch-head",
            "--", address, *_REFSPECS, cwd=folder,
        )  # fmt: skip
    except git.Failed as error:
        said = error.what.partition("failed: ")[2].replace(address, where)
        raise NotFound(
            f"git cannot read the repository: {said}",
            where=where,
            hint="check the address, the network, and that you may read it: git ls-remote URL",
        ) from error


def _has(folder: Path, commit: str) -> bool:
    kind = git.git("cat-file", "-t", commit, cwd=folder, accept=(0, 1, 128))
    return kind.strip() == b"commit"


def shown(url: str) -> str:
    """Return an address without user, password and query.

    Examples
    --------
    >>> shown("https://ada:secret@example.org/data.git?token=1")
    'https://example.org/data.git'
    """
    scheme, found, rest = url.partition("://")
    if not found:
        return url
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"

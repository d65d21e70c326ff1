"""`gc`: find what nobody names, say so, and delete it while nobody else works on the stores.

What is found before a person is asked is found again once everybody else has ended, and only
what is on both lists goes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from assay.base.errors import Error, Usage
from assay.base.progress import counted
from assay.objects import garbage, transfer
from assay.objects.cache import Cache
from assay.objects.garbage import Unused
from assay.objects.legacy import PREFIX, named
from assay.objects.remotes import Remote
from assay.objects.remotes.local import LocalRemote
from assay.objects.staging import abandoned, sweep
from assay.project import linked, workspace
from assay.project.guarding import alone
from assay.project.holding import holding
from assay.project.revisions import Scope, check
from assay.project.workspace import Project
from assay.workflows import live
from assay.workflows.transfers import open_with

GRACE = 3600.0
"""Seconds for which an object of our own store is left alone: its row may not be written yet."""


_OLD = "cache of DVC 2"
_KILLED = "folders of killed commands"


class Keep(msgspec.Struct, frozen=True, kw_only=True):
    """What counts as named, and where garbage is looked for.

    Attributes
    ----------
    scope : Scope
        The commits that count beside the work trees of the clone.
    cloud : bool
        Look on a remote, too.
    remote : str or None
        Which; the default one where not given.
    not_in_remote : bool
        What is on the remote does not count: it can be had again.
    projects : tuple of str
        Folders of other projects that share the cache.
    jobs : int or None
        How many objects of a remote are worked on at a time.
    skip_failed : bool
        Go on without the lists of folders that a remote was not asked for, since it cannot be.
    """

    scope: Scope = Scope()
    workspace: bool = False
    cloud: bool = False
    remote: str | None = None
    not_in_remote: bool = False
    projects: tuple[str, ...] = ()
    jobs: int | None = None
    skip_failed: bool = False


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What one store holds that nobody names.

    Attributes
    ----------
    name : str
        "cache", "cache of DVC 2", "objects" (our own), "kept data" (of registered models),
        "remote NAME" or "folders of killed commands".
    where : str
        Its folder or address; of folders of killed commands, where the first one lies.
    """

    name: str
    where: str
    unused: list[Unused]

    @property
    def size(self) -> int:
        """Bytes of all of it, as far as they are known."""
        return sum(one.size or 0 for one in self.unused)


class Garbage(msgspec.Struct, frozen=True, kw_only=True):
    """What nobody names.

    Attributes
    ----------
    kept : str
        What counted as named, in words.
    warnings : list of str
        What a person should know before they agree.
    left : list of str
        What stays since it cannot be told whether it is named.
    """

    kept: str
    parts: list[Part]
    warnings: list[str] = []
    left: list[str] = []

    def __bool__(self) -> bool:
        return any(part.unused for part in self.parts)


def find(project: Project, keep: Keep, *, now: float | None = None) -> Garbage:
    """Return what nobody names; nothing is deleted.

    Parameters
    ----------
    now : float, optional
        Unix seconds; what was written to our own store in the hour before is left alone.

    Raises
    ------
    Usage
        If nothing is said to be kept, or options contradict each other.
    Error
        If the list of a folder is on a remote that cannot be asked.
    """
    _check(project, keep)
    remote = _remote(project, keep)
    named = _named(project, keep)
    oids = named.oids
    left: list[str] = []
    if keep.not_in_remote and remote is not None:
        keys = {transfer.key_of(oid): oid for oid in oids}
        oids = oids - {keys[key] for key in remote.find(list(keys))}
    parts = [_part("cache", project.cache, oids), *_of_dvc_2(project, oids)]
    parts += _ours(project, oids, now=now)
    if keep.cloud and remote is not None:
        part, left = _on_remote(project, keep, remote, named.oids, now=now)
        parts.append(part)
    parts += _killed(project, remote if keep.cloud else None)
    warnings = _warnings(project, keep, named.lost)
    return Garbage(kept=_in_words(keep), parts=parts, warnings=warnings, left=left)


def _warnings(project: Project, keep: Keep, lost: Sequence[str]) -> list[str]:
    """Return what a person should know before they agree."""
    found: list[str] = []
    if lost:
        found.append(
            f"the file lists of {counted(len(lost), 'folder')} are in no cache and on no "
            "remote: files that only they name are deleted, too"
        )
    if keep.cloud:
        name = project.config.remote(keep.remote).name
        found.append(f"remote '{name}' may be used by others, with other branches")
    own = project.home / ".dvc" / "cache"
    if own not in project.cache.folder.parents and not keep.projects:
        found.append(
            "the cache lies outside of the project: if others share it, name them with --projects"
        )
    return found


def delete(project: Project, keep: Keep, agreed: Garbage) -> Garbage:
    """Delete what a person agreed to and is still unused; return what was deleted."""
    with ExitStack() as stack:
        for path in linked.everywhere(project):
            stack.enter_context(holding(path))
        stack.enter_context(alone(project))
        now = find(project, keep)
        gone = [_both(part, agreed) for part in now.parts]
        for part in gone:
            if part.name.startswith("remote "):
                remote = _remote(project, keep)
                if remote is not None:
                    garbage.delete_on_remote(remote, part.unused)
            elif part.name == _KILLED:
                for root in {Path(one.where).parent for one in part.unused}:
                    sweep(root)
            else:
                garbage.delete(_stores(project)[part.name], part.unused)
    return Garbage(kept=now.kept, parts=gone, warnings=now.warnings, left=now.left)


def _both(part: Part, agreed: Garbage) -> Part:
    there = {one.oid for other in agreed.parts if other.name == part.name for one in other.unused}
    return msgspec.structs.replace(part, unused=[u for u in part.unused if u.oid in there])


def _stores(project: Project) -> dict[str, Cache]:
    from assay.pipeline import kept

    return {
        "cache": project.cache,
        _OLD: project.cache.of(PREFIX),
        "objects": project.objects,
        "kept data": kept.store(project),
    }


def _of_dvc_2(project: Project, named: set[str]) -> list[Part]:
    old = project.cache.of(PREFIX)
    return [_part(_OLD, old, named)] if next(iter(old), None) is not None else []


def _on_remote(
    project: Project, keep: Keep, remote: Remote, named: set[str], *, now: float | None
) -> tuple[Part, list[str]]:
    """Return what nobody names of data and of runs, and what stays since nobody can tell."""
    from assay.workflows import remote_garbage

    settings = project.config.remote(keep.remote)
    of_runs = remote_garbage.find(project, remote, before=_before(now))
    unused = [*garbage.find_on_remote(remote, named), *of_runs.unused]
    part = Part(name=f"remote {settings.name}", where=settings.url, unused=unused)
    return part, of_runs.left


def _killed(project: Project, remote: Remote | None) -> list[Part]:
    """Return the staging folders that killed processes left where we write."""
    roots = {store.folder: None for store in _stores(project).values()}
    roots |= {project.work_dir: None}
    roots |= {remote.folder: None} if isinstance(remote, LocalRemote) else {}
    found = [
        Unused(folder.name, str(folder), _size_of(folder))
        for root in roots
        for folder in abandoned(root)
    ]
    where = str(Path(found[0].where).parent) if found else ""
    return [Part(name=_KILLED, where=where, unused=found)] if found else []


def _size_of(folder: Path) -> int:
    """Return the bytes in a folder that may vanish meanwhile."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118
    return total


def _part(name: str, cache: Cache, named: set[str], *, before: float | None = None) -> Part:
    unused = garbage.find(cache, named, before=before)
    return Part(name=name, where=str(cache.folder), unused=unused)


class _Named(NamedTuple):
    oids: set[str]
    lost: list[str]


def _named(project: Project, keep: Keep) -> _Named:
    """Return the MD5s that count as named, with the files of folders."""
    roots = [project, *(_other(path) for path in keep.projects)]
    tops, listed = live.split(oid for one in roots for oid in live.of_data(one, keep.scope))
    caches = [*(one.cache for one in roots), _stores(project)["kept data"]]
    oids, lost = garbage.with_files(sorted(tops), caches)
    if lost:
        lost = _fetched(project, keep, lost)
        oids, lost = garbage.with_files(sorted(tops), caches)
    if "symlink" in project.config.link_types():
        oids |= live.linked_from(project.root, project.cache)
    return _Named(oids | listed, lost)


def _other(path: str) -> Project:
    found = workspace.find(Path(path))
    if found.root != Path(path).resolve():
        raise Usage("this is not the root of a project", where=path, hint=f"give {found.root}")
    return found


def _fetched(project: Project, keep: Keep, lost: Sequence[str]) -> list[str]:
    """Bring the lists of folders from the remote; return those that it has not."""
    if project.config.get("core", "remote") is None and keep.remote is None:
        return list(lost)
    try:
        remote = open_with(project.config.remote(keep.remote), jobs=keep.jobs)
        keys = {transfer.key_of(oid): oid for oid in lost}
        there = {keys[key] for key in remote.find(list(keys))}
        items = [transfer.item_of(oid, project.cache) for oid in sorted(there)]
        if items:
            remote.download(items, advance=lambda _count: None)
    except (Error, OSError) as error:
        if keep.skip_failed:
            return list(lost)
        what = error.what if isinstance(error, Error) else str(error)
        raise Error(
            f"the file lists of {counted(len(lost), 'folder')} are not in the cache, and the "
            f"remote cannot be asked for them: {what}",
            where=named(lost[0]),
            hint="run it when the remote can be reached, or go on without with --skip-failed",
        ) from error
    return [oid for oid in lost if not project.cache.has(oid)]


def _ours(project: Project, oids: set[str], *, now: float | None) -> list[Part]:
    """Return what our own two stores hold that nobody names; without a ledger nobody can tell."""
    from assay.ledger.database import open_ledger
    from assay.ledger.sdk import spool

    places = live.ledgers(project)
    stores = _stores(project)
    if not places or not any(stores[n].folder.is_dir() for n in ("objects", "kept data")):
        return []
    ours: set[str] = set()
    data: set[str] = set()
    for place in places:
        with open_ledger(place, create=False) as ledger:
            ours |= live.of_ledger(project.objects, ledger)
            data |= live.of_registry(project, ledger)
    ours |= live.profiles_of(project, oids)
    ours |= live.with_documents(project.objects, spool.oids(project.assay_dir / "spool"))
    if project.uses_git:
        data |= live.of_commits(project, live.loop_tips(project))
    data, listed = live.split(data)
    data, _ = garbage.with_files(sorted(data), [stores["kept data"], project.cache])
    data |= listed
    return [
        _part("objects", stores["objects"], ours, before=_before(now)),
        _part("kept data", stores["kept data"], data),
    ]


def _before(now: float | None) -> float:
    return (time.time() if now is None else now) - GRACE


def _remote(project: Project, keep: Keep) -> Remote | None:
    if not (keep.cloud or keep.not_in_remote):
        return None
    return open_with(project.config.remote(keep.remote), jobs=keep.jobs)


def _check(project: Project, keep: Keep) -> None:
    if not keep.workspace and not keep.scope:
        raise Usage(
            "say what is to be kept",
            hint="--workspace, --all-branches, --all-tags, --all-commits, --date or --rev; "
            "each keeps what the work tree names, too",
        )
    check(keep.scope)
    if keep.remote is not None and not (keep.cloud or keep.not_in_remote):
        raise Usage("'--remote' needs '--cloud' or '--not-in-remote'")
    if keep.cloud and keep.not_in_remote:
        raise Usage("'--cloud' and '--not-in-remote' exclude each other")
    if keep.scope and not project.uses_git:
        raise Usage("this project has no commits: it does without git", hint="use --workspace")


def _in_words(keep: Keep) -> str:
    """Return what counts as named."""
    scope, n = keep.scope, keep.scope.n or 1
    last = f"the last {n} commits of " if n > 1 else ""
    words = ["the work tree"]
    if scope.commits:
        words.append("all commits")
    else:
        words += [f"{last}all branches"] if scope.branches else []
        words += ["all tags"] if scope.tags else []
        words += ["all experiments"] if scope.experiments else []
        words += [f"the commits since {scope.date}"] if scope.date else []
    words += [f"{last}{name}" for name in scope.revisions]
    words += ["other projects"] if keep.projects else []
    text = " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
    return f"{text}, as far as it is not on the remote" if keep.not_in_remote else text

"""What a remote has, and the cache: `status --cloud`. Nothing is moved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from assay.objects import tree
from assay.objects.cache import DIR, Cache
from assay.objects.legacy import PREFIX, is_legacy, plain
from assay.objects.remotes import Remote
from assay.objects.remotes.local import LocalRemote
from assay.objects.staging import Staging, staging
from assay.objects.transfer import key_of
from assay.objects.tree import Entry
from assay.project.workspace import Project
from assay.workflows.transfers import Group, Request, collect, groups, open_with

State = Literal["new", "deleted", "missing"]
"""In the cache and not on the remote; the other way round; on neither side."""


class CloudStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Which files the cache and the remotes do not both have.

    Attributes
    ----------
    remote : str
        The remotes that were asked, by name.
    states : dict
        By path relative to the project; one of several contents of a path counts once.
    """

    remote: str
    states: dict[str, State]
    complaints: list[str] = []


def compare(project: Project, request: Request) -> CloudStatus:
    """Compare the cache with the remotes, for all that a request means.

    Raises
    ------
    NotFound
        If a target names nothing, or a remote is not there.
    """
    found = collect(project, request, pushing=True)
    states: dict[str, State] = {}
    names, complaints = [], list(found.complaints)
    with staging(project.work_dir) as work:
        for group in groups(project, found, request):
            names.append(group.settings.name)
            remote = open_with(group.settings, jobs=request.jobs)
            absence = remote.absence() if isinstance(remote, LocalRemote) else None
            if absence is not None:
                complaints.append(f"{absence.where}: {absence.what}")
            _compare(group, project.cache, remote, work, states)
    return CloudStatus(
        remote=", ".join(names), states=dict(sorted(states.items())), complaints=complaints
    )


def _compare(
    group: Group, cache: Cache, remote: Remote, work: Staging, states: dict[str, State]
) -> None:
    tops = {one.oid: key_of(one.oid) for one in group.wanted}
    there = set(remote.find(list(tops.values())))
    files: dict[str, list[str]] = {}
    for one in group.wanted:
        path = group.names[one.oid].partition(" at ")[0]
        files.setdefault(one.oid, []).append(path)
        if one.oid.endswith(DIR):
            for entry in _entries(one.oid, cache, remote, work, is_there=tops[one.oid] in there):
                if one.holds is None or one.holds(entry.relpath):
                    files.setdefault(entry.oid, []).append(f"{path}/{entry.relpath}")
    rest = [key_of(oid) for oid in files if oid not in tops]
    there |= remote.find(rest) if rest else set()
    for oid, paths in files.items():
        state = _state(is_here=cache.has(oid), is_there=key_of(oid) in there)
        if state is not None:
            states.update(dict.fromkeys(paths, state))


def _state(*, is_here: bool, is_there: bool) -> State | None:
    if is_here == is_there:
        return None if is_here else "missing"
    return "new" if is_here else "deleted"


def _entries(
    oid: str, cache: Cache, remote: Remote, work: Staging, *, is_there: bool
) -> Sequence[Entry]:
    """Return the files of a folder, from the cache or the remote; none where neither has it."""
    if cache.has(oid):
        return tree.read(cache, oid)
    if not is_there:
        return ()
    place = Path(work.new())
    found, _ = remote.get_file(key_of(oid), place)
    if found != plain(oid).removesuffix(DIR):
        return ()
    entries = tree.load(place.read_bytes(), where=key_of(oid))
    return [Entry(e.relpath, PREFIX + e.oid) for e in entries] if is_legacy(oid) else entries

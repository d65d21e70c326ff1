"""Push to and fetch from a remote that keeps files under their own names: `version_aware`.

What a push learns, which version of the bucket has each file, goes into the records of the data:
the `.dvc` files and `dvc.lock` are to be committed afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from assay.base.errors import Error, NotFound, Usage
from assay.objects import tree, versioned
from assay.objects.legacy import is_legacy
from assay.objects.remotes import Entry, RemoteSettings
from assay.objects.transfer import Moved
from assay.objects.versioned import File
from assay.project import definition, dvcfile
from assay.project.choosing import Chosen
from assay.project.definition import Definition, Tracked
from assay.project.stages import Row, Version
from assay.project.workspace import Project


class Recorded(NamedTuple):
    """What a push did, and the records that it changed."""

    moved: Moved
    files: list[Path]


class _Part(NamedTuple):
    relpath: str
    key: str
    oid: str
    version: Version | None


def push(project: Project, settings: RemoteSettings, chosen: Sequence[Chosen]) -> Recorded:
    """Copy the files of outputs to a versioned remote, and record which versions they are.

    Versions that arrived are recorded too where the push breaks off.
    """
    remote = versioned.open_versioned(settings)
    files: list[File] = []
    lost: list[str] = []
    for one in chosen:
        found = _parts(project, settings, one.item)
        if found is None:
            lost.append(one.item.row.oid or "" if one.item.row else "")
        else:
            files += [_file(part) for part in found if one.holds(part.relpath)]
    changed: list[Path] = []

    def have(versions: Mapping[str, Entry]) -> None:
        changed.extend(_record(project, settings, chosen, versions))

    moved = versioned.push(files, project.cache, remote, have=have)
    return Recorded(msgspec.structs.replace(moved, missing=moved.missing + lost), changed)


def fetch(project: Project, settings: RemoteSettings, chosen: Sequence[Chosen]) -> Moved:
    """Copy the recorded versions of the files of outputs into the cache."""
    remote = versioned.open_versioned(settings)
    files: list[File] = []
    lost: list[str] = []
    for one in sorted(chosen, key=_knows_no_files):
        row, found = one.item.row, _parts(project, settings, one.item)
        if row is None or found is None:
            lost.append(row.oid or "" if row else "")
            continue
        if row.is_directory and row.oid is not None and not project.cache.has(row.oid):
            tree.add(project.cache, [tree.Entry(part.relpath, part.oid) for part in found])
        files += [_file(part) for part in found if one.holds(part.relpath)]
    moved = versioned.fetch(files, project.cache, remote)
    return msgspec.structs.replace(moved, missing=moved.missing + lost)


def _knows_no_files(one: Chosen) -> bool:
    """Say whether the list of a folder has to come from the record of another commit."""
    return one.item.row is None or not one.item.row.versions


def refuse_commits(settings: RemoteSettings) -> Usage:
    """Return the error that says that only the work tree is pushed to such a remote."""
    return Usage(
        "other commits than the one that is checked out cannot be pushed to this remote: "
        "their records would have to be written",
        where=settings.where,
        hint="check a commit out and push it; omit '-a', '-T' and '-A'",
    )


def _file(part: _Part) -> File:
    return File(part.key, part.oid, part.version.version_id if part.version else None)


def _parts(project: Project, settings: RemoteSettings, item: Tracked) -> list[_Part] | None:
    """Return the files of an output; None where it is a folder whose list nobody has."""
    row = item.row
    if row is None or row.oid is None:
        return []
    key = os.path.relpath(item.path, project.root)
    if key.startswith("../") or is_legacy(row.oid):
        why = "is recorded in DVC 2's form" if is_legacy(row.oid) else "lies outside the project"
        raise Error(
            f"'{project.shown(item.path)}' {why}: a versioned remote has no name for it",
            where=settings.where,
            hint="give this output another remote",
        )
    known = {one.relpath: one for one in row.versions if one.remote in {None, settings.name}}
    if not row.is_directory:
        return [_Part("", key, row.oid, known.get(""))]
    entries = _entries(project, row)
    if entries is None:
        return None
    return [_Part(e.relpath, f"{key}/{e.relpath}", e.oid, known.get(e.relpath)) for e in entries]


def _entries(project: Project, row: Row) -> Sequence[tree.Entry] | None:
    if row.versions:
        return [tree.Entry(one.relpath, one.oid) for one in row.versions]
    try:
        return tree.read(project.cache, row.oid or "")
    except NotFound:
        return None


def _record(
    project: Project,
    settings: RemoteSettings,
    chosen: Sequence[Chosen],
    versions: Mapping[str, Entry],
) -> list[Path]:
    """Write which versions the files of outputs are; return the records that changed."""
    declared = definition.read(project)
    now = {item.path: item for item in declared.tracked}
    changed: dict[Path, None] = {}
    for one in chosen:
        item = now.get(one.item.path)
        if item is None or item.row is None or one.item.row is None:
            continue
        if item.row.oid != one.item.row.oid:
            continue  # it was recorded anew meanwhile
        parts = _parts(project, settings, item) or []
        found = tuple(_version(project, settings, part, versions.get(part.key)) for part in parts)
        if not any(version.version_id for version in found) or found == item.row.versions:
            continue
        row = msgspec.structs.replace(item.row, versions=found)
        if _write(declared, item, row):
            file = item.stage.file
            changed[file if item.stage.is_data else file.with_suffix(".lock")] = None
    return list(changed)


def _version(
    project: Project, settings: RemoteSettings, part: _Part, entry: Entry | None
) -> Version:
    """Return the record of a file: with what the bucket says now, else as it was."""
    if entry is None:
        return part.version or Version(relpath=part.relpath, oid=part.oid)
    size = entry.size
    if size is None and project.cache.has(part.oid):
        size = project.cache.path(part.oid).stat().st_size
    return Version(
        relpath=part.relpath,
        oid=part.oid,
        size=size,
        remote=settings.name,
        etag=(entry.etag or "").strip('"') or None,
        version_id=entry.version,
    )


def _write(declared: Definition, item: Tracked, row: Row) -> bool:
    if item.stage.is_data:
        return dvcfile.write(item.stage.file, row)
    entry = declared.entry(item.stage)
    if entry is None:
        return False
    outs = tuple(row if one.path == row.path else one for one in entry.outs)
    return declared.record(item.stage, msgspec.structs.replace(entry, outs=outs))

"""The records of runs as a part of `push`, `fetch` and `pull`."""

from __future__ import annotations

import msgspec

from assay.objects.remotes import open_remote
from assay.objects.remotes.local import LocalRemote
from assay.project.workspace import Project
from assay.workflows import records
from assay.workflows.transfers import Request, Synced, with_jobs


def move(
    project: Project, request: Request, synced: Synced, *, pushing: bool
) -> Synced:  # fmt: skip
    """Send or bring the records of runs, where the remote can list what it has."""
    is_asked = request.runs or request.artifacts
    is_whole = not request.targets.names and request.workspace
    if request.runs is False or not (is_asked or is_whole):
        return synced
    if not is_asked and not _has_remote(project, request):
        return synced
    if not is_asked and not records.are_shared(project):
        return synced
    settings = with_jobs(project.config.remote(request.remote), jobs=request.jobs)
    if settings.is_versioned and not is_asked:
        return synced
    remote = open_remote(settings)
    if not is_asked and not records.can_travel(remote):
        return synced
    notes = list(synced.notes)
    if pushing:
        is_absent = isinstance(remote, LocalRemote) and remote.absence() is not None
        moved = records.push(project, settings, remote)
        if is_absent and moved.runs:
            notes.append(f"remote '{settings.name}': made the folder {settings.url}")
    else:
        moved = records.fetch(project, settings, remote, artifacts=request.artifacts)
    return msgspec.structs.replace(
        synced,
        n_records=moved.runs,
        n_artifacts=moved.objects,
        notes=[*notes, *moved.notes],
        complaints=[*synced.complaints, *moved.complaints],
    )


def _has_remote(project: Project, request: Request) -> bool:
    return request.remote is not None or project.config.get("core", "remote") is not None

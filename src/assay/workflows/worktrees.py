"""Take over what others wrote to a remote with `worktree`, where files have their own names.

A team may edit data on the bucket itself; `assay update data.csv.dvc` records the newest versions
and checks them out, as for an import.
"""

from __future__ import annotations

import os

import msgspec

from assay.base.errors import Usage
from assay.base.files import write_atomic
from assay.objects.remotes import RemoteSettings
from assay.objects.scan import Content
from assay.objects.tree import Entry
from assay.project import dvcfile
from assay.project.address import open_address
from assay.project.definition import Definition, Tracked
from assay.project.stages import Stage, Version
from assay.project.workspace import Project
from assay.workflows import imports
from assay.workflows.imports import Imported


def remote_of(project: Project, stage: Stage) -> RemoteSettings | None:
    """Return the worktree remote that tracked data were pushed to, or None."""
    if not stage.is_data or stage.is_import or len(stage.outs) != 1:
        return None
    [out] = stage.outs
    row = stage.recorded.get(out.path)
    pushed = [one.remote for one in row.versions if one.remote] if row is not None else []
    name = out.remote or (pushed[0] if pushed else None)
    settings = project.config.remotes().get(name or "")
    if settings is None or settings.options.get("worktree", "").lower() != "true":
        return None
    return project.config.based(settings)


def refuse_options(stage: Stage, *, rev: str | None, download: bool, to_remote: bool) -> None:
    """Raise for what an update of data on a remote has no meaning for."""
    given = {"--rev": rev is not None, "--no-download": not download, "--to-remote": to_remote}
    for name, is_given in given.items():
        if is_given:
            raise Usage(
                f"'{name}' is for imports, and this is data of the project itself",
                where=stage.address,
                hint=f"omit '{name}': the newest version comes from its remote",
            )


def take_over(
    declared: Definition, item: Tracked, settings: RemoteSettings, *, force: bool
) -> Imported:
    """Record the newest versions of data on a worktree remote, and check them out: or neither.

    Raises
    ------
    NotFound
        If the remote has nothing under that name.
    """
    project = declared.project
    url = f"remote://{settings.name}/{os.path.relpath(item.path, project.root)}"
    address = open_address(url, cwd=project.root, config=project.config)
    state = address.state(project.index)
    known = {(one.relpath, one.version_id) for one in item.row.versions} if item.row else set()
    rows = state.get("files", [{"relpath": "", **state}])
    if known == {(row["relpath"], row["version_id"]) for row in rows}:
        return _taken(item, address.shown, changed=False)
    content = address.store(project.cache, project.index, recorded=state)
    entries = content.entries or [Entry("", content.oid)]
    by_path = {row["relpath"]: row for row in rows}
    versions = [_version(settings.name, entry, by_path[entry.relpath]) for entry in entries]
    row = imports.row_of(item.out.path, content)
    file = item.stage.file
    before = file.read_bytes()
    dvcfile.write(file, msgspec.structs.replace(row, versions=tuple(versions)))
    try:
        imports.check_out(project, item.path, content.oid, force=force)
    except BaseException:
        write_atomic(file, before)
        raise
    return _taken(item, address.shown, content=content, changed=True)


def _version(remote: str, entry: Entry, row: dict[str, str | int]) -> Version:
    return Version(
        relpath=entry.relpath,
        oid=entry.oid,
        size=int(row["size"]),
        remote=remote,
        etag=str(row["etag"]),
        version_id=str(row["version_id"]),
    )


def _taken(
    item: Tracked, origin: str, *, changed: bool, content: Content | None = None
) -> Imported:
    oid = content.oid if content else item.row.oid if item.row else None
    files = [item.stage.file] if changed else []
    return Imported(
        path=item.path, origin=origin, oid=oid, commit=None, files=files, changed=changed
    )

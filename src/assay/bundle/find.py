"""Which bundle a person means: a folder, an id, a run, or a version of a registered model."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from assay.base.errors import Error, NotFound
from assay.bundle import contents
from assay.bundle.contents import Contents
from assay.bundle.index import INDEX

if TYPE_CHECKING:
    from assay.ledger.database import Ledger
    from assay.project.workspace import Project

_HINT = (
    "name a folder, an id or its beginning, a run ('latest'), or MODEL@VERSION with a number or "
    "an alias"
)


def find(ref: str | Path, *, project: Project | None = None) -> Contents:
    """Return the contents of the bundle that `ref` names, checked against its index.

    Parameters
    ----------
    project : Project, optional
        Where ids, runs and versions are known; by default that around the current folder.

    Raises
    ------
    NotFound
        If there is none.
    assay.Error
        If `ref` is the beginning of several, or the bundle is not whole.
    """
    folder = Path(ref)
    if folder.name == INDEX and folder.is_file():
        folder = folder.parent
    if folder.is_dir():
        return contents.read_folder(folder)
    text = str(ref)
    if isinstance(ref, Path) or text.startswith((".", "/")):
        raise NotFound("there is no such folder", where=text, hint=_HINT)
    from assay.project import workspace

    known = project or workspace.find()
    return contents.read_objects(known.objects, _oid(known, text))


def newest(project: Project) -> str:
    """Return the id of the newest run that made a bundle and finished.

    Reproductions do not count. A stage counts by itself, whatever became of its pipeline.

    Raises
    ------
    NotFound
        If there is none.
    """
    from sqlalchemy import literal, select

    from assay.ledger import tables

    run, edge, parent = tables.run, tables.edge, tables.run.alias()
    query = (
        select(run.c.id)
        .join(edge, edge.c.source == literal("run:") + run.c.id)
        .outerjoin(parent, parent.c.id == run.c.parent_id)
        .where(edge.c.relation == "made", edge.c.target.startswith("bundle:sha256:"))
        .where(run.c.status == "finished", run.c.deleted.is_(None))
        .where(run.c.kind != "reproduction")
        .where(parent.c.kind.is_(None) | (parent.c.kind != "reproduction"))
        .order_by(run.c.start.desc(), run.c.id.desc())
        .limit(1)
    )
    try:
        with _ledger(project) as ledger, ledger.read() as connection:
            found = connection.execute(query).scalar()
    except NotFound:  # nothing was ever recorded here
        found = None
    if found is None:
        raise NotFound("no run that finished made a bundle", hint=_HINT)
    return str(found)


def _oid(project: Project, ref: str) -> str:
    if "@" in ref:
        return _of_version(project, ref)
    prefix = ref.removeprefix("sha256:")
    if re.fullmatch(r"[0-9a-f]{4,64}", prefix):
        found = _with_prefix(project, prefix)
        if len(found) > 1:
            shown = ", ".join(f"sha256:{oid[:12]}" for oid in found[:8])
            raise Error(
                f"'{ref}' is the beginning of several bundles: {shown}", hint="give more of the id"
            )
        if found:
            return found[0]
    if ref.startswith("sha256:"):
        raise NotFound(f"there is no bundle '{ref}' in this project", hint=_HINT)
    return _of_run(project, ref)


def _with_prefix(project: Project, prefix: str) -> list[str]:
    """Return the bundles whose id begins with four digits or more."""
    shard = project.objects.folder / prefix[:2]
    if not shard.is_dir():
        return []
    oids = sorted(
        prefix[:2] + path.name
        for path in shard.iterdir()
        if path.name.startswith(prefix[2:]) and not path.name.startswith(".")
    )
    return [oid for oid in oids if _is_index(project.objects.path(oid))]


def _is_index(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(10) == b'{"bundle":'


def _of_version(project: Project, ref: str) -> str:
    """Return the bundle of `MODEL@3`, `MODEL@v3` or `MODEL@ALIAS`."""
    from assay.ledger import models

    match = re.fullmatch(r"(.+)@v?(\d{1,9})", ref)
    with _ledger(project) as ledger:
        version = models.get_version(ledger, f"{match[1]}/{match[2]}" if match else ref)
    if version.bundle is None:
        raise NotFound(
            f"version {version.number} of the model '{version.model}' is no bundle",
            where=version.source,
        )
    return version.bundle.removeprefix("sha256:")


def _of_run(project: Project, ref: str) -> str:
    """Return the bundle that a run, or a part of it, made."""
    from assay.ledger import lineage, runs

    try:
        with _ledger(project) as ledger:
            run = runs.get(ledger, ref)
            made = {
                edge.target.removeprefix("bundle:sha256:")
                for one in (run.id, *run.children)
                for edge in lineage.edges_from(ledger, f"run:{one}")
                if edge.relation == "made" and edge.target.startswith("bundle:sha256:")
            }
    except NotFound as error:
        raise NotFound(f"there is no bundle '{ref}'", hint=_HINT) from error
    if not made:
        raise NotFound(
            f"the run {run.id} made no bundle", hint="call assay.bundle() in its script"
        )
    if len(made) > 1:
        shown = ", ".join(f"sha256:{oid[:12]}" for oid in sorted(made))
        raise Error(f"the run {run.id} made several bundles: {shown}", hint="name one of them")
    return made.pop()


def _ledger(project: Project) -> Ledger:
    from assay.ledger.database import open_ledger
    from assay.project.settings import ledger_where

    where = os.environ.get("ASSAY_LEDGER") or ledger_where(project)
    return open_ledger(where, create=False)

"""Which recorded run is meant: by its id, or by the model, version or bundle that came of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from assay.base.errors import Error, NotFound
from assay.ledger.askable import askable
from assay.pipeline.record import PLAN, Plan, load
from assay.project.workspace import Project

if TYPE_CHECKING:
    from assay.ledger.database import Ledger
    from assay.ledger.models import Version
    from assay.ledger.runs import Run


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """A run to do again, and the thing by which it was named where that is no run."""

    run: Run
    named: str | None = None


def find(ledger: Ledger, name: str) -> Recorded:
    """Return the run that a person means.

    Parameters
    ----------
    name : str
        A run's id, its unique beginning or `latest~N`; `MODEL`, `MODEL@ALIAS`, `MODEL/3`;
        a bundle (`sha256:…`); or a model that was logged (`m-…`).

    Raises
    ------
    NotFound
        If there is no such thing.
    Error
        If it was deleted, or no run of this ledger made it.
    """
    from assay.ledger import runs

    name = re.sub(r"\A(run:|runs:/)([^/]+).*", r"\2", name)
    if name.startswith("sha256:"):
        return Recorded(run=_maker(ledger, name, what=f"bundle {name[:19]}"), named=name)
    if re.fullmatch(r"m-[0-9a-f]{32}", name):
        return Recorded(run=_of_logged_model(ledger, name), named=name)
    if re.search(r"[/@]", name):
        return _of_version(ledger, name)
    try:
        return Recorded(run=whole(ledger, runs.get(ledger, name)))
    except NotFound:
        _refuse_deleted(ledger, name)
        if _is_model(ledger, name):
            return _of_version(ledger, name)
        raise


@askable
def id_of(ledger: Ledger, name: str) -> str:
    """Return the id of the run that a person means; see `find`."""
    return find(ledger, name).run.id


def whole(ledger: Ledger, run: Run) -> Run:
    """Return the run that this one is a part of, and the first one for a reproduction."""
    from assay.ledger import runs

    seen = {run.id}  # in a ledger of before, two clones may have made a circle
    while run.parent is not None and run.parent not in seen:
        run = runs.get(ledger, run.parent)
        seen.add(run.id)
    if run.kind == "reproduction" and "reproduces" in run.tags:
        return runs.get(ledger, run.tags["reproduces"])
    return run


def plan_of(project: Project, run: Run) -> Plan | None:
    """Return the stages that a run went through; None where it is no run of a pipeline."""
    for artifact in run.artifacts:
        if artifact.path == PLAN:
            oid = artifact.oid.removeprefix("sha256:")
            if not project.objects.has(oid):
                raise NotFound(
                    f"the record of the pipeline is not here: {artifact.oid}",
                    where=f"run {run.id}",
                    hint="it travels with the run: assay pull",
                )
            return load(project.objects.read(oid), where=str(project.objects.path(oid)))
    return None


def _of_version(ledger: Ledger, name: str) -> Recorded:
    from assay.ledger import models

    version = models.get_version(ledger, name.removeprefix("models:/"))
    named = f"{version.model}@{version.number}"
    if version.run is not None:
        return Recorded(run=_get(ledger, version.run), named=named)
    return Recorded(run=_maker_of_version(ledger, version, named), named=named)


def _maker_of_version(ledger: Ledger, version: Version, named: str) -> Run:
    if version.bundle is not None:
        return _maker(ledger, version.bundle, what=f"version {named}")
    raise NotFound(
        f"the version {named} names no run that made it, only {version.source or 'nothing'}",
        hint="register it with its run: 'assay model register' takes a bundle that a run made",
    )


def _maker(ledger: Ledger, bundle: str, *, what: str) -> Run:
    """Return the first run that made a bundle."""
    from assay.ledger import lineage

    for edge in lineage.edges_to(ledger, f"bundle:{bundle}"):
        if edge.relation == "made":
            return _get(ledger, edge.source.removeprefix("run:"))
    raise NotFound(
        f"no run of this ledger made the {what}",
        hint="the record of its run comes with 'assay pull'; see 'assay trace'",
    )


def _of_logged_model(ledger: Ledger, id_: str) -> Run:
    from sqlalchemy import select

    from assay.ledger.tables import logged_model

    with ledger.read() as connection:
        run = connection.execute(
            select(logged_model.c.run_id).where(logged_model.c.id == id_)
        ).scalar()
    if run is None:
        raise NotFound(f"no run of this ledger logged a model '{id_}'", hint="see 'assay trace'")
    return _get(ledger, run)


def _get(ledger: Ledger, id_: str) -> Run:
    from assay.ledger import runs

    _refuse_deleted(ledger, id_)
    return whole(ledger, runs.get(ledger, id_))


def _is_model(ledger: Ledger, name: str) -> bool:
    from sqlalchemy import select

    from assay.ledger.tables import model

    with ledger.read() as connection:
        there = (model.c.name == name, model.c.deleted.is_(None))
        found = connection.execute(select(model.c.name).where(*there))
        return found.first() is not None


def _refuse_deleted(ledger: Ledger, name: str) -> None:
    from sqlalchemy import select

    from assay.ledger.tables import run

    gone = run.c.deleted.is_not(None)
    query = select(run.c.id).where(run.c.id.startswith(name.lower(), autoescape=True), gone)
    with ledger.read() as connection:
        found = connection.execute(query.limit(2)).scalars().all()
    if len(found) == 1 and len(name) >= 4:
        raise Error(
            f"the run {found[0]} is deleted",
            hint=f"bring it back, then it can be done again: assay runs restore {found[0]}",
        )

"""Factors of the model: recorded (7), comparable (10), deployable (12)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from assay.audit.factors import Check
from assay.audit.subject import Subject, short
from assay.base.errors import Error, Negative, NotFound
from assay.base.progress import counted
from assay.bundle import contents, load
from assay.deploy import history
from assay.ledger import lineage, models, runs
from assay.ledger.models import Version

_REPORTS = ("comparison", "gate")
"""Tags of a version that name what the gate wrote."""


def recorded(subject: Subject) -> Iterator[Check]:
    """Look whether every version of the model comes from a recorded run that made it."""
    name = subject.version.model if subject.version else None
    name = name or (subject.declared.model.name if subject.declared.model else None)
    found: list[Version] = []
    if name is not None:
        try:
            found = models.list_versions(subject.ledger, name)
        except NotFound:
            found = []
    if not found:
        yield Check(
            ok=None, text="no version is registered", next_step="assay model register latest"
        )
        return
    by_hand = [(version, why) for version in found if (why := _by_hand(subject, version))]
    for version, why in by_hand:
        one = f"{version.model}/{version.number}"
        yield Check(
            ok=False,
            text=f"{one} {why}",
            next_step="assay repro --force && assay model register latest",
        )
    if not by_hand:
        n_versions = counted(len(found), "version")
        yield Check(ok=True, text=f"{n_versions} of {name}, each made by a recorded run")


def _by_hand(subject: Subject, version: Version) -> str | None:
    """Return why a version does not come from a recorded run; None where it does."""
    if version.run is None:
        return "comes from no recorded run"
    try:
        run = runs.get(subject.ledger, version.run)
    except NotFound:
        return f"comes from run {short(version.run)}, which is not on record"
    edges = lineage.edges_from(subject.ledger, f"run:{run.id}")
    made = {edge.target for edge in edges if edge.relation == "made"}
    if f"bundle:{version.bundle}" not in made:
        return f"has a bundle that run {short(run.id)} did not make"
    return None


def comparable(subject: Subject) -> Iterator[Check]:
    """Look whether production and what was there before it were compared row by row."""
    if subject.live is None or subject.version is None or subject.endpoint is None:
        yield subject.missing() or Check(
            ok=None,
            text=f"{subject.name} answers at no endpoint",
            next_step=f"assay deploy {subject.name.replace('/', '@')} --to ENDPOINT",
        )
        return
    try:
        _, row = history.before(subject.ledger, subject.endpoint)
        former = models.get_version(subject.ledger, history.name_of(row))
    except (Negative, NotFound):
        yield Check(
            ok=None,
            text=f"{subject.name} is the first in production",
            next_step="assay repro && assay gate latest",
        )
        return
    one, other = (f"{version.model}@{version.number}" for version in (subject.version, former))
    again = f"assay gate {one} --base {other}"
    pair = {subject.version.bundle, former.bundle}
    for version in (subject.version, former):
        for tag in _REPORTS:
            compared = _compared(subject, version.tags.get(tag), pair)
            if compared:
                yield Check(ok=True, text=f"{one} and {other} on the same rows: {compared}")
                return
    yield Check(ok=None, text=f"{one} and {other} were never compared", next_step=again)


def _compared(subject: Subject, oid: str | None, pair: set[str | None]) -> str | None:
    """Return what a report compared, if it is of these two bundles on the same rows."""
    if oid is None:
        return None
    try:
        content = subject.project.objects.read(oid.removeprefix("sha256:"))
        document: Any = msgspec.json.decode(content)
        if {document["candidate"], document["base"]} != pair:
            return None
        results = document["report"]["evaluation"]["results"]
        paired = [one for one in results if one["comparison"] and one["slice"] is None]
    except (Error, msgspec.MsgspecError, KeyError, TypeError):
        return None
    if not paired:
        return None
    metrics = ", ".join(str(one["metric"]) for one in paired)
    return f"{metrics} ({short(oid)})"


def deployable(subject: Subject) -> Iterator[Check]:
    """Look whether every finished training run has a bundle that verifies."""
    found = _trainings(subject)
    if not found:
        yield Check(ok=None, text="no training has finished", next_step="assay repro")
        return
    problems: dict[str, str | None] = {}
    n_wrong = 0
    for run, bundle in found.items():
        if bundle is None:
            n_wrong += 1
            yield Check(
                ok=False,
                text=f"run {short(run)} made no bundle",
                next_step="call assay.bundle() where the model is trained, then: assay repro",
            )
            continue
        if bundle not in problems:
            problems[bundle] = _problem(subject, bundle)
        if problems[bundle] is not None:
            n_wrong += 1
            yield Check(
                ok=False,
                text=f"{short(bundle)} of run {short(run)}: {problems[bundle]}",
                next_step=f"assay bundle verify {short(bundle)}",
            )
    if not n_wrong:
        n_runs, n_bundles = counted(len(found), "training"), counted(len(problems), "bundle")
        yield Check(ok=True, text=f"{n_runs}, {n_bundles}, each verifies")


def _trainings(subject: Subject) -> dict[str, str | None]:
    """Return the finished runs that train, oldest first, with the bundle of each.

    They are those of a stage, or of a script's name, of which any run ever made a bundle; where
    none did, the finished runs of the pipeline. Runs that did another one again do not count.
    """
    from sqlalchemy import func, select

    from assay.ledger import tables

    run, edge, whole = tables.run, tables.edge, tables.run.alias("whole")
    made = (
        select(func.substr(edge.c.source, 5).label("run"), edge.c.target)
        .where(edge.c.relation == "made", edge.c.source.startswith("run:"))
        .where(edge.c.target.startswith("bundle:"))
        .subquery()
    )
    query = (
        select(run.c.id, run.c.kind, run.c.name, run.c.stage, made.c.target)
        .join(made, made.c.run == run.c.id, isouter=True)
        .join(whole, whole.c.id == run.c.parent_id, isouter=True)
        .where(run.c.status == "finished", run.c.deleted.is_(None), run.c.kind != "reproduction")
        .where(whole.c.id.is_(None) | (whole.c.kind != "reproduction"))
        .order_by(run.c.start, run.c.id)
    )
    with subject.ledger.read() as connection:
        rows = connection.execute(query).all()
    train = {(row.kind, row.stage or row.name) for row in rows if row.target is not None}
    return {
        row.id: None if row.target is None else str(row.target).removeprefix("bundle:")
        for row in rows
        if (row.kind, row.stage or row.name) in train or (not train and row.kind == "pipeline")
    }


def _problem(subject: Subject, bundle: str) -> str | None:
    """Return why a bundle does not verify; None where it does."""
    try:
        load.open_contents(
            contents.read_objects(subject.project.objects, bundle.removeprefix("sha256:"))
        )  # fmt: skip
    except Error as error:
        return error.what
    return None

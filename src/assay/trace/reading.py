"""What a trace reads of a ledger, many things at once; a hub can be asked for all of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from assay.ledger.askable import askable
from assay.ledger.lineage import Edge
from assay.trace.writers import Passed

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from assay.ledger.database import Ledger

_MOST_WORDS = 20  # for which all commands are searched; for more, all are read


class OfContent(msgspec.Struct, frozen=True, kw_only=True):
    """That a run read, wrote or kept a content."""

    oid: str
    direction: Literal["input", "output", "artifact"]
    passed: Passed


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A run with the command that is on record of it."""

    id: str
    kind: str
    command: str
    directory: str | None
    start: int
    parent: str | None


@askable
def passed(ledger: Ledger, oids: Sequence[str], *, written: bool) -> list[OfContent]:
    """Return which runs wrote contents, and unless only that is asked, which read them."""
    from assay.ledger.tables import run_data

    conditions = [run_data.c.direction == "output"] if written else []
    return _of_contents(ledger, run_data, oids, *conditions)


@askable
def keepers(ledger: Ledger, oids: Sequence[str]) -> list[OfContent]:
    """Return which runs have contents among their artifacts, oldest first."""
    from assay.ledger.tables import artifact

    return _of_contents(ledger, artifact, oids)


def _of_contents(
    ledger: Ledger, table: Any, oids: Sequence[str], *conditions: Any
) -> list[OfContent]:
    from sqlalchemy import select

    from assay.ledger.found import within
    from assay.ledger.tables import run

    above = run.alias("above")
    query = (
        select(table, run.c.start, run.c.parent_id, above.c.kind.label("kind_above"))
        .join(run, run.c.id == table.c.run_id)
        .outerjoin(above, above.c.id == run.c.parent_id)
        .where(run.c.kind.in_(("stage", "script")), *conditions)
        .order_by(run.c.start, run.c.id)
    )
    with ledger.read() as connection:
        rows = connection.execute(query.where(within(connection, table.c.oid, oids))).all()
    return [
        OfContent(
            oid=row.oid,
            direction=getattr(row, "direction", "artifact"),
            passed=Passed(
                run=row.run_id, path=row.path, start=row.start, parent=row.parent_id,
                is_reproduction=row.kind_above == "reproduction",
            ),
        )
        for row in rows
    ]  # fmt: skip


@askable
def commands(ledger: Ledger, words: Sequence[str]) -> list[Command]:
    """Return the runs whose command has one of some words, oldest first; of many words, all."""
    from sqlalchemy import or_, select

    from assay.ledger.tables import run

    columns = (run.c.id, run.c.kind, run.c.command, run.c.directory, run.c.start)
    query = select(*columns, run.c.parent_id.label("parent")).order_by(run.c.start, run.c.id)
    if len(words) <= _MOST_WORDS:
        query = query.where(or_(*(run.c.command.contains(w, autoescape=True) for w in words)))
    with ledger.read() as connection:
        rows = connection.execute(query.where(run.c.command.is_not(None)))
        return [Command(**row) for row in rows.mappings()]


@askable
def edges(ledger: Ledger, things: Sequence[str], *, upwards: bool) -> list[Edge]:
    """Return the edges to things, or from them, oldest first."""
    from assay.ledger.found import within
    from assay.ledger.tables import edge

    end = edge.c.target if upwards else edge.c.source
    query = edge.select().order_by(edge.c.at, edge.c.source, edge.c.relation, edge.c.target)
    with ledger.read() as connection:
        these = within(connection, end, things)
        found = [Edge(**row) for row in connection.execute(query.where(these)).mappings()]
        return [*found, *_registered(connection, things, upwards=upwards)]


def _registered(connection: Connection, things: Sequence[str], *, upwards: bool) -> Iterator[Edge]:
    """Go from logged models to the versions that were made of them, which are no edges."""
    from assay.ledger.found import within
    from assay.ledger.tables import version

    kind = "version" if upwards else "logged_model"
    names = [one.partition(":")[2] for one in things if one.startswith(f"{kind}:")]
    if not names:
        return
    column = version.c.model if upwards else version.c.model_id
    wanted = {name.rpartition("/")[0] for name in names} if upwards else names
    query = version.select().where(version.c.model_id.is_not(None))
    for row in connection.execute(query.where(within(connection, column, wanted))):
        target = f"{row.model}/{row.number}"
        if not upwards or target in names:
            yield Edge(
                source=f"logged_model:{row.model_id}",
                relation="registered_as",
                target=f"version:{target}",
                at=row.created,
            )


@askable
def bundles(ledger: Ledger, begin: str) -> list[str]:
    """Return up to two bundles of versions whose id begins so."""
    from sqlalchemy import select

    from assay.ledger.tables import version

    begins = version.c.bundle.startswith(begin, autoescape=True)
    query = select(version.c.bundle).where(begins, version.c.deleted.is_(None)).distinct()
    with ledger.read() as connection:
        return [str(oid) for oid in connection.execute(query.limit(2)).scalars()]


@askable
def logged_models(ledger: Ledger, begin: str) -> list[str]:
    """Return up to two logged models whose id begins so."""
    from sqlalchemy import select

    from assay.ledger.tables import logged_model

    query = select(logged_model.c.id).where(logged_model.c.id.startswith(begin)).limit(2)
    with ledger.read() as connection:
        return [str(id_) for id_ in connection.execute(query).scalars()]


@askable
def decisions_to_deploy(ledger: Ledger, version: str) -> list[str]:
    """Return the decisions by which a version was deployed, by their names in the ledger."""
    from assay.ledger.tables import edge

    deployed = edge.alias("deployed")
    query = (
        edge.select()
        .join(deployed, deployed.c.target == edge.c.target)
        .where(deployed.c.source == version, deployed.c.relation == "deployed_as")
        .where(edge.c.relation == "deployed_as", edge.c.source.startswith("decision:"))
        .order_by(deployed.c.at, deployed.c.target, edge.c.at, edge.c.source)
    )
    with ledger.read() as connection:
        return [row.source for row in connection.execute(query)]


@askable
def purged(ledger: Ledger, begin: str) -> list[str]:
    """Return up to two purged runs whose id begins so."""
    from assay.ledger.tables import purged as table

    begins = table.c.id.startswith(begin, autoescape=True)
    with ledger.read() as connection:
        return [row.id for row in connection.execute(table.select().where(begins).limit(2))]


@askable
def has_content_of(ledger: Ledger, size: int) -> bool:
    """Tell whether a run has a file of a size by its SHA-256: kept, or read as a data set."""
    from sqlalchemy import select

    from assay.ledger.tables import artifact, run_data

    is_read = run_data.c.oid.startswith("sha256:") & (run_data.c.size == size)
    with ledger.read() as connection:
        found = connection.execute(select(artifact.c.oid).where(artifact.c.size == size).limit(1))
        if found.first() is not None:
            return True
        found = connection.execute(select(run_data.c.oid).where(is_read).limit(1))
        return found.first() is not None

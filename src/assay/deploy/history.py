"""The deployments of an endpoint: ending one that failed, and which one came before.

A row that repeats an older one names it in `details["again"]`. So a second rollback goes further
back, and never to what the first one left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from assay.base.clock import now_ms
from assay.base.errors import Negative, did_you_mean
from assay.base.ids import uuid7
from assay.deploy import endpoints
from assay.ledger import deployments
from assay.ledger.deployments import Deployment

if TYPE_CHECKING:
    from assay.ledger.database import Ledger

FAILED = "failed: "
"""How the reason begins for which a deployment ended that no server could answer with."""

AGAIN = "again"


def before(ledger: Ledger, endpoint: str) -> tuple[Deployment, Deployment]:
    """Return what an endpoint answers with, and what it answered with before that.

    Raises
    ------
    Negative
        If nothing was ever deployed to it, nothing came before, or nothing goes on.
    """
    rows = deployments.list_deployments(ledger, endpoint)
    if not rows:
        known = endpoints.endpoints(ledger)
        raise Negative(
            f"nothing was ever deployed to '{endpoint}'",
            hint=did_you_mean(endpoint, known) or "'assay deployments list' shows all endpoints",
        )
    place = next((at for at, row in enumerate(rows) if row.end is None), None)
    if place is None:
        raise Negative(
            f"nothing is deployed to '{endpoint}'",
            hint=f"deploy a version: assay deploy {rows[0].model}@VERSION --to {endpoint}",
        )
    former = _below(rows, place)
    if former is not None:
        return rows[place], former
    raise Negative(
        f"there is no deployment before the present one of '{endpoint}'",
        hint=f"it answers with {name_of(rows[place])}, the first that it had; deploy another",
    )


def _below(rows: Sequence[Deployment], place: int) -> Deployment | None:
    """Return the row that came before one, newest first, of another version; none that failed."""
    by_id = {row.id: at for at, row in enumerate(rows)}
    present = name_of(rows[place])
    while True:
        while AGAIN in (details := rows[place].details or {}):
            place = by_id[details[AGAIN]]
        place += 1
        while place < len(rows) and (rows[place].end_reason or "").startswith(FAILED):
            place += 1
        if place >= len(rows):
            return None
        if name_of(rows[place]) != present:
            return rows[place]


def find_before(ledger: Ledger, made: Deployment) -> Deployment | None:
    """Return what an endpoint answered with when a deployment was written; None for nothing."""
    rows = deployments.list_deployments(ledger, made.endpoint)
    ended_by_it = (row for row in rows if row.end == made.start and row.id != made.id)
    return next(ended_by_it, None)


def find(ledger: Ledger, endpoint: str, id_: str | None) -> Deployment | None:
    """Return a deployment of an endpoint; None where there is none of that id."""
    rows = deployments.list_deployments(ledger, endpoint)
    return next((row for row in rows if row.id == id_), None)


def go_back(
    ledger: Ledger,
    failed: Deployment,
    *,
    to: Deployment | None,
    why: str,
    owner: str | None,
    at: int | None = None,
) -> Deployment | None:
    """End a deployment that failed, write the one again that it goes back to, and return that.

    Both or none is done: where somebody deployed something else meanwhile, that goes on.
    """
    from assay.ledger import lineage, tables

    table, moment = tables.deployment, now_ms() if at is None else at
    with ledger.write() as connection:
        goes_on = (table.c.id == failed.id, table.c.end.is_(None))
        ended = table.update().where(*goes_on).values(end=moment, end_reason=f"{FAILED}{why}")
        if connection.execute(ended).rowcount == 0 or to is None:
            return None
        made = Deployment(
            id=uuid7(),
            endpoint=failed.endpoint,
            model=to.model,
            version=to.version,
            share=1.0,
            owner=owner,
            reason=f"back to {name_of(to)}: {why}",
            details={AGAIN: to.id},
            start=moment,
            end=None,
            end_reason=None,
        )
        row = msgspec.structs.asdict(made)
        row["details"] = msgspec.json.encode(made.details).decode()
        connection.execute(table.insert().values(row))
        edge = lineage.Edge(
            source=f"version:{name_of(to)}",
            relation="deployed_as",
            target=f"deployment:{made.id}",
            at=moment,
        )
        lineage.add(connection, [edge])
    return made


def name_of(deployment: Deployment) -> str:
    """Return the version of a deployment as people write it."""
    return f"{deployment.model}/{deployment.version}"

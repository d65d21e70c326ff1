"""Which version an endpoint answers with, from when to when: the history of its deployments.

Nothing here moves traffic. A server reads what goes on (`list_deployments(..., live=True)`) and
switches to it; a rollout writes one deployment a step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.clock import now_ms
from assay.base.errors import Error
from assay.base.ids import uuid7
from assay.ledger import models
from assay.ledger.askable import askable

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from assay.ledger.database import Ledger


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of time in which an endpoint answers with a version."""

    id: str
    endpoint: str
    model: str
    version: int
    share: float  # of the endpoint's traffic, 0 to 1
    owner: str | None
    reason: str | None
    details: dict[str, Any] | None
    start: int
    end: int | None
    end_reason: str | None


def add_deployment(
    ledger: Ledger,
    endpoint: str,
    *,
    version: str,
    share: float = 1.0,
    owner: str | None = None,
    reason: str | None = None,
    details: Mapping[str, Any] | None = None,
    replaces: bool = True,
    at: int | None = None,
) -> Deployment:
    """Record that an endpoint answers with a version from now on, and return the record.

    Parameters
    ----------
    version : str
        `MODEL/3`, `MODEL@ALIAS` or `MODEL`.
    share : float
        The part of the endpoint's traffic that it gets, 0 to 1.
    replaces : bool
        Whether this ends what the endpoint answered with until now; a rollout keeps both.
    """
    from assay.ledger.tables import deployment as table

    moment = now_ms() if at is None else at
    if not 0 <= share <= 1:
        raise Error(f"the share of traffic is {share!r}; expected is a number from 0 to 1")
    with ledger.write() as connection:
        model, number = models.resolve(connection, version)
        if replaces:
            live = (table.c.endpoint == endpoint, table.c.end.is_(None))
            ended = table.update().where(*live)
            connection.execute(ended.values(end=moment, end_reason=f"{model}/{number} came"))
        made = Deployment(
            id=uuid7(), endpoint=endpoint, model=model, version=number, share=share, owner=owner,
            reason=reason, details=None if details is None else dict(details), start=moment,
            end=None, end_reason=None,
        )  # fmt: skip
        _put(connection, made)
    return made


def _put(connection: Connection, made: Deployment) -> None:
    from assay.ledger import lineage, tables

    row = msgspec.structs.asdict(made)
    if made.details is not None:
        row["details"] = msgspec.json.encode(made.details).decode()
    connection.execute(tables.deployment.insert().values(row))
    edge = lineage.Edge(
        source=f"version:{made.model}/{made.version}",
        relation="deployed_as",
        target=f"deployment:{made.id}",
        at=made.start,
    )
    lineage.add(connection, [edge])


@askable
def list_deployments(
    ledger: Ledger, endpoint: str | None = None, *, live: bool = False
) -> list[Deployment]:
    """Return deployments, newest first: of one endpoint or all, and only those that go on."""
    from assay.ledger.tables import deployment

    query = deployment.select().order_by(deployment.c.start.desc(), deployment.c.id.desc())
    if endpoint is not None:
        query = query.where(deployment.c.endpoint == endpoint)
    if live:
        query = query.where(deployment.c.end.is_(None))
    with ledger.read() as connection:
        rows = [dict(row) for row in connection.execute(query).mappings()]
    for row in rows:
        row["details"] = None if row["details"] is None else msgspec.json.decode(row["details"])
    return [Deployment(**row) for row in rows]

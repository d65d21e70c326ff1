"""What an endpoint is to answer with: one query that a server asks several times a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from assay.ledger.database import Ledger


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """The deployment that goes on, with its bundle.

    Attributes
    ----------
    deployment : str
        Its id.
    bundle : str
        "sha256:" and the hash of its `bundle.json`.
    """

    deployment: str
    endpoint: str
    model: str
    version: int
    bundle: str

    @property
    def name(self) -> str:
        """The version as people write it.

        Examples
        --------
        >>> Live(deployment="1", endpoint="e", model="m", version=3, bundle="sha256:0").name
        'm/3'
        """
        return f"{self.model}/{self.version}"


def live(ledger: Ledger, endpoint: str) -> Live | None:
    """Return what an endpoint is to answer all requests with; None where nothing is deployed."""
    from sqlalchemy import and_, select

    from assay.ledger.tables import deployment, version

    is_its_version = and_(
        version.c.model == deployment.c.model, version.c.number == deployment.c.version
    )
    query = (
        select(deployment.c.id, deployment.c.model, deployment.c.version, version.c.bundle)
        .join(version, is_its_version)
        .where(deployment.c.endpoint == endpoint, deployment.c.end.is_(None))
        .where(deployment.c.share == 1, version.c.bundle.is_not(None))
        .order_by(deployment.c.start.desc(), deployment.c.id.desc())
        .limit(1)
    )
    with ledger.read() as connection:
        row = connection.execute(query).first()
    if row is None:
        return None
    return Live(
        deployment=row.id,
        endpoint=endpoint,
        model=row.model,
        version=row.version,
        bundle=row.bundle,
    )


def endpoints(ledger: Ledger) -> list[str]:
    """Return the names of all endpoints that something was ever deployed to."""
    from sqlalchemy import select

    from assay.ledger.tables import deployment

    query = select(deployment.c.endpoint).distinct().order_by(deployment.c.endpoint)
    with ledger.read() as connection:
        return [*connection.execute(query).scalars()]

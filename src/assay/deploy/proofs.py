"""That a bundle gave its own answers: when it was deployed, and when a server began with it.

A proof is an edge of the ledger from the deployment to who proved it, so it outlives the server's
own row: `deployment:ID` *proved_by* `server:ID`, or *refused_by* it. `deploy` itself opens and
proves the bundle before it writes the row; it says so as *proved_by* `deploy:ID`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from assay.ledger.database import Ledger

PROVED, REFUSED = "proved_by", "refused_by"


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a bundle to its golden examples.

    Attributes
    ----------
    by : str
        `server:ID`, or `deploy:ID` with the deployment's own id.
    ok : bool
        False where it could not be opened, or answered otherwise.
    at : int
        When it was first found so, in Unix milliseconds.
    """

    by: str
    ok: bool
    at: int

    @property
    def is_of_server(self) -> bool:
        """Whether a server found it, when it began with the deployment."""
        return self.by.startswith("server:")


def add(ledger: Ledger, deployment: str, *, by: str, ok: bool, at: int) -> None:
    """Record whether the bundle of a deployment gave its own answers."""
    from assay.ledger import lineage

    edge = lineage.Edge(
        source=f"deployment:{deployment}", relation=PROVED if ok else REFUSED, target=by, at=at
    )
    with ledger.write() as connection:
        lineage.add(connection, [edge])


def list_proofs(ledger: Ledger, deployment: str) -> list[Proof]:
    """Return the proofs of a deployment, oldest first."""
    from assay.ledger import lineage

    edges = lineage.edges_from(ledger, f"deployment:{deployment}")
    return [
        Proof(by=edge.target, ok=edge.relation == PROVED, at=edge.at)
        for edge in edges
        if edge.relation in {PROVED, REFUSED}
    ]

"""How things descend from each other: edges from what came first to what came of it.

A thing is named by its kind and its name: `data:md5:ab…`, `run:ID`, `commit:SHA`,
`bundle:sha256:…`, `logged_model:m-…`, `version:MODEL/3`, `deployment:ID`, `alert:ID`,
`decision:ID`. A relation reads from source to target: data is *read_by* a run, a run *wrote* data,
a commit is *code_of* a run, a run *made* a bundle, a bundle is *registered_as* a version, a
version is *deployed_as* a deployment. A deployment *raised* an alert, an alert *triggered* a
decision; a decision *started* a run, *judged* a bundle and is *deployed_as* a deployment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from assay.ledger.askable import askable

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from assay.ledger.database import Ledger


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """One thing came of another."""

    source: str
    relation: str
    target: str
    at: int


@askable
def edges_from(ledger: Ledger, thing: str) -> list[Edge]:
    """Return the edges to what came of a thing, oldest first."""
    return _edges(ledger, "source", thing)


@askable
def edges_to(ledger: Ledger, thing: str) -> list[Edge]:
    """Return the edges from what a thing came of, oldest first."""
    return _edges(ledger, "target", thing)


def add(connection: Connection, edges: list[Edge]) -> None:
    """Write edges in a transaction of the caller; one that is there keeps its moment."""
    from assay.ledger import tables
    from assay.ledger.rows import insert

    if edges:
        rows = [msgspec.structs.asdict(edge) for edge in edges]
        connection.execute(insert(connection, tables.edge).on_conflict_do_nothing(), rows)


def _edges(ledger: Ledger, end: str, thing: str) -> list[Edge]:
    from assay.ledger.tables import edge

    query = edge.select().where(edge.c[end] == thing)
    query = query.order_by(edge.c.at, edge.c.source, edge.c.relation, edge.c.target)
    with ledger.read() as connection:
        return [Edge(**row) for row in connection.execute(query).mappings()]

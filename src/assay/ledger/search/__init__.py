"""Find runs, experiments, models and versions by a query: text → tree → conditions in SQL.

`lexer` reads words, `parser` builds the tree by what a target of `targets` allows, `conditions`
turns it into SQLAlchemy's, with values bound and never written into SQL. There are two dialects
of one grammar: MLflow's, which refuses what MLflow refuses, and Assay's, which has OR, NOT,
parentheses, BETWEEN, and every operator on every field.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from assay.ledger.database import Ledger
    from assay.ledger.search.columns import Columns

_AT_A_TIME = 1000


def search_runs(
    ledger: Ledger,
    query: str = "",
    *,
    order_by: Sequence[str] = (),
    columns: Sequence[str] | None = None,
    limit: int | None = None,
    of_children: bool = False,
) -> Columns:
    """Return the runs of a ledger; the parameters are those of `assay.search_runs`.

    Raises
    ------
    BadQuery
        With the column at which query, order or column cannot be read.
    """
    from assay.ledger import found
    from assay.ledger.search.columns import Columns, named, parts
    from assay.ledger.search.runs import RunQuery, find

    chosen = None if columns is None else named(columns)
    needed = found.PARTS if chosen is None else parts(chosen)
    asked = RunQuery(filter=query, order_by=tuple(order_by), of_children=of_children)
    with ledger.read() as connection:
        ids = find(connection, asked, limit=limit).ids
        pages = [ids[at : at + _AT_A_TIME] for at in range(0, len(ids), _AT_A_TIME)]
        runs = [run for page in pages for run in found.load(connection, page, parts=needed)]
    return Columns.of(runs, chosen)

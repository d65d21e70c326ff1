"""What is told of a batch that comes again: it was written, and the answer to it was lost.

No answer is kept. The batch is tried on the ledger as it is now, and that is undone; what only
came about since then is left out. So nothing is said of a run that is deleted or purged by now,
nor of the end of a run, which another process may have resumed and ended in between. What
remains: a file that was there then and is missing now counts as refused, and what was refused
then and would be taken now does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from assay.base.errors import NotFound
from assay.ledger import operations
from assay.ledger.operations import Batch, FinishRun, Refusal

if TYPE_CHECKING:
    from sqlalchemy import Connection


def refused(
    connection: Connection, batch: Batch, problems: Mapping[int, str] | None
) -> list[Refusal]:
    """Return what is refused of a batch that was written before, and write nothing."""
    again = connection.begin_nested()
    try:
        found = operations.apply_all(connection, batch.operations, problems=problems)
    except NotFound:  # its run was purged since
        return []
    finally:
        again.rollback()
    gone = _gone(connection, sorted({one.run for one in found}))
    return [
        one
        for one in found
        if one.run not in gone and not isinstance(batch.operations[one.index], FinishRun)
    ]


def _gone(connection: Connection, runs: list[str]) -> set[str]:
    """Return those of some runs that are deleted or purged."""
    from sqlalchemy import select

    from assay.ledger import rows, tables

    run, purged = tables.run.c, tables.purged.c
    gone: set[str] = set()
    for some in rows.chunks(runs):
        deleted = select(run.id).where(run.id.in_(some), run.deleted.is_not(None))
        gone.update(connection.execute(deleted).scalars())
        gone.update(connection.execute(select(purged.id).where(purged.id.in_(some))).scalars())
    return gone

"""The hub's tree of paths above the roots of runs and logged models, as it is browsed.

What lies at and below a root is `assay.ledger.artifacts`' to know. A folder is there as long as a
file below it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from assay.ledger.artifacts import Entry, model_uri, root_of, run_uri

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Table


def above(connection: Connection, path: str) -> list[Entry]:
    """Return the folders below a path that lead to kept files, by name; "" is the top."""
    start = f"{path}/" if path else ""
    below = [
        root[len(start) :].partition("/")[0]
        for root in _roots(connection, path)
        if root.startswith(start)
    ]
    return [Entry(path=f"{start}{name}", size=None) for name in sorted(set(below)) if name]


def _roots(connection: Connection, path: str) -> Iterator[str]:
    """Go through the roots of those that keep a file; all that may be below a path."""
    from assay.ledger import tables

    for owner, files, key, uri in (
        (tables.run, tables.artifact, "run_id", run_uri),
        (tables.logged_model, tables.logged_model_artifact, "model_id", model_uri),
    ):
        for id_, experiment, stored in _owners(connection, owner, files.c[key], path):
            root = root_of(stored or uri(experiment, id_))
            if root is not None:
                yield root


def _owners(connection: Connection, owner: Table, key: Any, path: str) -> Any:
    """Return those that keep files and may be below a path: id, experiment, URI if recorded."""
    from sqlalchemy import exists, select

    query = select(owner.c.id, owner.c.experiment_id, owner.c.artifact_uri)
    query = query.where(exists().where(key == owner.c.id))
    first = path.partition("/")[0]
    if first:
        number = int(first) if first.isascii() and first.isdecimal() and len(first) < 10 else -1
        is_own = owner.c.experiment_id == number
        query = query.where(owner.c.artifact_uri.is_not(None) | is_own)
    return connection.execute(query)

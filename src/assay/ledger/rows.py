"""The few statements that SQLite and PostgreSQL do not spell alike, or that every writer needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from assay.base.errors import NotFound
from assay.ledger import tables

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table
    from sqlalchemy.dialects.sqlite import Insert


def insert(connection: Connection, table: Table) -> Insert:
    """Return an insert that knows `on_conflict_do_nothing` and `on_conflict_do_update`."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as insert_into_server

        return insert_into_server(table)  # type: ignore[return-value] # the same two methods
    from sqlalchemy.dialects.sqlite import insert as insert_into_file

    return insert_into_file(table)


def put(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert rows; one with the same primary key is replaced."""
    if not rows:
        return
    statement = insert(connection, table)
    keys = [column.name for column in table.primary_key]
    changed = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(
        statement.on_conflict_do_update(index_elements=keys, set_=changed)
        if changed
        else statement.on_conflict_do_nothing(),
        rows,
    )


def put_tags(
    connection: Connection, table: Table, owner: Mapping[str, Any], tags: Mapping[str, str]
) -> None:
    """Set tags of a run, an experiment, a model or a version."""
    rows = [{**owner, "key": key, "value": value} for key, value in tags.items()]
    put(connection, table, rows)


def claim_run(connection: Connection, run: str) -> str:
    """Return the status of a run, which no other writer changes before this transaction ends."""
    from sqlalchemy import select

    query = select(tables.run.c.status).where(tables.run.c.id == run).with_for_update()
    status = connection.execute(query).scalar()
    if status is None:
        raise NotFound(
            f"there is no run {run!r}", hint="'assay runs list' shows the runs of this ledger"
        )
    return str(status)

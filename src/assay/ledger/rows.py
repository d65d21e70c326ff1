"""The few statements that SQLite and PostgreSQL do not spell alike, or that every writer needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from assay.base.clock import iso, now_ms
from assay.base.errors import Error, NotFound
from assay.ledger import tables

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row, Table
    from sqlalchemy.dialects.sqlite import Insert

Name = TypeVar("Name")

ENDED = frozenset(["finished", "failed", "killed"])
"""The statuses of a run that has ended."""


def insert(connection: Connection, table: Table) -> Insert:
    """Return an insert that knows `on_conflict_do_nothing` and `on_conflict_do_update`."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as insert_into_server

        return insert_into_server(table)  # type: ignore[return-value] # the same two methods
    from sqlalchemy.dialects.sqlite import insert as insert_into_file

    return insert_into_file(table)


def add(connection: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Insert a row unless one with a key of it is there; tell whether it was inserted."""
    statement = insert(connection, table).on_conflict_do_nothing().values(row)
    kept = statement.execution_options(preserve_rowcount=True)
    return connection.execute(kept).rowcount == 1


def put(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert rows; one with the same primary key is replaced."""
    if not rows:
        return
    if table is tables.tag and "at" not in rows[0]:
        rows = [row | {"at": now_ms()} for row in rows]
    statement = insert(connection, table)
    keys = [column.name for column in table.primary_key]
    changed = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(
        statement.on_conflict_do_update(index_elements=keys, set_=changed)
        if changed
        else statement.on_conflict_do_nothing(),
        rows,
    )


def put_data(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Insert what runs read and wrote; what was said of it before stays where nothing is said now.

    A file that was only seen to be opened, of kind "dep", stays the data set that it was logged
    as: another process of the run may have done that.
    """
    from sqlalchemy import case, func

    if not rows:
        return
    table = tables.run_data
    statement = insert(connection, table)
    new = statement.excluded
    said = ("size", "n_files", "profile", "details", "context")
    changed: dict[str, Any] = {name: func.coalesce(new[name], table.c[name]) for name in said}
    changed["kind"] = case((new.kind == "dep", table.c.kind), else_=new.kind)
    keys = [column.name for column in table.primary_key]
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed), rows)


def put_tags(
    connection: Connection, table: Table, owner: Mapping[str, Any], tags: Mapping[str, str]
) -> None:
    """Set tags of a run, an experiment, a model or a version."""
    rows = [{**owner, "key": key, "value": value} for key, value in tags.items()]
    put(connection, table, rows)


def find_id(connection: Connection, table: Table, name: str) -> str:
    """Return the id that is given or begins with what is given, of a table with `id` and `at`.

    Raises
    ------
    NotFound
        If there is none.
    Error
        If several begin so.
    """
    kind, ref = table.name, name.removeprefix(f"{table.name}:").lower()
    query = table.select().where(table.c.id.startswith(ref, autoescape=True))
    found = connection.execute(query.order_by(table.c.id).limit(9)).all() if ref else []
    if not found:
        raise NotFound(
            f"there is no {kind} {name!r}",
            hint=f"a name is the id of one {kind}, or its beginning",
        )
    return pick(found, name, ref=ref, kind=kind)


def pick(found: Sequence[Row[Any]], name: str, *, kind: str, ref: str | None = None) -> str:
    """Return the id that is given, or the one that begins so.

    Parameters
    ----------
    found : sequence of Row
        What begins so, nine at most and not none.
    ref : str, optional
        What was looked for, where that is not just the name.

    Raises
    ------
    Error
        If several begin so.
    """
    ref = name.lower() if ref is None else ref
    exact = [row for row in found if row.id == ref]
    if len(found) > 1 and not exact:
        shown = ", ".join(f"{row.id} ({_described(row)})" for row in found[:8])
        more = ", …" if len(found) > 8 else ""
        raise Error(
            f"{name!r} is the beginning of several {kind}s: {shown}{more}",
            hint="give more of the id",
        )
    return str((exact or found)[0].id)


def _described(row: Row[Any]) -> str:
    return iso(row.at) if "at" in row._mapping else f"{row.name}, {iso(row.start)}"  # noqa: SLF001 -- its public way


def claim_run(connection: Connection, run: str, *, deleted_too: bool = True) -> str:
    """Return the status of a run, which no other writer changes before this transaction ends.

    One that has ended changes now: `updated` says so to whoever has a copy of its record.

    Raises
    ------
    NotFound
        If there is none.
    Error
        If it is deleted, and `deleted_too` is false.
    """
    from assay.ledger import recording

    found = recording.claim(connection, run)
    if found is None:
        raise NotFound(
            f"there is no run {run!r}", hint="'assay runs list' shows the runs of this ledger"
        )
    if found.deleted is not None and not deleted_too:
        raise Error(
            f"the run {run} is deleted; nothing can be added to it",
            hint=f"assay runs restore {run}",
        )
    if found.status in ENDED:
        touch_runs(connection, [run], at=now_ms())
    return found.status


def touch_runs(connection: Connection, runs: Sequence[str], *, at: int) -> None:
    """Say that the records of runs changed at a moment; it never goes back."""
    from sqlalchemy import func

    run = tables.run
    for some in chunks(runs):
        query = run.update().where(run.c.id.in_(some))
        connection.execute(query.where(func.coalesce(run.c.updated, -1) < at).values(updated=at))


def chunks(names: Sequence[Name], size: int = 500) -> Iterator[Sequence[Name]]:
    """Go through many names so few at a time that a statement takes them."""
    for begin in range(0, len(names), size):
        yield names[begin : begin + size]

"""Ledgers as older releases left them: `released/REVISION.json` holds what their code wrote.

The files were made by running the code of each revision, and are not to be made again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData, Table, inspect, select, text

from assay.ledger import database, migrations
from assay.ledger.database import Ledger

REVISIONS = ("0001", "0002", "0003")
Rows = dict[str, list[dict[str, Any]]]


def written(revision: str) -> Rows:
    """Return what a client of a revision wrote, in the order in which rows need each other."""
    file = Path(__file__).with_name("released") / f"{revision}.json"
    found: Rows = json.loads(file.read_text(encoding="utf-8"))
    return found


def make(where: Path | str, revision: str, *, rows: Rows | None = None) -> None:
    """Make a ledger at a revision, with the rows of its client."""
    if isinstance(where, Path):
        where.touch()
    with Ledger(database._url(where)) as ledger:
        migrations.downgrade(ledger.engine, "base")
        migrations.upgrade(ledger.engine, revision)
        with ledger.write() as connection:
            connection.execute(text("DELETE FROM experiment"))
        write(ledger, written(revision) if rows is None else rows)


def write(ledger: Ledger, rows: Rows) -> None:
    """Write rows as a client of any revision does."""
    there = reflected(ledger)
    with ledger.write() as connection:
        for name, given in rows.items():
            connection.execute(there[name].insert(), given)
            if not ledger.is_sqlite and name in {"experiment", "latest_metric"}:
                connection.execute(  # as if the database had counted up to them itself
                    text(
                        f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), "
                        f"(SELECT greatest(max(id), 1) FROM {name}))"
                    )
                )


def reflected(ledger: Ledger) -> dict[str, Table]:
    """Return the tables that are there, but for Alembic's."""
    metadata = MetaData()
    with ledger.read() as connection:
        metadata.reflect(connection)
    return {name: table for name, table in metadata.tables.items() if name != "alembic_version"}


def rows(ledger: Ledger) -> Rows:
    """Return what all tables hold, in an order that does not depend on the database."""
    there = reflected(ledger)
    with ledger.read() as connection:
        return {
            name: sorted(
                (dict(row) for row in connection.execute(select(table)).mappings()), key=str
            )
            for name, table in there.items()
        }


def schema(ledger: Ledger) -> dict[str, Any]:
    """Return what makes up the tables, as the database itself tells, but for collations."""
    with ledger.read() as connection:
        if ledger.is_sqlite:
            query = "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
            found = connection.exec_driver_sql(query).all()
            return {  # the letters: an added column comes last in its table
                name: sorted(letter for letter in sql or "" if letter not in ' \t\n"')
                for name, sql in found
                if name != "alembic_version"
            }
        known = inspect(connection)
        names = [name for name in known.get_table_names() if name != "alembic_version"]
        return {
            name: {
                "columns": sorted(
                    f"{one['name']} {type(one['type'])} {one['nullable']} {one['default']}"
                    for one in known.get_columns(name)
                ),
                "key": known.get_pk_constraint(name),
                "to": sorted(map(str, known.get_foreign_keys(name))),
                "indexes": sorted(map(str, known.get_indexes(name))),
                "unique": sorted(map(str, known.get_unique_constraints(name))),
            }
            for name in names
        }

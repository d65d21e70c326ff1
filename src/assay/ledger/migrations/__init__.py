"""Bring the tables of a database to a revision, up or down, in one transaction."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Apply what is missing up to `revision`."""
    _migrate(engine, revision, is_up=True)


def downgrade(engine: Engine, revision: str) -> None:
    """Take back what is above `revision`; "base" takes back all."""
    _migrate(engine, revision, is_up=False)


def config() -> Config:
    """Return Alembic's configuration, which lies in no file."""
    folder = str(Path(__file__).parent)
    made = Config()
    made.set_main_option("script_location", folder.replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    return made


def _migrate(engine: Engine, revision: str, *, is_up: bool) -> None:
    is_sqlite = engine.dialect.name == "sqlite"
    with engine.connect() as connection:
        if is_sqlite:  # or rebuilding a table would delete the rows that point to it
            _switch_foreign_keys(connection, "off")
        try:
            connection.execution_options(writes=True)
            with connection.begin():
                if not is_sqlite:  # 0x6173736179 is "assay"
                    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(418548769145)")
                made = config()
                made.attributes["connection"] = connection
                (command.upgrade if is_up else command.downgrade)(made, revision)
                if is_sqlite:
                    _check_foreign_keys(connection)
        finally:
            if is_sqlite:
                _switch_foreign_keys(connection, "on")


def _switch_foreign_keys(connection: Connection, state: str) -> None:
    raw = connection.connection.driver_connection
    assert raw is not None  # noqa: S101 -- for the type checker
    raw.execute(f"PRAGMA foreign_keys = {state}")


def _check_foreign_keys(connection: Connection) -> None:
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if broken:
        raise RuntimeError(f"the migration leaves rows that point to nothing: {broken[:3]}")

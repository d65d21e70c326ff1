"""Migrations: they make exactly the tables that the code knows, and can be taken back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import OperationalError

from assay.ledger import alerts, migrations, models, runs, tables
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.deployments import add_deployment
from assay.ledger.environment import capture
from assay.ledger.writer import Code, Data, Metric, Untracked, Writer


def fill(ledger: Ledger) -> str:
    writer = Writer(ledger)
    code = Code(commit="c0", untracked=(Untracked(path="x", oid="sha256:1", size=1),))
    run = writer.start_run(name="a", kind="stage", code=code, environment=capture())
    writer.log_params(run, {"lr": 0.1})
    writer.log_metrics(run, [Metric(key="loss", value=1.0, at=5)])
    writer.set_tags(run, {"a": "b"})
    writer.add_inputs(run, [Data(path="d", oid="md5:ab", size=3)])
    writer.add_artifact(run, "m", "sha256:2", 4)
    models.register(ledger, "churn", bundle="sha256:3", run=run, tags={"k": "v"})
    models.set_alias(ledger, "churn", "production", version=1)
    add_deployment(ledger, "scores", version="churn/1")
    return run


def schema(ledger: Ledger) -> list[Any]:
    with ledger.read() as connection:
        query = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
        return sorted(connection.exec_driver_sql(query).all())


def letters(ledger: Ledger) -> dict[str, str]:
    """Return the letters of all that is in the schema: an added column comes last in its table."""
    return {
        name: "".join(sorted(re.sub(r'[\s"]', "", sql or "")))
        for _, name, sql in schema(ledger)
        if name != "alembic_version"
    }


def test_the_migrations_make_the_tables_that_the_code_knows(ledger: Ledger):
    with ledger.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []


def test_tables_made_by_the_code_and_by_the_migrations_are_spelled_alike(ledger: Ledger):
    migrated = letters(ledger)
    with ledger.write() as connection:
        for table in reversed(tables.metadata.sorted_tables):
            connection.exec_driver_sql(f'DROP TABLE "{table.name}"')
        tables.metadata.create_all(connection)
    assert letters(ledger) == migrated


def test_the_newest_migration_is_the_revision_that_the_code_knows():
    script = ScriptDirectory.from_config(migrations.config())
    assert script.get_current_head() == tables.REVISION


def test_a_filled_ledger_goes_down_and_up_again(tmp_path: Path):
    with open_ledger(tmp_path / "ledger.db") as ledger:
        before = schema(ledger)
        fill(ledger)
        migrations.downgrade(ledger.engine, "base")
        assert [name for _, name, _ in schema(ledger)] == ["alembic_version"]
    with open_ledger(tmp_path / "ledger.db") as ledger:
        assert schema(ledger) == before
        assert runs.get(ledger, fill(ledger)).params == {"lr": 0.1}


def rows(ledger: Ledger) -> dict[str, list[dict[str, Any]]]:
    """Return what all tables hold but that of Alembic."""
    with ledger.read() as connection:
        there = [name for kind, name, _ in schema(ledger) if kind == "table"]
        held = {
            name: connection.exec_driver_sql(f'SELECT * FROM "{name}"').mappings().all()
            for name in there
            if name != "alembic_version"
        }
    return {name: sorted((dict(row) for row in of), key=str) for name, of in held.items()}


def write(ledger: Ledger, table: str, row: dict[str, Any]) -> None:
    """Write a row as a client of any revision does."""
    names = ", ".join(f'"{name}"' for name in row)
    with ledger.write() as connection:
        marks = ", ".join("?" for _ in row)
        query = f'INSERT INTO "{table}" ({names}) VALUES ({marks})'
        connection.exec_driver_sql(query, tuple(row.values()))


SERVER = {
    "id": "s", "endpoint": "e", "url": "u", "host": "h", "boot": "b", "pid": 1,
    "started": 1, "seen": 2, "state": "ready",
}  # fmt: skip


def test_a_filled_ledger_of_0001_gets_servers_and_can_lose_them_again(tmp_path: Path):
    with open_ledger(tmp_path / "ledger.db") as ledger:
        migrations.downgrade(ledger.engine, "0001")
        fill(ledger)
        old, old_schema = rows(ledger), letters(ledger)
        assert "server" not in old
    with open_ledger(tmp_path / "ledger.db") as ledger:
        assert rows(ledger) == {**old, "server": [], "window": [], "decision": []}
        write(ledger, "server", SERVER)
        migrations.downgrade(ledger.engine, "0001")
        assert rows(ledger) == old
        assert letters(ledger) == old_schema


def old_alert(id_: str, **other: object) -> dict[str, Any]:
    alert = {
        "id": id_, "endpoint": "e", "monitor": "drift", "column": "temp", "severity": "warning",
        "message": "it drifts", "window_start": 0, "window_end": 7, "at": 1,
    }  # fmt: skip
    return alert | other


def test_the_alerts_and_servers_of_0002_stay_and_can_be_had_back(tmp_path: Path):
    with open_ledger(tmp_path / "ledger.db") as ledger:
        migrations.downgrade(ledger.engine, "0002")
        write(ledger, "server", SERVER)
        write(ledger, "alert", old_alert("b", at=2, resolved=3))
        write(ledger, "alert", old_alert("a", details='{"since": 5}'))
        write(ledger, "alert", old_alert("c", column=None, window_end=None, message="ü\n"))
        old, old_schema = rows(ledger), letters(ledger)
    with open_ledger(tmp_path / "ledger.db") as ledger:
        found = {one.id: one for one in alerts.list_alerts(ledger)}
        states = {id_: one.state for id_, one in found.items()}
        assert states == {"a": "open", "b": "resolved", "c": "open"}
        assert found["a"].details == {"since": 5}
        for column, end, first in (("temp", 7, "a"), (None, None, "c")):
            again = alerts.raise_alert(
                ledger, "e", monitor="drift", message="again", column=column, window_end=end
            )
            assert again == (found[first], False)
        migrations.downgrade(ledger.engine, "0002")
        assert rows(ledger) == old
        assert letters(ledger) == old_schema


def test_a_client_of_0002_may_still_write_alerts_and_servers(ledger: Ledger):
    for id_ in "ab":
        write(ledger, "alert", old_alert(id_))
    write(ledger, "server", SERVER)
    assert [one.state for one in alerts.list_alerts(ledger)] == ["open", "open"]


def test_an_upgrade_that_fails_changes_nothing(tmp_path: Path):
    with open_ledger(tmp_path / "ledger.db") as ledger:
        with ledger.write() as connection:
            connection.exec_driver_sql("DELETE FROM alembic_version")
        before = schema(ledger)
        run = fill(ledger)
        with pytest.raises(OperationalError, match="already exists"):
            migrations.upgrade(ledger.engine)
        assert schema(ledger) == before
        assert runs.get(ledger, run).tags == {"a": "b"}

"""Migrations: they make exactly the tables that the code knows, lose nothing, and go back."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text
from sqlalchemy.exc import DatabaseError

from assay.ledger import alerts, lineage, migrations, models, runs, tables
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.deployments import add_deployment
from assay.ledger.environment import capture
from assay.ledger.writer import Code, Data, Metric, Untracked, Writer
from tests.ledger import old

NEW = {  # the columns that 0003 and 0004 gave to tables that were there
    "alert": {"key", "deployment", "acknowledged", "note"},
    "server": {"cpu_seconds", "memory"},
    "run": {"artifact_uri", "seen", "updated"},
    "run_data": {"context"},
    "tag": {"at"},
    "model": {"deleted"},
    "version": {"owner", "stage", "run_link", "model_id", "artifact_uri", "foreign_run"},
}


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


def test_the_migrations_make_the_tables_that_the_code_knows(ledger: Ledger):
    with ledger.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []


def test_tables_made_by_the_code_and_by_the_migrations_are_spelled_alike(ledger: Ledger):
    migrated = old.schema(ledger)
    with ledger.write() as connection:
        for table in reversed(tables.metadata.sorted_tables):
            connection.execute(text(f'DROP TABLE "{table.name}"'))
        tables.metadata.create_all(connection)
    assert old.schema(ledger) == migrated


def test_texts_compare_by_their_code_points_whatever_the_database_s_order_is(ledger: Ledger):
    writer = Writer(ledger)
    run = writer.start_run(name="x", kind="script")
    names = ["a", "B", "_", "é", "z", "Z", "a b", "ab"]
    writer.set_tags(run, dict.fromkeys(names, ""))
    with ledger.read() as connection:
        query = tables.tag.select().order_by(tables.tag.c.key)
        assert [row.key for row in connection.execute(query)] == sorted(names)
        if not ledger.is_sqlite:
            other = text(
                "SELECT table_name, column_name FROM information_schema.columns WHERE data_type = "
                "'text' AND table_schema = 'public' AND collation_name IS DISTINCT FROM 'C'"
            )
            assert connection.execute(other).all() == []


def test_the_newest_migration_is_the_revision_that_the_code_knows():
    script = ScriptDirectory.from_config(migrations.config())
    assert script.get_current_head() == tables.REVISION


def test_a_filled_ledger_goes_down_and_up_again(ledger_where: Path | str):
    with open_ledger(ledger_where) as ledger:
        before = old.schema(ledger)
        fill(ledger)
        migrations.downgrade(ledger.engine, "base")
        with ledger.read() as connection:
            assert inspect(connection).get_table_names() == ["alembic_version"]
    with open_ledger(ledger_where) as ledger:
        assert old.schema(ledger) == before
        assert runs.get(ledger, fill(ledger)).params == {"lr": 0.1}


@pytest.mark.parametrize("revision", old.REVISIONS)
def test_what_an_older_client_wrote_stays_and_can_be_had_back(
    ledger_where: Path | str, revision: str
):
    old.make(ledger_where, revision)
    with open_ledger(ledger_where) as ledger:
        now = old.rows(ledger)
        migrations.downgrade(ledger.engine, revision)
        before, before_schema = old.rows(ledger), old.schema(ledger)

    given = {name: sorted(rows, key=str) for name, rows in old.written(revision).items()}
    assert {name: rows for name, rows in before.items() if rows} == given
    assert {name for name, rows in now.items() if rows} == set(given)
    for name, rows in given.items():
        new = NEW.get(name, set()) - set(rows[0])
        kept = [{key: row[key] for key in row if key not in new} for row in now[name]]
        if name == "experiment":
            assert [row["name"] for row in kept] == ["Default", "churn"]
            kept[0]["name"] = "default"
        assert sorted(kept, key=str) == rows
        added = [{row[key] for key in new - {"key"}} for row in now[name]]
        assert all(values <= {None} for values in added)
    old.make(ledger_where, revision)
    with open_ledger(ledger_where) as ledger:
        migrations.downgrade(ledger.engine, revision)
        assert old.schema(ledger) == before_schema


def test_what_0004_keeps_beside_it_goes_without_harm_to_what_was_there(
    ledger_where: Path | str,
):
    old.make(ledger_where, "0003")
    given = {name: sorted(rows, key=str) for name, rows in old.written("0003").items()}
    run = given["run"][0]["id"]
    of_model = {"model_id": "m-1", "key": "k"}
    new = {
        "logged_model": {"id": "m-1", "name": "m", "experiment_id": 0, "status": "ready",
                         "run_id": run, "created": 1, "updated": 1},
        "logged_model_param": {**of_model, "value": "v"},
        "logged_model_tag": {**of_model, "value": "v"},
        "logged_model_metric": {**of_model, "step": 0, "at": 1, "run_id": run, "value": 0.5,
                                "is_nan": False},
        "logged_model_artifact": {"model_id": "m-1", "path": "p", "oid": "o", "size": 1, "at": 1},
        "run_model": {"run_id": run, "direction": "output", "model_id": "m-1", "step": 0},
        "batch": {"id": "b", "number": 1, "at": 1},
        "purged": {"id": "r", "at": 1},
    }  # fmt: skip
    with open_ledger(ledger_where) as ledger:
        assert {*old.reflected(ledger)} - {*given, "experiment_tag", "model_tag"} == {*new}
        old.write(ledger, {name: [row] for name, row in new.items()})
        with ledger.write() as connection:
            connection.execute(tables.version.update().values(stage="Production", owner="ada"))
            connection.execute(tables.run.update().values(seen=1, updated=2))
        migrations.downgrade(ledger.engine, "0003")
        assert {name: rows for name, rows in old.rows(ledger).items() if rows} == given
        migrations.upgrade(ledger.engine)
        assert models.get_version(ledger, "churn@production").number == 1


@pytest.mark.parametrize("revision", old.REVISIONS)
def test_what_an_older_client_wrote_is_read_and_written_on(
    ledger_where: Path | str, revision: str
):
    old.make(ledger_where, revision)
    with open_ledger(ledger_where) as ledger:
        script, pipeline = runs.list_(ledger)
        (stage,) = runs.list_(ledger, parent=pipeline.id)
        run = runs.get(ledger, stage.id)
        assert run.params == {
            "lr": 0.1, "seed": 1, "flag": True, "none": None, "list": [1, "ü"], "text": "a\n'b'",
        }  # fmt: skip
        latest = {key: metric.value for key, metric in run.metrics.items()}
        assert math.isnan(latest.pop("nan"))
        assert latest == {"inf": math.inf, "val/ü": -1e300, "loss": 0.0}
        history = [point.value for point in runs.history(ledger, run.id, "loss")]
        assert str(history) == "[1.0, nan, 0.25, 0.0]"
        assert (run.experiment, script.experiment) == ("Default", "churn")
        assert (run.status, run.exit_status, run.log_tail) == ("failed", 2, "oh\nno")
        assert [one.path for one in run.code.untracked] == ["ünter/x"]
        assert run.environment is not None
        assert run.environment.oid == run.environment_oid
        assert models.get_version(ledger, "churn@production").number == 1
        assert [edge.target for edge in lineage.edges_to(ledger, "version:churn/1")]

        writer = Writer(ledger)
        writer.log_metrics(script.id, [Metric(key="auc", value=0.5, at=1)])
        new = writer.start_run(name="new", kind="script", experiment="new")
        writer.log_metrics(new, [Metric(key="auc", value=0.25, at=1)])
        assert runs.get(ledger, script.id).metrics["auc"].value == 0.5
        assert runs.get(ledger, new).metrics["auc"].value == 0.25
        assert models.register(ledger, "churn", bundle="sha256:5").number == 3


@pytest.mark.parametrize("revision", old.REVISIONS)
def test_an_older_client_that_has_the_ledger_open_may_still_write(ledger: Ledger, revision: str):
    rows = old.written(revision)
    for one in rows["experiment"]:
        one["name"] = "Default" if one["id"] == 0 else one["name"]
    without = {name: given for name, given in rows.items() if name != "experiment"}
    old.write(ledger, {"experiment": [one for one in rows["experiment"] if one["id"]]} | without)
    found = {row.name for row in runs.list_(ledger, top_level=False)}
    assert found == {"repro", "train", "script"}
    assert len(alerts.list_alerts(ledger)) == len(rows["alert"])


@pytest.mark.parametrize("taken", [False, True])
def test_the_default_experiment_gets_mlflow_s_name_unless_another_one_has_it(
    ledger_where: Path | str, taken: bool
):
    rows = old.written("0003")
    if taken:
        last = rows["experiment"][-1]
        rows["experiment"].append({**last, "id": last["id"] + 1, "name": "Default"})
    old.make(ledger_where, "0003", rows=rows)
    with open_ledger(ledger_where) as ledger:
        names = {row["id"]: row["name"] for row in old.rows(ledger)["experiment"]}
        assert names[0] == ("default" if taken else "Default")
        assert sorted(names.values()).count("Default") == 1
        assert runs.list_(ledger)[-1].experiment == names[0]  # its runs stay in it
        migrations.downgrade(ledger.engine, "0003")
        before = {row["id"]: row["name"] for row in old.rows(ledger)["experiment"]}
    assert before == {row["id"]: row["name"] for row in rows["experiment"]}


def test_alerts_of_0002_are_not_raised_again(ledger_where: Path | str):
    old.make(ledger_where, "0002")
    with open_ledger(ledger_where) as ledger:
        found = {one.id: one for one in alerts.list_alerts(ledger)}
        states = {id_: one.state for id_, one in found.items()}
        assert states == {"a": "open", "b": "resolved", "c": "open"}
        assert found["a"].details == {"since": 5}
        for column, end, first in (("temp", 7, "a"), (None, None, "c")):
            again = alerts.raise_alert(
                ledger, "scores", monitor="drift", message="again", column=column, window_end=end
            )
            assert again == (found[first], False)


def test_an_upgrade_that_fails_changes_nothing(ledger: Ledger):
    with ledger.write() as connection:
        connection.execute(text("DELETE FROM alembic_version"))
    before = old.schema(ledger)
    run = fill(ledger)
    with pytest.raises(DatabaseError, match="already exists"):
        migrations.upgrade(ledger.engine)
    assert old.schema(ledger) == before
    assert runs.get(ledger, run).tags == {"a": "b"}

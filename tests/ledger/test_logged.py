"""Logged models: made, told, measured, linked, deleted; in transactions of the caller."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from assay.base.errors import Error, NotFound, Taken
from assay.ledger import artifacts, lineage, logged, models, tables
from assay.ledger.database import Ledger
from assay.ledger.exchange import gathering
from assay.ledger.lineage import Edge
from assay.ledger.logged import LoggedModel, ModelMetric
from assay.ledger.writer import Writer
from assay.objects.cache import Stored


def create(ledger: Ledger, name: str = "m", **fields: Any) -> str:
    with ledger.write() as connection:
        return logged.create(connection, experiment_id=0, name=name, at=1, **fields)


def get(ledger: Ledger, id_: str) -> LoggedModel:
    with ledger.read() as connection:
        return logged.get(connection, id_)


def test_a_new_model_is_pending_and_has_what_it_was_given(ledger: Ledger, run: str) -> None:
    id_ = create(
        ledger, "boat", type_="agent", run=run, owner="bob",
        params=[("lr", "0.1")], tags=[("a", "1"), ("a", "2")],
    )  # fmt: skip
    assert get(ledger, id_) == LoggedModel(
        id=id_, name="boat", experiment_id=0, status="pending", status_message=None, type="agent",
        run=run, owner="bob", uri=f"mlflow-artifacts:/0/models/{id_}/artifacts", created=1,
        updated=1, deleted=None, params={"lr": "0.1"}, tags={"a": "2"}, metrics=(), versions=(),
    )  # fmt: skip
    assert len(id_) == 34


@pytest.mark.parametrize("name", ["", "  ", "a/b", "a:b", "a.b", "50%", 'a"b', "a'b"])
def test_a_name_that_cannot_be_is_refused(ledger: Ledger, name: str) -> None:
    with pytest.raises(Error, match="Invalid model name"):
        create(ledger, name)
    assert count(ledger) == 0


def test_an_unknown_or_deleted_experiment_is_refused(ledger: Ledger) -> None:
    with ledger.write() as connection, pytest.raises(NotFound, match="No Experiment with id=7"):
        logged.create(connection, experiment_id=7, name="m", at=1)
    with ledger.write() as connection:
        connection.execute(tables.experiment.update().values(deleted=3))
    with pytest.raises(Error, match="must be in the 'active' state"):
        create(ledger)
    assert count(ledger) == 0


def test_an_unknown_run_is_refused(ledger: Ledger) -> None:
    with pytest.raises(NotFound, match="there is no run 'no'"):
        create(ledger, run="no")
    assert count(ledger) == 0


def count(ledger: Ledger) -> int:
    with ledger.read() as connection:
        return len(connection.execute(tables.logged_model.select()).all())


@pytest.mark.parametrize("status", ["ready", "failed", "pending"])
def test_it_becomes_ready_or_fails(ledger: Ledger, status: logged.LoggedStatus) -> None:
    id_ = create(ledger)
    with ledger.write() as connection:
        logged.finish(connection, id_, status, at=9)
    found = get(ledger, id_)
    assert (found.status, found.updated) == (status, 9)


def test_a_deleted_model_is_not_there(ledger: Ledger, run: str) -> None:
    id_ = create(ledger)
    with ledger.write() as connection:
        logged.delete(connection, id_, at=9)
    metric = ModelMetric(model_id=id_, key="a", value=1.0, at=1)
    with ledger.write() as connection:
        for refused in (
            lambda: logged.get(connection, id_),
            lambda: logged.delete(connection, id_, at=9),
            lambda: logged.finish(connection, id_, "ready", at=9),
            lambda: logged.set_tags(connection, id_, [("a", "1")], at=9),
            lambda: logged.delete_tag(connection, id_, "a", at=9),
            lambda: logged.log_params(connection, id_, [("a", "1")], at=9),
            lambda: logged.add_metrics(connection, run, [metric], at=9),
            lambda: logged.link(connection, run, "output", [(id_, 0)], at=9),
        ):
            with pytest.raises(NotFound, match=f"Logged model with ID '{id_}' not found"):
                refused()
        found = logged.get(connection, id_, deleted=True)
    assert (found.deleted, found.tags, found.params, found.metrics) == (9, {}, {}, ())


def test_tags_are_set_over_each_other_and_taken_away(ledger: Ledger) -> None:
    id_ = create(ledger, tags=[("a", "1")])
    with ledger.write() as connection:
        logged.set_tags(connection, id_, [("a", "2"), ("b/c d", "")], at=5)
    assert get(ledger, id_).tags == {"a": "2", "b/c d": ""}
    with ledger.write() as connection:
        logged.delete_tag(connection, id_, "a", at=6)
    found = get(ledger, id_)
    assert (found.tags, found.updated) == ({"b/c d": ""}, 6)
    with ledger.write() as connection, pytest.raises(NotFound, match="No tag with key 'a' found"):
        logged.delete_tag(connection, id_, "a", at=6)


def test_a_parameter_keeps_its_value(ledger: Ledger) -> None:
    id_ = create(ledger, params=[("a", "1")])
    with ledger.write() as connection:
        logged.log_params(connection, id_, [("a", "1"), ("b", "2"), ("b", "2")], at=9)
    with pytest.raises(Taken, match="'a' of the model 'm-"), ledger.write() as connection:
        logged.log_params(connection, id_, [("c", "3"), ("a", "2")], at=9)
    with pytest.raises(Taken, match="'d' of the model"), ledger.write() as connection:
        logged.log_params(connection, id_, [("d", "3"), ("d", "4")], at=9)
    assert get(ledger, id_).params == {"a": "1", "b": "2"}


@pytest.mark.parametrize("value", [1.5, math.inf, -math.inf, math.nan])
def test_metrics_are_kept_with_their_data_set(ledger: Ledger, run: str, value: float) -> None:
    id_ = create(ledger)
    metric = ModelMetric(
        model_id=id_, key="a", value=value, step=-3, at=5, dataset_name="d", dataset_digest="x"
    )
    with ledger.write() as connection:
        logged.add_metrics(connection, run, [metric, metric], at=9)
        logged.add_metrics(connection, run, [metric], at=9)
    (found,) = get(ledger, id_).metrics
    assert found.value == value or (math.isnan(found.value) and math.isnan(value))
    assert (found.run, found.step, found.at) == (run, -3, 5)
    assert (found.dataset_name, found.dataset_digest) == ("d", "x")


def test_metrics_of_an_unknown_model_are_refused_all_of_them(ledger: Ledger, run: str) -> None:
    id_ = create(ledger)
    metrics = [ModelMetric(model_id=one, key="a", value=1.0, at=1) for one in (id_, "m-no")]
    with pytest.raises(NotFound, match="'m-no' not found"), ledger.write() as connection:
        logged.add_metrics(connection, run, metrics, at=9)
    assert get(ledger, id_).metrics == ()


def test_links_are_lineage(ledger: Ledger, run: str) -> None:
    made, read = create(ledger, run=run), create(ledger)
    for _ in range(2):
        with ledger.write() as connection:
            logged.link(connection, run, "output", [(made, 3)], at=5)
            logged.link(connection, run, "input", [(read, 0)], at=5)
    with ledger.read() as connection:
        rows = connection.execute(tables.run_model.select()).all()
    assert sorted((row.direction, row.model_id, row.step) for row in rows) == [
        ("input", read, 0), ("output", made, 3),
    ]  # fmt: skip
    made_of = Edge(source=f"run:{run}", relation="made", target=f"logged_model:{made}", at=1)
    read_by = Edge(source=f"logged_model:{read}", relation="read_by", target=f"run:{run}", at=5)
    assert lineage.edges_from(ledger, f"run:{run}") == [made_of]
    assert lineage.edges_to(ledger, f"run:{run}") == [read_by]
    assert get(ledger, made).thing == f"logged_model:{made}"


def test_it_knows_the_versions_that_were_made_of_it(ledger: Ledger) -> None:
    id_ = create(ledger)
    for _ in range(2):
        models.register(ledger, "boat", source=f"models:/{id_}")
    with ledger.write() as connection:
        connection.execute(tables.version.update().values(model_id=id_))
    assert get(ledger, id_).versions == (("boat", 1), ("boat", 2))


def test_many_are_read_in_the_order_that_was_asked(ledger: Ledger) -> None:
    ids = [create(ledger, str(number)) for number in range(5)]
    asked = [ids[3], "m-no", ids[0], ids[4]]
    with ledger.read() as connection:
        assert [one.name for one in logged.load(connection, asked)] == ["3", "0", "4"]
        assert logged.load(connection, []) == []


def test_what_changes_after_its_run_ended_changes_the_runs_record(
    ledger: Ledger, writer: Writer, run: str
) -> None:
    id_ = create(ledger, run=run)
    writer.finish_run(run, status="finished", at=2_000)
    with ledger.write() as connection:
        connection.execute(tables.run.update().values(updated=None))
    with ledger.write() as connection:
        logged.set_tags(connection, id_, [("a", "1")], at=3_000)
        assert connection.execute(tables.run.select()).one().updated == 3_000


def measured(ledger: Ledger, model: str, run: str, *, at: int) -> None:
    metric = ModelMetric(model_id=model, key="auc", value=0.9, at=1)
    with ledger.write() as connection:
        logged.add_metrics(connection, run, [metric], at=at)


def given(ledger: Ledger, model: str, _: str, *, at: int) -> None:
    with ledger.write() as connection:
        logged.log_params(connection, model, [("lr", "0.1")], at=at)


def filled(ledger: Ledger, model: str, _: str, *, at: int) -> None:
    with ledger.write() as connection:
        owner = artifacts.of_model(connection, model)
        place = artifacts.Place(owner=owner, path="MLmodel")
        artifacts.put(connection, place, Stored(oid="a" * 64, size=1), at=at)


@pytest.mark.parametrize("add", [measured, given, filled])
def test_what_comes_to_a_model_later_travels_with_the_next_copy_of_its_record(
    ledger: Ledger, writer: Writer, run: str, add: Callable[..., None]
) -> None:
    id_ = create(ledger, run=run)
    writer.finish_run(run, status="finished", at=2_000)
    other = writer.start_run(name="evaluate", kind="script")
    add(ledger, id_, other, at=4_000)
    with ledger.read() as connection:
        assert gathering.known(connection).models == {id_: 4_000}
    add(ledger, id_, other, at=3_000)
    assert get(ledger, id_).updated == 4_000

"""Experiments: made, named, tagged, deleted with their runs and restored."""

from __future__ import annotations

import pytest

from assay.base.errors import Error, NotFound, Taken
from assay.ledger import deleting, experiments, recording, runs, tables
from assay.ledger.database import Ledger
from assay.ledger.writer import Writer


def make(ledger: Ledger, name: str, **options: object) -> int:
    with ledger.write() as connection:
        return experiments.create(connection, name, at=1, **options)  # type: ignore[arg-type]


def test_the_first_one_is_there_from_the_beginning(ledger: Ledger):
    with ledger.read() as connection:
        found = experiments.find(connection, 0)
    assert found is not None
    assert (found.name, found.deleted, found.tags) == ("Default", None, {})


def test_an_experiment_is_found_by_its_number_and_its_name(ledger: Ledger):
    number = make(ledger, "a", artifact_location="s3://b/c", tags={"y": "2", "x": "1"})
    with ledger.read() as connection:
        found = experiments.find(connection, number)
        assert experiments.find_by_name(connection, "a") == found
        assert experiments.find(connection, number + 1) is None
        assert experiments.find_by_name(connection, "A") is None
        assert [one.id for one in experiments.load(connection, [99, number, 0])] == [number, 0]
    assert found is not None
    assert (found.artifact_location, found.tags) == ("s3://b/c", {"x": "1", "y": "2"})


def test_a_name_is_given_once_also_when_its_experiment_is_deleted(ledger: Ledger):
    number = make(ledger, "a")
    with ledger.write() as connection:
        assert experiments.delete(connection, number, at=2)
    with pytest.raises(Taken, match="there is an experiment 'a'"):
        make(ledger, "a")
    assert make(ledger, "b") > number


def test_a_deleted_experiment_takes_its_runs_along_and_brings_them_back(ledger: Ledger):
    number = make(ledger, "a")
    run = Writer(ledger).start_run(name="r", kind="script", experiment="a")
    other = Writer(ledger).start_run(name="r", kind="script")
    with ledger.write() as connection:
        assert experiments.delete(connection, number, at=5)
        assert not experiments.delete(connection, number, at=6)
    assert [row.id for row in runs.list_(ledger)] == [other]
    with ledger.read() as connection:
        found = experiments.find(connection, number)
        assert found is not None
        assert (found.deleted, found.updated) == (5, 5)
    with ledger.write() as connection:
        assert experiments.restore(connection, number, at=7)
        assert not experiments.restore(connection, number, at=8)
    assert {row.id for row in runs.list_(ledger)} == {run, other}


def test_a_new_name_has_to_be_free_and_the_experiment_there(ledger: Ledger):
    number = make(ledger, "a")
    make(ledger, "b")
    with ledger.write() as connection:
        experiments.rename(connection, number, "c", at=2)
        experiments.rename(connection, number, "c", at=3)
    with pytest.raises(Taken), ledger.write() as connection:
        experiments.rename(connection, number, "b", at=4)
    with pytest.raises(NotFound), ledger.write() as connection:
        experiments.rename(connection, 99, "d", at=4)
    with ledger.write() as connection:
        experiments.delete(connection, number, at=5)
    with pytest.raises(Error, match="is deleted"), ledger.write() as connection:
        experiments.rename(connection, number, "d", at=6)
    with ledger.read() as connection:
        found = experiments.find(connection, number)
        assert found is not None
        assert found.name == "c"


def test_tags_are_set_over_each_other_and_taken_away_once(ledger: Ledger):
    with ledger.write() as connection:
        experiments.put_tags(connection, 0, {"a": "1", "b": "2"})
        experiments.put_tags(connection, 0, {"b": "3"})
        assert experiments.remove_tag(connection, 0, "a")
        assert not experiments.remove_tag(connection, 0, "a")
        found = experiments.find(connection, 0)
    assert found is not None
    assert found.tags == {"b": "3"}


def test_a_deleted_run_takes_nothing_until_it_is_restored(ledger: Ledger, run: str):
    writer = Writer(ledger)
    with ledger.write() as connection:
        for at in (5, 6):
            recording.delete(connection, run, at=at)
    with pytest.raises(Error, match="is deleted; nothing can be added"):
        writer.set_tags(run, {"a": "b"})
    with pytest.raises(Error, match=f"assay runs restore {run}"):
        writer.log_params(run, {"a": "b"})
    with ledger.read() as connection:
        row = connection.execute(tables.run.select().where(tables.run.c.id == run)).one()
    assert (row.deleted, row.updated) == (5, 5)
    deleting.restore(ledger, [run])
    writer.set_tags(run, {"a": "b"})
    assert writer.remove_tag(run, "a")
    assert not writer.remove_tag(run, "a")
    with pytest.raises(NotFound):
        deleting.delete(ledger, ["none"])

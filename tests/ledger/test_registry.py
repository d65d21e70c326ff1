"""Registered models change name, stage, tags and end; what names them follows, or holds them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from assay.base.errors import Error
from assay.ledger import lineage, models, registered, registry, tables
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.deployments import add_deployment, list_deployments
from assay.ledger.model_names import ModelTaken, NoAlias, NoModel, NoVersion, meanings
from assay.ledger.models import Model, Version


def get(ledger: Ledger, name: str) -> Model:
    return models.get_model(ledger, name)


def make(ledger: Ledger, name: str, *, n_versions: int = 0) -> None:
    with ledger.write() as connection:
        registry.create_model(connection, name, at=1)
        for number in range(1, n_versions + 1):
            registry.add_version(connection, name, source=f"s3://b/{number}", at=number)


def test_a_name_is_given_once(ledger: Ledger):
    with ledger.write() as connection:
        made = registry.create_model(
            connection, "m", description="d", tags={"k": "v", "a": ""}, at=5
        )
    assert (made.created, made.description, made.tags, made.newest) == (
        5,
        "d",
        {"a": "", "k": "v"},
        None,
    )
    with pytest.raises(ModelTaken, match="there is a model 'm' already"), ledger.write() as again:
        registry.create_model(again, "m", tags={"k": "other"}, at=6)
    assert get(ledger, "m") == made
    assert models.list_versions(ledger, "m") == []


def test_a_renamed_model_takes_along_all_that_names_it(ledger: Ledger, run: str):
    first = models.register(ledger, "old", bundle="sha256:1", run=run, tags={"k": "v"})
    models.set_alias(ledger, "old", "live", version=1)
    deployed = add_deployment(ledger, "scores", version="old/1")
    window = {
        "endpoint": "scores", "start": 0, "end": 1, "version": "old/1", "state": "complete",
        "n_rows": 1, "n_truths": 1, "details": "{}", "computed": 2,
    }  # fmt: skip
    decision = {
        "id": "d", "endpoint": "scores", "trigger": "hand", "window_end": 1, "at": 1,
        "state": "finished", "step": "deployed", "version": "old/1", "details": "{}",
    }  # fmt: skip
    with ledger.write() as connection:
        connection.execute(tables.window.insert().values(window))
        connection.execute(tables.decision.insert().values(decision))
    before = len(lineage.edges_from(ledger, f"run:{run}"))
    models.rename_model(ledger, "old", "new", at=first.updated + 1)
    assert [one.name for one in models.list_models(ledger)] == ["new"]
    found = models.get_version(ledger, "new@live")
    assert (found.number, found.tags, found.updated) == (1, {"k": "v"}, first.updated + 1)
    assert {edge.source for edge in lineage.edges_to(ledger, "version:new/1")} == {
        "bundle:sha256:1",
        f"run:{run}",
    }
    (edge,) = lineage.edges_from(ledger, "version:new/1")
    assert edge.target == f"deployment:{deployed.id}"
    assert len(lineage.edges_from(ledger, f"run:{run}")) == before
    (row,) = list_deployments(ledger, "scores", live=True)
    assert (row.id, row.model) == (deployed.id, "new")
    with ledger.read() as connection:
        for table in (tables.window, tables.decision):
            assert connection.execute(select(table.c.version)).scalars().all() == ["new/1"]
    with pytest.raises(NoModel, match="no model 'old'"):
        models.get_version(ledger, "old/1")


@pytest.mark.parametrize("name", ["", " ", ".", "..", "a/b", "a:b", "a@b"])
def test_a_model_gets_no_name_that_another_thing_could_have(ledger: Ledger, name: str):
    make(ledger, "m")
    with pytest.raises(Error, match="cannot be the name of a model"):
        models.rename_model(ledger, "m", name)
    assert [one.name for one in models.list_models(ledger)] == ["m"]


def test_a_model_is_renamed_to_no_name_that_is_taken(ledger: Ledger):
    make(ledger, "a", n_versions=1)
    make(ledger, "b", n_versions=2)
    with pytest.raises(ModelTaken):
        models.rename_model(ledger, "a", "b")
    models.rename_model(ledger, "a", "a", at=9)
    assert (get(ledger, "a").updated, get(ledger, "a").newest, get(ledger, "b").newest) == (
        9,
        1,
        2,
    )
    with pytest.raises(NoModel):
        models.rename_model(ledger, "c", "d")


def test_a_deleted_model_leaves_nothing_and_its_numbers_begin_anew(ledger: Ledger, run: str):
    first = models.register(ledger, "m", bundle="sha256:1", run=run, tags={"k": "v"})
    models.set_alias(ledger, "m", "live", version=1)
    models.delete_model(ledger, "m")
    assert models.list_models(ledger) == []
    assert lineage.edges_to(ledger, first.thing) == []
    with ledger.read() as connection:
        for table in (tables.model, tables.version, tables.version_tag, tables.alias):
            assert connection.execute(table.select()).all() == []
    with pytest.raises(NoModel):
        models.delete_model(ledger, "m")
    assert models.register(ledger, "m").number == 1


def test_a_model_that_answered_once_keeps_its_record_and_its_numbers(ledger: Ledger):
    for _ in range(3):
        models.register(ledger, "m", bundle="sha256:1", tags={"k": "v"})
    models.set_alias(ledger, "m", "live", version=2)
    add_deployment(ledger, "scores", version="m/2", at=1)
    with pytest.raises(Error, match="'scores' answers with m/2"):
        models.delete_model(ledger, "m")
    assert get(ledger, "m").aliases == {"live": 2}
    models.register(ledger, "next")
    add_deployment(ledger, "scores", version="next/1", at=2)
    models.delete_model(ledger, "m")
    assert [one.name for one in models.list_models(ledger)] == ["next"]
    for name in ("m", "m/2", "m@live"):
        with pytest.raises(NoModel):
            models.get_version(ledger, name)
    assert [one.version for one in list_deployments(ledger, "scores")] == [1, 2]
    assert lineage.edges_to(ledger, "version:m/2")
    assert lineage.edges_to(ledger, "version:m/3") == []
    make(ledger, "other")
    with pytest.raises(ModelTaken, match="there is a model 'm' already") as told:
        models.rename_model(ledger, "other", "m")
    assert "a version of it was deployed" in (told.value.hint or "")
    with ledger.write() as connection:
        again = registry.create_model(connection, "m", description="new", at=9)
    assert (again.created, again.aliases, again.newest) == (9, {}, None)
    assert models.register(ledger, "m").number == 3


def test_a_version_is_alone_in_a_stage_where_that_is_wanted(ledger: Ledger):
    make(ledger, "m", n_versions=3)
    with ledger.write() as connection:
        for number in (1, 2):
            registry.move_version(connection, "m", number, stage="Production", at=5)
    with ledger.write() as connection:
        registry.move_version(connection, "m", 3, stage="Production", archive_others=True, at=7)
    found = models.list_versions(ledger, "m")
    assert [(one.stage, one.updated) for one in found] == [
        ("Production", 7),
        ("Archived", 7),
        ("Archived", 7),
    ]
    assert get(ledger, "m").updated == 7
    with pytest.raises(NoVersion), ledger.write() as connection:
        registry.move_version(connection, "m", 9, stage="Production", archive_others=True, at=8)
    assert models.list_versions(ledger, "m") == found


def test_the_newest_of_each_stage_is_found_for_many_models_at_once(ledger: Ledger):
    make(ledger, "a", n_versions=4)
    make(ledger, "b", n_versions=1)
    make(ledger, "c")
    with ledger.write() as connection:
        registry.move_version(connection, "a", 1, stage="Staging", at=5)
        registry.move_version(connection, "a", 3, stage="Staging", at=5)
        registry.delete_version(connection, "a", 4, at=6)
    with ledger.read() as connection:
        found = registered.newest_by_stage(connection, ["a", "b", "c", "none"])
        assert registered.newest_by_stage(connection, []) == {}
    assert {name: [one.number for one in of] for name, of in found.items()} == {
        "a": [2, 3],
        "b": [1],
    }


def test_tags_are_set_and_taken_away_all_or_nothing(ledger: Ledger):
    make(ledger, "m", n_versions=1)
    version = models.get_version(ledger, "m/1")
    for named in (get(ledger, "m"), version):
        models.change_tags(ledger, named.name, tags={"a": "1", "b": "2"})
        models.change_tags(ledger, named.name, tags={"a": "3"}, remove=["b", "never there"])
    assert get(ledger, "m").tags == models.get_version(ledger, "m/1").tags == {"a": "3"}
    models.delete_version(ledger, "m/1")
    with pytest.raises(NoVersion):
        models.change_tags(ledger, version.name, tags={"a": "4"})
    with pytest.raises(NoModel), ledger.write() as connection:
        registry.set_model_tags(connection, "none", {"a": "1"})


def test_a_name_means_one_thing_or_is_refused(ledger: Ledger):
    for name in ("m", "m@live", "m@2"):
        make(ledger, name, n_versions=2)
    models.set_alias(ledger, "m", "old", version=1)
    models.set_alias(ledger, "m@live", "old", version=2)
    for name, number in {
        "m": 2, "m/1": 1, "m@1": 1, "m@v1": 1, "m@old": 1, "m@live": 2, "m@live/1": 1,
        "m@live@old": 2, "m@live@1": 1, "m@2/1": 1,
    }.items():  # fmt: skip
        assert models.get_version(ledger, name).number == number, name
    assert isinstance(models.find_named(ledger, "m@live"), Model)
    assert isinstance(models.find_named(ledger, "m@old"), Version)
    with pytest.raises(Error, match="'m@2' can mean the model 'm@2' or m/2"):
        models.get_version(ledger, "m@2")
    with ledger.write() as connection:
        registry.set_alias(connection, "m", "live", 1, at=1)
        registry.set_alias(connection, "m", "1", 2, at=1)
    with pytest.raises(Error, match="can mean the model 'm@live' or m/1"):
        models.get_version(ledger, "m@live")
    with pytest.raises(Error, match="'m@1' can mean m/2 or m/1"):
        models.get_version(ledger, "m@1")


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("none", NoModel, "there is no model 'none'"),
        ("none/1", NoModel, "there is no model 'none'"),
        ("none@x", NoModel, "there is no model 'none'"),
        ("m/3", NoVersion, "its newest one is 2"),
        ("m@v3", NoVersion, "its newest one is 2"),
        ("m@x", NoAlias, "it has 'live'"),
        ("m@liev", NoAlias, "did you mean 'live'"),
        ("empty", NoVersion, "the model 'empty' has no version"),
        ("m/x", Error, "write MODEL/3, MODEL@ALIAS or MODEL"),
        ("m/99999999999", Error, "names no version of a model"),
        ("a:b", Error, "names no version of a model"),
        ("", Error, "names no version of a model"),
    ],
)
def test_a_name_that_means_nothing_is_explained(
    ledger: Ledger, name: str, kind: type[Error], words: str
):
    make(ledger, "m", n_versions=2)
    make(ledger, "empty")
    models.set_alias(ledger, "m", "live", version=1)
    with pytest.raises(kind, match=words):
        models.get_version(ledger, name)


def test_a_run_of_another_server_is_kept_by_its_id(ledger: Ledger, run: str):
    make(ledger, "m")
    with ledger.write() as connection:
        registry.add_version(connection, "m", source="s3://b/p", foreign_run="elsewhere", at=1)
        registry.add_version(connection, "m", source="runs:/x", run=run, at=2)
    found = models.list_versions(ledger, "m")
    assert [(one.run, one.foreign_run) for one in found] == [(run, None), (None, "elsewhere")]


def test_ten_thousand_versions_are_read_together(ledger: Ledger):
    make(ledger, "m", n_versions=1)
    rows = [
        {"model": "m", "number": number, "status": "ready", "created": 1, "updated": 1}
        for number in range(2, 10_002)
    ]
    tags = [
        {"model": "m", "version": number, "key": "k", "value": "v"} for number in range(1, 9_999)
    ]
    with ledger.write() as connection:
        connection.execute(tables.version.insert(), rows)
        connection.execute(tables.version_tag.insert(), tags)
    found = models.list_versions(ledger, "m")
    assert [one.number for one in found] == list(range(10_001, 0, -1))
    assert sum(one.tags == {"k": "v"} for one in found) == 9_998


def test_who_registers_at_once_gets_a_number_of_its_own(ledger: Ledger):
    def register(part: int) -> list[int]:
        with open_ledger(ledger.where) as own:
            return [
                models.register(own, "m", bundle=f"sha256:{number}").number
                for number in range(part, 30, 6)
            ]

    with ThreadPoolExecutor(6) as threads:
        given = [number for numbers in threads.map(register, range(6)) for number in numbers]
    assert sorted(given) == list(range(1, 31))
    assert len(models.find_versions(ledger, bundle="sha256:7")) == 1
    assert len(models.find_versions(ledger)) == 30


def test_no_meaning_is_read_twice():
    for name in ("m", "m@a", "m@3", "m@v3", "m/3", "a@b@c", "a b", "a@", "@a", "m@a b"):
        ways = meanings(name)
        assert len(set(map(repr, ways))) == len(ways) >= 1, name

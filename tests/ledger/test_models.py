"""Registered models: numbers that are never given twice, names that move, deployments."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from assay.base.errors import Error, NotFound
from assay.ledger import lineage, models
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.deployments import add_deployment, list_deployments


def test_a_version_comes_back_as_it_was_registered(ledger: Ledger, run: str):
    made = models.register(ledger, "churn", bundle="sha256:1", run=run, tags={"k": "v"}, at=5)
    models.set_alias(ledger, "churn", "production", version=1)
    found = models.get_version(ledger, "churn@production")
    assert found.aliases == ("production",)
    assert (found.number, found.bundle, found.run, found.tags) == (1, "sha256:1", run, {"k": "v"})
    assert (made.created, made.status, made.thing) == (5, "ready", "version:churn/1")
    sources = [edge.source for edge in lineage.edges_to(ledger, made.thing)]
    assert sources == ["bundle:sha256:1", f"run:{run}"]


class RegistryKeepsItsNumbers(RuleBasedStateMachine):
    """A list and a dict are the model: numbers only grow, aliases name what is there."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.ledger = open_ledger(Path(self.folder.name, "ledger.db"))
        self.given, self.there, self.aliases = 0, set[int](), dict[str, int]()

    @rule()
    def register(self) -> None:
        self.given += 1
        assert models.register(self.ledger, "m").number == self.given
        self.there.add(self.given)

    @precondition(lambda self: self.given)
    @rule(alias=st.sampled_from(["a", "b"]), data=st.data())
    def move(self, alias: str, data: st.DataObject) -> None:
        number = data.draw(st.integers(1, self.given))
        if number in self.there:
            models.set_alias(self.ledger, "m", alias, version=number)
            self.aliases[alias] = number
        else:
            with pytest.raises(NotFound):
                models.set_alias(self.ledger, "m", alias, version=number)

    @precondition(lambda self: self.there)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.there)))
        models.delete_version(self.ledger, f"m/{number}")
        self.there.remove(number)
        self.aliases = {name: one for name, one in self.aliases.items() if one != number}

    @precondition(lambda self: self.given)
    @invariant()
    def holds_exactly_the_model(self) -> None:
        model = models.get_model(self.ledger, "m")
        assert model.aliases == self.aliases
        assert model.newest == max(self.there, default=None)
        listed = [version.number for version in models.list_versions(self.ledger, "m")]
        assert listed == sorted(self.there, reverse=True)

    def teardown(self) -> None:
        self.ledger.close()
        self.folder.cleanup()


TestRegistry = RegistryKeepsItsNumbers.TestCase
TestRegistry.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)


@pytest.mark.parametrize("name", ["", " ", "a/b", "a:b", "a@b", "."])
def test_a_name_that_could_be_taken_for_another_is_refused(ledger: Ledger, name: str):
    with pytest.raises(Error, match="cannot be the name of a model"):
        models.register(ledger, name)
    assert models.list_models(ledger) == []


@pytest.mark.parametrize("alias", ["latest", "Latest", "v3", "3", "a b", "", "a/b"])
def test_an_alias_that_could_be_taken_for_a_version_is_refused(ledger: Ledger, alias: str):
    models.register(ledger, "churn")
    with pytest.raises(Error, match="cannot be an alias"):
        models.set_alias(ledger, "churn", alias, version=1)


def test_a_near_name_is_suggested(ledger: Ledger):
    models.register(ledger, "churn")
    models.set_alias(ledger, "churn", "production", version=1)
    with pytest.raises(NotFound, match="did you mean 'churn'"):
        models.get_version(ledger, "churm/1")
    with pytest.raises(NotFound, match="did you mean 'production'"):
        models.get_version(ledger, "churn@prodution")
    with pytest.raises(NotFound, match="newest one is 1"):
        models.get_version(ledger, "churn/2")


def test_an_alias_may_be_taken_away_twice(ledger: Ledger):
    models.register(ledger, "churn")
    models.set_alias(ledger, "churn", "production", version=1)
    for _ in range(2):
        models.delete_alias(ledger, "churn", "production")
    assert models.get_version(ledger, "churn").aliases == ()


def test_a_deployment_replaces_what_was_there_unless_both_share(ledger: Ledger):
    for _ in range(3):
        models.register(ledger, "churn")
    first = add_deployment(ledger, "scores", version="churn/1", at=1)
    second = add_deployment(ledger, "scores", version="churn/2", at=2, reason="better")
    add_deployment(ledger, "other", version="churn/1", at=2)
    shared = add_deployment(
        ledger, "scores", version="churn", share=0.1, replaces=False, details={"step": 1}, at=3
    )
    assert list_deployments(ledger, "scores", live=True) == [shared, second]
    again = add_deployment(ledger, "scores", version="churn/2", reason="worse", at=4)
    assert list_deployments(ledger, "scores", live=True) == [again]
    assert [(one.version, one.end) for one in list_deployments(ledger, "scores")] == [
        (2, None),
        (3, 4),
        (2, 4),
        (1, 2),
    ]
    (edge,) = lineage.edges_to(ledger, f"deployment:{first.id}")
    assert edge.source == "version:churn/1"


def test_a_deployment_that_makes_no_sense_changes_nothing(ledger: Ledger):
    models.register(ledger, "churn")
    live = add_deployment(ledger, "scores", version="churn/1")
    with pytest.raises(Error, match="share of traffic"):
        add_deployment(ledger, "scores", version="churn/1", share=1.5)
    with pytest.raises(NotFound):
        add_deployment(ledger, "scores", version="churn/9")
    with pytest.raises(Error, match="'scores' answers with churn/1"):
        models.delete_version(ledger, "churn/1")
    assert list_deployments(ledger) == [live]

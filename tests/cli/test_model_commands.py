"""`assay model tag/alias/delete/list/show`: what they change, and what they refuse to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assay.ledger import models, registry
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.deployments import add_deployment
from assay.project import workspace
from tests import make


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make.project(tmp_path / "project")


@pytest.fixture
def ledger(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """The ledger of the project, with two versions of 'bikes'."""
    monkeypatch.chdir(root)
    with open_ledger(workspace.find().ledger_path) as opened:
        for number in (1, 2):
            models.register(opened, "bikes", bundle=f"sha256:{number:064}", at=number)
        models.set_alias(opened, "bikes", "production", version=1)
        yield opened


def said(root: Path, *arguments: str) -> Any:
    return json.loads(make.done(root, *arguments, "--json"))


def refused(root: Path, *arguments: str) -> str:
    """Run a command that has to fail, changing nothing, and return what it says."""
    before = said(root, "model", "show", "bikes")
    shown = make.assay(root, *arguments)
    assert shown.code != 0
    assert said(root, "model", "show", "bikes") == before
    return shown.err


def test_tags_of_a_model_and_of_a_version_are_set_shown_and_removed(root: Path, ledger: Ledger):
    tag = ("model", "tag")
    assert "team" in make.done(root, *tag, "bikes", "team=ops", "url=http://x/?a=b")
    assert said(root, *tag, "bikes") == {
        "name": "bikes",
        "tags": {"team": "ops", "url": "http://x/?a=b"},
    }
    make.done(root, *tag, "bikes@production", "seen=")
    assert said(root, *tag, "bikes/1")["tags"] == {"seen": ""}
    assert said(root, *tag, "bikes@2")["tags"] == {}
    done = said(root, *tag, "bikes", "team=dev", "--remove", "url")
    assert done["tags"] == {"team": "dev"}
    assert "team=dev" in make.done(root, "model", "show", "bikes")
    assert 'tag seen    ""' in make.done(root, "model", "show", "bikes@1")
    assert make.done(root, "-q", *tag, "bikes", "team=ops") == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bikes", "team"], "'team' is no KEY=VALUE"),
        (["bikes", "=x"], "a tag has no key"),
        (["bikes", "--remove", "team"], "bikes has no tag 'team'\n  hint: its tags are 'a'"),
        (["bikes", "--remove", "aa"], "hint: did you mean 'a'?"),
        (["bikes", "a=1", "--remove", "a"], "the tag 'a' is set and removed"),
        (["bike", "a=1"], "did you mean 'bikes'?"),
        (["bikes@9", "a=1"], "its newest one is 2"),
        (["bikes@old", "a=1"], "has no alias 'old'\n  hint: it has 'production'"),
    ],
)
def test_tags_that_make_no_sense_change_nothing(
    root: Path, ledger: Ledger, arguments: list[str], words: str
):
    make.done(root, "model", "tag", "bikes", "a=0")
    assert words in refused(root, "model", "tag", *arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--remove", "metric"], "bikes/1 has no tag 'metric'\n  hint: its tags are 'team'\n"),
        (["--remove", "verdikt"], "bikes/1 has no tag 'verdikt'\n  hint: its tags are 'team'\n"),
        (["--remove", "tem"], "bikes/1 has no tag 'tem'\n  hint: did you mean 'team'?\n"),
        (["--remove", "metrics"], "error: the tag 'metrics' is kept by Assay itself\n"),
        (["gate=x"], "the tag 'gate' is kept by Assay itself\n  hint: name it otherwise\n"),
    ],
)
def test_no_hint_leads_to_a_tag_that_is_refused(
    root: Path, ledger: Ledger, arguments: list[str], words: str
):
    own = {"metrics": "{}", "verdict": "pass", "gate": "sha256:1", "comparison": "sha256:2"}
    models.change_tags(ledger, "bikes/1", tags={**own, "team": "a"})
    assert refused(root, "model", "tag", "bikes@1", *arguments).endswith(words)


def test_a_model_may_have_tags_that_versions_keep_for_assay(root: Path, ledger: Ledger):
    make.done(root, "model", "tag", "bikes", "metrics=mine", "gate=open")
    done = said(root, "model", "tag", "bikes", "--remove", "metrics")
    assert done["tags"] == {"gate": "open"}
    text = refused(root, "model", "tag", "bikes", "--remove", "gat")
    assert "hint: did you mean 'gate'?" in text


def test_a_difference_says_what_the_gate_said_and_no_tags_of_assays_own(
    root: Path, ledger: Ledger
):
    for number, verdict in (("1", "pass"), ("2", "fail")):
        own = {"metrics": f'{{"mae": {number}}}', "verdict": verdict}
        reports = {"gate": f"sha256:{number}", "comparison": f"sha256:{number}"}
        models.change_tags(ledger, f"bikes/{number}", tags={**own, **reports, "team": number})
    found = said(root, "model", "diff", "bikes@1", "bikes@2")
    keys = {one["key"]: (one["a"], one["b"]) for one in found["facts"]}
    assert keys.pop("bundle")
    assert keys.pop("aliases")
    assert keys == {"gate": ("pass", "fail"), "tag team": ("1", "2")}
    assert [one["key"] for one in found["metrics"]] == ["mae"]


def test_an_alias_is_taken_away(root: Path, ledger: Ledger):
    text = make.done(root, "model", "alias", "bikes", "production", "--delete")
    assert text == "bikes@production is gone; it was bikes/1\n"
    assert "has no alias 'production'" in refused(
        root, "model", "alias", "bikes", "production", "--delete"
    )
    said = refused(root, "model", "alias", "bikes", "x", "1", "--delete")
    assert "Give a VERSION, or --delete." in said
    said = refused(root, "model", "alias", "bikes", "x")
    assert "hint: assay model alias bikes x VERSION" in said


def test_an_alias_is_given_to_a_version_in_either_order(root: Path, ledger: Ledger):
    for arguments in (["bikes@1", "new"], ["bikes", "new", "1"], ["bikes/1", "new"]):
        assert make.done(root, "model", "alias", *arguments) == "bikes@new is bikes/1\n"
    assert "is a version of 'other'" in _of_another(root, ledger)


def _of_another(root: Path, ledger: Ledger) -> str:
    models.register(ledger, "other")
    return refused(root, "model", "alias", "bikes", "x", "other@1")


def test_a_version_that_nothing_names_is_deleted(root: Path, ledger: Ledger):
    assert make.done(root, "model", "delete", "bikes@2") == "bikes/2 is deleted\n"
    shown = said(root, "model", "show", "bikes")
    assert [one["version"]["number"] for one in shown["versions"]] == [1]
    assert models.register(ledger, "bikes").number == 3


def test_what_an_alias_names_is_deleted_by_force_only(root: Path, ledger: Ledger):
    words = refused(root, "model", "delete", "bikes@production")
    assert "bikes/1 is not deleted: production names it" in words
    assert "hint: to delete it all the same: --force" in words
    assert make.assay(root, "model", "delete", "bikes/1").code == 1
    done = said(root, "model", "delete", "bikes/1", "--force")
    assert done == {
        "name": "bikes/1",
        "is_version": True,
        "versions": [1],
        "aliases": ["production"],
    }
    assert said(root, "model", "show", "bikes")["model"]["aliases"] == {}


def test_what_was_deployed_is_deleted_by_force_and_what_answers_is_not(root: Path, ledger: Ledger):
    add_deployment(ledger, "scores", version="bikes/2")
    for force in ([], ["--force"]):
        words = refused(root, "model", "delete", "bikes@2", *force)
        assert "the endpoint 'scores' answers with bikes/2" in words
        assert "deploy another version there first; nothing was deleted" in words
        assert "answers with bikes/2" in refused(root, "model", "delete", "bikes", *force)
    add_deployment(ledger, "scores", version="bikes/1")
    assert "'scores' answered with it" in refused(root, "model", "delete", "bikes@2")
    assert make.done(root, "model", "delete", "bikes@2", "--force") == "bikes/2 is deleted\n"


def test_a_model_with_versions_is_deleted_by_force_only(root: Path, ledger: Ledger):
    words = refused(root, "model", "delete", "bikes")
    assert "bikes is not deleted: it has 2 versions; production names it" in words
    text = make.done(root, "model", "delete", "bikes", "--force")
    assert text == "bikes is deleted; free now: production\n"
    assert said(root, "model", "list") == []
    assert make.assay(root, "model", "show", "bikes").code == 255
    assert models.register(ledger, "bikes").number == 1


def test_a_name_with_an_at_is_told_from_an_alias(root: Path, ledger: Ledger):
    """A client of MLflow may call a model so; our own commands do not."""
    with ledger.write() as connection:
        registry.create_model(connection, "bikes@v2", at=1)
        registry.add_version(connection, "bikes@v2", source="s3://b/p", at=1)
        registry.create_model(connection, "fish@home", at=1)
        registry.add_version(connection, "fish@home", source="s3://b/q", at=1)
        registry.set_alias(connection, "fish@home", "x", 1, at=1)
    words = refused(root, "model", "show", "bikes@v2")
    assert "'bikes@v2' can mean the model 'bikes@v2' or bikes/2" in words
    assert "hint: write bikes@v2/N or bikes/2" in words
    assert said(root, "model", "show", "bikes@v2/1")["version"]["source"] == "s3://b/p"
    assert said(root, "model", "show", "bikes/2")["version"]["number"] == 2
    assert said(root, "model", "show", "fish@home")["model"]["name"] == "fish@home"
    for name in ("fish@home@x", "fish@home/1", "fish@home@1"):
        assert said(root, "model", "show", name)["version"]["source"] == "s3://b/q"
    make.done(root, "model", "tag", "fish@home", "a=1")
    assert said(root, "model", "tag", "fish@home")["tags"] == {"a": "1"}


def test_the_models_are_listed_without_prompts(root: Path, ledger: Ledger):
    with ledger.write() as connection:
        registry.create_model(connection, "hello", tags={"mlflow.prompt.is_prompt": "true"}, at=1)
    assert [one["name"] for one in said(root, "model", "list")] == ["bikes"]


def test_what_others_wrote_into_a_version_cannot_command_the_terminal(root: Path, ledger: Ledger):
    version = models.get_version(ledger, "bikes/2")
    bad = "\x1b[2J"
    models.describe_version(
        ledger, version, description=bad, tags={"metrics": "no JSON", "k": bad}
    )
    for name in ("bikes", "bikes@2"):
        assert "\x1b" not in make.done(root, "model", "show", name)
    assert said(root, "model", "show", "bikes@2")["metrics"] == {}


def test_a_thousand_models_are_listed_with_four_selects(root: Path, ledger: Ledger):
    from sqlalchemy import event

    with ledger.write() as connection:
        for number in range(1000):
            registry.create_model(connection, f"m{number}", tags={"k": "v"}, at=1)
    statements: list[str] = []

    @event.listens_for(ledger.engine, "before_cursor_execute")
    def count(_: Any, __: Any, statement: str, *___: Any) -> None:
        statements.append(statement)

    assert len(models.list_models(ledger)) == 1001
    assert len([one for one in statements if one.startswith("SELECT")]) == 4
    statements.clear()
    assert len(models.list_versions(ledger, "bikes")) == 2
    assert len([one for one in statements if one.startswith("SELECT")]) == 3

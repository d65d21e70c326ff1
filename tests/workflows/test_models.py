"""A bundle becomes a version, a version answers, and what it came from stays."""

from __future__ import annotations

import getpass
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

import assay
from assay.base.errors import Error, Usage
from assay.deploy import registry
from assay.ledger import models as versions
from assay.ledger import runs
from assay.ledger.database import open_ledger
from assay.ledger.writer import Writer
from assay.objects.cache import Cache
from assay.pipeline import kept
from assay.project import workspace
from assay.workflows import live, models
from tests import make, stages
from tests.bundle import trained as example

FILES: dict[str, str | bytes] = {
    "rows.csv": "a\n1\n",
    "more/b.csv": "b\n2\n",
    "params.yaml": "seed: 7\n",
    "assay.yaml": "model: {name: bikes, task: regression, target: y}\n"
    "deploy: {endpoint: scores}\n",
    "train.py": """
import json, pathlib
import assay
from tests.bundle import trained
X = trained.table()
assay.bundle(trained.boosting(), X=X, y=trained.target(X), to="bundle")
""",
}
PIPELINE = """
stages:
  train:
    cmd: python train.py
    deps: [train.py, rows.csv, more]
    params: [seed]
    outs: [bundle]
  evaluate:
    cmd: echo '{"rmse":2.5}' > metrics.json; ls bundle > names.txt
    deps: [bundle]
    outs: [names.txt]
    metrics: [metrics.json: {cache: false}]
"""


def _let_stages_import(patch: pytest.MonkeyPatch) -> None:
    patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose pipeline ran on a clean commit, and made a bundle."""
    with pytest.MonkeyPatch.context() as patch:
        _let_stages_import(patch)
        folder = tmp_path_factory.mktemp("template") / "project"
        root = make.write(make.project(folder), {**FILES, "dvc.yaml": PIPELINE})
        make.done(root, "add", "rows.csv", "more")
        make.commit(root)
        make.done(root, "repro")
        make.commit(root)
    return root


@pytest.fixture
def trained(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, as the current folder."""
    _let_stages_import(monkeypatch)
    root = tmp_path / "project"
    shutil.copytree(template, root, symlinks=True)
    monkeypatch.chdir(root)
    return root


def said(folder: Path, *arguments: str) -> Any:
    """Return the JSON that a command prints."""
    return json.loads(make.done(folder, *arguments, "--json"))


def test_a_version_is_a_bundle_with_its_run_and_metrics(trained: Path):
    done = registry.register(workspace.find(), "bundle", description="the first")
    version = done.version
    assert (version.model, version.number, done.is_new) == ("bikes", 1, True)
    with models.open_ledger(workspace.find()) as ledger:
        run = runs.get(ledger, version.run or "")
        shown = models.show(ledger, version)
    assert run.stage == "train"
    assert shown.metrics == {"rmse": 2.5}
    assert (shown.verdict, shown.gate, shown.endpoints) == (None, None, ())
    assert (version.description, version.status) == ("the first", "ready")
    assert version.owner == getpass.getuser()


def test_the_same_bundle_again_is_the_same_version(trained: Path):
    project = workspace.find()
    first = registry.register(project, "bundle").version
    with models.open_ledger(project) as ledger:
        latest = runs.get(ledger, "latest")
    for ref in ("bundle", first.bundle or "", "latest", latest.id, "bikes@1"):
        again = registry.register(project, ref)
        assert (again.version, again.is_new) == (first, False)
    described = registry.register(project, "bundle", description="good", alias="candidate")
    assert described.version.description == "good"
    assert described.version.aliases == ("candidate",)
    assert registry.register(project, "bundle", name="other").version.model == "other"


def test_two_who_register_a_bundle_at_once_make_one_version(trained: Path):
    started = [
        subprocess.Popen(make.command("model", "register", "bundle", "--json"), cwd=trained,
                         stdout=subprocess.PIPE)
        for _ in range(2)
    ]  # fmt: skip
    found = [json.loads(one.communicate()[0]) for one in started]
    assert [one["version"]["number"] for one in found] == [1, 1]
    assert sorted(one["is_new"] for one in found) == [False, True]


def test_a_model_needs_a_name(trained: Path):
    (trained / "assay.yaml").unlink()
    with pytest.raises(Usage, match="which model"):
        registry.register(workspace.find(), "bundle")
    assert said(trained, "model", "list") == []
    assert registry.register(workspace.find(), "bundle", name="b").version.model == "b"


def test_a_folder_from_elsewhere_becomes_a_version_without_a_run(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    other = make.project(tmp_path / "other")
    monkeypatch.chdir(other)
    done = registry.register(workspace.find(), str(trained / "bundle"), name="bikes")
    assert (done.version.run, done.n_kept) == (None, 0)
    assert make.done(other, "bundle", "verify", "bikes@1")
    assert make.assay(other, "model", "register", "nothing", "--name", "x").code == 255


def test_what_the_gate_said_of_a_run_is_on_its_version(trained: Path):
    project = workspace.find()
    first = registry.register(project, "bundle").version
    content = b'{"verdict":{"answer":"fail","reason":"worse"}}'
    oid = f"sha256:{project.objects.add(content)}"
    with models.open_ledger(project) as ledger:
        Writer(ledger).add_artifact(first.run or "", registry.GATE, oid, len(content))
    tags = registry.register(project, "bundle").version.tags
    assert (tags["gate"], tags["verdict"]) == (oid, "fail")
    assert tags["metrics"] == first.tags["metrics"]
    shown = make.assay(trained, "deploy", "bikes@1")
    assert shown.code == 1
    assert "error: the gate refused bikes/1" in shown.err
    assert said(trained, "deployments", "list") == []
    assert said(trained, "deploy", "bikes@1", "--force", "--reason", "incident")["alias"]


def test_a_version_shows_the_last_verdict_and_its_comparison(trained: Path):
    registry.register(workspace.find(), "bundle")
    with models.open_ledger(workspace.find()) as ledger:
        for verdict, oid in (("inconclusive", "sha256:1"), ("pass", "sha256:2")):
            version = models.get(ledger, "bikes@v1")
            tags = {"verdict": verdict, "comparison": oid}
            versions.describe_version(ledger, version, tags=tags)
        shown = models.show(ledger, models.get(ledger, "bikes"))
        assert (shown.verdict, shown.comparison) == ("pass", "sha256:2")


def test_the_commands_show_models_versions_and_history(trained: Path):
    assert "No models yet" in make.done(trained, "model", "list")
    assert "Nothing was ever deployed." in make.done(trained, "deployments", "list")
    make.done(trained, "model", "register", "bundle", "--alias", "candidate")
    (listed,) = said(trained, "model", "list")
    assert (listed["name"], listed["newest"], listed["aliases"]) == ("bikes", 1, {"candidate": 1})
    out = make.done(trained, "deploy", "bikes@candidate", "--reason", "first")
    assert out == "'scores' goes to bikes/1; no server answers for scores yet\n"
    assert make.done(trained, "model", "alias", "bikes", "old", "production").strip() == (
        "bikes@old is bikes/1"
    )
    text = make.done(trained, "model", "show", "bikes")
    assert "candidate, old, production" in text
    for name in ("bikes@1", "bikes@v1", "bikes/1", "bikes@old"):
        shown = said(trained, "model", "show", name)
        assert shown["version"]["number"] == 1
        assert (shown["metrics"], shown["endpoints"]) == ({"rmse": 2.5}, ["scores"])
    assert "rmse" in make.done(trained, "model", "show", "bikes@1")
    (row,) = said(trained, "deployments", "list", "scores")
    assert (row["model"], row["version"], row["reason"]) == ("bikes", 1, "first")
    assert "first" in make.done(trained, "deployments", "list")
    assert make.done(trained, "deployments", "list", "other").startswith("Nothing was ever")
    assert make.assay(trained, "model", "show", "bike").err.count("did you mean 'bikes'?") == 1


def test_a_rollback_by_hand_goes_to_the_version_before(trained: Path):
    make.done(trained, "model", "register", "bundle")
    shown = make.assay(trained, "rollback")
    assert (shown.code, "nothing was ever deployed to 'scores'" in shown.err) == (1, True)
    make.done(trained, "deploy", "bikes@1")
    shown = make.assay(trained, "rollback")
    assert (shown.code, shown.out) == (1, "")
    assert "no deployment before the present one of 'scores'" in shown.err
    with open_ledger(workspace.find().ledger_path) as ledger:
        bundle = versions.get_version(ledger, "bikes").bundle
        versions.register(ledger, "bikes", bundle=bundle)
    make.done(trained, "deploy", "bikes@2")
    done = said(trained, "rollback", "--reason", "worse")
    assert (done["version"], done["before"], done["alias"]) == ("bikes/1", "bikes/2", "production")
    assert [row["reason"] for row in said(trained, "deployments", "list")] == ["worse", None, None]


def test_a_rollback_without_a_ledger_finds_nothing_deployed(tmp_path: Path):
    root = make.project(tmp_path / "new")
    shown = make.assay(root, "rollback", "scores")
    assert (shown.code, "nothing was ever deployed to 'scores'" in shown.err) == (1, True)
    shown = make.assay(root, "deploy", "bikes@1", "--to", "scores")
    assert shown.code == 255
    assert "a bundle is registered first: assay model register BUNDLE" in shown.err


def test_a_deploy_names_a_version_of_a_model(trained: Path):
    for name, said in [
        ("bundle", "hint: a bundle is registered first: assay model register bundle"),
        ("nosuch@1", "hint: a bundle is registered first: assay model register BUNDLE"),
    ]:
        shown = make.assay(trained, "deploy", name)
        assert shown.code == 255
        assert f"there is no model '{name.removesuffix('@1')}'" in shown.err
        assert said in shown.err
    make.done(trained, "model", "register", "bundle", "--alias", "candidate")
    shown = make.assay(trained, "deploy", "bikes")
    assert shown.code == 2
    assert "it is not said which version of 'bikes' is meant" in shown.err
    assert "write bikes@VERSION; the newest is bikes@1 (candidate)" in shown.err
    assert "did you mean 'bikes'?" in make.assay(trained, "deploy", "bike@1").err
    assert json.loads(make.done(trained, "deployments", "list", "--json")) == []


def test_a_version_that_was_never_judged_is_deployed_with_a_note(trained: Path):
    make.done(trained, "model", "register", "bundle")
    shown = make.assay(trained, "deploy", "bikes@1")
    assert shown.code == 0
    assert "bikes/1 was never judged by the gate: 'assay gate bikes@1' does" in shown.err
    again = make.assay(trained, "deploy", "bikes@1")
    assert (again.code, "already, nothing was changed" in again.out) == (0, True)
    assert said(trained, "deploy", "bikes@1")["is_new"] is False
    assert len(said(trained, "deployments", "list")) == 1


def test_the_alias_moves_with_the_declared_endpoint_only(trained: Path):
    make.done(trained, "model", "register", "bundle")
    assert said(trained, "deploy", "bikes@1", "--to", "staging")["alias"] is None
    (trained / "assay.yaml").write_text("deploy: {endpoint: scores, alias: live}\n")
    assert said(trained, "deploy", "bikes@1")["alias"] == "live"
    (trained / "assay.yaml").write_text("")
    assert said(trained, "deploy", "bikes@1", "--to", "staging")["alias"] == "production"
    for command in (("deploy", "bikes@1"), ("rollback",)):
        shown = make.assay(trained, *command)
        assert shown.code == 2
        assert "hint: name it, or write 'deploy: {endpoint: NAME}'" in shown.err
    found = {one["endpoint"] for one in said(trained, "deployments", "list")}
    assert found == {"scores", "staging"}


def test_data_and_outputs_of_a_version_lie_in_a_second_store_by_hard_link(trained: Path):
    project = workspace.find()
    project.cache.add(b"of something else")
    done = registry.register(project, "bundle")
    store = kept.store(project)
    assert done.n_kept == 5  # rows.csv, more, bundle, names.txt, metrics.json
    oids = sorted(store)
    assert set(oids) < set(project.cache)
    assert len(oids) == 5 + 1 + 4  # with a file of 'more', four of the bundle
    for oid in oids:
        assert store.path(oid).samefile(project.cache.path(oid))


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [("--alias", "latest", "cannot be an alias"), ("--name", "a@b", "cannot be the name of")],
)
def test_a_bundle_is_not_registered_with_a_name_that_means_something_else(
    trained: Path, option: str, value: str, words: str
):
    shown = make.assay(trained, "model", "register", "bundle", option, value)
    assert (shown.code, words in shown.err) == (255, True)
    assert said(trained, "model", "list") == []


def test_two_versions_are_compared_by_what_made_them(trained: Path):
    make.done(trained, "model", "register", "bundle")
    same = said(trained, "model", "diff", "bikes@1", "bikes")
    assert {key: found for key, found in same.items() if found} == {
        "a": "bikes/1",
        "b": "bikes/1",
    }
    text = make.done(trained, "model", "diff", "bikes@1", "bikes@1")
    assert text == "bikes/1 and bikes/1 are the same in all that was compared.\n"
    make.write(trained, {"params.yaml": "seed: 8\n", "rows.csv": "a\n2\n"})
    make.write(trained, {"dvc.yaml": PIPELINE.replace("2.5", "2.25")})
    make.done(trained, "add", "rows.csv")
    commit = make.commit(trained)
    make.done(trained, "repro")
    make.done(trained, "model", "register", "bundle", "--alias", "candidate")
    found = said(trained, "model", "diff", "bikes@1", "bikes@candidate")
    assert found["metrics"] == [{"key": "rmse", "a": 2.5, "b": 2.25, "only": None}]
    assert [(one["key"], one["a"], one["b"]) for one in found["params"]] == [("seed", 7, 8)]
    assert [one["key"] for one in found["data"]] == ["rows.csv"]
    assert commit in {one["b"] for one in found["code"] if one["key"] == "commit"}
    assert (found["environment"], found["unknown"]) == ([], [])
    text = make.done(trained, "model", "diff", "bikes@1", "bikes@candidate")
    assert re.search(r"^rmse +2\.5 +2\.25 +-0\.25", text, re.MULTILINE), text
    assert "rows.csv  md5:" in text
    assert "\naliases" in text


def test_two_versions_of_other_tools_are_compared_as_far_as_they_are_known(trained: Path):
    make.done(trained, "model", "register", "bundle")
    with models.open_ledger(workspace.find()) as ledger:
        for source in ("s3://b/p", "s3://b/q"):
            versions.register(ledger, "other", source=source)
    found = said(trained, "model", "diff", "other@1", "other@2")
    assert found["facts"] == [{"key": "source", "a": "s3://b/p", "b": "s3://b/q", "only": None}]
    assert "params of other/1" in found["unknown"]
    text = make.done(trained, "model", "diff", "bikes@1", "other@2")
    assert "Not compared, since not recorded here: metrics of other/2, params of other/2" in text
    assert make.assay(trained, "model", "diff", "bikes@1", "bikes@9").code == 255


def test_what_a_version_needs_is_kept_though_its_run_was_deleted(trained: Path):
    make.done(trained, "model", "register", "bundle")
    with models.open_ledger(workspace.find()) as ledger:
        before = live.of_registry(workspace.find(), ledger)
    make.done(trained, "runs", "delete", "latest")
    with models.open_ledger(workspace.find()) as ledger:
        assert live.of_registry(workspace.find(), ledger) == before != set()
    assert said(trained, "model", "diff", "bikes@1", "bikes@1")["unknown"] == []


@pytest.mark.skipif(make.memory() is None, reason="needs a second file system")
def test_where_links_fail_they_are_copied(trained: Path):
    with tempfile.TemporaryDirectory(dir=make.memory()) as elsewhere:
        shutil.copytree(trained / ".dvc" / "cache", elsewhere, dirs_exist_ok=True)
        make.done(trained, "config", "cache.dir", elsewhere)
        project = workspace.find()
        registry.register(project, "bundle")
        store = kept.store(project)
        assert len([*store]) == 10
        for oid in store:
            assert store.verify(oid)
            assert not store.path(oid).samefile(project.cache.path(oid))


def test_a_damaged_object_is_not_kept_as_good(trained: Path):
    project = workspace.find()
    oid = stages.out_oid(trained, "bundle")
    stages.damage(project.cache.path(oid))
    with pytest.raises(Error, match="is damaged"):
        registry.register(project, "bundle")
    assert not kept.store(project).has(oid)


def _forget(trained: Path) -> str:
    """Work goes on with other data: what the first run used is named by no file any more."""
    run = str(said(trained, "runs", "list")[0]["id"])
    make.write(trained, {"rows.csv": "a\n2\n", "more/b.csv": "b\n3\n"})
    make.done(trained, "add", "rows.csv", "more")
    make.done(trained, "repro")
    make.commit(trained)
    return run


def _cleared(trained: Path) -> set[str]:
    cache: Cache = workspace.find().cache
    before = set(cache)
    stages.dvc(trained, "gc", "-w", "-f")
    return before - set(cache)


@pytest.mark.peer
@pytest.mark.skipif(not stages.DVC.exists(), reason="real DVC is not in .peers/dvc")
@pytest.mark.parametrize("is_registered", [True, False])
def test_a_registered_version_is_reproduced_after_a_real_dvc_gc(
    trained: Path, is_registered: bool
):
    if is_registered:
        registry.register(workspace.find(), "bundle")
    run = _forget(trained)
    assert _cleared(trained)
    shown = make.assay(trained, "reproduce", run, "--json")
    if is_registered:
        assert shown.code == 0, shown
        assert json.loads(shown.out)["sameness"] == "identical"
        assert "Nothing" not in make.done(trained, "model", "show", "bikes@1")
    else:
        assert shown.code == 255
        assert "is gone" in shown.err
    assert stages.dvc(trained, "status").strip() == "Data and pipelines are up to date."


def test_versions_that_scripts_made_are_compared_by_what_their_runs_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    root = make.project(tmp_path / "project")
    make.commit(make.write(root, {"rows.csv": "a\n1\n"}))
    monkeypatch.chdir(root)
    features = example.table()
    for alpha in (4, 5):
        make.write(root, {"rows.csv": f"a\n{alpha}\n"})
        with assay.run("fit", params={"beta": alpha + 1}):
            assay.log_dataset("rows.csv")
            assay.log_param("alpha", alpha)
            assay.log_param("same", 1)
            assay.bundle(
                example.boosting(max_iter=alpha), X=features, y=example.target(features),
                to=f"bundle{alpha}", name="mod", params={"gamma": alpha + 2},
            )  # fmt: skip
        make.done(root, "model", "register", f"bundle{alpha}")
    found = said(root, "model", "diff", "mod@1", "mod@2")
    params = [(one["key"], one["a"], one["b"]) for one in found["params"]]
    assert params == [("alpha", 4, 5), ("beta", 5, 6), ("gamma", 6, 7)]
    assert [one["key"] for one in found["data"]] == ["rows.csv"]
    text = make.done(root, "model", "diff", "mod@1", "mod@2")
    assert re.search(r"^alpha +4 +5 +", text, re.MULTILINE), text

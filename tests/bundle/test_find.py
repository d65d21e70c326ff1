"""A bundle is found by folder, id, run and model version, and `assay bundle` says what it is."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from pathlib import Path

import pytest

import assay
from assay.base.errors import Error, NotFound
from assay.bundle.find import find, newest
from assay.bundle.golden import Proof
from assay.bundle.load import Bundle
from assay.ledger import lineage, models, registry, runs
from assay.ledger.database import open_ledger
from assay.project import workspace
from tests import make
from tests.bundle import trained


@pytest.fixture
def inside(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(project)
    return project


def test_a_run_and_its_bundle_know_each_other(inside: Path):
    with assay.run("train") as run:
        bundle = trained.bundle(Path("bundle"), name="rentals")
    with open_ledger(workspace.find().ledger_path) as ledger:
        recorded = runs.get(ledger, run.id)
        edges = lineage.edges_from(ledger, f"run:{run.id}")
    assert recorded.tags["bundle"] == bundle.id
    assert (edges[-1].relation, edges[-1].target) == ("made", f"bundle:{bundle.id}")
    kept = {artifact.path: artifact.oid for artifact in recorded.artifacts}
    assert kept["rentals/bundle.json"] == bundle.id
    assert {*kept} == {f"rentals/{n}" for n in (*bundle.index.files, "bundle.json")}
    assert find(run.id).id == find("latest").id == find(run.id[:13]).id == bundle.id


def test_the_newest_run_that_made_a_bundle_is_one_that_finished(inside: Path):
    with pytest.raises(NotFound, match="no run that finished made a bundle"):
        newest(workspace.find())
    with assay.run("train") as train:
        trained.bundle(Path("bundle"))
    with contextlib.suppress(ValueError), assay.run("fails"):
        trained.bundle(Path("other"))
        raise ValueError
    with assay.run("makes none"):
        assay.log_metric("x", 1)
    assert newest(workspace.find()) == train.id
    with assay.run("goes on"):
        trained.bundle(Path("third"))
        assert newest(workspace.find()) == train.id
    assert newest(workspace.find()) != train.id


def test_an_id_or_its_beginning_names_a_bundle_of_the_store(inside: Path):
    bundle = trained.bundle(Path("bundle"))
    oid = bundle.id.removeprefix("sha256:")
    workspace.find().objects.add(b"no bundle")
    for ref in (bundle.id, oid, oid[:8], oid[:4], f"sha256:{oid[:10]}"):
        assert find(ref).id == bundle.id
    assert assay.load(oid[:8]).proof is not None
    for ref in ("sha256:0000", "0000", "latest", "no such"):
        with pytest.raises(NotFound):
            find(ref)


def test_a_version_and_an_alias_name_a_bundle(inside: Path):
    bundle = trained.bundle(Path("bundle"))
    with open_ledger(workspace.find().ledger_path) as ledger:
        models.register(ledger, "bikes", bundle=bundle.id)
        models.register(ledger, "bikes", source="s3://elsewhere")
        models.set_alias(ledger, "bikes", "production", version=1)
    assert find("bikes@1").id == find("bikes@v1").id == find("bikes@production").id == bundle.id
    with pytest.raises(NotFound, match="is no bundle"):
        find("bikes@2")
    with pytest.raises(NotFound, match="no alias 'prod'"):
        find("bikes@prod")


def test_an_alias_that_is_called_like_a_version_is_nowhere_taken_for_it(inside: Path):
    with assay.run("train"):
        bundle = trained.bundle(Path("bundle"))
    with open_ledger(workspace.find().ledger_path) as ledger:
        for _ in range(3):
            models.register(ledger, "rent", bundle=bundle.id)
        with ledger.write() as connection:  # our own commands refuse it, MLflow's client does not
            registry.set_alias(connection, "rent", "1", 3, at=1)
    for name in ("rent@1", "models:/rent@1"):
        with pytest.raises(Error, match=r"'rent@1' can mean rent/3 or rent/1") as caught:
            assay.load(name)
        assert caught.value.hint == "write rent/3 or rent/1"
    for command in ("trace", "reproduce", "model show"):
        shown = make.assay(inside, *command.split(), "rent@1")
        assert shown.code == 255, command
        assert "'rent@1' can mean rent/3 or rent/1" in shown.err, command
        assert "hint: write rent/3 or rent/1" in shown.err, command
    for name in ("rent/1", "rent/3", "rent@v1", "rent@2", "models:/rent/1"):
        assert assay.load(name).id == bundle.id
    assert "version rent@1" in make.done(inside, "trace", "rent/1").splitlines()[0]
    assert "version rent@3" in make.done(inside, "trace", "rent/3").splitlines()[0]


def test_a_damaged_object_is_refused(inside: Path):
    bundle = trained.bundle(Path("bundle"))
    objects = workspace.find().objects
    path = objects.path(bundle.index.files["model.skops"].sha256)
    path.chmod(0o644)
    path.write_bytes(b"x")
    with pytest.raises(Error, match="damaged"):
        assay.load(bundle.id)


def test_the_declared_time_column_is_no_feature(inside: Path):
    make.write(inside, {"assay.yaml": "data: {tables: {t: {path: t.csv, time: at}}}\n"})
    columns = {"at": trained.times(), **trained.table()}
    bundle = assay.bundle(trained.boosting(), X=columns)
    assert bundle.signature.names == ("hour", "weather", "wind", "holiday")
    assert len(bundle.reference.days) == 5
    assert not (inside / "bundle").exists()  # kept in the store alone


TRAIN = """
import assay
from tests.bundle import trained
X = trained.table()
bundle = assay.bundle(trained.boosting(), X=X, y=trained.target(X), to="bundle", params={"x": 1})
print(bundle.id)
"""

STAGES = """
stages:
  train:
    cmd: PYTHON train.py
    deps: [train.py, rows.csv]
    params: [seed, model.lr]
    outs: [bundle]
"""


def test_in_a_stage_data_and_parameters_are_those_of_its_record(
    inside: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    params = "seed: 7\nmodel: {lr: 0.1, depth: 3}\n"
    files = {
        "dvc.yaml": STAGES.replace("PYTHON", sys.executable),
        "train.py": TRAIN,
        "rows.csv": "a\n1\n",
        "params.yaml": params,
    }
    make.write(inside, files)
    make.commit(inside)
    make.done(inside, "repro")
    found = find("bundle")
    assert found.index.params == {"model.lr": 0.1, "seed": 7}
    assert [*found.index.data] == ["rows.csv", "train.py"]
    assert all(re.fullmatch("md5:[0-9a-f]{32}", oid) for oid in found.index.data.values())
    assert find("latest").id == found.id  # of a part of it
    with open_ledger(workspace.find().ledger_path) as ledger:
        stage = runs.get(ledger, runs.get(ledger, "latest").children[0])
    assert newest(workspace.find()) == stage.id
    make.done(inside, "reproduce")
    assert newest(workspace.find()) == stage.id
    assert stage.tags["bundle"] == found.id
    shown = make.assay(inside, "bundle", "verify", "latest")
    assert shown.code == 0, shown
    assert "bit by bit" in shown.out


def test_show_says_what_is_in_it(inside: Path):
    bundle = trained.bundle(Path("bundle"), params={"lr": 0.1})
    text = make.done(inside, "bundle", "show", "bundle")
    for part in (bundle.id, "regression: float64", "120 rows, 2012-01-01 to 2012-01-05", "hour"):
        assert part in text
    document = json.loads(make.done(inside, "bundle", "show", bundle.id, "--json"))
    assert document["id"] == bundle.id
    assert document["reference"]["n_rows"] == 120
    assert [c["name"] for c in document["signature"]["columns"]] == [*trained.table()]


def test_verify_exits_with_1_and_says_why(inside: Path):
    trained.bundle(Path("bundle"))
    document = json.loads(make.done(inside, "bundle", "verify", "bundle", "--json"))
    names = [check["name"] for check in document["checks"]]
    assert names == ["whole", "environment", "harmless", "golden examples"]
    assert document["ok"]
    assert document["proof"]["bit_equal"]
    (inside / "bundle" / "golden.json").write_text("{}")
    shown = make.assay(inside, "bundle", "verify", "bundle")
    assert shown.code == 1
    assert "'golden.json' was changed" in shown.out
    shown = make.assay(inside, "bundle", "verify", "nothing")
    assert shown.code == 255
    assert "hint: name a folder" in shown.err


def test_export_writes_the_folder_again(inside: Path):
    bundle = trained.bundle(Path("bundle"))
    assert make.done(inside, "bundle", "export", bundle.id[:15], "out/copy").strip() == bundle.id
    assert assay.load(inside / "out" / "copy").id == bundle.id
    (inside / "there").write_text("x")
    shown = make.assay(inside, "bundle", "export", bundle.id, "there")
    assert shown.code == 255
    assert (inside / "there").read_text() == "x"


def test_a_bundle_is_found_in_a_folder_without_a_project(tmp_path: Path):
    bundle = trained.bundle(tmp_path / "bundle")
    with contextlib.chdir(tmp_path):
        assert find("bundle").id == find("bundle/bundle.json").id == bundle.id
        with pytest.raises(NotFound, match="not part of a project"):
            find(bundle.id)


def test_a_run_that_reads_a_version_says_so_of_the_one_that_was_read(
    inside: Path, monkeypatch: pytest.MonkeyPatch
):
    bundle = trained.bundle(Path("bundle"))
    with open_ledger(workspace.find().ledger_path) as ledger:
        models.register(ledger, "bikes", bundle=bundle.id)
        models.register(ledger, "bikes", bundle=f"sha256:{'0' * 64}")
        models.set_alias(ledger, "bikes", "live", version=1)
    with assay.run() as first:
        assay.load("bikes@live")
    prove = Bundle.prove

    def prove_slowly(opened: Bundle) -> Proof:
        with open_ledger(workspace.find().ledger_path) as other:  # a rollout meanwhile
            models.set_alias(other, "bikes", "live", version=2)
        return prove(opened)

    monkeypatch.setattr(Bundle, "prove", prove_slowly)
    with assay.run() as second:
        assert assay.load("bikes@live").id == bundle.id
    assert read_by(first.id) == {f"bundle:{bundle.id}", "version:bikes/1"}
    assert read_by(second.id) == {f"bundle:{bundle.id}"}


def test_a_run_that_reads_what_looks_like_a_version_says_that_it_read_the_bundle(inside: Path):
    bundle = trained.bundle(Path("bundle"))
    with assay.run() as made:
        made.log_artifacts("bundle", "models/a@b")
    with assay.run() as reading:
        assert assay.load(f"runs:/{made.id}/models/a@b").id == bundle.id
    assert read_by(reading.id) == {f"bundle:{bundle.id}"}


def read_by(run: str) -> set[str]:
    with open_ledger(workspace.find().ledger_path) as ledger:
        edges = lineage.edges_to(ledger, f"run:{run}")
    return {edge.source for edge in edges if edge.relation == "read_by"}

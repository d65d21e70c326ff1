"""`record.json` travels beside an exported bundle and is no part of it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

import assay
from assay.bundle import record
from assay.ledger import models, runs
from assay.ledger.database import open_ledger
from assay.project import workspace
from tests import make
from tests.bundle import trained

TRAIN = """
import assay
from tests.bundle import trained
trained.bundle("bundle", name="rentals")
assay.log_metric("mae", 12.5)
"""
DVC_YAML = """
stages:
  train:
    cmd: PYTHONPATH={root} python train.py
    deps: [train.py]
    outs: [bundle]
"""


@pytest.fixture
def inside(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(project)
    return project


def exported(project: Path, ref: str, folder: Path | str) -> dict[str, object]:
    make.done(project, "bundle", "export", ref, str(folder))
    found: dict[str, object] = json.loads((project / folder / "record.json").read_text())
    return found


def test_an_export_says_which_run_made_it_from_which_commit_with_which_metrics(
    inside: Path, tmp_path: Path
):
    make.write(inside, {"a.txt": "1"})
    commit = make.commit(inside)
    with assay.run("train") as run:
        bundle = trained.bundle(inside / "bundle")
        assay.log_metrics({"mae": 12.5, "odd": math.nan})
    with open_ledger(workspace.find().ledger_path) as ledger:
        recorded = runs.get(ledger, run.id)
        models.register(ledger, "bikes", bundle=bundle.id, run=run.id, tags={"verdict": "pass"})
        models.register(ledger, "bikes", source="s3://elsewhere")
        models.register(ledger, "bikes", bundle=bundle.id)
        models.set_alias(ledger, "bikes", "production", version=3)
        models.delete_version(ledger, "bikes/1")
        version = models.get_version(ledger, "bikes/3")
    found = exported(inside, "bikes@production", tmp_path / "elsewhere")
    assert found == {
        "record": 1,
        "bundle": bundle.id,
        "runs": [
            {
                "run": run.id,
                "name": "train",
                "kind": "script",
                "stage": None,
                "pipeline": None,
                "status": "finished",
                "start": recorded.start,
                "end": recorded.end,
                "commit": commit,
                "branch": recorded.code.branch,
                "reproducible": recorded.code.reproducible,
                "reason": recorded.code.reason,
                "metrics": {"mae": 12.5, "odd": "nan"},
            }
        ],
        "versions": [
            {
                "model": "bikes",
                "number": 3,
                "run": None,
                "description": None,
                "created": version.created,
                "aliases": ["production"],
                "tags": {},
            }
        ],
    }


def test_what_a_stage_made_has_the_metrics_of_its_pipeline(inside: Path):
    root = Path(__file__).parents[2]
    make.write(inside, {"train.py": TRAIN, "dvc.yaml": DVC_YAML.replace("{root}", str(root))})
    make.commit(inside)
    make.done(inside, "repro")
    with open_ledger(workspace.find().ledger_path) as ledger:
        whole = runs.get(ledger, "latest")
    found = exported(inside, "latest", "copy")
    assert isinstance(found["runs"], list)
    assert [(one["run"], one["stage"], one["pipeline"]) for one in found["runs"]] == [
        (whole.children[0], "train", whole.id)
    ]
    assert found["runs"][0]["metrics"] == {"mae": 12.5}


def test_an_export_is_loaded_elsewhere_under_the_same_id(
    inside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with assay.run():
        bundle = trained.bundle(inside / "bundle")
    exported(inside, bundle.id, tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    assert assay.load("elsewhere").id == bundle.id
    assert make.assay(tmp_path, "bundle", "verify", "elsewhere").code == 0
    assert make.done(tmp_path, "bundle", "export", "elsewhere", "again").strip() == bundle.id
    assert assay.load("again").id == bundle.id


@pytest.mark.parametrize("content", ["", "{}", '{"bundle": "sha256:0000"}', "\0"])
def test_a_changed_record_does_not_change_the_id(inside: Path, content: str):
    with assay.run():
        bundle = trained.bundle(inside / "bundle")
    exported(inside, bundle.id, "copy")
    (inside / "copy" / "record.json").write_text(content)
    assert assay.load(inside / "copy").id == bundle.id
    assert make.assay(inside, "bundle", "verify", "copy").code == 0


def test_any_other_file_beside_it_is_still_refused(inside: Path):
    with assay.run():
        bundle = trained.bundle(inside / "bundle")
    exported(inside, bundle.id, "copy")
    (inside / "copy" / "record.json.bak").write_text("{}")
    shown = make.assay(inside, "bundle", "verify", "copy")
    assert shown.code == 1
    assert "'record.json.bak' is not in its index" in shown.out


def test_the_same_export_twice_writes_the_same_bytes(inside: Path):
    with assay.run():
        bundle = trained.bundle(inside / "bundle")
    for folder in ("one", "two"):
        exported(inside, bundle.id, folder)
    assert make.snapshot(inside / "one") == make.snapshot(inside / "two")


def test_where_no_ledger_knows_of_a_bundle_it_has_no_record(
    inside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    bundle = trained.bundle(inside / "bundle")
    shown = make.assay(inside, "bundle", "export", bundle.id, "copy")
    assert (shown.code, shown.out) == (0, f"{bundle.id}\n")
    assert "without a record" in shown.err
    assert not (inside / "copy" / "record.json").exists()
    with open_ledger(workspace.find().ledger_path) as ledger:
        assert record.find(ledger, bundle.id) is None
    monkeypatch.chdir(tmp_path)
    make.done(tmp_path, "bundle", "export", str(inside / "bundle"), "copy")
    assert not (tmp_path / "copy" / "record.json").exists()


def test_the_folder_of_a_damaged_ledger_is_not_written(inside: Path):
    bundle = trained.bundle(inside / "bundle")
    workspace.find().ledger_path.write_text("this is no database, but text of some length" * 99)
    shown = make.assay(inside, "bundle", "export", bundle.id, "copy")
    assert shown.code == 255
    assert not (inside / "copy").exists()

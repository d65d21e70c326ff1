"""`assay runs artifacts` and `assay runs metric`: what a run keeps and what it measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assay.ledger.database import open_ledger
from assay.ledger.writer import Artifact, Metric, Writer
from assay.project import workspace
from tests import make

FILES = {"model.txt": b"model", "plots/a.svg": b"<svg/>", "plots/b.svg": b"<svg></svg>"}


@pytest.fixture
def filled(project: Path) -> Path:
    """A project with a run that keeps files and has a metric of three points."""
    objects = workspace.find(project).objects
    with open_ledger(project / ".assay" / "ledger.db") as ledger:
        writer = Writer(ledger)
        run = writer.start_run(name="train", kind="script", at=1_000)
        kept = [
            Artifact(path=path, oid=f"sha256:{objects.add(content)}", size=len(content))
            for path, content in FILES.items()
        ]
        writer.add_artifacts(run, kept)
        values = enumerate((0.5, float("nan"), 0.25))
        points = [Metric(key="loss", value=value, step=n, at=n * 1000) for n, value in values]
        writer.log_metrics(run, points)
        writer.finish_run(run, status="finished", at=5_000)
    return project


def test_the_files_of_a_run_are_listed_all_or_those_of_a_folder(filled: Path):
    lines = make.done(filled, "runs", "artifacts").splitlines()
    assert [line.split()[0] for line in lines] == ["path", *FILES]
    found = json.loads(make.done(filled, "runs", "artifacts", "latest", "plots", "--json"))
    assert [one["path"] for one in found] == ["plots/a.svg", "plots/b.svg"]


def test_the_files_of_a_run_are_copied_into_a_folder(filled: Path):
    shown = make.done(filled, "runs", "artifacts", "latest", "--out", "copy")
    assert shown == "3 files copied to copy\n"
    for path, content in FILES.items():
        assert (filled / "copy" / path).read_bytes() == content


def test_a_file_that_is_there_already_stays_and_nothing_is_copied(filled: Path):
    (filled / "copy" / "plots").mkdir(parents=True)
    (filled / "copy" / "plots" / "b.svg").write_text("mine")
    shown = make.assay(filled, "runs", "artifacts", "latest", "--out", "copy")
    assert shown.code == 255
    assert "plots/b.svg: there is a file already" in shown.err
    there = [path for path in (filled / "copy").rglob("*") if path.is_file()]
    assert [path.read_text() for path in there] == ["mine"]


def test_a_damaged_file_is_not_copied(filled: Path):
    objects = workspace.find(filled).objects
    oid = json.loads(make.done(filled, "runs", "artifacts", "latest", "model.txt", "--json"))[0]
    place = objects.path(oid["oid"].removeprefix("sha256:"))
    place.chmod(0o644)
    place.write_bytes(b"other")
    shown = make.assay(filled, "runs", "artifacts", "latest", "model.txt", "--out", "copy")
    assert shown.code == 255
    assert not (filled / "copy" / "model.txt").exists()


def test_what_a_run_does_not_keep_is_named_with_what_is_near(filled: Path):
    shown = make.assay(filled, "runs", "artifacts", "latest", "modle.txt")
    assert "keeps nothing at 'modle.txt'" in shown.err
    assert "did you mean 'model.txt'?" in shown.err


def test_all_points_of_a_metric_are_shown(filled: Path):
    rows = [
        line.split() for line in make.done(filled, "runs", "metric", "latest", "loss").splitlines()
    ]
    assert [(row[0], row[2]) for row in rows[1:]] == [("0", "0.5"), ("1", "nan"), ("2", "0.25")]
    found = json.loads(make.done(filled, "runs", "metric", "latest", "loss", "--json"))
    assert [(one["step"], one["value"]) for one in found] == [(0, 0.5), (1, "NaN"), (2, 0.25)]
    text = make.done(filled, "runs", "metric", "latest", "loss", "--csv")
    assert text.splitlines()[:2] == ["step,at,value", "0,0,0.5"]


def test_a_metric_that_is_not_there_is_named_with_what_is_near(filled: Path):
    shown = make.assay(filled, "runs", "metric", "latest", "los")
    assert "has no metric 'los'" in shown.err
    assert "did you mean 'loss'?" in shown.err

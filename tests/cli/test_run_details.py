"""`assay runs artifacts` and `assay runs metric`: what a run keeps and what it measured."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import assay
from assay.base.errors import Error
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


@pytest.fixture
def crossed(project: Path) -> Path:
    """A project with a run that keeps a file where another one needs a folder, and a long name."""
    objects = workspace.find(project).objects
    with open_ledger(project / ".assay" / "ledger.db") as ledger:
        writer = Writer(ledger)
        run = writer.start_run(name="train", kind="script", at=1_000)
        kept = [
            Artifact(path=path, oid=f"sha256:{objects.add(path[:9].encode())}", size=9)
            for path in ("a.txt", "a/" + "n" * 304, "x", "x/y.txt", "z.txt")
        ]
        writer.add_artifacts(run, kept)
        writer.finish_run(run, status="finished", at=5_000)
    return project


def test_what_the_file_system_does_not_take_is_named_and_the_rest_is_copied(crossed: Path):
    shown = make.assay(crossed, "runs", "artifacts", "latest", "--out", "q", "--json")
    assert shown.code == 255
    copied = {path.name for path in (crossed / "q").rglob("*") if path.is_file()}
    assert copied == {"a.txt", "x", "z.txt"}
    assert [one["path"] for one in json.loads(shown.out)] == ["a.txt", "x", "z.txt"]
    assert "error: 2 files were not copied: " in shown.err
    assert f"q/a/{'n' * 304}: file name too long" in shown.err
    assert "q/x/y.txt: the folder for it cannot be made: there is a file 'x'" in shown.err
    shown = make.assay(crossed, "runs", "artifacts", "latest", "x/y.txt", "--out", "other")
    assert (shown.code, (crossed / "other" / "x" / "y.txt").read_text()) == (0, "x/y.txt")


def test_loading_a_file_where_a_folder_lies_is_an_error_with_the_next_step(
    crossed: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(crossed)
    run = json.loads(make.done(crossed, "runs", "list", "--json"))[0]["id"]
    with pytest.raises(Error, match=r"x/y\.txt: the folder for it cannot be made") as caught:
        assay.load(f"runs:/{run}/x")
    assert "assay runs artifacts RUN PATH --out DIR" in str(caught.value.hint)
    assert assay.load(f"runs:/{run}/z.txt").read_text() == "z.txt"


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


@pytest.fixture
def experiments(project: Path) -> Path:
    """A project with runs of two experiments, one of them with parts, and an empty `Default`."""
    with open_ledger(project / ".assay" / "ledger.db") as ledger:
        writer = Writer(ledger)
        for name, at in (("demand", 1_000), ("churn", 2_000), ("demand", 3_000)):
            top = writer.start_run(name="a", kind="script", experiment=name, at=at)
            part = writer.start_run(name="part", kind="script", parent=top, at=at)
            for number in range(2):
                writer.start_run(name=f"p{number}", kind="script", parent=part, at=at)
    return project


def test_experiments_are_listed_with_their_runs_the_newest_first(experiments: Path):
    lines = make.done(experiments, "runs", "experiments").splitlines()
    assert lines[0].split() == ["experiment", "runs", "last", "run"]
    assert [line.split() for line in lines[1:]] == [
        ["demand", "2", "1970-01-01T00:00:03Z"],
        ["churn", "1", "1970-01-01T00:00:02Z"],
        ["Default", "0", "-"],
    ]
    found = json.loads(make.done(experiments, "runs", "experiments", "--json"))
    assert found[0] == {"name": "demand", "n_runs": 2, "last": 3000}
    there = make.done(experiments.parent, "runs", "experiments", "--directory", str(experiments))
    assert there.splitlines() == lines


def test_a_project_without_runs_has_no_experiments(project: Path):
    assert make.done(project, "runs", "experiments") == "No runs yet.\n"
    assert json.loads(make.done(project, "runs", "experiments", "--json")) == []


@pytest.mark.parametrize("command", [("runs", "list"), ("log",)])
def test_an_experiment_that_is_not_there_is_named_with_a_near_one(
    experiments: Path, command: tuple[str, ...]
):
    shown = make.assay(experiments, *command, "--experiment", "chrun")
    assert (shown.code, shown.out) == (255, "")
    assert "there is no experiment 'chrun'\n  hint: did you mean 'churn'?" in shown.err
    shown = make.assay(experiments, *command, "--experiment", "xyz")
    assert "hint: 'assay runs experiments' lists them" in shown.err
    assert "No run" in make.done(experiments, *command, "--experiment", "Default")


def test_a_part_says_how_many_parts_it_has_itself(experiments: Path):
    shown = make.done(experiments, "runs", "show")
    assert re.search(r"script part \([0-9a-f-]+\): running, 2 parts\n", shown + "\n")
    found = json.loads(make.done(experiments, "runs", "show", "--json"))
    assert [len(child["children"]) for child in found["children"]] == [2]


def test_of_a_part_the_metrics_that_it_says_are_shown_and_not_those_of_its_machine(project: Path):
    with open_ledger(project / ".assay" / "ledger.db") as ledger:
        writer = Writer(ledger)
        run = writer.start_run(name="whole", kind="script")
        part = writer.start_run(name="part", kind="script", parent=run)
        keys = ("system/cpu_percent", *(f"m{number}" for number in range(8)))
        writer.log_metrics(part, [Metric(key=key, value=1.0, step=0, at=1) for key in keys])
    last = make.done(project, "runs", "show", run).splitlines()[-1]
    assert last == "  m0 = 1, m1 = 1, m2 = 1, m3 = 1, m4 = 1, m5 = 1, and 2 more"


def test_keys_and_values_of_several_lines_are_one_line_and_long_names_widen_no_column(
    project: Path,
):
    with open_ledger(project / ".assay" / "ledger.db") as ledger:
        writer = Writer(ledger)
        run = writer.start_run(name="two\nlines", kind="script", at=1_000)
        writer.log_params(run, {"a\nb": "1\n2"})
        writer.set_tags(run, {"t" * 300: "long", "note": "x\ny", "empty": "", "n\nn": "v"})
        writer.log_metrics(run, [Metric(key="l\nm", value=0.5, step=0, at=1)])
        writer.finish_run(run, status="finished", at=5_000)
    lines = make.done(project, "runs", "show").splitlines()
    assert f"tag {'t' * 300}  long" in lines
    assert max(len(line) for line in lines if "t" * 300 not in line) < 100
    shown = {line.strip() for line in lines}
    assert {"a\\nb = 1\\n2", "l\\nm = 0.5"} <= shown
    pairs = {tuple(re.split(r"  +", line)) for line in lines}
    assert {
        ("name", "two\\nlines (script)"),
        ("tag note", "x\\ny"),
        ("tag empty", '""'),
        ("tag n\\nn", "v"),
    } <= pairs

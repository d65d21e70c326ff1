"""Bundles are judged by their own answers on the declared rows, and the verdict is kept."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as oracle

from assay.base.errors import Error, NotFound, Usage
from assay.evaluate import judging
from assay.evaluate.judging import Judged
from assay.project import workspace
from assay.workflows import checking
from tests import make
from tests.bundle import trained
from tests.evaluate import judged


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return judged.project(tmp_path / "project")


def judge(root: Path, candidate: str, **options: Any) -> Judged:
    with contextlib.chdir(root):
        return judging.judge(workspace.find(), candidate, **({"gate": True} | options))


def answer(found: Judged) -> str:
    """What the gate says."""
    assert found.verdict is not None
    return found.verdict.answer


def values(found: Judged, slice_: str | None = None) -> dict[str, float]:
    """The candidate's metrics by name."""
    return {
        result.metric: result.candidate.value
        for result in found.report.evaluation.results
        if result.slice == slice_ and result.candidate.value is not None
    }


def test_metrics_are_those_of_the_bundles_own_answers(root):
    bundle = judged.good(root)
    columns = trained.table()
    answers, y = bundle.predict(columns), trained.target(columns)

    found = values(judge(root, "good"))

    assert found == pytest.approx(
        {
            "mae": oracle.mean_absolute_error(y, answers),
            "rmse": oracle.root_mean_squared_error(y, answers),
            "r2": oracle.r2_score(y, answers),
        },
        rel=1e-12,
    )


def test_a_slice_has_the_metrics_of_its_rows(root):
    bundle = judged.good(root)
    columns = trained.table()
    morning = columns["hour"] < 12
    error = np.abs(bundle.predict(columns) - trained.target(columns))

    found = judge(root, "good")

    assert values(found, "morning")["mae"] == pytest.approx(error[morning].mean(), rel=1e-12)
    few = [one for one in found.report.evaluation.results if one.slice == "few"]
    assert all(one.too_few for one in few)


def test_the_first_model_is_judged_against_the_baseline(root):
    judged.good(root)
    judged.bad(root)

    assert answer(judge(root, "good")) == "pass"
    assert judge(root, "good").base is None
    assert answer(judge(root, "bad")) != "pass"


def test_the_version_in_production_is_the_base_without_being_named(root):
    good, bad = judged.good(root), judged.bad(root)
    make.done(root, "model", "register", "good", "--alias", "production")

    found = judge(root, "bad")

    assert (found.base, found.base_name) == (good.id, "bikes@production")
    assert found.candidate == bad.id
    assert answer(found) == "fail"


def test_a_model_may_replace_itself(root):
    judged.good(root)
    judged.good(root, "again")

    assert answer(judge(root, "good", base="again")) == "pass"


def test_the_same_rows_give_the_same_report_to_the_byte(root, tmp_path):
    judged.good(root)
    judged.bad(root)

    first = judging.write_reports(judge(root, "bad", base="good"), tmp_path / "a")
    again = judging.write_reports(judge(root, "bad", base="good"), tmp_path / "b")

    assert [file.name for file in first] == ["report.md", "report.html", "report.json"]
    for one, other in zip(first, again, strict=True):
        assert one.read_bytes() == other.read_bytes()
    document = json.loads(first[2].read_bytes())
    assert document["verdict"] == document["report"]["verdict"]["answer"] == "fail"


def test_a_verdict_is_kept_with_the_run_and_its_version(root):
    run = judged.in_run(root)
    make.done(root, "model", "register", "recorded")
    found = judge(root, "recorded")
    project = workspace.find(root)

    oid = judging.record(project, found)

    assert judged.tags(root, run)["gate"] == answer(found) == "pass"
    kept = project.objects.read(oid.removeprefix("sha256:"))
    assert json.loads(kept)["candidate"] == found.candidate
    shown = json.loads(make.done(root, "model", "show", "bikes@1", "--json"))
    assert "pass" in json.dumps(shown)


@pytest.mark.parametrize("classes", [("busy", "calm"), ("calm", "busy")])
def test_probabilities_are_those_of_the_declared_classes_in_any_order(tmp_path, classes):
    root = judged.project(
        tmp_path / "project", judged.BUSY.replace("CLASSES", ", ".join(classes))
    )  # fmt: skip
    bundle = judged.bundle(root, trained.forest(), "busy")
    columns = trained.table()
    is_positive = np.where(trained.target(columns) > 5, "busy", "calm") == classes[1]
    known = list(bundle.signature.output.classes or ())
    of_positive = bundle.predict_proba(columns)[:, known.index(classes[1])]

    found = values(judge(root, "busy", gate=False))

    assert found["auc"] == pytest.approx(oracle.roc_auc_score(is_positive, of_positive), rel=1e-12)
    assert found["auc"] > 0.9


def test_a_class_that_is_not_declared_is_named(tmp_path):
    root = judged.project(tmp_path / "project", judged.BUSY.replace("CLASSES", "busy, quiet"))
    judged.write_rows(root, {"busy": np.full(trained.N_ROWS, "busy")})
    judged.bundle(root, trained.forest(), "busy")

    with pytest.raises(Error, match="the model knows the class 'calm', which is not declared"):
        judge(root, "busy", gate=False)


def test_a_model_of_another_task_is_refused(root):
    judged.bundle(root, trained.forest(), "busy")

    with pytest.raises(Error, match="the model is for classification; declared is 'regression'"):
        judge(root, "busy")


@pytest.mark.parametrize(
    ("column", "change", "message"),
    [
        ("wind", None, "the table has no column 'wind', which the model takes"),
        ("hour", np.arange(120) + 0.5, r"'hour' is 0\.5 in data row 1; the model takes int64"),
        ("wind", np.full(120, "calm"), "'wind' is category in the table; the model takes float64"),
        ("weather", [np.nan, *[1] * 119], "'weather' is missing in 1 row, first in data row 1"),
        ("holiday", np.full(120, 2), "'holiday' is 2 in data row 1; the model takes bool"),
        ("y", None, "the table has no column 'y'"),
        ("y", [1.0, np.nan] * 60, "the target 'y' is missing in 60 of 120 rows, first in row 2"),
    ],
)
def test_rows_that_are_not_the_models_are_refused(root, column, change, message):
    judged.good(root)
    judged.write_rows(root, {column: change})

    with pytest.raises(Error, match=message):
        judge(root, "good")


def test_numbers_without_a_fraction_are_whole_and_zero_and_one_are_booleans(root):
    judged.good(root)
    columns = trained.table()
    before = values(judge(root, "good"))

    judged.write_rows(
        root, {"hour": columns["hour"].astype(float), "holiday": columns["holiday"].astype(int)}
    )

    assert values(judge(root, "good")) == before


def test_rows_of_one_key_are_refused(root):
    judged.good(root)
    judged.write_rows(root, {"at": np.repeat(judged.DAYS[:60], 2)})

    with pytest.raises(Error, match="names more than one row"):
        judge(root, "good")


def test_a_table_that_is_not_there_is_named(root):
    judged.good(root)
    (root / "test.csv").unlink()

    with pytest.raises(NotFound, match=r"'test\.csv' is not there"):
        judge(root, "good")


@pytest.mark.parametrize("section", ["model", "evaluation", "gate"])
def test_what_is_not_declared_is_said(root, section):
    kept = [part for part in judged.DECLARED.split("\n") if part]
    start = next(i for i, line in enumerate(kept) if line.startswith(section))
    end = next((i for i in range(start + 1, len(kept)) if kept[i][0] != " "), len(kept))
    make.write(root, {"assay.yaml": "\n".join(kept[:start] + kept[end:]) + "\n"})

    with pytest.raises(Usage, match=f"'{section}' is not declared"):
        judge(root, "good")


def test_a_sound_declaration_has_no_problem(root):
    checked = checking.check(workspace.find(root))

    assert checked.problems == []
    assert checked.in_words() == "data, model, evaluation, gate: 0 problems."


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        ("path: test.csv", "path: tset.csv", "data.tables.test", "'tset.csv' is not there"),
        ("[mae, rmse, r2]", "[mae, rsme]", "evaluation.metrics", "rsme"),
        ("[mae, rmse, r2]", "[mae, accuracy]", "evaluation.metrics", "accuracy"),
        ("model: {name: bikes, task: regression, target: y}", "", "evaluation", "needs 'model'"),
        (
            "gate:",
            "schema: {test: {columns: {hour: {type: INT, int_domain: {min: 9, max: 1}}}}}\ngate:",
            "schema.test.columns.hour",
            "a minimum above its maximum",
        ),
    ],
)
def test_a_check_finds_what_would_fail_later(root, old, new, where, what):
    assert old in judged.DECLARED
    make.write(root, {"assay.yaml": judged.DECLARED.replace(old, new)})

    checked = checking.check(workspace.find(root))

    [problem] = checked.problems
    assert checked.failed
    assert problem.where == f"assay.yaml: {where}"
    assert what in problem.what


def test_a_stage_that_makes_a_bundle_has_to_declare_what_the_bundle_reads(root):
    stage = "stages: {train: {cmd: 'true', outs: [good]}}\n"
    make.write(root, {"dvc.yaml": stage})
    judged.good(root)

    checked = checking.check(workspace.find(root))

    [problem] = checked.problems
    assert (problem.severity, checked.failed) == ("warning", False)
    assert problem.where == "dvc.yaml: stage 'train'"
    assert "params: [{assay.yaml: [data]}]" in problem.what
    make.write(root, {"dvc.yaml": stage.replace("outs", "params: [{assay.yaml: [data]}], outs")})
    assert checking.check(workspace.find(root)).problems == []

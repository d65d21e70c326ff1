"""A person checks, evaluates, compares, gates and reports; the exit status says what came out."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from pathlib import Path

import pytest

import assay
from tests import make
from tests.browser import Visit
from tests.bundle import trained
from tests.evaluate import judged


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a good and a bad bundle."""
    root = judged.project(tmp_path_factory.mktemp("judging") / "project")
    judged.good(root)
    judged.bad(root)
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "project", symlinks=True))


def test_a_gate_exits_with_0_for_pass_and_1_for_fail(root):
    passed = make.assay(root, "gate", "good")
    failed = make.assay(root, "gate", "bad", "--base", "good")

    assert passed.code == 0, passed
    assert passed.out.splitlines()[-1] == "gate: pass: better than the baseline"
    assert failed.code == 1, failed
    assert failed.out.splitlines()[-1].startswith("gate: fail: mae: worse by more than the margin")


def test_a_gate_exits_with_3_where_the_data_are_too_few(root):
    judged.write_rows(root, {"at": trained.times()})  # five days

    shown = make.assay(root, "gate", "bad", "--base", "good")

    assert shown.code == 3, shown
    assert "7 days needed" in shown.out


def test_without_a_base_a_gate_is_inconclusive_unless_the_first_is_provided_for(root):
    declared = (root / "assay.yaml").read_text()
    make.write(root, {"assay.yaml": re.sub("  first: .*\n", "", declared)})

    shown = make.assay(root, "gate", "good")

    assert shown.code == 3, shown
    assert "there is no base to compare with" in shown.out


def test_a_gate_says_as_json_what_it_says_in_words(root):
    shown = make.assay(root, "gate", "bad", "--base", "good", "--json")

    document = json.loads(shown.out)
    verdict = document["report"]["verdict"]
    assert (shown.code, verdict["answer"]) == (1, "fail")
    assert document["base_name"] == "good"
    assert {one["metric"] for one in verdict["rulings"]} == {"mae"}
    assert verdict["reason"] in make.assay(root, "gate", "bad", "--base", "good").out


def test_a_gate_keeps_its_verdict_where_deploy_sees_it(root):
    make.done(root, "model", "register", "good", "--alias", "production")
    make.done(root, "model", "register", "bad")
    assert make.assay(root, "gate", "bad").code == 1

    shown = make.assay(root, "deploy", "bikes@2", "--to", "bikes")

    assert shown.code == 1, shown
    assert "the gate refused bikes/2" in shown.err


def test_evaluate_compares_with_no_base_and_keeps_nothing(root):
    make.done(root, "model", "register", "good", "--alias", "production")
    before = make.done(root, "model", "show", "bikes@production", "--json")

    shown = make.done(root, "evaluate", "bad")

    assert "without a base" in shown
    assert "gate" not in shown
    assert make.done(root, "model", "show", "bikes@production", "--json") == before


STAGE = """
stages:
  judge:
    cmd: ASSAY
    deps: [good, test.csv]
    params: [{assay.yaml: [data, model, evaluation]}]
    metrics: [{metrics.json: {cache: false}}]
"""


def test_a_stage_keeps_an_evaluation_as_metrics_that_are_shown_compared_and_traced(root):
    command = " ".join(make.command("evaluate", "good", "--out", "metrics.json"))
    make.write(root, {"dvc.yaml": STAGE.replace("ASSAY", command), "metrics.json": '{"mae": 1.5}'})
    make.commit(root)

    ran = make.process(root, "repro")

    assert ran.code == 0, ran
    kept = json.loads((root / "metrics.json").read_text())
    assert [*kept] == ["mae", "slice.morning.mae", "rmse", "slice.morning.rmse", "r2",
                       "slice.morning.r2"]  # fmt: skip
    shown = json.loads(make.done(root, "evaluate", "good", "--json"))
    results = shown["report"]["evaluation"]["results"]
    assert kept["mae"] == results[0]["candidate"]["value"]
    assert "slice.morning.mae" in make.done(root, "metrics", "show")
    assert "1.5" in make.done(root, "metrics", "diff")
    assert "stage 'judge'" in make.done(root, "trace", "metrics.json")
    assert make.process(root, "repro").err.count("Running stage") == 0


def test_without_a_candidate_the_newest_bundle_of_a_finished_run_is_judged(root):
    nothing = make.assay(root, "evaluate")
    assert (nothing.code, nothing.out) == (255, "")
    assert "no run that finished made a bundle" in nothing.err
    run = judged.in_run(root)
    with contextlib.chdir(root), assay.run("makes none"):
        assay.log_metric("x", 1.0)

    for arguments in (("evaluate",), ("gate",), ("compare", "bad"), ("report",)):
        shown = make.assay(root, *arguments, "--json")
        assert shown.code == 0, shown
        assert f"judging the bundle of run {run}" in shown.err
    assert f"assay gate {run}" in (root / "report" / "report.md").read_text()


def test_a_comparison_has_an_interval_and_says_who_is_better(root):
    document = json.loads(make.done(root, "compare", "bad", "good", "--json"))
    back = json.loads(make.done(root, "compare", "good", "bad", "--json"))

    one, other = (
        next(r for r in d["report"]["evaluation"]["results"] if r["metric"] == "mae")["comparison"]
        for d in (document, back)
    )
    assert one["delta"] == -other["delta"] > 0
    assert one["interval"]["low"] > 0
    assert one["interval"]["low"] == pytest.approx(-other["interval"]["high"])


def test_a_report_is_three_files_that_say_the_same(root):
    shown = make.done(root, "report", "bad", "--base", "good", "--out", "said")

    html, markdown, document = (
        (root / "said" / f"report.{kind}").read_text() for kind in ("html", "md", "json")
    )
    assert shown == f"file://{root / 'said' / 'report.html'}\n"
    reason = json.loads(document)["report"]["verdict"]["reason"]
    assert reason in markdown.replace("\\", "")
    assert reason in html


@pytest.mark.browser
def test_the_page_of_a_report_is_whole_and_asks_nobody(root, browser):
    make.done(root, "report", "bad", "--base", "good")
    page = root / "report" / "report.html"

    with Visit(browser, page, wide=390, scheme="dark") as visit:
        assert visit.errors == []
        assert visit.requests == [page.as_uri()]
        assert not visit.overflows


def test_a_check_exits_with_1_and_the_place_of_what_is_wrong(root):
    assert make.assay(root, "check") == (0, "data, model, evaluation, gate: 0 problems.\n", "")
    (root / "test.csv").unlink()

    shown = make.assay(root, "check")

    assert shown.code == 1
    assert shown.out.startswith("error: assay.yaml: data.tables.test: 'test.csv' is not there")
    assert (
        json.loads(make.assay(root, "check", "--json").out)["problems"][0]["severity"] == "error"
    )


def test_a_check_of_no_declaration_says_so(project):
    assert make.done(project, "check") == "There is no assay.yaml yet, or nothing in it.\n"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("gate", "nothing"), 255, "there is no bundle 'nothing'"),
        (("gate", "good", "--base", "bikes@7"), 255, "there is no ledger"),
        (("compare",), 2, "Missing argument"),
        (("compare", "good", "bad", "worse"), 2, "unexpected extra argument"),
        (("report", "good", "--out", "test.csv/in"), 255, "test.csv"),
    ],
)
def test_what_cannot_be_judged_is_an_error(root, arguments, code, message):
    shown = make.assay(root, *arguments)

    assert (shown.code, shown.out) == (code, "")
    assert message in shown.err


def test_a_changed_file_of_a_bundle_is_refused(root):
    model = root / "good" / "model.skops"
    model.chmod(0o644)
    model.write_bytes(model.read_bytes() + b"\0")

    shown = make.assay(root, "gate", "good")

    assert shown.code == 255
    assert "model.skops" in shown.err

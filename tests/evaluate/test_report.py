"""The report says the verdict first, fits where it has to, and draws what there is."""

from __future__ import annotations

import json
import re

import msgspec
import numpy as np
import pytest

from assay.evaluate.blocks import DAY
from assay.evaluate.evaluation import evaluate
from assay.evaluate.figures import calibration, confusion, figures
from assay.evaluate.gate import judge
from assay.evaluate.page import html
from assay.evaluate.report import Report, markdown
from assay.project.declaration import Gate, GateRule
from tests.browser import SCHEMES, WIDTHS, Visit
from tests.evaluate.make import binary, hours, regression


@pytest.fixture
def numbers() -> Report:
    """A forecast by the hour, better on the whole and worse at night."""
    rng = np.random.default_rng(0)
    n = 40 * 24
    night = np.arange(n) % 24 < 6
    target = 100 + 30 * np.sin(np.arange(n) / 24)
    rows = regression(
        target,
        time=hours(n),
        base=target + 10 * rng.normal(size=n),
        candidate=target + np.where(night, 12, 4) * rng.normal(size=n),
        week=target + 30 * rng.normal(size=n),
    )
    slices = {"night": night, "day": ~night, "first_hours": np.arange(n) < 5}
    options = {"slices": slices, "block_seconds": DAY, "run": "r1"}
    evaluation = evaluate(rows, ["mae", "rmse", "r2"], base="base", **options)  # type: ignore[arg-type]
    rules = {"mae": GateRule(), "r2": GateRule(min=0.5)}
    return Report(
        evaluation=evaluation,
        verdict=judge(evaluation, Gate(metrics=rules)),
        figures=figures(rows, ["base", "candidate"], block_seconds=DAY),
        others=(evaluate(rows, ["mae"], base="week", block_seconds=DAY),),
        title="bikes",
        key="bikes",
        sha="0123abc",
        facts={"data": "md5:0a1b", "run": "r1"},
        reproduce="assay reproduce r1",
    )


@pytest.fixture
def classes() -> Report:
    """Two classes, a candidate that is no better."""
    rng = np.random.default_rng(1)
    target = (rng.random(600) < 0.4).astype(int)
    base = np.clip(0.3 + 0.3 * target + 0.2 * rng.normal(size=600), 0, 1)
    candidate = np.clip(base + 0.05 * rng.normal(size=600), 0, 1)
    rows = binary(target, base=base, candidate=candidate)
    evaluation = evaluate(rows, ["accuracy", "f1", "log_loss", "auc"], base="base")
    verdict = judge(evaluation, Gate(metrics={"accuracy": GateRule()}))
    return Report(
        evaluation=evaluation, verdict=verdict, figures=figures(rows, ["base", "candidate"])
    )


def test_marker_and_verdict_come_first(numbers):
    lines = markdown(numbers).splitlines()

    assert lines[0] == "<!-- assay:report key=bikes sha=0123abc v=1 -->"
    assert lines[2] == "## bikes: ✅ **pass**"
    assert lines[4] == "Not worse than the base."


def test_the_table_has_every_metric_with_base_interval_margin_and_verdict(numbers):
    table = [line for line in markdown(numbers).splitlines() if line.startswith("| ")]

    assert [cell.strip() for cell in table[0].split("|")[1:-1]] == [
        "metric", "base", "candidate", "delta", "95 % interval", "margin", "verdict",
    ]  # fmt: skip
    assert re.match(
        r"\| mae +\| +7\.\d+ \| +[45]\.\d+ \| +\+[\d.]+ \| .* to .* \| .*pass, better", table[2]
    )
    assert "no difference" in table[3] or "worse" in table[3] or "better" in table[3]


def test_slices_are_listed_worst_first_and_too_few_last(numbers):
    text = markdown(numbers).split("### Slices, worst first")[1].split("###")[0]
    names = [line.split("|")[1].strip() for line in text.strip().splitlines()[2:]]

    assert names[:3] == ["night"] * 3
    assert names[-1] == "first_hours"
    assert "too few" in text


def test_the_report_holds_the_baselines_the_facts_and_the_command(numbers):
    text = markdown(numbers)

    assert re.search(r"\| week +\| mae", text)
    assert "md5:0a1b" in text
    assert "    assay reproduce r1" in text


def test_the_table_of_baselines_says_what_the_candidate_is_beside_each(numbers):
    table = markdown(numbers).split("### Baselines")[1].split("\n\n")[1].splitlines()

    assert table[0].split("|")[-2].strip() == "candidate is"
    assert table[2].split("|")[-2].strip() in {"better", "worse", "not surely better", "not known"}


def test_the_hidden_json_is_the_evaluation(numbers):
    found = re.search(r"<!-- assay:json (.*) -->", markdown(numbers))

    assert found
    content = json.loads(found[1])
    assert content["verdict"]["answer"] == "pass"
    assert content["evaluation"]["results"][0]["metric"] == "mae"
    assert content["directions"] == {"mae": "smaller", "rmse": "smaller", "r2": "larger"}


def test_text_from_outside_cannot_end_a_comment_or_make_markup(numbers):
    nasty = msgspec.structs.replace(
        numbers, key="a --> <b>", title="<script>", facts={"x": "--> <img src=x>"}
    )

    text = markdown(nasty)

    assert "<script>" not in text
    assert "<img" not in text
    outside = re.sub(r"<!-- assay:(report|json) [^<>]*-->", "", text)
    assert "<!--" not in outside
    assert "key" not in outside


def test_the_same_evaluation_is_the_same_text(numbers):
    assert markdown(numbers) == markdown(numbers)
    assert html(numbers) == html(numbers)


@pytest.mark.parametrize("limit", [0, 1500, 3000, 8000])
def test_what_does_not_fit_falls_away_but_never_the_verdict(numbers, limit):
    whole, cut = markdown(numbers), markdown(numbers, limit=limit)

    assert len(cut) <= max(limit, 1200)
    assert cut.splitlines()[:3] == whole.splitlines()[:3]
    assert "| mae" in cut


def test_an_inconclusive_report_says_why(classes):
    verdict = classes.verdict
    text = markdown(classes)

    assert verdict is not None
    if verdict.answer == "inconclusive":
        assert "### Why" in text
        assert "rows now" in text


def test_a_confusion_matrix_shows_the_change_to_the_base(classes):
    text = markdown(classes).split("### Confusion")[1]

    assert re.search(r"\| +0 \| +\d+ \([+-]\d+\) +\|", text)


def test_a_report_without_a_base_or_a_gate_is_a_report():
    rows = regression(np.arange(50.0), candidate=np.arange(50.0) + np.arange(50) % 3)

    report = Report(evaluation=evaluate(rows, ["mae", "max_error"]))

    assert "50 rows, no gate" in markdown(report)
    assert "no interval is known" in markdown(report)
    assert "without a base" in html(report)


def test_calibration_has_scikit_learns_bins():
    from sklearn.calibration import calibration_curve

    rng = np.random.default_rng(0)
    given = np.r_[rng.random(300), np.arange(11) / 10]
    target = (rng.random(311) < given).astype(int)

    found = calibration("m", given, target)

    observed, predicted = calibration_curve(target, given, n_bins=10)
    assert [b.observed for b in found] == pytest.approx(observed)
    assert [b.predicted for b in found] == pytest.approx(predicted)


def test_a_confusion_matrix_counts_every_row():
    rows = binary([0, 0, 1], candidate=[0.1, 0.9, 0.9])

    assert [cell.n_rows for cell in confusion("candidate", rows.view("candidate"))] == [1, 1, 0, 1]


def test_long_stretches_are_drawn_in_longer_blocks():
    n = 24 * 1000
    rows = regression(np.zeros(n), candidate=np.ones(n), time=hours(n))

    found = figures(rows, ["candidate"], block_seconds=DAY).over_time

    assert len(found) == 250
    assert found[0].start == "2012-01-01T00:00:00Z"
    assert {moment.error for moment in found} == {1.0}


@pytest.mark.browser
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("wide", WIDTHS)
@pytest.mark.parametrize("which", ["numbers", "classes"])
def test_the_page_draws_its_plots_without_a_request_or_an_error(
    which, wide, scheme, browser, tmp_path, request
):
    path = tmp_path / "report.html"
    path.write_text(html(request.getfixturevalue(which)))

    with Visit(browser, path, wide=wide, scheme=scheme) as visit:
        assert visit.errors == []
        assert [url for url in visit.requests if not url.startswith(("file:", "data:"))] == []
        assert not visit.overflows
        assert visit.page.locator("svg.marks").count() >= 3
        assert visit.page.get_by_role("heading", name="Slices, worst first").count() <= 1

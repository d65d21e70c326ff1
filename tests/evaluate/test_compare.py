"""Two models on the same rows: the values of the specification, and what keeps them apart."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from assay.base.errors import Error
from assay.evaluate.blocks import DAY
from assay.evaluate.compare import Comparison, compare
from assay.evaluate.metrics import get
from assay.evaluate.paired import mcnemar, tango
from assay.evaluate.rows import Rows
from tests.evaluate.make import binary, hours, multiclass, regression, right_or_wrong


def compared(rows: Rows, name: str, **options: float) -> Comparison:
    metric = get(name, task=rows.task)
    return compare(metric, rows.view("base"), rows.view("candidate"), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("b", "c", "n", "ends"),
    [
        (12, 2, 54, (0.0567087756, 0.3217294995)),
        (15, 5, 1000, (0.0013668714, 0.0201838089)),
        (5, 0, 100, (0.0111568269, 0.1117504692)),
        (0, 0, 2000, (-0.0019170473, 0.0019170473)),
    ],
)
def test_tango_has_the_values_of_the_specification(b, c, n, ends):
    assert tango(b, c, n) == pytest.approx(ends, abs=1e-10)


@pytest.mark.parametrize(("b", "c", "n"), [(0, 1, 1), (1, 0, 1), (5, 0, 5), (0, 5, 5), (1, 1, 2)])
def test_tango_stays_inside_of_its_range_and_holds_the_difference(b, c, n):
    low, high = tango(b, c, n)

    assert -1 <= low <= (b - c) / n <= high <= 1
    assert low < high


@pytest.mark.parametrize(
    ("b", "c", "p"),
    [
        (5, 15, 0.0266036987),
        (0, 6, 0.015625),
        (1, 8, 0.0214843750),
        (40, 60, 0.0460440669),
        (10, 10, 0.9119014740),
        (0, 0, 1.0),
    ],
)
def test_mcnemars_mid_p_has_the_values_of_the_specification(b, c, p):
    assert mcnemar(b, c) == pytest.approx(p, abs=1e-9)


def test_right_and_wrong_are_compared_by_tango():
    found = compared(right_or_wrong(36, 12, 2, 4), "accuracy")

    assert found.delta == pytest.approx(10 / 54)
    assert (found.interval.low, found.interval.high) == pytest.approx(tango(12, 2, 54))
    assert found.interval.method == "tango"
    assert found.discordant == pytest.approx(14 / 54)
    assert found.improved
    assert not found.worsened


def test_recall_is_compared_on_the_positive_rows():
    found = compared(
        binary([1, 1, 0, 0], base=[0.9, 0.1, 0.1, 0.9], candidate=[0.9] * 4), "recall"
    )

    assert found.n_rows == 2
    assert (found.interval.low, found.interval.high) == pytest.approx(tango(1, 0, 2))


def test_a_loss_that_falls_is_a_delta_above_0():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=200)
    rows = regression(np.zeros(200), base=noise * 2, candidate=noise)

    for name in ("mae", "rmse", "median_absolute_error"):
        found = compared(rows, name)
        assert found.delta > 0
        assert found.improved, name


def test_means_are_compared_by_the_t_interval_of_their_differences():
    rng = np.random.default_rng(1)
    base, candidate = rng.normal(size=(2, 300))
    found = compared(regression(np.zeros(300), base=base, candidate=candidate), "mae")

    differences = np.abs(base) - np.abs(candidate)
    wanted = stats.t.interval(0.95, 299, loc=differences.mean(), scale=stats.sem(differences))
    assert (found.interval.low, found.interval.high) == pytest.approx(wanted)
    assert found.p_value == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)


def test_areas_are_compared_by_paired_delong():
    r = np.random.RandomState(0)
    n = 2000
    y = r.rand(n) < 0.3
    a = y + r.randn(n)
    b = 0.9 * y + 0.7 * (a - y) + 0.7 * r.randn(n)
    rows = binary(y.astype(int), base=1 / (1 + np.exp(-b)), candidate=1 / (1 + np.exp(-a)))

    found = compared(rows, "auc")

    assert found.candidate.value == pytest.approx(0.7560655714, abs=1e-10)
    assert found.base.value == pytest.approx(0.7425690467, abs=1e-10)
    assert found.delta == pytest.approx(0.0134965248, abs=1e-10)
    assert found.interval.error == pytest.approx(0.0094771337, abs=1e-9)
    assert found.p_value == pytest.approx(0.15444, abs=2e-3)  # t of 1,999, not normal


def test_functions_of_counts_are_compared_by_the_bootstrap_of_kinds_of_rows():
    rng = np.random.default_rng(4)
    target = (rng.random(2000) < 0.3).astype(int)
    rows = binary(
        target,
        base=np.clip(target * 0.4 + rng.random(2000) * 0.8, 0, 1),
        candidate=np.clip(target * 0.6 + rng.random(2000) * 0.7, 0, 1),
    )

    for name in ("f1", "precision", "mcc", "balanced_accuracy"):
        found = compared(rows, name)
        assert found.improved, name
        assert found.interval.method == "bootstrap"
        assert found.interval.low is not None
        assert found.interval.high is not None
        assert found.interval.low < found.delta < found.interval.high


def test_many_classes_are_compared_too():
    rng = np.random.default_rng(4)
    target = rng.integers(0, 6, 900)
    wrong = rng.integers(0, 6, 900)
    base = np.where(rng.random(900) < 0.5, target, wrong)
    candidate = np.where(rng.random(900) < 0.8, target, wrong)
    rows = multiclass(target, candidate, n_classes=6).with_model("base", base)

    assert compared(rows, "f1").improved
    assert compared(rows, "accuracy").improved


def test_precision_shows_wilsons_interval_for_each_model():
    rng = np.random.default_rng(4)
    target = (rng.random(400) < 0.5).astype(int)
    rows = binary(target, base=rng.random(400), candidate=rng.random(400))

    assert compared(rows, "precision").candidate.interval.method == "wilson"


def test_models_that_answer_alike_are_no_proof():
    rng = np.random.default_rng(0)
    same = rng.normal(size=100)
    nearly = same.copy()
    nearly[:3] += 1

    for name in ("mae", "rmse", "median_absolute_error"):
        equal = compared(regression(np.zeros(100), base=same, candidate=same), name)
        close = compared(regression(np.zeros(100), base=same, candidate=nearly), name)
        assert equal.interval.why_not == "degenerate: both models answer alike on all rows"
        assert close.interval.why_not == "only 3 rows differ, 10 are needed"


def test_rows_in_time_order_are_compared_by_blocks():
    rng = np.random.default_rng(7)
    n = 28 * 24
    shared = np.repeat(rng.normal(size=28), 24)  # a whole day is good or bad
    rows = regression(np.zeros(n), base=np.full(n, 5.0), candidate=5 + shared * 0.5, time=hours(n))

    in_blocks, alone = compared(rows, "mae", block_seconds=DAY), compared(rows, "mae")

    assert in_blocks.interval.method == "block t"
    assert in_blocks.interval.error is not None
    assert alone.interval.error is not None
    assert in_blocks.interval.error > 3 * alone.interval.error


def test_right_and_wrong_in_time_order_are_never_surer_than_tango():
    rows = right_or_wrong(400, 0, 0, 80)
    timed = binary([1] * 480, time=hours(480), base=[0.9] * 480, candidate=[0.9] * 480)

    found = compared(timed, "accuracy", block_seconds=DAY)

    wanted = compared(rows, "accuracy").interval
    assert (found.interval.low, found.interval.high) == (wanted.low, wanted.high)


def test_areas_in_time_order_are_compared_by_blocks():
    rng = np.random.default_rng(5)
    n = 30 * 24
    target = (rng.random(n) < 0.4).astype(int)
    day = np.repeat(rng.normal(size=30), 24) * 0.2
    candidate = np.clip(0.4 + 0.3 * target + day * target + 0.1 * rng.normal(size=n), 0, 1)
    base = np.clip(0.4 + 0.1 * target + 0.1 * rng.normal(size=n), 0, 1)
    rows = binary(target, time=hours(n), base=base, candidate=candidate)

    in_blocks, alone = compared(rows, "auc", block_seconds=DAY), compared(rows, "auc")

    assert in_blocks.interval.method == "block delong"
    assert in_blocks.interval.error is not None
    assert alone.interval.error is not None
    assert in_blocks.interval.error > alone.interval.error


def test_one_class_is_compared_with_no_one():
    found = compared(binary([1, 1], base=[0.2, 0.9], candidate=[0.9, 0.9]), "auc")

    assert found.interval.why_not == "no row of class 0"
    assert np.isnan(found.delta)


def test_sides_of_different_length_are_refused():
    rows = regression([1, 2], base=[1, 2], candidate=[1, 2])
    metric = get("mae", task="regression")

    with pytest.raises(Error, match="the base has 1 rows, the candidate 2"):
        compare(metric, rows.view("base", np.array([True, False])), rows.view("candidate"))

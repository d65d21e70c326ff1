"""Intervals of one number have the values of the specification, and cover as they say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from assay.evaluate import bootstrap, intervals
from assay.evaluate.blocks import DAY, block_mean, cut
from assay.evaluate.intervals import clopper_pearson, estimate, wilson
from assay.evaluate.metrics import get
from assay.evaluate.ranking import influence
from tests.evaluate.make import B_FIRST, B_SECOND, B_TRUE, binary, hours, regression

BCA_ROWS = np.array([3.1, 2.4, 5.6, 1.2, 4.8, 2.2, 9.7, 3.3, 2.8, 4.1, 0.9, 6.5])


@pytest.mark.parametrize(
    ("k", "n", "score", "exact"),
    [
        (0, 10, (0, 0.2775327999), (0, 0.3084971078)),
        # The specification prints .4901624725; the formula and SciPy give .4901624715.
        (8, 10, (0.4901624715, 0.9433178485), (0.4439045377, 0.9747892737)),
        (10, 10, (0.7224672001, 1), (0.6915028922, 1)),
        (85, 100, (0.7671644041, 0.9069401472), (0.7646924999, 0.9135456144)),
        (1, 1000, (0.0001765464, 0.0056425586), (0.0000253175, 0.0055589243)),
        (950, 1000, (0.9346861798, 0.9618697376), (0.9346095121, 0.9626646024)),
    ],
)
def test_shares_have_the_intervals_of_the_specification(k, n, score, exact):
    assert wilson(k, n) == pytest.approx(score, abs=1e-10)
    assert clopper_pearson(k, n) == pytest.approx(exact, abs=1e-10)
    scipys = stats.binomtest(k, n).proportion_ci(method="wilson")
    assert wilson(k, n) == pytest.approx((scipys.low, scipys.high), abs=1e-12)


def test_the_bootstrap_of_a_mean_has_the_intervals_of_the_specification():
    drawn = bootstrap.of_rows(12, seed=1)
    sums = drawn.sums(np.column_stack([np.ones(12), BCA_ROWS]))
    means = sums[:, 1] / sums[:, 0]

    percentile = bootstrap.percentile(means)
    bca = bootstrap.bca(means, BCA_ROWS.mean(), bootstrap.mean_jackknife(BCA_ROWS))

    assert percentile == pytest.approx((2.642, 5.317), abs=0.2)  # 2,000 draws, not 200,000
    assert bca == pytest.approx((2.783, 5.575), abs=0.25)


def test_resamples_that_are_all_equal_have_no_interval():
    assert bootstrap.percentile(np.ones(100)) is None
    assert bootstrap.bca(np.ones(100), 1.0, np.ones(10)) is None


def test_resamples_without_a_value_are_left_out_while_they_are_few():
    values = np.arange(100.0)
    values[:4] = np.nan
    assert bootstrap.percentile(values) is not None
    values[:6] = np.nan
    assert bootstrap.percentile(values) is None


def test_the_same_run_metric_and_slice_give_the_same_digits():
    rng = np.random.default_rng(0)
    rows = regression(rng.normal(size=500), candidate=rng.normal(size=500))
    metric, view = get("r2", task="regression"), rows.view("candidate")

    def ends(*parts: str) -> tuple[float | None, float | None]:
        found = estimate(metric, view, seed=bootstrap.seed(*parts)).interval
        return found.low, found.high

    assert ends("run", "r2", "") == ends("run", "r2", "") != ends("run", "r2", "night")


def test_many_rows_in_groups_are_as_uncertain_as_rows_one_by_one():
    rng = np.random.default_rng(3)
    values = rng.exponential(size=20_000)
    sums = bootstrap.of_rows(len(values), seed=5).sums(np.column_stack([values * 0 + 1, values]))

    found = bootstrap.standard_error(sums[:, 1] / sums[:, 0])

    assert found == pytest.approx(values.std() / np.sqrt(len(values)), rel=0.15)


def test_the_median_of_each_draw_is_that_of_its_rows():
    rng = np.random.default_rng(1)
    values = rng.normal(size=31)
    drawn = bootstrap.of_rows(31, seed=2)

    found = drawn.medians(values)

    assert drawn.units is not None
    for i in range(20):
        rows = np.repeat(values, drawn.counts[i][drawn.units].astype(int))
        assert found[i] == pytest.approx(np.median(rows))


def test_a_mean_has_students_interval():
    rng = np.random.default_rng(0)
    values = rng.normal(size=100)

    found = intervals.mean(values)

    wanted = stats.t.interval(0.95, 99, loc=values.mean(), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx(wanted)
    assert found.method == "t"


def test_a_heavy_tail_gets_bca():
    values = np.r_[np.zeros(95), np.full(5, 100.0)]

    found = intervals.mean(values)

    assert found.method == "bca"
    assert found.low is not None
    assert 0 < found.low < values.mean()


def test_three_rows_get_no_interval():
    assert intervals.mean(np.array([1.0, 2.0, 4.0])).why_not == "3 rows, at least 10 are needed"


def test_equal_values_are_said_to_be_degenerate():
    rows = regression(np.zeros(50), candidate=np.ones(50))

    for name in ("mae", "rmse", "median_absolute_error"):
        found = estimate(get(name, task="regression"), rows.view("candidate")).interval
        assert found.low is None
        assert found.why_not.startswith("degenerate")


def test_an_extreme_has_no_interval():
    rows = regression(np.arange(50.0), candidate=np.zeros(50))

    found = estimate(get("max_error", task="regression"), rows.view("candidate")).interval

    assert found.why_not == "no interval is known for an extreme"


def test_delongs_variances_are_those_of_the_specification():
    rows = binary(B_TRUE, base=B_SECOND, candidate=B_FIRST)
    first, second = influence(rows.view("candidate")), influence(rows.view("base"))

    assert (first**2).sum() == pytest.approx(0.0165895062, abs=1e-10)
    assert (second**2).sum() == pytest.approx(0.0281635802, abs=1e-10)
    assert (first * second).sum() == pytest.approx(0.0155864198, abs=1e-10)
    assert np.sqrt(((first - second) ** 2).sum()) == pytest.approx(0.1165343165, abs=1e-10)


def test_the_interval_of_an_auc_stays_inside_of_0_and_1():
    rows = binary(B_TRUE, candidate=B_FIRST)
    given = influence(rows.view("candidate"))

    found = intervals.area(0.8194444444, given, None, rarest=20)

    assert (found.low, found.high) == pytest.approx((0.4517432683, 0.9615358722), abs=1e-8)


def test_an_auc_of_few_rows_or_of_classes_apart_has_no_interval():
    auc = get("auc", task="binary")
    few = binary(B_TRUE, candidate=B_FIRST)
    apart = binary([0] * 30 + [1] * 30, candidate=[0.1] * 30 + [0.9] * 30)

    assert "too few: 6 rows" in estimate(auc, few.view("candidate")).interval.why_not
    assert "degenerate" in estimate(auc, apart.view("candidate")).interval.why_not


def ar1(phi: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """An hourly series whose neighbours correlate by phi."""
    noise = rng.normal(size=n) * np.sqrt(1 - phi**2)
    values = np.empty(n)
    values[0] = rng.normal()
    for i in range(1, n):
        values[i] = phi * values[i - 1] + noise[i]
    return values


@pytest.mark.parametrize(
    ("phi", "days", "at_least"),
    [(0, 14, 0.92), (0.5, 14, 0.915), (0.8, 28, 0.90), (0.9, 28, 0.865)],
)
def test_blocks_cover_the_mean_of_errors_that_hang_together(phi, days, at_least):
    rng = np.random.default_rng(11)
    time = hours(days * 24).astype("datetime64[us]").astype(np.int64)
    covered, as_rows, n_simulations = 0, 0, 600
    for _ in range(n_simulations):
        values = ar1(phi, days * 24, rng)
        found = intervals.mean(values, cut(time, DAY))
        alone = intervals.mean(values)
        assert found.low is not None
        assert found.high is not None
        assert alone.error is not None
        covered += found.low <= 0 <= found.high
        as_rows += abs(values.mean()) <= 1.96 * alone.error

    assert at_least <= covered / n_simulations <= 0.98
    if phi >= 0.8:
        assert as_rows / n_simulations < 0.55  # what it would be without blocks


def test_blocks_grow_while_they_are_alike():
    rng = np.random.default_rng(2)
    time = hours(60 * 24).astype("datetime64[us]").astype(np.int64)
    slow = np.repeat(np.cumsum(rng.normal(size=60)), 24)

    assert block_mean(slow, cut(time, DAY)).n_blocks < 60
    assert block_mean(slow, cut(time, DAY)).n_blocks >= 7
    assert block_mean(rng.normal(size=60 * 24), cut(time, DAY)).n_blocks == 60


def test_blocks_of_equal_size_have_the_error_of_their_means():
    rng = np.random.default_rng(2)
    time = hours(14 * 24).astype("datetime64[us]").astype(np.int64)
    values = rng.normal(size=14 * 24)
    means = values.reshape(14, 24).mean(axis=1)

    found = block_mean(values, cut(time, DAY))

    assert found.n_blocks == 14
    assert found.error == pytest.approx(means.std(ddof=1) / np.sqrt(14))


def test_fewer_than_seven_blocks_say_how_many_days_are_needed():
    rows = regression(np.arange(72.0), candidate=np.zeros(72), time=hours(72))

    for name in ("mae", "rmse"):
        metric = get(name, task="regression")
        found = estimate(metric, rows.view("candidate"), block_seconds=DAY).interval
        assert found.low is None
        assert found.why_not == "3 blocks of 1 day, 7 are needed"
        assert found.days_needed == 7


def test_a_bootstrap_of_few_blocks_is_marked_as_narrow():
    rng = np.random.default_rng(0)
    n = 20 * 24
    rows = regression(rng.normal(size=n), candidate=rng.normal(size=n), time=hours(n))

    found = estimate(get("r2", task="regression"), rows.view("candidate"), block_seconds=DAY)

    assert found.interval.method == "block bootstrap"
    assert found.interval.note == "narrow: 20 blocks"


def test_a_gap_of_years_between_rows_costs_no_memory():
    time = np.array([0, 10**15, 10**16], dtype=np.int64)

    assert cut(time, 1.0).ids.tolist() == [0, 1, 2]

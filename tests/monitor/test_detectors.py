"""The detectors count as the literature does, and stay sensible where a column is not."""

from __future__ import annotations

import math
import subprocess
import sys

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from assay.base.errors import Error
from assay.bundle import reference
from assay.monitor import detectors, scores
from assay.monitor.detectors import Limits, Reading

LIMITS = detectors.limits(1.0, 20, windows_a_year=365)
N_DAYS = 56


def column_of(windows, order=()):
    return detectors.prepare(windows, order=order)


def steps(column, windows, *, limits=LIMITS, min_effect=0.05):
    """Return the readings of windows, one after the other."""
    state, found = detectors.start(column), []
    for at, window in enumerate(windows):
        state, reading = detectors.step(
            column, state, window, seed=f"test/{at}", limits=limits, min_effect=min_effect
        )
        found.append(reading)
    return found


def drawn(shares, n_windows, *, n_rows=1000, seed=0):
    """Return windows of independent rows; the last four cells are those of `Cells.counts`."""
    random = np.random.default_rng(seed)
    return random.multinomial(n_rows, [*shares, 0, 0, 0, 0], n_windows).tolist()


@pytest.mark.parametrize(
    ("p", "expected"), [(1.0, 0.45), (0.5, 0.59261), (0.02, 3.28716), (0.01, 5.17009)]
)
def test_the_evidence_of_a_rank_is_that_of_the_specification(p, expected):
    assert detectors.e_value(p) == pytest.approx(expected, abs=1e-5)


def test_evidence_adds_up_as_in_the_specification():
    found, evidence = [], 0.0
    for p in (0.5, 0.02, 0.02, 0.01):
        evidence = detectors.e_value(p) * (1 + evidence)
        found.append(evidence)
    assert found == pytest.approx([0.5926, 5.2352, 20.4960, 111.1364], abs=1e-4)
    column = column_of(drawn([0.2] * 5, N_DAYS))
    readings = steps(column, drawn([0.2] * 5, 30, seed=1))
    evidence = 0.0
    for reading in readings:
        evidence = detectors.e_value(reading.p) * (1 + evidence)
        assert pytest.approx(evidence) == reading.R


def test_the_evidence_is_one_on_average_without_drift():
    from scipy.integrate import quad

    mean, _ = quad(detectors.e_value, 0, 1, limit=500)
    assert mean == pytest.approx(1, abs=1e-3)


@given(
    st.lists(st.integers(0, 5).map(float), max_size=20),
    st.lists(st.integers(0, 5).map(float), max_size=20),
    st.integers(0, 5).map(float),
    st.floats(2**-53, 1),  # as `uniform` draws
)
def test_a_rank_is_what_the_specification_says(past, live, x, u):
    all_ = past + live
    above = sum(s > x for s in all_)
    equal = 1 + sum(s == x for s in all_)
    found = detectors.rank(x, sorted(past), live, u=u)
    assert found == pytest.approx((above + u * equal) / (1 + len(all_)))
    assert 0 < found <= 1


def test_ranks_are_uniform_without_drift_and_no_two_are_related():
    column = column_of(drawn([0.5, 0.5], N_DAYS))
    p = [reading.p for reading in steps(column, drawn([0.5, 0.5], 400, seed=1))]
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert abs(np.corrcoef(p[1:], p[:-1])[0, 1]) < 0.15


def test_a_draw_is_the_same_in_another_process():
    program = "from assay.monitor.scores import uniform; print(repr(uniform('a/b/1')))"
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert float(done.stdout) == scores.uniform("a/b/1")
    drawn_ = [scores.uniform(f"{at}") for at in range(2000)]
    assert stats.kstest(drawn_, "uniform").pvalue > 0.01
    assert min(drawn_) > 0


COUNTS = st.lists(st.integers(0, 500), min_size=5, max_size=30).filter(any)


@given(COUNTS, st.floats(1, 5000), st.data())
def test_no_row_is_left_out_and_each_group_holds_enough_where_that_can_be(counts, n_rows, data):
    places = st.lists(st.integers(0, len(counts) - 4), unique=True).map(sorted)
    made = scores.merge(counts, data.draw(places), n_rows=n_rows)
    assert sorted(at for group in made.groups for at in group) == list(range(len(counts)))
    assert sum(made.apply(counts)) == sum(counts)
    expected = [n * n_rows / sum(counts) for n in made.apply(counts)]
    small = [one for one in expected if 0 < one < scores.LEAST * (1 - 1e-9)]
    seen = [one for one in expected if one]
    assert len(small) <= 1
    assert not small or len(seen) <= 2
    assert sum(1 for one in expected if not one) <= 1


def test_neighbours_join_and_missing_rows_stay_apart_if_there_are_enough():
    counts = [0, *[12] * 20, 0, 0, 30, 0, 60]
    made = scores.merge(counts, range(22), n_rows=66)
    assert made.groups[0] == (0, 1, 2, 3)
    assert all(group == tuple(range(group[0], group[-1] + 1)) for group in made.groups[:6])
    assert made.groups[6:] == ((23,), (25,), (22, 24))


def test_rare_texts_are_counted_together_and_new_ones_with_them():
    made = scores.merge([500, 400, 6, 5, 4, 3, 2, 0, 0, 0, 0], (), n_rows=920)
    assert made.groups == ((0,), (1,), (2,), (3, 6, 7), (4, 5), (8, 9, 10))
    made = scores.merge([500, 400, 0, 0, 0, 0], (), n_rows=900)
    assert made.groups == ((0,), (1,), (2, 3, 4, 5))


def test_the_score_is_the_chi_square_of_two_samples():
    assert scores.score([50, 30, 20], [40, 40, 20]) == pytest.approx(2.539683, abs=1e-6)
    assert scores.score([50, 50, 0], [40, 40, 20]) == pytest.approx(22.222222, abs=1e-6)
    windows = [[5, 10, 20], [8, 9, 21], [2, 14, 19]]
    pooled = [sum(column) for column in zip(*windows, strict=True)]
    for window, found in zip(windows, scores.leave_one_out(windows, pooled), strict=True):
        others = [a - b for a, b in zip(pooled, window, strict=True)]
        assert found == pytest.approx(
            stats.chi2_contingency([others, window], correction=False)[0]
        )


def test_the_tail_of_a_shock_is_students_with_one_fewer_than_windows():
    column = column_of(drawn([0.1] * 10, N_DAYS))
    reading = steps(column, drawn([0.1] * 10, 1, seed=2))[0]
    logs = [math.log(x + detectors.OFFSET / column.df) for x in column.past]
    now = math.log(reading.x + detectors.OFFSET / column.df)
    z = (now - np.mean(logs)) / (np.std(logs, ddof=1) * math.sqrt(1 + 1 / N_DAYS))
    assert reading.shock_p == pytest.approx(stats.t.sf(z, N_DAYS - 1))


def test_a_shock_is_twice_the_highest_score_of_the_reference():
    column = column_of(drawn([0.2] * 5, N_DAYS))
    column = msgspec.structs.replace(column, mean=0.0, deviation=0.01)
    for first in range(200, 260):
        window = [first, 400 - first, 200, 200, 200, 0, 0, 0, 0]
        reading = steps(column, [window], min_effect=0.0)[0]
        far = reading.shock_p < LIMITS.shock_alpha
        highest = far and reading.x > detectors.SHOCK_FACTOR * column.past[-1]
        assert (reading.alert == "shock") == (highest and reading.js > 0)
    assert reading.alert == "shock"


def test_scores_of_large_and_small_windows_compare():
    random = np.random.default_rng(5)

    def windows(n_windows):
        sizes = (1000 * np.exp(0.6 * random.normal(size=n_windows))).astype(int)
        shares = random.dirichlet([200] * 8, n_windows)  # days differ
        return random.multinomial(sizes, np.pad(shares, ((0, 0), (0, 4)))).tolist(), sizes

    reference_windows, _ = windows(200)
    live, sizes = windows(300)
    x = [reading.x for reading in steps(column_of(reference_windows), live)]
    assert np.mean(x) == pytest.approx(1, abs=0.15)
    assert abs(stats.spearmanr(x, sizes).statistic) < 0.15


def test_a_shift_alerts_once_and_then_the_column_is_drifted():
    column = column_of(drawn([0.2] * 5, N_DAYS))
    assert (column.n_windows, column.warnings) == (N_DAYS, ())
    shifted = drawn([0.28, 0.2, 0.2, 0.2, 0.12], 40, seed=1)
    readings = steps(column, drawn([0.2] * 5, 20) + shifted)
    alerts = [(at, reading) for at, reading in enumerate(readings) if reading.alert]
    assert [reading.state for reading in readings[:20]] == ["watching"] * 20
    (at, alert), *others = alerts
    assert not others
    assert 20 <= at < 28
    assert alert.js is not None
    assert alert.js >= 0.05
    assert alert.n_since > at - 20
    assert {reading.state for reading in readings[at:]} == {"drifted"}


def test_a_small_difference_that_is_certain_does_not_alert():
    column = column_of(drawn([0.5, 0.5], N_DAYS, n_rows=100_000))
    readings = steps(column, drawn([0.51, 0.49], 60, n_rows=100_000, seed=1))
    assert max(reading.R for reading in readings) > LIMITS.threshold
    assert not any(reading.alert for reading in readings)
    assert max(reading.js for reading in readings) < 0.05
    alone = steps(column, drawn([0.51, 0.49], 60, n_rows=100_000, seed=1), min_effect=0.0)
    assert any(reading.alert for reading in alone)


def test_the_effect_counts_the_windows_since_the_last_ordinary_one():
    column = column_of(drawn([0.2] * 5, N_DAYS))
    windows = drawn([0.2] * 5, 60, seed=3)
    n_since = 0
    since = np.zeros(len(column.counts), int)
    for window, reading in zip(windows, steps(column, windows), strict=True):
        n_since = n_since + 1 if reading.p <= 0.5 else 0
        merged = np.array(column.merge.apply(window))
        since = since + merged if n_since else since * 0
        assert reading.n_since == n_since
        assert list(reading.since) == (since.tolist() if n_since else [])
        assert reading.js == scores.effect(column.counts, since.tolist())


def test_too_few_reference_windows_give_numbers_and_no_alert():
    column = column_of(drawn([0.2] * 5, 13))
    readings = steps(column, drawn([0.9, 0.1, 0, 0, 0], 5))
    assert all(reading.learning and reading.alert is None for reading in readings)
    assert all(reading.shock_p < LIMITS.shock_alpha for reading in readings)
    assert not steps(column_of(drawn([0.2] * 5, 14)), drawn([0.2] * 5, 1))[0].learning


@pytest.mark.parametrize("window", [[0] * 9, [1, 1, 1, 0, 0, 0, 0, 0, 0]])
def test_a_window_with_three_rows_or_none_is_not_read(window):
    column = column_of(drawn([0.2] * 5, N_DAYS))
    before = detectors.start(column)
    state, reading = detectors.step(column, before, window, seed="s", limits=LIMITS)
    assert state == before
    assert (reading.reason, reading.x, reading.n_rows) == ("too few rows", None, sum(window))


@pytest.mark.parametrize("windows", [[], [[0] * 6] * 20])
def test_a_reference_without_windows_or_rows_reads_nothing(windows):
    column = column_of(windows)
    reading = steps(column, [[50, 50, 0, 0, 0, 0]])[0]
    assert (reading.reason, reading.state) == ("no reference", "learning")


def test_a_window_on_other_cells_is_refused():
    with pytest.raises(Error, match="counted in 5 cells, the reference in 9"):
        steps(column_of(drawn([0.2] * 5, N_DAYS)), [[30] * 5])


def test_a_column_that_is_the_same_each_day_never_alerts_and_one_stray_row_is_no_shock():
    windows = [[500, 0, 0, 0, 0]] * N_DAYS
    column = column_of(windows)
    assert (column.autocorrelation, column.warnings) == (None, ())
    readings = steps(column, [*windows, [499, 0, 0, 0, 1], *windows])
    assert not any(reading.alert for reading in readings)
    assert all(math.isfinite(reading.R) for reading in readings)


def test_days_that_resemble_the_day_before_are_warned_of():
    random = np.random.default_rng(2)
    level, windows = np.zeros(5), []
    for _ in range(200):
        level = 0.95 * level + 0.1 * random.normal(size=5)
        shares = np.exp(level) / np.exp(level).sum()
        windows += [[*random.multinomial(1000, shares).tolist(), 0, 0, 0, 0]]
    (warning,) = column_of(windows).warnings
    assert "longer windows" in warning


@given(st.lists(st.integers(0, 400), min_size=1, max_size=30), st.integers(0, 20))
def test_the_state_is_made_anew_from_stored_readings(firsts, n_reference):
    column = column_of(drawn([0.5, 0.5], n_reference, n_rows=400))
    state = detectors.start(column)
    stored: list[bytes] = []
    for at, first in enumerate(firsts):
        window = [first, 400 - first, 0, 0, 0, 0]
        state, reading = detectors.step(column, state, window, seed=str(at), limits=LIMITS)
        stored.append(msgspec.json.encode(reading))
        read = [msgspec.json.decode(one, type=Reading) for one in stored]
        assert detectors.rebuild(column, read) == state


def test_evidence_never_leaves_the_numbers_that_json_knows():
    column = column_of(drawn([0.2] * 5, 5))
    state = msgspec.structs.replace(detectors.start(column), R=1e300)
    state, reading = detectors.step(column, state, [900, 50, 50, 0, 0, 0, 0, 0, 0], seed="s",
                                    limits=LIMITS)  # fmt: skip
    assert reading.R is not None
    assert math.isfinite(reading.R)


def test_the_limits_share_the_budget():
    assert detectors.limits(2.0, 50, windows_a_year=52) == Limits(
        threshold=2600.0, shock_alpha=1 / 2600
    )
    assert detectors.limits(1.0, 0, windows_a_year=52).threshold == 104


KINDS = {
    "numbers": lambda random, n: random.normal(10, 3, n),
    "heavy zero": lambda random, n: np.where(random.random(n) < 0.7, 0.0, random.gamma(2, 3, n)),
    "counts": lambda random, n: random.integers(0, 6, n).astype(float),
    "flag": lambda random, n: (random.random(n) < 0.5).astype(float),
    "constant": lambda _, n: np.full(n, 4.5),
    "some missing": lambda random, n: np.where(
        random.random(n) < 0.1, np.nan, random.normal(0, 1, n)
    ),
    "boolean": lambda random, n: random.random(n) < 0.3,
    "text": lambda random, n: np.array(["a", "b", "c"], object)[random.integers(0, 3, n)],
    "one text": lambda _, n: np.full(n, "a", object),
    "many texts": lambda random, n: np.array(
        [f"t{min(int(one), 400)}" for one in random.zipf(1.3, n)], object
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_rows", [24, 400])
def test_a_column_that_is_empty_for_nine_of_ten_rows_is_a_shock_in_that_window(kind, n_rows):
    random = np.random.default_rng(11)
    values = KINDS[kind](random, n_rows * N_DAYS)
    days = np.repeat(np.datetime64("2011-01-03") + np.arange(N_DAYS), n_rows)
    made = reference.make({"a": values}, days=days, target=None)
    windows = [made.counts("a", first, last).tolist() for first, last in made.windows(1)]
    column = detectors.prepare(windows, order=made.column("a").order)
    ordinary = [made.count("a", KINDS[kind](random, n_rows)) for _ in range(10)]
    broken = KINDS[kind](random, n_rows).astype(object)
    broken[random.permutation(n_rows)[: round(0.9 * n_rows)]] = None
    readings = steps(column, [*ordinary, made.count("a", list(broken))])
    assert [reading.alert for reading in readings] == [None] * 10 + ["shock"]


@pytest.mark.parametrize(
    ("kind", "new"), [("flag", 2.0), ("constant", 5.0), ("one text", "b"), ("text", "d")]
)
def test_values_that_were_never_seen_are_a_shock(kind, new):
    random = np.random.default_rng(11)
    values = KINDS[kind](random, 400 * N_DAYS)
    days = np.repeat(np.datetime64("2011-01-03") + np.arange(N_DAYS), 400)
    made = reference.make({"a": values}, days=days, target=None)
    windows = [made.counts("a", first, last).tolist() for first, last in made.windows(1)]
    column = detectors.prepare(windows, order=made.column("a").order)
    changed = KINDS[kind](random, 400).astype(object)
    changed[:100] = new
    assert steps(column, [made.count("a", list(changed))])[0].alert == "shock"

"""Drift: the specification's values, SciPy as oracle, and verdicts that can be relied on."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import spatial, special, stats

from assay.base.errors import NotFound, Usage
from assay.data import drift, profile
from assay.data.cells import Cells
from assay.data.columns import Column
from assay.data.drift.chi_square import chi_square, detectable_psi
from assay.data.drift.compare import Drift, compare
from assay.data.drift.js import js_distance, js_distance_corrected, js_divergence
from assay.data.drift.ks import ks
from assay.data.drift.pooling import LEAST, pool
from assay.data.drift.psi import psi
from assay.data.drift.tails import chi_square_quantile, chi_square_tail, kolmogorov_tail
from assay.data.multiple import holm
from tests import make

COUNTS = st.lists(
    st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)), min_size=2, max_size=30
).filter(lambda pairs: all(sum(side) for side in zip(*pairs, strict=True)))


def test_the_measures_have_the_values_of_the_specification():
    a, b = (50, 30, 20), (40, 40, 20)
    assert psi(a, b) == pytest.approx(0.051083, abs=5e-7)
    assert js_divergence(a, b) == pytest.approx(0.009186, abs=5e-7)
    assert js_distance(a, b) == pytest.approx(0.095843, abs=5e-7)
    assert chi_square(a, b).statistic == pytest.approx(2.539683, abs=5e-7)
    assert chi_square(a, b).p_value == pytest.approx(0.280876, abs=5e-7)


def test_an_empty_cell_has_the_share_of_the_specification_in_psi_and_none_elsewhere():
    a, b = (50, 50, 0), (40, 40, 20)
    assert psi(a, b) == pytest.approx(1.564049, abs=5e-7)
    assert js_distance(a, b) == pytest.approx(0.328682, abs=5e-7)
    assert chi_square(a, b).statistic == pytest.approx(22.222222, abs=5e-7)


def test_ks_has_the_value_of_the_specification():
    found = ks((1, 1, 1, 1, 1, 0, 0), (0, 1, 1, 1, 1, 1, 1))
    assert found.statistic == pytest.approx(1 / 3)
    assert found.p_value >= 0.818182  # the exact one: the limit is cautious


def test_holm_has_the_values_of_the_specification():
    found = holm([0.01, 0.04, 0.03, 0.005, 0.2, 0.8])
    assert found == pytest.approx([0.05, 0.12, 0.12, 0.03, 0.4, 0.8])
    assert holm([]) == []
    assert holm([0.001, 0.02, 0.03, 0.04, 0.5]) == pytest.approx([0.005, 0.08, 0.09, 0.09, 0.5])


@given(st.lists(st.floats(0, 1), max_size=20), st.floats(0.001, 0.5))
def test_holm_rejects_what_stepping_down_rejects(p_values, alpha):
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    rejected = set()
    for step, at in enumerate(order):
        if (len(p_values) - step) * p_values[at] > alpha:
            break
        rejected.add(at)
    assert {at for at, p in enumerate(holm(p_values)) if p <= alpha} == rejected


@given(COUNTS)
def test_the_distance_is_scipys_in_base_2(pairs):
    a, b = zip(*pairs, strict=True)
    assert js_distance(a, b) == pytest.approx(
        spatial.distance.jensenshannon(a, b, base=2), abs=1e-7
    )


@given(COUNTS)
def test_chi_square_is_scipys(pairs):
    used = [pair for pair in pairs if any(pair)]
    a, b = zip(*pairs, strict=True)
    found = chi_square(a, b)
    if len(used) < 2:
        assert (found.statistic, found.p_value) == (0.0, 1.0)
        return
    expected = stats.chi2_contingency(np.array(used).T, correction=False)
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-9, abs=1e-9)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-7, abs=1e-300)


@given(st.floats(0, 3000), st.integers(1, 500))
def test_the_chi_square_tail_is_scipys(x, df):
    expected = stats.chi2.sf(x, df)
    assert chi_square_tail(x, df) == pytest.approx(expected, rel=1e-9, abs=1e-13)


@given(st.floats(1e-9, 0.999), st.integers(1, 300))
def test_the_chi_square_quantile_is_scipys(p, df):
    assert chi_square_quantile(p, df) == pytest.approx(stats.chi2.isf(p, df), rel=1e-6, abs=1e-9)


@given(st.floats(0, 5))
def test_the_kolmogorov_tail_is_scipys(x):
    assert kolmogorov_tail(x) == pytest.approx(special.kolmogorov(x), rel=1e-9, abs=1e-10)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # SciPy's p-value, which is not asked for
@given(
    st.lists(st.integers(0, 8), min_size=1, max_size=60),
    st.lists(st.integers(0, 8), min_size=1, max_size=60),
)
def test_ks_is_scipys_where_each_value_is_a_cell(a, b):
    counts = [[side.count(value) for value in range(9)] for side in (a, b)]
    assert ks(*counts).statistic == pytest.approx(stats.ks_2samp(a, b, method="asymp").statistic)


@given(st.integers(1, 30), st.sampled_from([0.05, 0.01, 0.0005]))
def test_the_detectable_index_gives_the_power_it_promises(df, alpha):
    n0, n = 10_000, 1_000
    noncentrality = detectable_psi(n0, n, n_cells=df + 1, alpha=alpha) / (1 / n0 + 1 / n)
    power = stats.ncx2.sf(stats.chi2.isf(alpha, df), df, noncentrality)
    assert power == pytest.approx(0.8, abs=0.04)


def drawn(rng, n: int) -> list[int]:
    counts: list[int] = rng.multinomial(n, [0.1] * 10).tolist()
    return counts


def test_the_correction_removes_what_chance_gives():
    rng = np.random.default_rng(0)
    squares = [js_distance_corrected(drawn(rng, 10_000), drawn(rng, 200)) ** 2 for _ in range(400)]
    raw = [js_distance(drawn(rng, 10_000), drawn(rng, 200)) for _ in range(400)]
    assert np.mean(raw) == pytest.approx(0.089, abs=0.005)  # the specification's
    assert np.median(squares) == pytest.approx(0, abs=0.001)


def column(cells: Cells) -> Column:
    n_missing = cells.missing
    return Column(
        name="x",
        type="float",
        rule="",
        physical="DOUBLE",
        n_present=sum(cells.counts) - n_missing,
        n_missing=n_missing,
        cells=cells,
    )


@st.composite
def windows(draw):
    n = draw(st.integers(1, 21))
    edges = tuple(range(n + 1))
    values = tuple(sorted(draw(st.sets(st.sampled_from(edges), max_size=3))))
    count = st.integers(0, 60)

    def one() -> Cells:
        return Cells(
            edges=edges,
            values=values,
            inside=tuple(draw(count) for _ in range(n)),
            at=tuple(draw(count) for _ in values),
            below=draw(count),
            above=draw(count),
            nan=draw(count),
            invalid=draw(count),
            missing=draw(count),
        )

    return column(one()), column(one())


@given(windows())
def test_pooling_loses_no_row_and_leaves_no_cell_too_small(pair):
    reference, current = pair
    ordered, loose = pool(reference, current)
    cells = [*ordered, *loose]
    assert sum(cell.reference for cell in cells) == reference.n_rows
    assert sum(cell.current for cell in cells) == current.n_rows
    smaller, both = min(reference.n_rows, current.n_rows), reference.n_rows + current.n_rows
    if smaller and len(ordered) > 1:
        assert all(cell.n * smaller / both >= LEAST - 1e-9 for cell in ordered)


def write(path: Path, **columns) -> Path:
    rows = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(),
                                                                        strict=True))]  # fmt: skip
    path.write_text("\n".join([*rows, ""]), encoding="utf-8")
    return path


def compared(
    tmp_path: Path, reference: dict[str, Any], current: dict[str, Any], **options
) -> Drift:
    base = profile.make([write(tmp_path / "reference.csv", **reference)])
    other = profile.make([write(tmp_path / "current.csv", **current)], edges=base)
    return compare(base, other, **options)


def verdicts(found: Drift) -> dict[str, str]:
    return {one.column: one.verdict for one in found.columns}


def test_a_shift_is_drift_and_the_other_columns_are_not(tmp_path: Path):
    rng = np.random.default_rng(1)
    before = {"x": rng.normal(size=2000), "y": rng.normal(size=2000)}
    now = {"x": rng.normal(size=1000), "y": rng.normal(size=1000) + 0.5}
    found = compared(tmp_path, before, now)
    assert verdicts(found) == {"x": "no drift", "y": "drifted"}
    assert found.verdict == "drifted"
    assert {one.test for one in found.columns} == {"chi-square"}


def test_a_column_that_becomes_empty_is_drift(tmp_path: Path):
    rng = np.random.default_rng(2)
    x = rng.normal(size=1000)
    emptied = [value if at % 10 == 0 else "" for at, value in enumerate(x)]
    found = compared(tmp_path, {"x": x, "i": range(1000)}, {"x": emptied, "i": range(1000)})
    assert verdicts(found) == {"x": "drifted", "i": "no drift"}
    assert found.columns[0].largest is not None
    assert found.columns[0].largest.label == "(missing)"


def test_a_column_without_a_value_in_the_reference_is_compared_by_that(tmp_path: Path):
    n = 500
    found = compared(tmp_path, {"x": [""] * n, "i": range(n)}, {"x": range(n), "i": range(n)})
    assert verdicts(found)["x"] == "drifted"


def test_a_new_category_is_drift(tmp_path: Path):
    before = {"c": ["red", "blue"] * 500}
    now = {"c": ["red", "blue", "teal", "blue"] * 100}
    found = compared(tmp_path, before, now)
    assert verdicts(found) == {"c": "drifted"}
    assert found.columns[0].largest is not None
    assert found.columns[0].largest.label in {"red", "(other)"}


def test_a_difference_that_is_certain_but_small_is_no_drift(tmp_path: Path):
    before = {"c": ["a"] * 50_000 + ["b"] * 50_000}
    now = {"c": ["a"] * 51_500 + ["b"] * 48_500}
    found = compared(tmp_path, before, now)
    assert found.columns[0].p_adjusted is not None
    assert found.columns[0].p_adjusted < 1e-6
    assert found.verdict == "no drift"
    assert compared(tmp_path, before, now, min_effect=0.01).verdict == "drifted"


def test_few_rows_that_look_alike_are_too_few_to_tell(tmp_path: Path):
    rng = np.random.default_rng(3)
    found = compared(tmp_path, {"x": rng.normal(size=1000)}, {"x": rng.normal(size=25)})
    assert found.verdict == "too few rows"
    assert found.columns[0].detectable_psi is not None
    assert found.columns[0].detectable_psi > 0.25


def test_few_rows_that_are_all_different_are_drift(tmp_path: Path):
    rng = np.random.default_rng(4)
    found = compared(tmp_path, {"x": rng.normal(size=1000)}, {"x": rng.normal(size=25) + 9})
    assert found.verdict == "drifted"


def test_no_rows_are_too_few_to_tell(tmp_path: Path):
    assert compared(tmp_path, {"x": range(100)}, {"x": []}).verdict == "too few rows"


def test_times_and_columns_of_one_side_are_listed_but_not_compared(tmp_path: Path):
    times = [f"2011-01-01T{at % 24:02d}:00:00" for at in range(100)]
    found = compared(
        tmp_path, {"t": times, "x": range(100), "y": range(100)}, {"t": times, "x": range(100)}
    )
    assert {one.column: one.reason for one in found.columns} == {
        "t": "a time",
        "x": "",
        "y": "only in the reference",
    }
    named = compared(tmp_path, {"t": times}, {"t": times}, columns=["t"])
    assert named.columns[0].p_value == 1


def test_false_alarms_are_rarer_than_alpha_over_all_columns():
    rng = np.random.default_rng(8)
    rejected = 0
    for _ in range(200):
        p_values = [chi_square(drawn(rng, 1000), drawn(rng, 300)).p_value for _ in range(10)]
        rejected += min(holm(p_values)) <= 0.05
    assert rejected <= 25  # 10 expected of 200


def test_ks_can_be_chosen_and_gives_way_where_there_is_no_order(tmp_path: Path):
    rng = np.random.default_rng(5)
    before = {"x": rng.normal(size=2000), "c": ["a", "b"] * 1000}
    now = {"x": rng.normal(size=1000) + 0.3, "c": ["a", "b"] * 500}
    found = compared(tmp_path, before, now, test="ks")
    assert [one.test for one in found.columns] == ["ks", "chi-square"]
    assert verdicts(found) == {"x": "drifted", "c": "no drift"}


@pytest.mark.parametrize("name", [*drift.MEASURES])
def test_each_measure_is_zero_for_proportional_counts_and_not_for_others(name: str):
    measure = drift.get_measure(name)
    assert measure([10, 20, 70], [100, 200, 700]) == pytest.approx(0, abs=1e-7)
    assert measure([100, 900], [900, 100]) > 0.5
    assert math.isnan(measure([1, 2], [0, 0]))


@pytest.mark.parametrize("name", [*drift.TESTS])
def test_each_test_has_a_p_value_of_one_for_proportional_counts(name: str):
    run = drift.get_test(name)
    assert run([10, 20, 70], [100, 200, 700]).p_value == pytest.approx(1)
    assert run([100, 900], [900, 100]).p_value < 1e-9
    assert run([1, 2], [0, 0]).p_value == 1


def test_unknown_names_and_limits_are_refused(tmp_path: Path):
    with pytest.raises(NotFound, match="no test of drift is called 'kss'"):
        drift.get_test("kss")
    with pytest.raises(NotFound, match="neither table has a column 'z'"):
        compared(tmp_path, {"x": [1, 2]}, {"x": [1, 2]}, columns=["z"])
    with pytest.raises(Usage):
        compared(tmp_path, {"x": [1, 2]}, {"x": [1, 2]}, alpha=1.5)


def test_the_command_exits_with_0_1_or_3(project: Path):
    rng = np.random.default_rng(6)
    write(project / "a.csv", x=rng.normal(size=1000))
    write(project / "same.csv", x=rng.normal(size=1000))
    write(project / "moved.csv", x=rng.normal(size=1000) + 1)
    write(project / "few.csv", x=rng.normal(size=10))
    shown = {name: make.assay(project, "drift", "a.csv", f"{name}.csv")
             for name in ("same", "moved", "few")}  # fmt: skip
    assert {name: one.code for name, one in shown.items()} == {"same": 0, "moved": 1, "few": 3}
    assert "drifted: 1,000 rows against 1,000; columns: 1 drifted" in shown["moved"].out
    document = json.loads(make.assay(project, "drift", "a.csv", "moved.csv", "--json").out)
    assert document["verdict"] == "drifted"
    assert document["columns"][0]["column"] == "x"
    assert sum(cell["current"] for cell in document["columns"][0]["cells"]) == 1000


def test_the_command_takes_declared_names_and_profiles_and_leaves_the_key_out(project: Path):
    rng = np.random.default_rng(7)
    write(project / "a.csv", id=range(1000), x=rng.normal(size=1000))
    write(project / "b.csv", id=range(1000, 2000), x=rng.normal(size=1000))
    make.write(project, {"assay.yaml": "data: {tables: {a: {path: a.csv, key: [id]}}}\n"})
    assert make.assay(project, "drift", "a", "b.csv").code == 0
    assert make.assay(project, "drift", "a", "b.csv", "--column", "id").code == 1
    make.done(project, "profile", "a.csv", "-o", "a.json")
    assert make.assay(project, "drift", "a.json", "b.csv", "--exclude", "id").code == 0
    missing = make.assay(project, "drift", "aa", "b.csv")
    assert missing.code == 255
    assert "did you mean 'a'?" in missing.err or "declare it" in missing.err

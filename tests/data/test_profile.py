"""A profile against NumPy and SciPy, its file format, and what may be hashed of it."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import duckdb
import msgspec
import numpy as np
import pytest
from scipy import stats

from assay.base.errors import Error
from assay.data import measure, profile
from assay.data.columns import Column
from assay.data.numeric import QUANTILES, Numbers
from assay.data.profile import Profile
from assay.data.read import open_table
from assay.data.summary import summary
from assay.data.texts import Texts

BIKES = Path(__file__).parents[3] / "shared" / "data" / "bikes.csv"


def write(path: Path, **columns) -> Path:
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def made(path: Path, **columns) -> Profile:
    return profile.make([write(path / "t.csv", **columns)])


def the(found: Profile, name: str) -> Column:
    column = found.column(name)
    assert column is not None
    return column


def numbers(found: Profile, name: str) -> Numbers:
    column = the(found, name).numbers
    assert column is not None
    return column


def texts(found: Profile, name: str) -> Texts:
    column = the(found, name).texts
    assert column is not None
    return column


def check_cells(found: Profile) -> None:
    for column in found.columns:
        if column.cells is not None:
            assert sum(column.cells.counts) == found.n_rows, column.name


def test_numbers_are_those_of_scipy(tmp_path):
    values = np.random.default_rng(0).lognormal(size=5000)
    found = numbers(made(tmp_path, x=values, one=values * 0), "x")
    assert (found.min, found.max) == (values.min(), values.max())
    assert found.mean == pytest.approx(values.mean())
    assert found.sum == pytest.approx(values.sum())
    assert found.std == pytest.approx(values.std(ddof=1))
    assert found.skewness == pytest.approx(stats.skew(values))
    assert found.kurtosis == pytest.approx(stats.kurtosis(values))
    expected = np.quantile(values, QUANTILES, method="inverted_cdf")
    assert list(found.quantiles.values()) == expected.tolist()
    assert found.histogram is not None
    assert list(found.histogram.counts) == np.histogram(values, bins=10)[0].tolist()


def test_zeros_signs_nan_and_infinities_have_counters_of_their_own(tmp_path):
    values = ["0", "-0.0", "-1.5", "nan", "inf", "inf", "-inf", "2", "", "NA"]
    found = made(tmp_path, x=values, k=range(10))
    x = numbers(found, "x")
    assert (x.n_finite, x.n_zero, x.n_negative, x.n_nan) == (4, 2, 1, 1)
    assert (x.n_positive_infinity, x.n_negative_infinity) == (2, 1)
    assert (x.min, x.max, x.mean) == (-1.5, 2.0, 0.125)
    assert the(found, "x").n_missing == 2
    check_cells(found)


def test_large_integers_keep_all_their_digits(tmp_path):
    low, high = 2**53 + 1, 2**63 - 1
    found = made(tmp_path, x=[low, low + 2, high], k=range(3))
    x = numbers(found, "x")
    assert (x.min, x.max) == (low, high)
    assert the(profile.load(profile.dump(found)), "x") == the(found, "x")
    distinct = the(found, "x").distinct
    assert distinct is not None
    assert distinct.count == 3


def test_there_are_twenty_quantile_cells_of_about_the_same_size(tmp_path):
    cells = the(made(tmp_path, x=np.random.default_rng(1).normal(size=10_000)), "x").cells
    assert cells is not None
    assert len(cells.edges) == 21
    assert all(abs(count - 500) <= 1 for count in cells.inside)
    assert (cells.below, cells.above, cells.values) == (0, 0, ())


def test_a_heavy_value_is_a_cell_of_its_own(tmp_path):
    values = [0.0] * 700 + np.random.default_rng(2).uniform(1, 2, 300).tolist()
    cells = the(made(tmp_path, x=values), "x").cells
    assert cells is not None
    assert (cells.values, cells.at) == ((0.0,), (700,))
    assert list(cells.edges) == sorted(set(cells.edges))
    assert all(cells.inside)


def test_categories_have_top_entropy_lengths_and_blanks(tmp_path):
    values = ["red"] * 5 + ["blue"] * 3 + [" x"] + ["  "]
    found = made(tmp_path, c=values, k=range(10))
    c = texts(found, "c")
    assert [(item.value, item.count) for item in c.top[:2]] == [("red", 5), ("blue", 3)]
    shares = np.array(list(Counter(values).values())) / 10
    assert c.entropy == pytest.approx(stats.entropy(shares, base=2))
    assert (c.length_min, c.length_max, c.length_mean) == (2, 4, 3.1)
    assert (c.n_blank, c.n_padded, c.n_empty) == (1, 1, 0)
    check_cells(found)


def test_the_top_hundred_categories_are_cells_and_the_rest_is_other(tmp_path):
    values = [f"c{at % 150:03d}" for at in range(1500)] + ["c000"] * 7 + [""]
    column = the(made(tmp_path, c=values, k=range(len(values))), "c")
    assert column.type == "category"
    assert column.cells is not None
    assert (len(column.cells.values), column.cells.at[0]) == (100, 17)
    assert (column.cells.other, column.cells.missing) == (500, 1)
    assert column.distinct is not None
    assert (column.distinct.count, column.distinct.exact) == (150, True)


def test_texts_that_occur_once_stay_in_the_table(tmp_path):
    values = [f"person {at}" for at in range(100)] + ["unknown"] * 2
    found = made(tmp_path, c=values, k=range(102))
    assert the(found, "c").type == "text"
    assert [item.value for item in texts(found, "c").top] == ["unknown"]
    assert b"person" not in profile.dump(found)


def test_the_share_of_texts_that_parse_is_counted(tmp_path):
    values = ["1", "2.5", "2011-01-01", "x", "007"]
    c = texts(made(tmp_path, c=values, k=range(5)), "c")
    assert (c.n_integer, c.n_number, c.n_time) == (2, 3, 1)


def test_booleans_and_times(tmp_path):
    days = [f"2011-01-{1 + at % 28:02d}" for at in range(100)]
    found = made(tmp_path, b=["yes", "no", "yes", ""] * 25, t=days)
    b, t = the(found, "b"), the(found, "t")
    assert b.booleans is not None
    assert (b.booleans.n_true, b.booleans.n_false, b.n_missing) == (50, 25, 25)
    assert t.times is not None
    assert (t.times.min, t.times.max) == ("2011-01-01T00:00:00", "2011-01-28T00:00:00")
    assert t.distinct is not None
    assert t.distinct.count == 28
    check_cells(found)


def test_repeated_rows_are_counted_also_among_invalid_values(tmp_path):
    found = made(tmp_path, x=[*range(100), 5, "a", "b"], y=[0] * 103)
    assert found.n_duplicates == 1
    assert (the(found, "x").n_invalid, the(found, "x").examples) == (2, ("a", "b"))
    check_cells(found)


def test_nested_columns_are_counted_only(tmp_path):
    file = tmp_path / "t.parquet"
    query = "SELECT [1] AS l, {'a': 1} AS s, 1::UBIGINT AS u, '1'::DECIMAL(9, 2) AS d, uuid() AS i"
    duckdb.connect().execute(f"COPY ({query}) TO '{file}' (FORMAT parquet)")
    found = profile.make([file])
    assert [c.type for c in found.columns] == ["other", "other", "integer", "float", "category"]
    assert (found.columns[0].n_present, found.columns[0].cells) == (1, None)
    check_cells(found)


@pytest.mark.parametrize("text", ["", "a,b\n", "a,b\n,\n"])
def test_a_table_without_values_has_a_profile(tmp_path, text):
    file = tmp_path / "t.csv"
    file.write_text(text)
    found = profile.make([file])
    assert profile.load(profile.dump(found)) == found
    again = profile.make([file], edges=found)
    assert profile.merge(found, again).n_rows == 2 * found.n_rows
    assert len(summary(found)[1]) == len(found.columns)
    check_cells(found)


def test_the_same_file_has_the_same_facts_with_any_number_of_threads(tmp_path):
    n = 300_000  # more than one of DuckDB's row groups
    file = tmp_path / "t.parquet"
    duckdb.connect().execute(
        f"COPY (SELECT random() - 0.5 AS x, range AS i, 'k' || (range % 777) AS c"
        f" FROM range({n})) TO '{file}' (FORMAT parquet)"
    )
    seen = {profile.dump(profile.facts(profile.make([file], threads=k))) for k in (1, 2, 4)}
    assert len(seen) == 1


def test_the_facts_hold_no_sketch_and_no_path(tmp_path):
    found = profile.make(
        [write(tmp_path / "t.csv", x=np.random.default_rng(0).normal(size=999))], source="here"
    )
    assert b"sketch" in profile.dump(found)
    assert b"sketch" not in profile.dump(profile.facts(found))
    assert b"here" not in profile.dump(profile.facts(found))
    assert profile.facts(profile.facts(found)) == profile.facts(found)


def test_quantiles_of_a_sample_are_close_and_say_so(tmp_path):
    values = np.random.default_rng(5).normal(size=50_000)
    with open_table([write(tmp_path / "t.csv", x=values)]) as table:
        found = measure.measure(table, table.columns, on={}, sorted_rows=20_000)[0]
    ranks = np.searchsorted(np.sort(values), list(found.numbers.quantiles.values())) / len(values)
    assert np.abs(ranks - QUANTILES).max() < 0.02
    assert found.numbers.quantiles_from == "sample"
    assert sum(found.cells.counts) == len(values)


def test_two_hundred_columns_take_twice_the_queries_of_a_hundred(tmp_path):
    def queries(n_columns: int) -> int:
        columns: dict[str, Sequence[object]] = {f"x{at}": range(20) for at in range(n_columns)}
        columns |= {f"c{at}": ["a", "b"] * 10 for at in range(n_columns)}
        with open_table([write(tmp_path / f"{n_columns}.csv", **columns)]) as table:
            profile.of_table(table)
            return table.queries

    assert queries(5) == queries(40) <= 14
    assert queries(200) <= 2 * queries(40)


def test_the_file_is_canonical_json_of_a_version(tmp_path):
    data = profile.dump(made(tmp_path, x=range(30), c=["a", "é", "c"] * 10))
    content = json.loads(data)
    assert content["profile"] == 1
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert data == canonical.encode() + b"\n"
    assert list(content) == sorted(content)
    assert profile.dump(profile.load(data)) == data


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.update(profile=2),
        lambda content: content.pop("columns"),
        lambda content: content["columns"][0].update(n_missing=5),
        lambda content: content["columns"][0]["cells"].update(edges=[3, 2, 1]),
        lambda content: content["columns"][0]["numbers"]["sketch"].update(data="AAAA"),
    ],
)
def test_a_damaged_profile_is_refused_with_its_place(tmp_path, change):
    content = json.loads(profile.dump(made(tmp_path, x=np.random.default_rng(0).normal(size=99))))
    change(content)
    with pytest.raises(Error) as caught:
        profile.load(json.dumps(content).encode(), where="p.json")
    assert str(caught.value.where).startswith("p.json")


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff\xfe", b'{"profile": "1"}', b"null"])
def test_what_is_no_profile_is_refused(data):
    with pytest.raises(Error, match="not a profile"):
        profile.load(data)


def test_the_summary_has_a_line_a_column(tmp_path):
    found = made(tmp_path, x=[*range(99), ""], c=["a", "b"] * 50, t=["2011-01-01"] * 100)
    header, rows = summary(found)
    assert header[0] == "column"
    assert all(len(row) == len(header) for row in rows)
    assert rows[0][:4] == ["x", "integer", "99%", "99"]
    assert rows[1][4] == "a (50%)"


def test_the_bikes_are_what_they_are():
    if not BIKES.exists():
        pytest.skip("the real data in ../shared is not here")
    found = profile.make([BIKES])
    assert (found.n_rows, found.n_duplicates, len(found.columns)) == (17_379, 0, 17)
    assert the(found, "dteday").type == "time"
    count = numbers(found, "cnt")
    assert (count.min, count.max, count.sum) == (1, 977, 3_292_679)
    season = the(found, "season").cells
    assert season is not None
    assert season.values == (1, 2, 3, 4)
    assert msgspec.json.decode(profile.dump(found))["n_rows"] == 17_379
    check_cells(found)

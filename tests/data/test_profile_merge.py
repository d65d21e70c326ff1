"""Merging profiles: what is exact is as of the rows in one table, the rest is near and says so."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.base.errors import Error
from assay.data import profile
from assay.data.columns import Column
from assay.data.profile import Profile

HEADER = ("i", "f", "c", "b", "t")
ROWS = st.lists(
    st.tuples(
        st.one_of(st.integers(-9, 9), st.just(2**60 + 1), st.just("")),
        st.one_of(st.floats(-9, 9, width=16), st.sampled_from(["nan", "inf", "-inf", ""])),
        st.sampled_from(["red", "blue", " ", "naïve", "x" * 250, ""]),
        st.sampled_from(["true", "false", ""]),
        st.sampled_from(["2011-01-01", "2012-02-29 10:00:00.5", ""]),
    ),
    max_size=30,
)
FIXED = [(1, 0.5, "red", "true", "2011-01-01"), (2, 1.5, "blue", "false", "2013-01-01")] * 20


def made(rows: list[Any], edges: Profile | None = None) -> Profile:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "t.csv"
        with file.open("w", newline="", encoding="utf-8") as handle:
            writer = csv.writer(handle)
            writer.writerow(HEADER)
            writer.writerows(rows)
        return profile.make([file], edges=edges, threads=1)


def exact(column: Column) -> list[Any]:
    found: list[Any] = [column.name, column.type, column.n_present, column.n_missing]
    found += [column.n_invalid, column.booleans, column.times, column.cells]
    if (x := column.numbers) is not None:
        found += [x.n_finite, x.n_zero, x.n_negative, x.n_nan, x.n_positive_infinity]
        found += [x.n_negative_infinity, x.min, x.max]
        found += [x.sum] if column.type == "integer" else []
    if (y := column.texts) is not None:
        found += [y.n, y.n_characters, y.length_min, y.length_max, y.n_empty, y.n_blank]
        found += [y.n_padded, y.n_integer, y.n_number, y.n_time]
    return found


def with_cells(found: Profile) -> dict[str, Column]:
    return {column.name: column for column in found.columns if column.n_present}


@settings(max_examples=25, deadline=None)
@given(ROWS, ROWS)
def test_the_exact_part_of_a_merge_is_that_of_the_rows_together(a, b):
    edges = made(FIXED)
    merged = profile.merge(made(a, edges), made(b, edges))
    whole = made(a + b, edges)
    assert merged.n_rows == whole.n_rows
    for name, column in with_cells(whole).items():
        found = merged.column(name)
        assert found is not None
        assert exact(found) == exact(column), name
        if column.numbers is not None and found.numbers is not None:
            for statistic in ("mean", "std"):
                value = getattr(found.numbers, statistic)
                assert value == pytest.approx(getattr(column.numbers, statistic)), statistic
    assert profile.load(profile.dump(merged)) == merged


def test_quantiles_and_distinct_of_a_merge_are_near_and_say_so():
    rng = np.random.default_rng(0)
    parts = [
        [(at, x, "a", "true", "") for at, x in enumerate(rng.normal(size=4000))] for _ in "ab"
    ]
    first = made(parts[0])
    merged = profile.merge(first, made(parts[1], first)).column("f")
    assert merged is not None
    assert merged.numbers is not None
    values = np.sort([row[1] for part in parts for row in part])
    ranks = np.searchsorted(values, list(merged.numbers.quantiles.values())) / len(values)
    expected = [float(level) for level in merged.numbers.quantiles]
    assert np.abs(ranks - expected).max() < 3 * 0.0133
    assert merged.numbers.quantiles_from == "sketch"
    assert merged.distinct is not None
    assert merged.distinct.count == pytest.approx(8000, rel=0.06)
    assert not merged.distinct.exact


def test_few_categories_stay_exact_in_a_merge():
    first = made(FIXED)
    merged = profile.merge(first, made(FIXED[:1] * 20, first)).column("c")
    assert merged is not None
    assert merged.texts is not None
    assert merged.texts.top_exact
    assert [(item.value, item.count) for item in merged.texts.top] == [("red", 40), ("blue", 20)]
    assert merged.texts.entropy == pytest.approx(0.9182958340544896)
    assert merged.distinct is not None
    assert (merged.distinct.count, merged.distinct.exact) == (2, True)


def test_profiles_on_edges_of_their_own_do_not_merge():
    with pytest.raises(Error, match="--edges"):
        profile.merge(made(FIXED), made([(5, 7.5, "red", "true", "2011-01-01")] * 9))


def test_profiles_of_other_columns_or_types_do_not_merge(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("i,f,c,b,x\n1,1,1,1,1\n")
    with pytest.raises(Error, match="one of the two profiles only"):
        profile.merge(made(FIXED), profile.make([file]))
    file.write_text("i,f,c,b,t\n1,red,red,true,2011-01-01\n")
    first, other = only("f", made(FIXED)), only("f", profile.make([file]))
    with pytest.raises(Error, match="of type float in one profile and category"):
        profile.merge(first, other)


def only(name: str, found: Profile) -> Profile:
    columns = tuple(column for column in found.columns if column.name == name)
    return msgspec.structs.replace(found, columns=columns)


def test_another_window_is_counted_on_the_same_cells_and_types():
    first = made(FIXED)
    second = made([("a", 99.0, "green", "maybe", "2020-01-01")] * 10, first)
    assert [column.type for column in second.columns] == [c.type for c in first.columns]
    i, f, c, b, t = (column.cells for column in second.columns)
    assert i is not None
    assert f is not None
    assert c is not None
    assert b is not None
    assert t is not None
    assert (i.invalid, f.above, c.other, b.invalid, t.above) == (10, 10, 10, 10, 10)
    for one, two in zip(first.columns, second.columns, strict=True):
        assert one.cells is not None
        assert two.cells is not None
        assert one.cells.same_edges(two.cells), one.name

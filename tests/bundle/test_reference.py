"""The reference counts every training row once a column, day by day, on the cells of `data`."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.base.errors import Error, NotFound
from assay.bundle import reference
from assay.data import profile
from tests.bundle import trained


def test_all_days_together_are_the_profile_of_the_table(tmp_path: Path):
    random = np.random.default_rng(3)
    n = 500
    columns: dict[str, Any] = {
        "number": np.round(random.normal(0, 10, n), 3),
        "count": random.integers(0, 6, n),
        "same": np.full(n, 4.5),
        "flag": random.random(n) < 0.3,
        "town": np.array([f"town {i}" for i in random.integers(0, 12, n)], object),
    }
    days = np.datetime64("2012-01-01") + random.integers(0, 40, n).astype("timedelta64[D]")
    made = reference.make(columns, days=days, target=columns["count"])
    path = str(tmp_path / "table.parquet")
    with duckdb.connect() as database:
        database.register("columns", columns)
        database.view("columns").write_parquet(path)
    measured = profile.make([Path(path)])
    for name in columns:
        column = measured.column(name)
        assert column is not None
        assert made.cells(name) == column.cells, name
    assert made.target_cells() == made.cells("count")


NUMBERS = st.lists(
    st.one_of(st.floats(width=32, allow_infinity=False), st.sampled_from([0.0, 1.0])), min_size=1
)


@given(NUMBERS, st.data())
def test_whole_days_add_up_to_any_window(values, data):
    offsets = data.draw(st.lists(st.integers(0, 9), min_size=len(values), max_size=len(values)))
    array = np.array(values)
    days = np.datetime64("2012-02-20") + np.array(offsets).astype("timedelta64[D]")
    made = reference.make({"a": array}, days=days, target=None)
    first, last = sorted((data.draw(st.integers(0, 9)), data.draw(st.integers(0, 9))))
    start, end = (str(np.datetime64("2012-02-20") + offset) for offset in (first, last))
    part = [value for value, at in zip(values, offsets, strict=True) if first <= at <= last]
    found = made.cells("a", start=start, end=end)
    assert sum(found.counts) == len(part)
    assert found.nan == sum(np.isnan(part))
    assert found.same_edges(made.cells("a"))
    assert reference.load(reference.dump(made), where="r") == made


def test_missing_texts_and_numbers_have_a_cell_of_their_own():
    columns = {
        "town": np.array(["a", None, "b", float("nan")], object),
        "wind": np.array([1.0, np.nan, np.nan, 2.0]),
    }
    made = reference.make(columns, days=None, target=None)
    assert made.days == [None]
    assert (made.cells("town").missing, made.cells("town").values) == (2, ("a", "b"))
    assert made.cells("wind").nan == 2
    with pytest.raises(NotFound, match="no column 'winds'"):
        made.cells("winds")


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (["2012-01-01T23:30:00-01:00", "2012-01-01"], ["2012-01-02", "2012-01-01"]),
        ([dt.datetime(2012, 1, 1, 5), dt.date(2012, 1, 3)], ["2012-01-01", "2012-01-03"]),  # noqa: DTZ001
        (
            [dt.datetime(2012, 1, 1, 23, tzinfo=dt.timezone(dt.timedelta(hours=-2)))] * 2,
            ["2012-01-02"] * 2,
        ),
        (
            np.array(["2012-01-01T10", "1969-12-31T23"], "datetime64[ns]"),
            ["2012-01-01", "1969-12-31"],
        ),
    ],
)
def test_a_day_is_that_of_utc(times, expected):
    assert reference.days_of(times, n_rows=2).astype(str).tolist() == expected


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (["2012-01-01"], "1 times, and 2 rows"),
        (["2012-01-01", None], "row 2 is None"),
        (np.array(["2012-01-01", "NaT"], "datetime64[D]"), "row 2 is missing"),
        ([1.5, 2.5], "row 1 is 1.5"),
    ],
)
def test_a_row_without_a_time_is_refused(times, message):
    with pytest.raises(Error, match=message):
        reference.days_of(times, n_rows=2)


def test_counts_that_contradict_the_rows_are_refused(tmp_path: Path):
    bundle = trained.bundle(tmp_path / "b")
    content = reference.dump(bundle.reference).replace(b'"n_rows":[24,', b'"n_rows":[25,')
    with pytest.raises(Error, match="contradict"):
        reference.load(content, where="r")
    with pytest.raises(Error, match="cannot be read"):
        reference.load(b"{}", where="r")


def test_it_holds_no_sketch(tmp_path: Path):
    content = trained.bundle(tmp_path / "b").contents.files["reference.json"]
    assert b"sketch" not in content
    assert b"library" not in content

"""The reference counts every training row once a column, day by day, on the cells of `data`."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.base.errors import Error, NotFound
from assay.bundle import reference
from assay.bundle.make import make
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


LIVE: dict[str, list[list[Any]]] = {
    "number": [[1.5, None, float("nan"), 99.0, -99.0, "3", True, 2]],
    "count": [[1, None, 2, 40, -1, 2.5, "x", False]],
    "flag": [[True, False, None, 1, "true"]],
    "town": [["town 1", None, float("nan"), "elsewhere", 3, True]],
}


def table(n: int) -> dict[str, Any]:
    random = np.random.default_rng(3)
    return {
        "number": np.round(random.normal(0, 10, n), 3),
        "narrow": np.round(random.normal(0, 1, n), 1).astype(np.float32),
        "count": random.integers(0, 6, n),
        "flag": random.random(n) < 0.3,
        "town": np.array([f"town {i}" for i in random.integers(0, 12, n)], object),
        "gaps": np.where(random.random(n) < 0.2, np.nan, random.normal(0, 1, n)),
        "empty": np.full(n, np.nan),
        "same": np.full(n, 4.5),
    }


def as_logged(values: Any, form: str) -> Any:
    """Return values as they are read back from a log: as a list, or masked where missing."""
    plain = [None if value != value else value for value in values.tolist()]  # noqa: PLR0124 -- NaN
    if form == "list":
        return plain
    gone = np.array([value is None for value in plain])
    wide = values.astype(np.float64) if values.dtype.kind == "f" else values
    return np.ma.MaskedArray(np.where(gone, -1, wide) if gone.any() else wide, gone)


@pytest.mark.parametrize("form", ["list", "masked"])
def test_live_values_are_counted_as_the_training_was(form: str):
    columns = table(400)
    made = reference.make(columns, days=None, target=None)
    made = reference.load(reference.dump(made), where="r")
    for name, values in columns.items():
        assert made.count(name, as_logged(values, form)) == made.columns[name].counts[0], name
        assert sum(made.count(name, as_logged(values[:7], form))) == 7
        assert sum(made.count(name, [])) == 0


@pytest.mark.parametrize("name", LIVE)
def test_live_values_of_another_kind_are_invalid_and_missing_ones_are_counted(name: str):
    made = reference.make(table(400), days=None, target=None)
    for values in LIVE[name]:
        counts = made.count(name, values)
        *_, other, nan, invalid, missing = counts
        assert sum(counts) == len(values)
        expected = {
            "number": (0, 2, 2, 0), "count": (0, 1, 2, 0), "flag": (0, 0, 2, 1),
            "town": (1, 0, 2, 2),
        }[name]  # fmt: skip
        assert (other, nan, invalid, missing) == expected
        if name in {"number", "count"}:
            assert counts[:2] == [1, 1]
    assert made.count("number", np.array(["a", "b"], object))[-2] == 2
    assert made.count("town", np.array([1, 2]))[-2] == 2
    assert made.count("town", np.array([1.0, np.nan]))[-2:] == [1, 1]
    assert made.count("count", np.array([True]))[-2] == 1


def test_numbers_that_64_bits_do_not_hold_lie_beyond_the_ends():
    made = reference.make(table(50), days=None, target=None)
    for name in ("count", "number", "narrow"):
        assert made.count(name, [2**70, -(2**70), 1e300])[:2] == [1, 2]


def test_the_order_of_cells_is_that_of_their_numbers():
    columns = table(400)
    random = np.random.default_rng(8)
    columns["heavy"] = np.where(random.random(400) < 0.6, 3.0, random.normal(0, 10, 400))
    made = reference.make(columns, days=None, target=None)
    for name in ("number", "narrow", "count", "gaps", "same", "heavy"):
        found = made.column(name)
        values = columns[name][np.isfinite(columns[name])]
        ends = [-1e9, *np.sort(values).tolist(), 1e9]
        cells = [int(np.argmax(made.count(name, [value]))) for value in ends]
        place = {cell: at for at, cell in enumerate(found.order)}
        inside = [place[cell] for cell in cells if cell in place]
        assert inside == sorted(inside), name
        assert (cells[0] in place) == (found.edges[0] not in found.values)
        assert (cells[-1] in place) == (found.edges[-1] not in found.values)
    assert [made.column(name).order for name in ("flag", "town", "empty")] == [()] * 3


@given(st.lists(st.integers(-40, 40), min_size=1, max_size=30), st.integers(1, 10))
def test_windows_are_whole_aligned_and_have_rows(offsets, length):
    days = np.datetime64("1970-01-05") + np.array(offsets).astype("timedelta64[D]")
    made = reference.make({"a": np.arange(len(days))}, days=days, target=None)
    found = made.windows(length)
    monday, known = dt.date(1970, 1, 5), sorted({*offsets})
    expected = [
        (at, at + length - 1)
        for at in range(-50 * length, 50 * length, length)
        if known[0] <= at
        and at + length - 1 <= known[-1]
        and any(at <= day < at + length for day in known)
    ]
    assert found == [
        tuple((monday + dt.timedelta(days=day)).isoformat() for day in pair) for pair in expected
    ]
    for first, last in found:
        assert made.counts("a", first, last).tolist() == list(
            made.cells("a", start=first, end=last).counts
        )


def test_a_reference_without_days_has_no_windows():
    made = reference.make({"a": np.arange(9)}, days=None, target=None)
    assert made.windows(7) == []


def test_the_answers_are_counted_by_day_and_a_bundle_without_them_still_opens(tmp_path: Path):
    bundle = trained.bundle(tmp_path / "b")
    made = bundle.reference
    answers = bundle.predict(trained.table())
    assert made.count_prediction(answers) == made.count_prediction(answers.tolist())
    first, last = made.days[0], made.days[-1]
    assert first is not None
    assert last is not None
    total = made.counts_prediction(first, last)
    assert made.count_prediction(answers) == total.tolist()
    assert made.count_prediction(answers[24:48]) == (
        made.counts_prediction("2012-01-02", "2012-01-02").tolist()
    )
    old = reference.load(reference.dump(msgspec.structs.replace(made, prediction=None)), where="r")
    assert old.prediction is None
    assert b"prediction" not in reference.dump(old)
    with pytest.raises(NotFound, match="does not tell what the model answers"):
        old.count_prediction(answers)


def test_answers_that_contradict_the_rows_are_refused(tmp_path: Path):
    made = trained.bundle(tmp_path / "b").reference
    assert made.prediction is not None
    counts = [[day[0] + 1, *day[1:]] for day in made.prediction.counts]
    wrong = msgspec.structs.replace(made.prediction, counts=counts)
    content = reference.dump(msgspec.structs.replace(made, prediction=wrong))
    with pytest.raises(Error, match=r"r: '\(prediction\)': the counts contradict"):
        reference.load(content, where="r")


@pytest.mark.parametrize(
    ("classes", "expected"),
    [(["busy", "calm"], ["calm", "busy"]), ([0, 1], [0, 1]), ([False, True], [False, True])],
)
def test_classes_are_answers_of_every_kind(tmp_path: Path, classes, expected):
    from sklearn.ensemble import RandomForestClassifier

    columns = trained.table()
    y = np.array(classes)[(trained.target(columns) > 5).astype(int)]
    model = RandomForestClassifier(n_estimators=4, random_state=0)
    model.fit(trained.matrix(columns), y)
    bundle = make(model, X=columns, to=tmp_path / "b")
    answers = bundle.predict(columns)
    found = bundle.reference.prediction
    assert found is not None
    assert found.values == expected
    assert found.count(answers.tolist()) == found.counts[0] == found.count(answers)
    n_values = [answers.tolist().count(value) for value in expected]
    assert found.counts[0][-6:-4] == n_values


def test_several_answers_a_row_are_not_counted(tmp_path: Path):
    from sklearn.linear_model import Ridge

    columns = trained.whole()
    both = np.column_stack([trained.target(columns), columns["hour"]])
    model = Ridge().fit(trained.matrix(columns), both)
    assert make(model, X=columns, to=tmp_path / "b").reference.prediction is None

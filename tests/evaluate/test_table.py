"""Rows, slices and baselines out of a table: SQL stays inside of it, and faults have a name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from assay.base.errors import Error, NotFound
from assay.data.read import Table, open_table
from assay.evaluate import baselines
from assay.evaluate.baselines import History, guess
from assay.evaluate.rows import make
from assay.evaluate.slices import masks
from assay.evaluate.table import read, series
from assay.project.declaration import Baseline

CSV = """\
at,station,count,temperature,weather
2012-01-01 00:00:00,a,10,1.5,clear
2012-01-01 00:00:00,b,20,-2.0,rain
2012-01-08 00:00:00,a,11,,rain
2012-01-08 00:00:00,b,21,3.0,clear
"""
Opened = Callable[..., Table]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    with ExitStack() as stack:

        def of(text: str = CSV) -> Table:
            path = tmp_path / "rows.csv"
            path.write_text(text)
            return stack.enter_context(open_table([path]))

        yield of


def test_rows_have_target_key_and_time_in_the_order_of_the_table(opened):
    rows = read(opened(), task="regression", target="count", key=["at", "station"], time="at")

    assert rows.target.tolist() == [10, 20, 11, 21]
    assert len(set(rows.key)) == 4
    assert rows.time is not None
    assert rows.time[0] == np.datetime64("2012-01-01").astype("datetime64[us]").astype(int)


def test_classes_come_out_of_a_column_of_text(opened):
    rows = read(opened(), task="binary", target="weather", classes=["clear", "rain"])

    assert rows.target.tolist() == [0, 1, 1, 0]


def test_a_missing_target_names_the_first_row_and_the_count(opened):
    with pytest.raises(Error, match="'temperature' is missing in 1 of 4 rows, first in row 3"):
        read(opened(), task="regression", target="temperature")


def test_a_missing_column_gets_the_nearest_name(opened):
    with pytest.raises(NotFound, match="no column 'counts'") as raised:
        read(opened(), task="regression", target="counts")

    assert raised.value.hint == "did you mean 'count'?"


def test_a_column_that_is_no_time_is_refused(opened):
    with pytest.raises(Error, match="the column 'station' is "):
        read(opened(), task="regression", target="count", time="station")


def test_slices_are_masks_and_null_is_outside(opened):
    found = masks(opened(), {"cold": "temperature < 0", "wet": "weather = 'rain'  -- a comment"})

    assert found["cold"].tolist() == [False, True, False, False]
    assert found["wet"].tolist() == [False, True, True, False]


def test_all_slices_are_one_query(opened):
    table = opened()
    before = table.queries

    masks(table, {f"above-{i}": f"count > {i}" for i in range(20)})

    assert table.queries == before + 1


@pytest.mark.parametrize(
    ("predicate", "message"),
    [
        ("temprature < 0", "'bad' is 'temprature < 0', which DuckDB refuses"),
        ("temperature <", "which DuckDB refuses"),
        ("temperature", "which is not true or false"),
        ("true) AS x, (SELECT 1", "which is not one SQL expression"),
        ("true; DROP TABLE t", "which is not one SQL expression"),
        ("", "which is not one SQL expression"),
        ("count > (SELECT count(*) FROM read_csv('/etc/passwd'))", "which DuckDB refuses"),
        ("count(*) > 1", "which DuckDB refuses"),
    ],
)
def test_a_bad_predicate_is_an_error_that_names_the_slice(opened, predicate, message):
    with pytest.raises(Error, match=r"bad") as raised:
        masks(opened(), {"fine": "count > 1", "bad": predicate})

    assert message in raised.value.what
    assert raised.value.where == "assay.yaml: evaluation.slices.bad"


def test_a_bracket_in_a_text_is_no_bracket(opened):
    assert masks(opened(), {"odd": "weather = ')'"})["odd"].tolist() == [False] * 4


def test_no_slices_are_no_query(opened):
    assert masks(opened(), {}) == {}


def test_the_majority_answers_every_row_alike():
    rows = make(["b", "a", "b"], task="binary", classes=["a", "b"])

    found = guess("most", Baseline(majority=True), rows)

    assert found.values.tolist() == [1, 1, 1]
    assert found.probabilities is not None
    assert found.probabilities[0] == pytest.approx([1 / 3, 2 / 3])


def test_the_majority_is_that_of_the_history_where_there_is_one():
    rows = make(["b"], task="binary", classes=["a", "b"])

    found = guess("most", Baseline(majority=True), rows, history=History(target=np.array([0])))

    assert found.values.tolist() == [0]


def test_a_number_has_no_majority():
    with pytest.raises(Error, match="a majority needs classes"):
        guess("most", Baseline(majority=True), make([1.0], task="regression"))


def test_last_weeks_value_is_that_of_the_same_series(opened):
    table = opened()
    rows = read(table, task="regression", target="count", key=["at", "station"], time="at")

    found = guess(
        "week", Baseline(season="7d"), rows, series=series(table, ["at", "station"], time="at")
    )

    assert found.present.tolist() == [False, False, True, True]
    assert found.values[found.present].tolist() == [10, 20]


def test_last_weeks_value_may_come_from_the_training_table():
    times = np.array(["2012-01-08"], dtype="datetime64[us]")
    rows = make([5.0], task="regression", time=times)
    week_before = (times - np.timedelta64(7, "D")).astype("datetime64[us]").astype(np.int64)
    history = History(target=np.array([4.0]), time=week_before)

    found = guess("week", Baseline(season="7d"), rows, history=history)

    assert found.values.tolist() == [4.0]


def test_two_values_at_one_time_need_a_series(opened):
    rows = read(opened(), task="regression", target="count", time="at")

    with pytest.raises(Error, match="two values of the target have the same time"):
        guess("week", Baseline(season="7d"), rows)


def test_a_season_needs_times():
    with pytest.raises(Error, match="needs a time for each row"):
        guess("week", Baseline(season="7d"), make([1.0], task="regression"))


def test_sql_is_a_baseline_and_null_is_no_answer(opened):
    table = opened()
    rows = read(table, task="regression", target="count")

    found = guess("linear", Baseline(sql="temperature * 2"), rows, table=table)
    kept, present = baselines.add(rows, "linear", found)

    assert present.tolist() == [True, True, False, True]
    assert kept.models["linear"].values.tolist() == [3.0, -4.0, 6.0]
    assert kept.target.tolist() == [10, 20, 21]


def test_sql_may_give_classes(opened):
    table = opened()
    rows = read(table, task="binary", target="weather", classes=["clear", "rain"])

    found = guess(
        "cold", Baseline(sql="CASE WHEN temperature < 0 THEN 'rain' ELSE 'clear' END"),
        rows, table=table,
    )  # fmt: skip

    assert found.values.tolist() == [0, 1, 0, 0]


@pytest.mark.parametrize(
    ("sql", "message"),
    [("weather", "not a number"), ("wether", "DuckDB refuses"), ("NULL::DOUBLE", "no answer")],
)
def test_a_bad_baseline_is_named(opened, sql, message):
    table = opened()
    rows = read(table, task="regression", target="count")

    with pytest.raises(Error, match=message) as raised:
        baselines.add(rows, "odd", guess("odd", Baseline(sql=sql), rows, table=table))

    assert "odd" in str(raised.value)


def test_a_baseline_is_exactly_one_kind():
    with pytest.raises(Error, match="has 2 kinds, expected one"):
        guess("both", Baseline(majority=True, sql="1"), make([1.0], task="regression"))
    with pytest.raises(Error, match="has 0 kinds, expected one"):
        guess("none", Baseline(), make([1.0], task="regression"))

"""Windows begin at Mondays, parts of the log are small enough, and counts of parts add up."""

from __future__ import annotations

import datetime as dt
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.evaluate import blocks
from assay.monitor import quality, windows
from assay.monitor.performance import block_mean
from assay.monitor.quality import Expected, Tally, faults, tally
from assay.monitor.windows import DAY, Span, Survey

moments = st.integers(-(10**13), 10**13)


@given(moments, st.integers(1, 60))
def test_every_moment_lies_in_one_window_that_begins_a_whole_number_after_a_monday(at, days):
    size = days * DAY
    found = windows.span_at(at, size)
    assert found.start <= at < found.end
    assert found.end - found.start == size
    assert (found.start - windows.ORIGIN) % size == 0
    assert windows.span_at(found.end - 1, size) == found


def test_weeks_begin_on_monday():
    found = windows.span_at(1_325_376_000_000, 7 * DAY)
    assert dt.date.fromisoformat(windows.day(found.start)).weekday() == 0


def survey(counts: dict[int, int]) -> Survey:
    minutes = np.array(sorted(counts), np.int64)
    return Survey(
        newest=None, seen=None, n_late=0, n_future=0, n_untimed=0, minutes=minutes,
        n_rows=np.array([counts[at] for at in minutes.tolist()], np.int64),
    )  # fmt: skip


@given(st.dictionaries(st.integers(0, 3000), st.integers(1, 50), min_size=1), st.integers(1, 120))
def test_parts_of_the_log_hold_every_row_once_and_no_more_than_they_may(counts, most):
    found = survey(counts)
    within = Span(0, 4 * DAY)
    parts = list(windows.batches(found, within=within, most=most))
    assert sum(found.count(part) for part in parts) == sum(counts.values())
    assert all(a.end <= b.start for a, b in pairwise(parts))
    for part in parts:
        one_minute = part.end - part.start == 60_000
        assert found.count(part) <= most or one_minute


def test_windows_that_are_due_have_rows_lie_behind_the_watermark_and_are_new():
    found = survey(dict.fromkeys((10 * 1440, 12 * 1440 + 3, 40 * 1440), 1))
    starts = [one.start // DAY for one in windows.due(
        found, size=DAY, watermark=40 * DAY + 5, computed=None)]  # fmt: skip
    assert starts == [10, 12]
    again = windows.due(found, size=DAY, watermark=41 * DAY, computed=11 * DAY)
    assert [one.start // DAY for one in again] == [12, 40]


values = st.lists(
    st.one_of(st.none(), st.floats(-50, 50), st.just(float("nan"))), min_size=1, max_size=40
)
NUMBER = Expected(kind="number", least_present=0.9, low=-10, high=10, no_nan=True)


def array(given: list[float | None]) -> np.ma.MaskedArray:
    mask = [value is None for value in given]
    return np.ma.array([0.0 if value is None else value for value in given], mask=mask)


@given(values, st.integers(0, 40))
def test_tallies_of_parts_add_up_to_that_of_the_whole(given_values, cut):
    whole = tally(array(given_values), NUMBER)
    parts = [given_values[:cut], given_values[cut:]]
    assert sum((tally(array(part), NUMBER) for part in parts if part), Tally()) == whole


@given(values)
def test_a_tally_counts_what_a_loop_over_the_values_counts(given_values):
    found = tally(array(given_values), NUMBER)
    there = [value for value in given_values if value is not None and not math.isnan(value)]
    assert found.n_missing == len(given_values) - len(there)
    assert found.n_low == sum(value < -10 for value in there)
    assert found.n_high == sum(value > 10 for value in there)


def test_texts_that_the_schema_does_not_know_are_named():
    expected = Expected(kind="text", values=frozenset({"red"}))
    found = tally(np.array(["red", "blue", "blue"], object), expected)
    (fault,) = faults("colour", found, expected)
    assert fault.type == "ENUM_TYPE_UNEXPECTED_STRING_VALUES"
    assert "'blue'" in fault.message


def test_a_share_that_the_schema_allows_is_allowed_to_the_row():
    expected = Expected(kind="number", least_present=0.9)
    assert faults("x", tally(array([1.0] * 9 + [None]), expected), expected) == []
    assert faults("x", tally(array([1.0] * 8 + [None] * 2), expected), expected) != []


@pytest.mark.parametrize(
    ("kind", "column"),
    [("number", np.array(["a"], object)), ("text", np.array([1.0])), ("bool", np.array([1])),
     ("integer", np.array([True])), ("integer", np.array([1.5]))],
)  # fmt: skip
def test_a_value_of_another_type_is_wrong(kind: quality.Kind, column):
    expected = Expected(kind=kind)
    (fault,) = faults("x", tally(column, expected), expected)
    assert fault.type == "UNEXPECTED_DATA_TYPE"


@given(
    st.lists(st.tuples(st.integers(0, 30), st.floats(-5, 5)), min_size=1, max_size=200),
)
def test_the_error_by_day_is_that_of_the_rows_in_blocks(rows):
    day = np.array(sorted(at for at, _ in rows))
    loss = np.array([value for _, value in rows])
    expected = blocks.block_mean(loss, blocks.cut(day * 86_400_000_000, blocks.DAY))
    sizes = np.bincount(day, minlength=31)
    found = block_mean(np.bincount(day, weights=loss, minlength=31).tolist(), sizes.tolist())
    assert found.value == pytest.approx(expected.mean, abs=1e-12)
    assert found.n_blocks == expected.n_blocks
    if found.n_blocks >= blocks.MIN_BLOCKS:
        assert found.error == pytest.approx(expected.error, abs=1e-9)
    else:
        assert found.error is None

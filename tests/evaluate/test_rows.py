"""Rows refuse what cannot be judged, and pair two sides by key."""

from __future__ import annotations

import math

import numpy as np
import pytest

from assay.base.errors import Error
from assay.evaluate.rows import make, pair
from tests.evaluate.make import binary, regression


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_prediction_that_is_no_number_names_the_first_row_and_the_count(bad):
    with pytest.raises(Error, match=r"2 of 4 rows, first in row 2 \(key 'b'\)"):
        make([1, 2, 3, 4], task="regression", key="abcd").with_model("m", [1, bad, 3, bad])


def test_a_target_that_is_no_number_is_refused():
    with pytest.raises(Error, match="the target is NaN or infinite in 1 of 2 rows"):
        make([1, math.nan], task="regression")


def test_a_column_of_text_is_no_prediction_of_a_number():
    with pytest.raises(Error, match="not a column of numbers"):
        make([1], task="regression").with_model("m", ["high"])


def test_a_class_that_the_signature_lacks_is_refused():
    with pytest.raises(Error, match=r"none of the classes 'no', 'yes' in 1 of 2 rows, first in r"):
        make(["no", "perhaps"], task="binary", classes=["no", "yes"])


def test_classes_are_known_in_the_types_of_a_table():
    assert make([1.0, 0.0], task="binary", classes=[0, 1]).target.tolist() == [1, 0]
    assert make(["1", "0"], task="binary", classes=[0, 1]).target.tolist() == [1, 0]
    assert make([True, False], task="binary", classes=[0, 1]).target.tolist() == [1, 0]


@pytest.mark.parametrize("classes", [["a"], ["a", "b", "c"], ["a", "a"]])
def test_two_classes_are_two(classes):
    with pytest.raises(Error, match="a binary task needs two classes"):
        make(["a"], task="binary", classes=classes)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([[0.5, 0.6]], "not of sum 1"),
        ([[-0.1, 1.1]], "below 0 or above 1"),
        ([[math.nan, 1.0]], "NaN or infinite"),
        ([[1.0]], r"shape \(1, 1\), expected \(1, 2\)"),
    ],
)
def test_what_is_no_probability_is_refused(given, message):
    with pytest.raises(Error, match=message):
        make([0], task="binary", classes=[0, 1]).with_model("m", [0], probabilities=given)


def test_a_key_that_names_two_rows_is_refused():
    with pytest.raises(Error, match="the key 'a' names more than one row"):
        make([1, 2, 3], task="regression", key=["b", "a", "a"])


def test_keys_of_two_columns_do_not_run_together():
    rows = make([1, 2], task="regression", key=[("a b", "c"), ("a", "b c")])

    assert len(set(rows.key)) == 2


def test_lengths_that_differ_are_refused():
    with pytest.raises(Error, match="3 predictions for 2 rows"):
        make([1, 2], task="regression").with_model("m", [1, 2, 3])
    with pytest.raises(Error, match="1 keys for 2 targets"):
        make([1, 2], task="regression", key=["a"])
    with pytest.raises(Error, match="1 times for 2 rows"):
        make([1, 2], task="regression", time=[np.datetime64("2012-01-01")])


def test_two_sides_are_paired_by_key_and_say_what_each_has_alone():
    base = make([1, 2, 3], task="regression", key="abc").with_model("base", [10, 20, 30])
    candidate = make([4, 3, 2, 5], task="regression", key="dcbe").with_model(
        "candidate", [41, 31, 21, 51]
    )

    found = pair(base, candidate)

    assert found.rows.key == ("c", "b")
    assert found.rows.models["base"].values.tolist() == [30, 20]
    assert found.rows.models["candidate"].values.tolist() == [31, 21]
    assert found.candidate_at.tolist() == [1, 2]
    assert found.note == "not compared: 1 rows only the base has, 2 rows only the candidate has"


def test_equal_keys_leave_nothing_alone():
    found = pair(regression([1, 2], base=[1, 1]), regression([1, 2], candidate=[2, 2]))

    assert found.note == ""
    assert set(found.rows.models) == {"base", "candidate"}


def test_sides_without_a_common_row_are_refused():
    with pytest.raises(Error, match="no common row"):
        pair(make([1], task="regression", key="a"), make([1], task="regression", key="b"))


def test_sides_whose_truth_differs_are_refused():
    with pytest.raises(Error, match="the target is another one on the base's side in 1 of 2 rows"):
        pair(regression([1, 2]), regression([1, 3]))


def test_sides_of_different_tasks_or_with_one_model_twice_are_refused():
    with pytest.raises(Error, match="same question"):
        pair(regression([1]), binary([1]))
    with pytest.raises(Error, match="on both sides"):
        pair(regression([1], m=[1]), regression([1], m=[1]))

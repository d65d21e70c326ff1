"""Types are strict: what is not of a column's type is refused, never converted to one that is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.bundle import columns, signature
from assay.bundle.columns import InvalidRows
from assay.bundle.signature import Column, Output, Signature

NAN = float("nan")


def of(*given: Column) -> Signature:
    output = Output(type="float64", shape=(-1,), classes=None, probabilities=False)
    return Signature(task="regression", columns=given, output=output)


def column(type_: Any, missing: Any = "no") -> Signature:
    return of(Column(name="a", type=type_, missing=missing))


@pytest.mark.parametrize(
    ("type_", "missing", "values", "expected"),
    [
        ("int64", "no", [1, 2], [1, 2]),
        ("int8", "no", [-128, 127], [-128, 127]),
        ("uint64", "no", [2**64 - 1], [2**64 - 1]),
        ("float64", "no", [1, 2.5], [1.0, 2.5]),
        ("float32", "no", [0.5], [0.5]),
        ("float64", "nan", [None, 1.0], [NAN, 1.0]),
        ("bool", "no", [True, False], [True, False]),
        ("string", "no", ["a", "1"], ["a", "1"]),
        ("string", "none", ["a", None], ["a", None]),
        ("string", "nan", ["a", None], ["a", NAN]),
        ("int64", "no", np.array([1, 2], np.uint8), [1, 2]),
        ("float64", "no", np.array([1, 2], np.int8), [1.0, 2.0]),
        ("string", "no", np.array(["a", "b"]), ["a", "b"]),
        ("float64", "nan", np.ma.array([1.0, 2.0], mask=[False, True]), [1.0, NAN]),
    ],
)
def test_values_of_the_type_are_taken(type_, missing, values, expected):
    found = column(type_, missing).enforce({"a": values})["a"]
    assert found.dtype == (object if type_ == "string" else type_)
    assert repr(found.tolist()) == repr(expected)


@pytest.mark.parametrize(
    ("type_", "values", "message"),
    [
        ("int64", [1, 1.0], "row 2 is 1.0; expected is int64"),
        ("int64", [True], "row 1 is True"),
        ("int64", ["1"], "row 1 is '1'"),
        ("int64", [None], "row 1 is missing"),
        ("int8", [1, 128], "row 2 is 128, out of range"),
        ("int8", np.array([300]), "300, out of range"),
        ("uint8", [-1], "-1, out of range"),
        ("int64", [2**63], "out of range"),
        ("int64", np.array([1.0]), "values are float64, expected is int64"),
        ("float64", ["x"], "row 1 is 'x'; expected is float64"),
        ("float64", [True], "row 1 is True"),
        ("float64", np.array([True]), "values are bool"),
        ("float64", [1.0, None], "row 2 is missing"),
        ("float64", [NAN], r"missing \(NaN\)"),
        ("float64", [float("inf")], "infinite"),
        ("float64", [10**400], "out of range"),
        ("float32", [1e300], "infinite"),
        ("float32", np.array([1e300]), "infinite"),
        ("bool", [1], "row 1 is 1; expected is bool"),
        ("bool", np.array([1]), "values are int64, expected is bool"),
        ("string", [5], "row 1 is 5; expected is string"),
        ("string", [b"x"], "b'x'"),
        ("string", np.array([1.5]), "values are float64, expected is string"),
        ("string", ["a" * 500, 2], "row 2 is 2"),
        ("float64", [[1.0]], "row 1 is"),
    ],
)
def test_values_of_another_type_are_refused(type_, values, message):
    with pytest.raises(InvalidRows, match=message) as caught:
        column(type_).enforce({"a": values})
    assert caught.value.where == "column 'a'"


def test_columns_are_matched_by_name():
    both = of(Column(name="a", type="int64"), Column(name="b", type="string"))
    found = both.enforce([{"b": "x", "a": 1}, {"a": 2, "b": "y"}])
    assert list(found) == ["a", "b"]
    with pytest.raises(InvalidRows, match="column 'a' is missing") as caught:
        both.enforce({"b": ["x"], "aa": [1]})
    assert caught.value.hint == "did you mean 'aa'?"
    with pytest.raises(InvalidRows, match="no column 'c'"):
        both.enforce({"a": [1], "b": ["x"], "c": [1]})
    with pytest.raises(InvalidRows, match="in some rows only") as caught:
        both.enforce([{"a": 1, "b": "x"}, {"a": 2}])
    assert caught.value.where == "row 2"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([], "no row"),
        ({"a": []}, "no row"),
        ("a", "a str is no table"),
        (5, "an int is no table"),
        ([1], "it is an int"),
        (np.zeros((2, 2)), "no names"),
        ({"a": np.zeros((2, 2))}, "2 dimensions"),
        ({"a": 5}, "an int is no column"),
        ({"a": "text"}, "a str is no column"),
        ({"a": [1], "b": [1, 2]}, "has 2 values"),
        ({1: [1]}, "expected is text"),
    ],
)
def test_what_is_no_table_is_refused(table, message):
    with pytest.raises(InvalidRows, match=message):
        column("int64").enforce(table)


@pytest.mark.parametrize(
    ("values", "type_", "missing"),
    [
        (np.array([1], np.int16), "int16", "no"),
        (np.array([True]), "bool", "no"),
        (np.array([1.0], np.float32), "float32", "no"),
        (np.array([1.0, NAN]), "float64", "nan"),
        (np.array(["a"]), "string", "no"),
        ([1, 2], "int64", "no"),
        ([1, None], "float64", "nan"),
        ([1, 2.5], "float64", "no"),
        (["a", None], "string", "none"),
        (np.array(["a", NAN], object), "string", "nan"),
        (np.ma.array([1, 2], mask=[True, False]), "float64", "nan"),
        (np.ma.array(["a", "b"], mask=[True, False]), "string", "none"),
        ([np.float64(1.5), 2], "float64", "no"),
    ],
)
def test_the_type_of_a_training_column_is_inferred(values, type_, missing):
    (found,), _ = signature.infer({"a": values})
    assert (found.type, found.missing) == (type_, missing)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a", 1], "types int, str"),
        ([True, None], "bool and missing"),
        ([True, 1], "types bool, int"),
        (["a", None, NAN], "None in some rows and NaN"),
        (np.array(["2012-01-01"], "datetime64[D]"), "datetime64"),
        ([2**70], "more than 64 bits"),
        ([1.0, float("inf")], "row 2 is infinite"),
        ([{}], "types dict"),
    ],
)
def test_a_training_column_of_no_type_or_of_two_is_refused(values, message):
    with pytest.raises(InvalidRows, match=message):
        signature.infer({"a": values})


VALUES = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1),
    st.lists(st.floats(allow_infinity=False), min_size=1),
    st.lists(st.booleans(), min_size=1),
    st.lists(st.text(), min_size=1),
    st.lists(st.one_of(st.text(), st.none()), min_size=1).filter(lambda v: set(v) != {None}),
)


@given(VALUES)
def test_what_the_model_was_trained_on_it_takes_again(values):
    found, arrays = signature.infer(columns.of({"a": values}))
    assert of(*found).enforce({"a": values})["a"].tolist().__repr__() == (
        arrays["a"].tolist().__repr__()
    )
    again = of(*found).enforce(arrays)["a"]
    assert repr(again.tolist()) == repr(arrays["a"].tolist())

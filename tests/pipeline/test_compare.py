from __future__ import annotations

import json
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from assay.pipeline import compare

numbers = st.floats(allow_nan=True, allow_infinity=True)
trees = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=6,
)


@given(numbers, numbers, st.floats(0, 1))
def test_numbers_compare_alike_in_both_orders(a: float, b: float, rtol: float):
    assert compare.numbers(a, b, rtol=rtol) == compare.numbers(b, a, rtol=rtol)


@given(numbers)
def test_a_number_is_identical_to_itself_even_nan(a: float):
    assert compare.numbers(a, a, rtol=0) == "identical"


@given(st.floats(1e-3, 1e3), st.floats(1e-9, 1e-2))
def test_within_the_tolerance_is_close_and_beyond_it_differs(a: float, rtol: float):
    assert compare.numbers(a, a * (1 + rtol / 4), rtol=rtol) == "close"
    assert compare.numbers(a, a * (1 + rtol * 4), rtol=rtol) == "differs"


@given(numbers, numbers)
def test_without_a_tolerance_nothing_is_close(a: float, b: float):
    assume(a != b and not (math.isnan(a) and math.isnan(b)))
    assert compare.numbers(a, b, rtol=0) == "differs"


@given(trees, st.integers(0, 3))
def test_the_layout_of_a_json_file_is_no_difference(tree: object, indent: int):
    a, b = json.dumps(tree).encode(), json.dumps(tree, indent=indent).encode()
    assert compare.contents("m.json", a, b, rtol=1e-6) == "identical"


@pytest.mark.parametrize(
    ("name", "a", "b", "expected"),
    [
        ("m.json", b'{"a": 1.0}', b'{"a": 1.0000000001}', "close"),
        ("m.json", b'{"a": 1.0}', b'{"a": 1.1}', "differs"),
        ("m.json", b'{"a": 1}', b'{"b": 1}', "differs"),
        ("m.json", b"[1, 2]", b"[1]", "differs"),
        ("m.json", b'{"a": true}', b'{"a": 1}', "differs"),
        ("m.json", b"{", b"{}", "differs"),
        ("m.yaml", b"a: [1, {b: 2}]", b"a:\n- 1\n- b: 2.0000000001\n", "close"),
        ("m.toml", b"a = 1.5", b"a = 1.5000000001", "close"),
        ("t.csv", b"x,y\n1,2\n", b"x,y\n1,2.0000000001\n", "close"),
        ("t.csv", b"x,y\n1,2\n", b"x,z\n1,2\n", "differs"),
        ("t.csv", b"x,y\n1,2\n", b"x,y\n1,2\n3,4\n", "differs"),
        ("t.tsv", b"x\ty\n1\t2\n", b"x\ty\n1\t3\n", "differs"),
        ("m.bin", b"1", b"1.0", "differs"),
        ("m.json", b"\xff", b"\xfe", "differs"),
    ],
)
def test_files_compare_by_their_numbers_and_nothing_else(
    name: str, a: bytes, b: bytes, expected: str
):
    assert compare.contents(name, a, b, rtol=1e-6) == expected


def test_a_metric_that_one_side_lacks_differs():
    found = compare.metrics({"a": 1.0, "b": 2.0}, {"a": 1.0}, rtol=1)
    assert [(one.name, one.sameness, one.found) for one in found] == [
        ("a", "identical", "1.0"), ("b", "differs", "-"),
    ]  # fmt: skip
    assert compare.worst(found) == "differs"
    assert compare.worst([]) == "identical"

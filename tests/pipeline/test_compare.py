from __future__ import annotations

import json
import math
from random import Random

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
    found = compare.metrics({"a": [(0, 1.0)], "b": [(0, 2.0)]}, {"a": [(0, 1.0)]}, rtol=1)
    assert [(one.name, one.sameness, one.found) for one in found] == [
        ("a", "identical", "1.0"), ("b", "differs", "-"),
    ]  # fmt: skip
    assert compare.worst(found) == "differs"
    assert compare.worst([]) == "identical"


steps = st.integers(0, 3)
histories = st.lists(st.tuples(steps, numbers), max_size=6)


def whole(a: object, b: object, *, rtol: float = 0) -> compare.Compared:
    (found,) = compare.metrics({"m": a}, {"m": b}, rtol=rtol)  # type: ignore[dict-item]
    return found


@given(histories, st.randoms(use_true_random=False))
def test_neither_the_order_of_points_nor_how_often_one_came_is_a_difference(
    points: list[tuple[int, float]], random: Random
):
    other = [*points, *points]
    random.shuffle(other)
    assert whole(points, other).sameness == "identical"


@given(histories, histories, st.floats(0, 1))
def test_histories_compare_alike_in_both_orders(
    a: list[tuple[int, float]], b: list[tuple[int, float]], rtol: float
):
    forth, back = whole(a, b, rtol=rtol), whole(b, a, rtol=rtol)
    assert (forth.sameness, forth.step) == (back.sameness, back.step)


@given(histories, histories)
def test_histories_are_identical_where_the_same_points_are_in_both(
    a: list[tuple[int, float]], b: list[tuple[int, float]]
):
    def points(of: list[tuple[int, float]]) -> set[tuple[int, str]]:
        return {(step, repr(value + 0.0)) for step, value in of}  # -0.0 is 0.0

    assert (whole(a, b).sameness == "identical") == (points(a) == points(b))


@pytest.mark.parametrize(
    ("then", "now", "step", "recorded", "found"),
    [
        ([(0, 1.0), (1, 2.0), (2, 0.5)], [(0, 1.0), (1, 3.0), (2, 0.5)], 1, "2.0", "3.0"),
        ([(0, 1.0), (2, 0.5)], [(0, 1.0), (1, 0.7), (2, 0.5)], 1, "-", "0.7"),
        ([(0, 1.0), (1, 2.0)], [(0, 1.0)], 1, "2.0", "-"),
        ([(0, 1.0)], [(0, 2.0)], None, "1.0", "2.0"),
        ([(5, 1.0)], [], None, "1.0", "-"),
        ([(5, 1.0)], [(6, 1.0)], 5, "1.0", "-"),
        ([(0, 1.0), (0, 3.0)], [(0, 3.0), (0, 1.5)], None, "1.0", "1.5"),
        ([(0, 1.0), (1, math.nan)], [(0, 1.0), (1, 9.0)], 1, "nan", "9.0"),
    ],
)
def test_of_a_history_the_first_step_that_differs_is_shown(
    then: object, now: object, step: int | None, recorded: str, found: str
):
    one = whole(then, now)
    assert (one.sameness, one.step, one.recorded, one.found) == ("differs", step, recorded, found)


def test_within_the_tolerance_the_first_step_that_is_not_identical_is_shown():
    then, now = [(0, 1.0), (1, 2.0), (2, 4.0)], [(0, 1.0), (1, 2.002), (2, 4.004)]
    one = whole(then, now, rtol=0.01)
    assert (one.sameness, one.step, one.recorded, one.found) == ("close", 1, "2.0", "2.002")
    one = whole(then, [*now[:2], (2, 5.0)], rtol=0.01)
    assert (one.sameness, one.step, one.recorded) == ("differs", 2, "4.0")


def test_what_is_identical_shows_the_last_value():
    one = whole([(0, 0.9), (0, 0.5)], [(0, 0.5), (0, 0.9)])
    assert (one.sameness, one.recorded, one.found) == ("identical", "0.5", "0.9")

"""Moments against SciPy, and their merge against the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from assay.data import moments

NUMBERS = st.lists(st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 3)), max_size=40)


@pytest.mark.parametrize("shift", [0.0, 1e9])
def test_moments_are_those_of_scipy_also_far_from_zero(shift):
    values = np.random.default_rng(1).lognormal(size=10_000) + shift
    found = moments.of(values)
    centred = values - values.mean()
    assert found.mean == pytest.approx(values.mean(), rel=1e-14)
    assert found.std == pytest.approx(values.std(ddof=1), rel=1e-12)
    assert found.skewness == pytest.approx(stats.skew(centred), rel=1e-9)
    assert found.kurtosis == pytest.approx(stats.kurtosis(centred), rel=1e-9)


@given(NUMBERS, NUMBERS)
def test_a_merge_has_the_moments_of_both_together(a, b):
    whole = moments.of(np.array(a + b))
    merged = moments.merge(moments.of(np.array(a)), moments.of(np.array(b)))
    scale = max(map(abs, [*a, *b]), default=0.0) or 1.0
    assert merged.n == whole.n
    for power, name in enumerate(("mean", "m2", "m3", "m4"), start=1):
        found, expected = getattr(merged, name), getattr(whole, name)
        size = scale**power * max(whole.n, 1)
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-9 * size), name


def test_a_merge_of_a_hundred_parts_far_from_zero_loses_no_digits():
    values = np.random.default_rng(2).normal(size=100_000) + 1e9
    total = moments.Moments()
    for part in np.array_split(values, 100):
        total = moments.merge(total, moments.of(part))
    assert total.std == pytest.approx(moments.of(values).std, rel=1e-12)


def test_what_does_not_vary_has_no_shape():
    found = moments.of(np.full(1000, 0.1))
    assert found.std == pytest.approx(0, abs=1e-15)
    assert (found.skewness, found.kurtosis) == (None, None)
    assert moments.of(np.array([5.0])).std is None


def test_values_near_the_largest_double_overflow_to_none():
    found = moments.of(np.array([1e308, 1.5e308, -1e308]))
    assert found.mean == pytest.approx(5e307)
    assert found.std is None

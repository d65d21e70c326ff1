"""Our tails are SciPy's."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from assay.evaluate import distributions as own

shares = st.floats(1e-9, 1 - 1e-9)
sizes = st.floats(0.5, 2000)


@given(st.floats(-8, 8))
def test_the_normal_distribution_is_scipys(z):
    assert own.normal_cdf(z) == pytest.approx(stats.norm.cdf(z), rel=1e-12)


@given(shares)
def test_the_normal_quantile_is_scipys(p):
    assert own.normal_quantile(p) == pytest.approx(stats.norm.ppf(p), rel=1e-12, abs=1e-14)


@given(shares, sizes, sizes)
def test_the_beta_distribution_is_scipys(x, a, b):
    assert own.beta_cdf(x, a, b) == pytest.approx(stats.beta.cdf(x, a, b), rel=1e-9, abs=1e-14)


@given(st.floats(0.001, 0.999), st.floats(0.5, 300), st.floats(0.5, 300))
def test_the_beta_quantile_is_scipys(p, a, b):
    assert own.beta_quantile(p, a, b) == pytest.approx(stats.beta.ppf(p, a, b), rel=1e-8)


@given(st.floats(-50, 50), st.floats(1, 10_000))
def test_the_t_distribution_is_scipys(t, df):
    assert own.t_cdf(t, df) == pytest.approx(stats.t.cdf(t, df), rel=1e-9, abs=1e-14)
    assert own.t_two_sided(t, df) == pytest.approx(2 * stats.t.sf(abs(t), df), rel=1e-9, abs=1e-14)


@given(st.floats(0.0005, 0.9995), st.integers(1, 100_000))
def test_the_t_quantile_is_scipys(p, df):
    assert own.t_quantile(p, df) == pytest.approx(stats.t.ppf(p, df), rel=1e-8, abs=1e-9)


@given(st.integers(0, 500), st.integers(1, 500), st.floats(0.01, 0.99))
def test_the_binomial_distribution_is_scipys(k, n, p):
    assert own.binomial_cdf(k, n, p) == pytest.approx(
        stats.binom.cdf(k, n, p), rel=1e-9, abs=1e-14
    )
    if k <= n:
        assert own.binomial_pmf(k, n, p) == pytest.approx(stats.binom.pmf(k, n, p), rel=1e-9)


def test_the_ends_of_the_range_are_infinite_or_certain():
    assert own.normal_quantile(0.0) == -math.inf
    assert own.normal_quantile(1.0) == math.inf
    assert (own.beta_cdf(0.0, 2, 2), own.beta_cdf(1.0, 2, 2)) == (0.0, 1.0)
    assert own.t_two_sided(math.inf, 5) == 0.0
    assert own.binomial_cdf(-1, 5, 0.5) == 0.0

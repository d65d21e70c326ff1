"""The few distribution functions that intervals and tests need: normal, t, beta, binomial.

They stand here because importing SciPy costs more than a gate takes; tests hold them to SciPy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

_TINY = 1e-300


def normal_cdf(z: float) -> float:
    """Return P(Z <= z) of a standard normal.

    Examples
    --------
    >>> normal_cdf(0.0)
    0.5
    """
    return 0.5 * math.erfc(-z / math.sqrt(2))


@lru_cache(maxsize=256)
def normal_quantile(p: float) -> float:
    """Return z with P(Z <= z) = p.

    References
    ----------
    Wichura (1988), "Algorithm AS 241: the percentage points of the normal distribution", Applied
    Statistics 37; here its start value is a rough one, and Halley's method does the rest.

    Examples
    --------
    >>> round(normal_quantile(0.975), 12)
    1.95996398454
    """
    if not 0 < p < 1:
        return math.inf if p >= 1 else -math.inf
    if p > 0.5:
        return -normal_quantile(1 - p)
    tail = math.sqrt(-2 * math.log(p))
    z = -(tail - (2.515517 + 0.802853 * tail) / (1 + 1.432788 * tail + 0.189269 * tail**2))
    for _ in range(4):
        density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        if density < _TINY:
            break
        step = (normal_cdf(z) - p) / density
        z -= step / (1 + step * z / 2)
    return z


def beta_cdf(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b).

    References
    ----------
    Press et al. (2007), "Numerical Recipes", section 6.4: the continued fraction, by Lentz.

    Examples
    --------
    >>> round(beta_cdf(0.5, 2.0, 2.0), 12)
    0.5
    """
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for factor in (even, odd):
            d = 1 / _not_zero(1 + factor * d)
            c = _not_zero(1 + factor / c)
            value *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return value


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


@lru_cache(maxsize=1024)
def beta_quantile(p: float, a: float, b: float) -> float:
    """Return x with I_x(a, b) = p, by bisection.

    Examples
    --------
    >>> round(beta_quantile(0.025, 8.0, 3.0), 10)
    0.4439045377
    """
    return bisect(lambda x: beta_cdf(x, a, b) - p, 0.0, 1.0)


def t_cdf(t: float, df: float) -> float:
    """Return P(T <= t) of Student's t with `df` degrees of freedom.

    Examples
    --------
    >>> round(t_cdf(2.2281388519862735, 10), 10)
    0.975
    """
    # For small t the complement keeps the digits.
    squared = t * t
    if squared < df:
        half = beta_cdf(squared / (df + squared), 0.5, df / 2) / 2
        return 0.5 + math.copysign(half, t)
    tail = beta_cdf(df / (df + squared), df / 2, 0.5) / 2
    return 1 - tail if t > 0 else tail


@lru_cache(maxsize=1024)
def t_quantile(p: float, df: float) -> float:
    """Return t with P(T <= t) = p.

    Examples
    --------
    >>> round(t_quantile(0.975, 13), 10)
    2.1603686565
    """
    if p < 0.5:
        return -t_quantile(1 - p, df)
    if df < 3:  # Newton's method leaves such heavy tails
        high = 2.0
        while t_cdf(high, df) < p:
            high *= 2
        return bisect(lambda t: t_cdf(t, df) - p, 0.0, high)
    z = normal_quantile(p)
    t = z + (z**3 + z) / (4 * df)
    scale = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - math.log(df * math.pi) / 2
    for _ in range(50):
        density = math.exp(scale - (df + 1) / 2 * math.log1p(t * t / df))
        step = (t_cdf(t, df) - p) / density
        t -= step
        if abs(step) <= 1e-14 * abs(t):
            break
    return t


def t_two_sided(t: float, df: float) -> float:
    """Return the two-sided p-value of a t statistic."""
    squared = t * t
    if math.isinf(squared):
        return 0.0
    if squared < df:
        return 1 - beta_cdf(squared / (df + squared), 0.5, df / 2)
    return beta_cdf(df / (df + squared), df / 2, 0.5)


def binomial_pmf(k: int, n: int, p: float) -> float:
    """Return P(X = k) of n trials with 0 < p < 1."""
    return math.exp(
        math.lgamma(n + 1)
        - math.lgamma(k + 1)
        - math.lgamma(n - k + 1)
        + k * math.log(p)
        + (n - k) * math.log1p(-p)
    )


def binomial_cdf(k: int, n: int, p: float) -> float:
    """Return P(X <= k) of n trials.

    Examples
    --------
    >>> round(binomial_cdf(5, 20, 0.5), 10)
    0.0206947327
    """
    if k >= n:
        return 1.0
    return 0.0 if k < 0 else beta_cdf(1 - p, n - k, k + 1)


def bisect(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a monotone function changes its sign, to the last bit that matters.

    Examples
    --------
    >>> round(bisect(lambda x: x * x - 2, 0.0, 2.0), 12)
    1.414213562373
    """
    rises = function(high) >= function(low)
    for _ in range(200):
        middle = (low + high) / 2
        if middle in {low, high}:
            break
        if (function(middle) < 0) == rises:
            low = middle
        else:
            high = middle
    return (low + high) / 2

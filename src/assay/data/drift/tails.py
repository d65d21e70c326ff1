"""The tails of the distributions that tests of drift need, without SciPy."""

from __future__ import annotations

import math

_TINY = 1e-300
_STEPS = 10_000


def chi_square_tail(x: float, df: float) -> float:
    """Return P(X > x) for a chi-square distribution with `df` degrees of freedom.

    The series of the lower incomplete gamma function below its mean, Lentz's continued fraction
    of the upper one above (Abramowitz and Stegun 6.5.29 and 6.5.31).

    Examples
    --------
    >>> round(chi_square_tail(2.539683, 2), 6)
    0.280876
    """
    a, half = df / 2, x / 2
    if half <= 0:
        return 1.0
    scale = math.exp(a * math.log(half) - half - math.lgamma(a))
    if half < a + 1:
        return max(1.0 - scale * _series(a, half), 0.0)
    return scale * _fraction(a, half)


def _series(a: float, x: float) -> float:
    term = total = 1 / a
    for step in range(1, _STEPS):
        term *= x / (a + step)
        total += term
        if term < total * 1e-17:
            break
    return total


def _fraction(a: float, x: float) -> float:
    b = x + 1 - a
    c, d = 1 / _TINY, 1 / b
    result = d
    for step in range(1, _STEPS):
        factor = -step * (step - a)
        b += 2
        d = factor * d + b
        d = 1 / (d if abs(d) > _TINY else _TINY)
        c = b + factor / c
        c = c if abs(c) > _TINY else _TINY
        result *= d * c
        if abs(d * c - 1) < 1e-16:
            break
    return result


def chi_square_quantile(p: float, df: float) -> float:
    """Return the x above which lies the probability `p`, by bisection.

    Examples
    --------
    >>> round(chi_square_quantile(0.05, 9), 4)
    16.919
    """
    low, high = 0.0, df + 10.0
    while chi_square_tail(high, df) > p:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        if middle in {low, high}:
            break
        low, high = (middle, high) if chi_square_tail(middle, df) > p else (low, middle)
    return (low + high) / 2


def kolmogorov_tail(x: float) -> float:
    """Return P(K > x) for Kolmogorov's distribution.

    Examples
    --------
    >>> round(kolmogorov_tail(1.3581), 4)
    0.05
    """
    if x < 0.2:  # the series converges slowly there, and the tail is 1 to 12 digits
        return 1.0
    total = 0.0
    for k in range(1, 101):
        term = math.exp(-2 * (k * x) ** 2)
        total += term if k % 2 else -term
        if term < 1e-17:
            break
    return min(max(2 * total, 0.0), 1.0)

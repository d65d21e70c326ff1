"""Count, mean and the central sums of a column, exact to the last digits and mergeable.

The sums are taken about the mean (two passes over an array), never as sums of powers: those lose
all digits on data far from zero.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Moments(msgspec.Struct, frozen=True, kw_only=True):
    """The number of finite values, their mean, and the sums of (x - mean)^2, ^3 and ^4."""

    n: int = 0
    mean: float = 0.0
    rest: float = 0.0  # what of the mean its double cannot hold
    m2: float = 0.0
    m3: float = 0.0
    m4: float = 0.0

    @property
    def std(self) -> float | None:
        """The sample standard deviation (divisor n - 1); None below two values."""
        return None if self.n < 2 else finite(math.sqrt(self.m2 / (self.n - 1)))

    @property
    def skewness(self) -> float | None:
        """sqrt(n) m3 / m2^1.5, without correction for bias; None where nothing varies."""
        if not self.varies:
            return None
        return finite(math.sqrt(self.n) * self.m3 / self.m2 / math.sqrt(self.m2))

    @property
    def kurtosis(self) -> float | None:
        """The excess kurtosis n m4 / m2^2 - 3, 0 for normal data; None where nothing varies."""
        return finite(self.n * self.m4 / self.m2 / self.m2 - 3) if self.varies else None

    @property
    def varies(self) -> bool:
        """True where the values differ by more than the rounding of their mean."""
        rounding = abs(self.mean) * 2.0**-50
        noise = self.n * rounding * rounding  # where `**` would raise, this is infinite
        return math.isfinite(self.m2) and self.m2 > noise and self.m2 > 0


def of(values: NDArray[np.float64]) -> Moments:
    """Return the moments of an array of finite numbers.

    Examples
    --------
    >>> import numpy as np
    >>> of(np.array([1.0, 2.0, 3.0])).std
    1.0
    """
    import numpy as np

    n = len(values)
    if not n:
        return Moments()
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(values.mean())
        if not math.isfinite(mean):  # the sum overflowed, the mean does not have to
            mean = float((values / n).sum())
        centred = values - mean
        rest = float(centred.mean())
        centred -= rest
        squares = centred * centred
        return Moments(
            n=n,
            mean=mean,
            rest=rest,
            m2=float(squares.sum()),
            m3=float((squares * centred).sum()),
            m4=float((squares * squares).sum()),
        )


def merge(a: Moments, b: Moments) -> Moments:
    """Return the moments of both sets of values together.

    References
    ----------
    Chan, Golub and LeVeque (1979); Pebay (2008), "Formulas for robust, one-pass parallel
    computation of covariances and arbitrary-order statistical moments", SAND2008-6212.
    """
    if not a.n or not b.n:
        return a if a.n else b
    n, d = a.n + b.n, (b.mean - a.mean) + (b.rest - a.rest)
    square, step = d * d, a.rest + d * (b.n / (a.n + b.n))
    mean = a.mean + step
    return Moments(
        n=n,
        mean=mean,
        rest=step - (mean - a.mean),
        m2=a.m2 + b.m2 + square * (a.n * b.n / n),
        m3=a.m3
        + b.m3
        + square * d * (a.n * b.n * (a.n - b.n) / n**2)
        + 3 * d * (a.n * b.m2 - b.n * a.m2) / n,
        m4=a.m4
        + b.m4
        + square * square * (a.n * b.n * (a.n**2 - a.n * b.n + b.n**2) / n**3)
        + 6 * square * (a.n**2 * b.m2 + b.n**2 * a.m2) / n**2
        + 4 * d * (a.n * b.m3 - b.n * a.m3) / n,
    )


def finite(value: float) -> float | None:
    """Return `value`, or None where it overflowed: JSON has no infinity."""
    return value if math.isfinite(value) else None

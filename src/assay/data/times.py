"""The statistics of dates and times: their range, as ISO 8601 text in UTC."""

from __future__ import annotations

from typing import Self

import msgspec

from assay.data.numeric import Numbers


class Times(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The range of a column of times; its cells are in microseconds since 1970, UTC."""

    n_finite: int
    min: str | None = None
    max: str | None = None
    zoned: bool = False  # False: as written, without a zone
    n_positive_infinity: int = 0
    n_negative_infinity: int = 0

    @classmethod
    def of(cls, numbers: Numbers, *, zoned: bool) -> Self:
        """Return the range of moments in microseconds."""
        return cls(
            n_finite=numbers.n_finite,
            min=None if numbers.min is None else moment(int(numbers.min)),
            max=None if numbers.max is None else moment(int(numbers.max)),
            zoned=zoned,
            n_positive_infinity=numbers.n_positive_infinity,
            n_negative_infinity=numbers.n_negative_infinity,
        )


def moment(microseconds: int) -> str:
    """Return a moment as ISO 8601 text, with a fraction only where there is one.

    Examples
    --------
    >>> moment(1_293_840_000_000_000), moment(-1)
    ('2011-01-01T00:00:00', '1969-12-31T23:59:59.999999')
    """
    import numpy as np

    return str(np.datetime64(microseconds, "us")).removesuffix(".000000")


def microseconds(text: str) -> int:
    """Return the microseconds since 1970 of a text that `moment` made.

    Examples
    --------
    >>> microseconds("2011-01-01T00:00:00")
    1293840000000000
    """
    import numpy as np

    return int(np.datetime64(text, "us").astype("int64"))


def merge(a: Times, b: Times) -> Times:
    """Return the range of both columns together."""
    lows = [microseconds(text) for text in (a.min, b.min) if text is not None]
    highs = [microseconds(text) for text in (a.max, b.max) if text is not None]
    return Times(
        n_finite=a.n_finite + b.n_finite,
        min=moment(min(lows)) if lows else None,
        max=moment(max(highs)) if highs else None,
        zoned=a.zoned or b.zoned,
        n_positive_infinity=a.n_positive_infinity + b.n_positive_infinity,
        n_negative_infinity=a.n_negative_infinity + b.n_negative_infinity,
    )

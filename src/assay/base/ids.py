"""Ids that sort by the time they were made: UUID version 7."""

from __future__ import annotations

import os
import time


def uuid7(*, at_ms: int | None = None) -> str:
    """Return a new UUIDv7 as 36 characters of text.

    Parameters
    ----------
    at_ms : int, optional
        Unix milliseconds that go into the first 48 bits; now, where it is not given.

    References
    ----------
    RFC 9562, section 5.7. The twelve bits of `rand_a` hold the fraction of the
    millisecond (method 3 of section 6.2): ids that one process makes keep their order.
    """
    nanoseconds = time.time_ns() if at_ms is None else at_ms * 1_000_000
    milliseconds, rest = divmod(nanoseconds, 1_000_000)
    fraction = rest * 4096 // 1_000_000
    random = int.from_bytes(os.urandom(8), "big") & ((1 << 62) - 1)
    value = (milliseconds << 80) | (7 << 76) | (fraction << 64) | (2 << 62) | random
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

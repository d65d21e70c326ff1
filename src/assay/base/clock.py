"""Wall-clock times as the ledger keeps them: Unix milliseconds, UTC."""

from __future__ import annotations

import time


def now_ms() -> int:
    """Return the present as Unix milliseconds."""
    return time.time_ns() // 1_000_000


def iso(at_ms: int) -> str:
    """Return a moment as ISO 8601 text in UTC, to the second.

    Examples
    --------
    >>> iso(0)
    '1970-01-01T00:00:00Z'
    """
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_ms // 1000))


def duration(seconds: float) -> str:
    """Return a stretch of time for people.

    Examples
    --------
    >>> duration(0.25), duration(12.34), duration(125), duration(7300)
    ('0.25s', '12.3s', '2m05s', '2h01m')
    """
    if seconds < 60:
        return f"{seconds:.3g}s"
    if seconds < 3600:
        return f"{int(seconds) // 60}m{int(seconds) % 60:02d}s"
    return f"{int(seconds) // 3600}h{int(seconds) % 3600 // 60:02d}m"

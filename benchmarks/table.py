"""Results as a table for people, and as a document for programs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks import Aim, Result

HEADER = ("case", "ours ms", "dvc ms", "dvc/ours", "floor", "floor ms", "ours/floor", "aim")


def rows(results: Sequence[Result]) -> list[list[str]]:
    """Return the medians and ratios of results, a row each."""
    return [
        [
            result.name,
            ms(result.ours),
            ms(result.peer),
            f"{result.peer_over_ours:.1f}",
            result.floor,
            ms(result.floors[result.floor]),
            f"{result.ours_over_floor:.1f}",
            aim(result.aim, reached=result.reached),
        ]
        for result in results
    ]


def ms(seconds: Sequence[float]) -> str:
    """Return the median of some seconds as milliseconds.

    Examples
    --------
    >>> ms([0.0123, 0.0126, 9.0]), ms([12.5])
    ('12.6', '12,500')
    """
    value = statistics.median(seconds) * 1000
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def aim(wanted: Aim | None, *, reached: bool | None) -> str:
    """Return an aim and whether it is reached.

    Examples
    --------
    >>> aim(Aim("peer", 5), reached=False), aim(None, reached=None)
    ('5x dvc: missed', '')
    """
    if wanted is None:
        return ""
    words = (
        f"under {wanted.limit:g} floors" if wanted.against == "floor" else f"{wanted.limit:g}x dvc"
    )
    return f"{words}: {'reached' if reached else 'missed'}"


def document(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return results with every round, in seconds."""
    return [
        {
            "case": result.name,
            "ours": result.ours,
            "peer": result.peer,
            "floors": result.floors,
            "floor": result.floor,
            "peer_over_ours": result.peer_over_ours,
            "ours_over_floor": result.ours_over_floor,
            "aim": aim(result.aim, reached=result.reached) or None,
            "reached": result.reached,
        }
        for result in results
    ]

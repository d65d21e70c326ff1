"""Results as a table for people, and as a document for programs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks import Aim, Result

HEADER = (
    *("case", "ours ms", "dvc ms", "dvc/ours", "floor", "floor ms", "ours/floor"),
    *("ours MB", "dvc MB", "aim"),
)


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
            megabytes(result.ours_peak),
            megabytes(result.peer_peak),
            aims(result),
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


def megabytes(size: int) -> str:
    """Return bytes as megabytes; "" where they were not measured.

    Examples
    --------
    >>> megabytes(45_678_901), megabytes(0)
    ('46', '')
    """
    return f"{size / 1e6:,.0f}" if size else ""


def aims(result: Result) -> str:
    """Return what was wanted, and whether it is reached.

    Examples
    --------
    >>> wanted = (Aim("peer", 5), Aim("memory", 70_000_000))
    >>> aims(Result(name="add", ours=[1], peer=[3], floors={}, ours_peak=40_000_000, aim=wanted))
    '5x dvc: missed; 70 MB: reached'
    """
    return "; ".join(
        f"{_shown(aim, result)}: {'reached' if result.reaches(aim) else 'missed'}"
        for aim in result.aims
    )


def _shown(aim: Aim, result: Result) -> str:
    if aim.against == "memory":
        return f"{megabytes(int(aim.limit))} MB"
    if aim.against == "seconds":
        return f"{ms([aim.limit])} ms"
    if aim.against == "over floor":
        return f"{ms([aim.limit])} ms over the floor"
    if aim.against == "floors":
        return f"under {aim.limit:g} x ({' + '.join(result.floors)})"
    return f"under {aim.limit:g} floors" if aim.against == "floor" else f"{aim.limit:g}x dvc"


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
            "ours_peak": result.ours_peak,
            "peer_peak": result.peer_peak,
            "aim": aims(result) or None,
            "reached": result.reached,
        }
        for result in results
    ]

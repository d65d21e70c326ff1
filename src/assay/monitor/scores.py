"""How far a window of one column is from the reference: one number, on cells that hold enough.

The cells of a reference are finer than a window can fill. They are merged once, so that a window
of typical size expects five rows in each, and every window is scored on the same merge. No row is
left out: a column that becomes empty differs in the cell of its missing rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from assay.base.errors import Error
from assay.data.drift.chi_square import chi_square
from assay.data.drift.js import js_distance_corrected

LEAST = 5.0  # rows that a cell is expected to hold in a typical window
N_ABSENT = 3  # the last cells of a column: NaN, invalid, missing


class Merge(msgspec.Struct, frozen=True, kw_only=True):
    """Which cells of a column are counted together.

    Attributes
    ----------
    n_cells : int
        The cells before the merge.
    groups : tuple of tuple of int
        The places of the cells in each group; every cell is in one.
    """

    n_cells: int
    groups: tuple[tuple[int, ...], ...]

    def apply(self, counts: Sequence[int]) -> tuple[int, ...]:
        """Return the rows in each group.

        Raises
        ------
        assay.Error
            If there are more or fewer cells than were merged.
        """
        plain = [int(count) for count in counts]
        if len(plain) != self.n_cells:
            raise Error(
                f"the window was counted in {len(plain)} cells, the reference in {self.n_cells}",
                hint="count it on the cells of the same bundle",
            )
        return tuple(sum(plain[at] for at in group) for group in self.groups)


def merge(counts: Sequence[int], order: Sequence[int], *, n_rows: float) -> Merge:
    """Return the merge of a column's cells by which a window expects `LEAST` rows in each.

    Neighbours join until they hold enough. Of the cells without an order (texts, missing rows),
    the small ones join, and what is still small joins the smallest group, unless that leaves one
    group only. Those that no row of the reference fell into are a group of their own: what was
    never seen must not hide among what was. Texts are the exception where some are rare: a new
    one is then no surprise, and is counted with them.

    Parameters
    ----------
    counts : sequence of int
        The rows of the whole reference in each cell, in the order of `Cells.counts`.
    order : sequence of int
        The places of the cells that have an order, in that order.
    n_rows : float
        The rows of a typical window.

    Examples
    --------
    >>> merge([40, 30, 200, 0, 10, 0, 120], order=[0, 1, 2], n_rows=40).groups
    ((0, 1, 4), (2,), (6,), (3, 5))
    """
    total = sum(counts)
    expected = [float(count) * n_rows / total if total else 0.0 for count in counts]
    groups, small = _join_neighbours(order, expected)
    loose = [at for at in range(len(counts)) if at not in set(order)]
    groups += [[at] for at in loose if expected[at] >= LEAST]
    units = [[at] for at in loose if 0 < expected[at] < LEAST]
    unseen = [at for at in loose if not counts[at]]
    if any(at < len(counts) - N_ABSENT for (at,) in units):
        units += [[at] for at in unseen if at < len(counts) - N_ABSENT]
        unseen = [at for at in unseen if at >= len(counts) - N_ABSENT]
    units = sorted([*units, small] if small else units, key=lambda unit: -_sum(expected, unit))
    waiting: list[int] = []
    for unit in units:
        waiting = [*waiting, *unit]
        if _sum(expected, waiting) >= LEAST:
            groups.append(waiting)
            waiting = []
    if waiting and len(groups) > 1:
        smallest = min(groups, key=lambda group: _sum(expected, group))
        smallest.extend(waiting)
    elif waiting:
        groups.append(waiting)
    if unseen:
        groups.append(unseen)
    return Merge(n_cells=len(counts), groups=tuple(tuple(group) for group in groups))


def score(reference: Sequence[int], current: Sequence[int]) -> float:
    """Return Pearson's statistic of two samples over the same cells; 0 where one is empty.

    Examples
    --------
    >>> round(score([50, 30, 20], [40, 40, 20]), 6)
    2.539683
    """
    return chi_square(reference, current).statistic


def leave_one_out(windows: Sequence[Sequence[int]], pooled: Sequence[int]) -> list[float]:
    """Return the score of each window against all rows of the reference but its own."""
    return [
        score([a - b for a, b in zip(pooled, window, strict=True)], window) for window in windows
    ]


def effect(reference: Sequence[int], current: Sequence[int]) -> float:
    """Return the Jensen-Shannon distance (base 2) less the part of chance; 0 without rows."""
    if not any(reference) or not any(current):
        return 0.0
    return js_distance_corrected(reference, current)


def uniform(seed: str) -> float:
    """Return a number above 0 and up to 1 that looks drawn: the same for the same text anywhere.

    Examples
    --------
    >>> round(uniform("bikes/temperature/1325376000000"), 6)
    0.214802
    """
    drawn = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8]) >> 11
    return (drawn + 1) / 2**53


def _join_neighbours(
    order: Sequence[int], expected: Sequence[float]
) -> tuple[list[list[int]], list[int]]:
    """Return groups of neighbours that hold enough, and those that hold too little together."""
    groups: list[list[int]] = []
    waiting: list[int] = []
    for at in order:
        waiting.append(at)
        if _sum(expected, waiting) >= LEAST:
            groups.append(waiting)
            waiting = []
    if waiting and (len(groups) > 1 or (groups and not _sum(expected, waiting))):
        groups[-1].extend(waiting)
        waiting = []
    return groups, waiting


def _sum(expected: Sequence[float], group: Sequence[int]) -> float:
    return sum(expected[at] for at in group)

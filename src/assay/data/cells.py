"""The cells of a column: fixed bins that count every row once, and add up over windows.

A number or a time falls into an interval between two edges, below the first, above the last, or
on a heavy value with a cell of its own. A text is one of the listed values or 'other'. Rows that
are NaN, not of the column's type, or missing have a cell each, so the counts sum to the rows.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from assay.base.errors import Error

N_QUANTILES = 20
N_CATEGORIES = 100

Number = int | float


class Cells(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Counts per cell of one column.

    An interval holds what is above its lower edge up to and with its upper edge; the first one
    holds its lower edge too. What lies on one of `values` is counted there and nowhere else.
    """

    edges: tuple[Number, ...] = ()
    values: tuple[bool | Number | str, ...] = ()
    inside: tuple[int, ...] = ()  # one count an interval: one fewer than edges
    at: tuple[int, ...] = ()  # one count a value
    below: int = 0
    above: int = 0
    other: int = 0  # texts that are not in `values`; numbers where no edge is known
    nan: int = 0
    invalid: int = 0  # not of the column's type
    missing: int = 0

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the cells, in the order of `counts`."""
        spans = [f"{low:.6g} to {high:.6g}" for low, high in pairwise(self.edges)]
        ends = (f"<{self.edges[0]:.6g}", f">{self.edges[-1]:.6g}") if self.edges else ()
        values = [str(value) for value in self.values]
        return (*ends, *spans, *values, "(other)", "(NaN)", "(invalid)", "(missing)")

    @property
    def counts(self) -> tuple[int, ...]:
        """The rows in each cell, in the order of `labels`; they sum to the number of rows."""
        ends = (self.below, self.above) if self.edges else ()
        rest = (self.other, self.nan, self.invalid, self.missing)
        return (*ends, *self.inside, *self.at, *rest)

    def same_edges(self, other: Cells) -> bool:
        """Return whether both were counted on the same edges and values."""
        return self.edges == other.edges and self.values == other.values


def add(a: Cells, b: Cells, *, where: str) -> Cells:
    """Return the counts of both, which must lie on the same edges.

    Raises
    ------
    assay.Error
        If the edges or values differ.
    """
    if not a.same_edges(b):
        raise Error(
            "the cells of the two profiles have different edges, so their counts do not add up",
            where=where,
            hint="profile one of them again with '--edges PROFILE', PROFILE being the other",
        )
    return Cells(
        edges=a.edges,
        values=a.values,
        inside=tuple(x + y for x, y in zip(a.inside, b.inside, strict=True)),
        at=tuple(x + y for x, y in zip(a.at, b.at, strict=True)),
        below=a.below + b.below,
        above=a.above + b.above,
        other=a.other + b.other,
        nan=a.nan + b.nan,
        invalid=a.invalid + b.invalid,
        missing=a.missing + b.missing,
    )


def own_cells(edges: Sequence[Number], upto: Sequence[int], at: Sequence[int], *, n: int) -> Cells:
    """Return cells on a column's own quantiles.

    Parameters
    ----------
    edges : sequence of number
        The distinct quantiles from minimum to maximum, sorted.
    upto : sequence of int
        For each edge the values in the interval that ends with it (the first: up to it).
    at : sequence of int
        For each edge the values that are equal to it.
    n : int
        The number of values; those that hold a twentieth of them get a cell of their own.
    """
    heavy = [count * N_QUANTILES >= n for count in at]
    kept, inside, waiting = list(edges[:1]), list[int](), 0
    if edges and not heavy[0]:
        waiting = at[0]
    for edge, count, equal, own in zip(edges[1:], upto[1:], at[1:], heavy[1:], strict=True):
        waiting += count - equal if own else count
        if waiting:  # an interval without a value joins the next one
            kept.append(edge)
            inside.append(waiting)
            waiting = 0
    if len(edges) > 1 and kept[-1] != edges[-1]:
        if inside:  # the empty end joins the last interval
            kept[-1] = edges[-1]
        else:
            kept.append(edges[-1])
            inside.append(0)
    return Cells(
        edges=tuple(kept),
        values=tuple(edge for edge, own in zip(edges, heavy, strict=True) if own),
        inside=tuple(inside),
        at=tuple(count for count, own in zip(at, heavy, strict=True) if own),
    )


def recount(on: Cells, upto: Sequence[int], at_first: int, *, at: Sequence[int], n: int) -> Cells:
    """Return counts on the edges and values of `on`.

    Parameters
    ----------
    on : Cells
        Where the edges and values come from; its counts are ignored.
    upto : sequence of int
        For each edge the values in the interval that ends with it (the first: up to it).
    at_first : int
        The values that are equal to the first edge.
    at : sequence of int
        For each of the listed values its count.
    n : int
        The number of values; all that is not counted otherwise lies above (or is 'other').
    """
    if not on.edges:
        return Cells(values=on.values, at=tuple(at), other=n - sum(at))
    inside = list(upto[1:])
    below, above = upto[0] - at_first, n - sum(upto)
    if inside:
        inside[0] += at_first
    for value, count in zip(on.values, at, strict=True):
        if inside and isinstance(value, int | float):
            inside[max(bisect_left(on.edges, value) - 1, 0)] -= count
    if not inside:
        below += at_first - sum(at)  # one edge only: it is a listed value
    return Cells(
        edges=on.edges,
        values=on.values,
        inside=tuple(inside),
        at=tuple(at),
        below=below,
        above=above,
    )

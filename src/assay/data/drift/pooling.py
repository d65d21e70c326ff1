"""The cells of two windows, pooled until each is expected to hold five rows on both sides.

Cells of numbers keep their order, and small ones join a neighbour. All others (texts, other, NaN,
invalid, missing) have no order: the small ones become one cell. No row is left out, so a column
that becomes empty differs in its missing cell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from assay.data.cells import Cells
from assay.data.columns import Column

LEAST = 5.0  # rows that a cell is expected to hold without drift, in the smaller window


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of both windows in one cell."""

    label: str
    reference: int
    current: int

    @property
    def n(self) -> int:
        """The rows of both."""
        return self.reference + self.current


def pool(reference: Column, current: Column) -> tuple[list[Cell], list[Cell]]:
    """Return the cells of a column in both windows that have an order, and those that have none.

    No cell is empty. The current window must have been counted on the reference's cells; where
    that could not be (one of them has no value at all), only present and missing rows are told
    apart.
    """
    least = _least(reference.n_rows, current.n_rows)
    before, now = reference.cells, current.cells
    if before is None or now is None or not before.same_edges(now):
        present = Cell(label="(present)", reference=reference.n_present, current=current.n_present)
        missing = Cell(label="(missing)", reference=reference.n_missing, current=current.n_missing)
        return [], _with_rare([present, missing], least)
    names = ("(other)", "(NaN)", "(invalid)", "(missing)")
    loose = [
        Cell(label=label, reference=a, current=b)
        for label, a, b in zip(names, _special(before), _special(now), strict=True)
    ]
    if not before.edges:
        counts = zip(before.values, before.at, now.at, strict=True)
        texts = [Cell(label=_text(value), reference=a, current=b) for value, a, b in counts]
        return [], _with_rare([*texts, *loose], least)
    ordered, left = _join_neighbours(_spans(before, now), least)
    return [span.cell() for span in ordered], _with_rare([*left, *loose], least)


class _Span(msgspec.Struct, frozen=True):
    """The rows above `low` up to and with `high`; those on one value where both are equal."""

    low: float
    high: float
    reference: int
    current: int

    def cell(self) -> Cell:
        if self.low == self.high:
            label = f"{self.low:.6g}"
        elif self.low == -math.inf:
            label = f"up to {self.high:.6g}"
        elif self.high == math.inf:
            label = f"above {self.low:.6g}"
        else:
            label = f"{self.low:.6g} to {self.high:.6g}"
        return Cell(label=label, reference=self.reference, current=self.current)


def _least(n_reference: int, n_current: int) -> float:
    """Return the rows of both windows that make the smaller one expect `LEAST` of them."""
    smaller = min(n_reference, n_current)
    return LEAST * (n_reference + n_current) / smaller if smaller else 0.0


def _spans(before: Cells, now: Cells) -> list[_Span]:
    """Return the cells of numbers in their order; a value comes after what lies around it."""
    first, last = before.edges[0], before.edges[-1]
    spans = [_Span(-math.inf, first, before.below, now.below)]
    values = [
        _Span(value, value, a, b)
        for value, a, b in zip(before.values, before.at, now.at, strict=True)
        if not isinstance(value, str)
    ]
    spans += [span for span in values if span.low <= first]
    inside = zip(pairwise(before.edges), before.inside, now.inside, strict=True)
    for (low, high), a, b in inside:
        spans.append(_Span(low, high, a, b))
        spans += [span for span in values if low < span.low <= high]
    spans += [span for span in values if span.low > last]
    spans.append(_Span(last, math.inf, before.above, now.above))
    return spans


def _special(cells: Cells) -> tuple[int, int, int, int]:
    return cells.other, cells.nan, cells.invalid, cells.missing


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _join_neighbours(spans: Sequence[_Span], least: float) -> tuple[list[_Span], list[Cell]]:
    """Return the spans with small ones joined to the next, the last to the one before it.

    Where all together are too small, they are a cell without an order.
    """
    joined: list[_Span] = []
    waiting: list[_Span] = []
    for span in spans:
        if span.reference + span.current:
            waiting.append(span)
        if sum(one.reference + one.current for one in waiting) >= least and waiting:
            joined.append(_joined(waiting))
            waiting = []
    if waiting and joined:
        joined[-1] = _joined([joined[-1], *waiting])
    elif waiting:
        return [], [_joined(waiting).cell()]
    return joined, []


def _joined(spans: Sequence[_Span]) -> _Span:
    return _Span(
        spans[0].low,
        max(span.high for span in spans),
        sum(span.reference for span in spans),
        sum(span.current for span in spans),
    )


def _with_rare(cells: Sequence[Cell], least: float) -> list[Cell]:
    """Return the cells with all small ones as one, joined to the smallest where it is small."""
    kept = [cell for cell in cells if cell.n >= least and cell.n]
    small = [cell for cell in cells if 0 < cell.n < least]
    if small and sum(cell.n for cell in small) < least and kept:
        small.append(kept.pop(min(range(len(kept)), key=lambda at: kept[at].n)))
    if len(small) == 1:
        kept += small
    elif small:
        special = [cell.label for cell in small if cell.label.startswith("(")]
        label = " and ".join(special) if len(special) == len(small) else "(rare)"
        kept.append(
            Cell(
                label=label,
                reference=sum(cell.reference for cell in small),
                current=sum(cell.current for cell in small),
            )
        )
    return kept

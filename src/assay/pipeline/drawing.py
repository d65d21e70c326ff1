"""A diagram drawn with characters: boxes in layers, what is needed above what needs it.

Arrows run down and sideways only. Those that leave one box share one line; lines that cross pass
each other as `-|-`, lines that belong together meet in a `+`. `assay.pipeline.layout` says where
the boxes stand.
"""

from __future__ import annotations

from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

import msgspec

from assay.pipeline.diagram import Diagram
from assay.pipeline.layout import Layout, Spot, arrange
from assay.render.tables import width

_BOX = 3  # lines
_APART = 4  # columns between two lines on one track: with bars alone between them, they seem one


def draw(diagram: Diagram) -> str:
    """Return the drawing of a diagram, its parts below each other.

    Examples
    --------
    >>> from assay.pipeline.diagram import make
    >>> print(draw(make(["prep", "train"], [("prep", "train")])))
    +------+
    | prep |
    +------+
        |
    +-------+
    | train |
    +-------+
    """
    return "\n".join(_draw(part) for part in diagram.parts)


def _draw(part: Diagram) -> str:
    layout = arrange(part)
    canvas: list[list[str]] = []
    columns = max(layout.right(spot) for spot in layout.center) + 2
    lines: list[_Line] = []
    for number, layer in enumerate(layout.layers):
        ports = {line.ends[spot]: spot for line in lines for spot in line.ends}
        canvas += [[" "] * columns for _ in range(_BOX)]
        for spot in layer:
            _draw_spot(canvas, spot, layout, [at for at, one in ports.items() if one == spot])
        if number + 1 < len(layout.layers):
            lines = _lines(layout, number)
            _draw_lines(canvas, lines, columns)
    return "\n".join("".join(row).rstrip() for row in canvas)


def _draw_spot(canvas: list[list[str]], spot: Spot, layout: Layout, ports: list[int]) -> None:
    center, left, right = layout.center[spot], layout.left(spot), layout.right(spot)
    top, middle, bottom = canvas[-_BOX:]
    if not isinstance(spot, str):  # an arrow passes
        (port,) = ports
        top[port] = middle[port] = bottom[center] = middle[center] = "|"
        if port != center:
            middle[port] = middle[center] = "+"
        return
    for line in (top, bottom):
        line[left : right + 1] = ["+", *"-" * (right - left - 1), "+"]
    middle[left] = middle[right] = "|"
    start = left + 1 + (right - left - 1 - width(spot) + 1) // 2
    middle[start : start + width(spot)] = [spot, *[""] * (width(spot) - 1)]


class _Line(msgspec.Struct, kw_only=True, dict=True):
    """What leaves one spot, on its way to the next layer; `span` is asked for at the end."""

    start: int
    ends: dict[Spot, int]
    track: int | None = None

    @property
    def is_straight(self) -> bool:
        return set(self.ends.values()) == {self.start}

    @cached_property
    def span(self) -> tuple[int, int]:
        columns = (self.start, *self.ends.values())
        return min(columns), max(columns)


def _lines(layout: Layout, number: int) -> list[_Line]:
    """Return the lines that leave a layer, with the tracks on which they run sideways."""
    upper, lower = layout.layers[number], layout.layers[number + 1]
    starts = {layout.center[spot]: spot for spot in upper if layout.below[spot]}
    lines = {spot: _Line(start=layout.center[spot], ends={}) for spot in starts.values()}
    above = layout.above
    for spot in lower:
        sources = sorted(above[spot], key=lambda source: layout.center[source])
        for source, port in zip(sources, _ports(layout, spot, sources, set(starts)), strict=True):
            lines[source].ends[spot] = port
    _give_tracks([line for line in lines.values() if not line.is_straight])
    return list(lines.values())


def _ports(layout: Layout, spot: Spot, sources: list[Spot], starts: set[int]) -> list[int]:
    """Return where arrows reach a spot: as straight as can be, never below another's start."""
    span = layout.inside(spot)
    best: dict[int, _Chosen] = {span[0] - 2: _Chosen(0, -1, None)}  # by the last port
    for number, source in enumerate(sources):
        own = layout.center[source]
        wanted = span[0] + (len(span) - 1) * (number + 1) // (len(sources) + 1)
        if own in span:
            wanted = own
        elif len(sources) == 1:
            wanted = layout.center[spot]
        following: dict[int, _Chosen] = {}
        least: _Chosen | None = best.get(span[0] - 2)  # of those that are no neighbours
        for column in span[number : len(span) - len(sources) + number + 1]:
            near = best.get(column - 1)
            options = [(near.cost + 2, near)] if near else []
            options += [(least.cost, least)] if least else []
            if options and (column not in starts or column == own):
                cost, last = min(options, key=lambda option: option[0])
                following[column] = _Chosen(cost + abs(column - wanted), column, last)
            if near is not None and (least is None or near.cost < least.cost):
                least = near
        best = following
    chosen: _Chosen | None = min(best.values(), key=lambda one: one.cost)
    ports = []
    while chosen is not None and chosen.before is not None:
        ports.append(chosen.port)
        chosen = chosen.before
    return ports[::-1]


class _Chosen(NamedTuple):
    """A port, those before it, and how far all are from where they would be best."""

    cost: int
    port: int
    before: _Chosen | None


def _give_tracks(lines: list[_Line]) -> None:
    """Put lines that would run over each other on tracks of their own, few crossings first."""
    ordered: list[_Line] = []
    for line in lines:
        above = accumulate((_cost(other, line) for other in ordered), initial=0)
        below = list(accumulate((_cost(line, other) for other in reversed(ordered)), initial=0))
        costs = [a + b for a, b in zip(above, reversed(below), strict=True)]
        ordered.insert(costs.index(min(costs)), line)
    for number, line in enumerate(ordered):
        first, last = line.span
        over = [
            other
            for other in ordered[:number]
            if other.span[0] <= last + _APART and first <= other.span[1] + _APART
        ]
        line.track = 1 + max((o.track for o in over if o.track is not None), default=-1)


def _cost(upper: _Line, lower: _Line) -> int:
    """Count the crossings of two lines, one on a track above the other's."""
    first, last = lower.span
    count = 1 if upper.span[0] <= lower.start <= upper.span[1] else 0
    for end in upper.ends.values():
        if first <= end <= last:
            count += 1
    return count


def _draw_lines(canvas: list[list[str]], lines: list[_Line], columns: int) -> None:
    tracks = max((line.track + 1 for line in lines if line.track is not None), default=0)
    rows = [[" "] * columns for _ in range(tracks + 2 if tracks else 1)]
    for line in lines:
        if line.track is not None:
            first, last = line.span
            rows[line.track + 1][first : last + 1] = "-" * (last - first + 1)
    for line in lines:
        turn = len(rows) if line.track is None else line.track + 1
        for row in rows[:turn]:
            row[line.start] = "|"
        for end in line.ends.values():
            for row in rows[turn + 1 :]:
                row[end] = "|"
    for line in lines:
        if line.track is not None:
            for column in (line.start, *line.ends.values()):
                rows[line.track + 1][column] = "+"
    canvas += rows

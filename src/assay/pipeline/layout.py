"""Where the boxes of a diagram stand: in layers, after Sugiyama, Tagawa and Toda (1981).

Each name stands below all that it needs. An arrow that passes a layer has a `Bend` there; arrows
from one name share their bends. Orders within layers come from medians, places from least squares.
`assay.pipeline.drawing` draws what is placed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import median

import msgspec

from assay.pipeline.diagram import Diagram
from assay.render.tables import width

_SWEEPS = 12
_BETWEEN = 3  # columns between two boxes


class Bend(msgspec.Struct, frozen=True):
    """Where the arrow from a name passes a layer."""

    source: str
    layer: int


Spot = str | Bend
Links = dict[Spot, list[Spot]]


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in each layer, from left to right, and where.

    Attributes
    ----------
    layers : list of list of str or Bend
        From the top.
    center : dict of str or Bend to int
        The column of the middle.
    size : dict of str or Bend to int
        How many columns it takes; 1 for a bend.
    below : dict of str or Bend to list
        What it is linked to in the next layer.
    """

    layers: list[list[Spot]]
    center: dict[Spot, int]
    size: dict[Spot, int]
    below: Links

    @property
    def above(self) -> Links:
        """What each is linked to in the layer before."""
        return _turned(self.below)

    def left(self, spot: Spot) -> int:
        """Return the first column of a spot."""
        return self.center[spot] - self.size[spot] // 2

    def right(self, spot: Spot) -> int:
        """Return the last column of a spot."""
        return self.left(spot) + self.size[spot] - 1

    def inside(self, spot: Spot) -> range:
        """Return the columns where an arrow may reach a spot; a bend can be reached beside it."""
        if isinstance(spot, str):
            return range(self.left(spot) + 1, self.right(spot))
        return range(max(self.center[spot] - 1, 0), self.center[spot] + 2)


def arrange(diagram: Diagram) -> Layout:
    """Place the nodes of a diagram that hangs together and has no circle."""
    rank = _ranks(diagram)
    below = _links(diagram, rank)
    above = _turned(below)
    layers: list[list[Spot]] = [[] for _ in range(max(rank.values()) + 1)]
    for spot in _depth_first(diagram.nodes, below, above):
        layers[rank[spot] if isinstance(spot, str) else spot.layer].append(spot)
    layers = _untangled(layers, below, above)
    # a box is as wide as its name, and as the arrows that reach it need
    size = {
        spot: max(width(spot) + 4, 2 * len(above[spot]) + 3) if isinstance(spot, str) else 1
        for layer in layers
        for spot in layer
    }
    return Layout(
        layers=layers, center=_centers(layers, below, above, size), size=size, below=below
    )


def _ranks(diagram: Diagram) -> dict[str, int]:
    """Return the layer of each node: the longest way to it; a source stands near what needs it."""
    needs: dict[str, list[str]] = {node: [] for node in diagram.nodes}
    needed: dict[str, list[str]] = {node: [] for node in diagram.nodes}
    for above, below in diagram.edges:
        needs[below].append(above)
        needed[above].append(below)
    rank: dict[str, int] = {}
    waiting = {node: len(found) for node, found in needs.items()}
    todo = [node for node in diagram.nodes if not waiting[node]]
    for node in todo:  # it grows as it is gone through
        rank[node] = max((rank[need] + 1 for need in needs[node]), default=0)
        for other in needed[node]:
            waiting[other] -= 1
            if not waiting[other]:
                todo.append(other)
    for node in diagram.nodes:
        if not needs[node] and needed[node]:
            rank[node] = min(rank[other] for other in needed[node]) - 1
    return rank


def _links(diagram: Diagram, rank: Mapping[str, int]) -> Links:
    """Return what is linked to what, one layer further down."""
    below: Links = {node: [] for node in diagram.nodes}
    for source, target in diagram.edges:
        spot: Spot = source
        for layer in range(rank[source] + 1, rank[target]):
            bend = Bend(source, layer)
            if bend not in below:
                below[bend] = []
                below[spot].append(bend)
            spot = bend
        below[spot].append(target)
    return below


def _turned(below: Mapping[Spot, list[Spot]]) -> Links:
    above: Links = {spot: [] for spot in below}
    for spot, targets in below.items():
        for target in targets:
            above[target].append(spot)
    return above


def _depth_first(nodes: Iterable[str], below: Links, above: Links) -> list[Spot]:
    """Return all spots so that neighbours are near each other."""
    found: dict[Spot, None] = {}
    for start in nodes:
        todo: list[Spot] = [start]
        while todo:
            spot = todo.pop()
            if spot not in found:
                found[spot] = None
                todo += [*reversed(below[spot]), *reversed(above[spot])]
    return list(found)


def _untangled(layers: list[list[Spot]], below: Links, above: Links) -> list[list[Spot]]:
    """Return the layers in the order, of those tried, in which the fewest arrows cross."""
    best, fewest = layers, _crossings(layers, below)
    current = [list(layer) for layer in layers]
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        numbers = range(1, len(layers)) if down else range(len(layers) - 2, -1, -1)
        for number in numbers:
            fixed = current[number - 1 if down else number + 1]
            current[number] = _by_median(current[number], fixed, above if down else below)
        found = _crossings(current, below)
        if found < fewest:
            best, fewest = [list(layer) for layer in current], found
    return best


def _by_median(layer: list[Spot], fixed: list[Spot], links: Links) -> list[Spot]:
    place = {spot: float(number) for number, spot in enumerate(fixed)}
    own = {spot: float(number) for number, spot in enumerate(layer)}
    keys = {
        spot: median(place[other] for other in links[spot]) if links[spot] else own[spot]
        for spot in layer
    }
    return sorted(layer, key=lambda spot: keys[spot])


def _crossings(layers: list[list[Spot]], below: Links) -> int:
    count = 0
    for upper, lower in pairwise(layers):
        place = {spot: number for number, spot in enumerate(lower)}
        ends = [end for spot in upper for end in sorted(place[other] for other in below[spot])]
        count += _inversions(ends)[0]
    return count


def _inversions(values: list[int]) -> tuple[int, list[int]]:
    """Count the pairs in the wrong order, by merge sort."""
    if len(values) < 2:
        return 0, values
    half = len(values) // 2
    a, left = _inversions(values[:half])
    b, right = _inversions(values[half:])
    count, merged, at = a + b, [], 0
    for value in right:
        while at < len(left) and left[at] <= value:
            merged.append(left[at])
            at += 1
        count += len(left) - at
        merged.append(value)
    return count, merged + left[at:]


def _centers(
    layers: list[list[Spot]], below: Links, above: Links, size: Mapping[Spot, int]
) -> dict[Spot, int]:
    """Return the middle of each spot, near to that of its neighbours."""
    center: dict[Spot, float] = {}
    for layer in layers:
        center |= _placed(layer, [0.0] * len(layer), size)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        links = above if down else below
        for layer in layers if down else reversed(layers):
            wanted = [
                median(center[other] for other in links[spot]) if links[spot] else center[spot]
                for spot in layer
            ]
            center |= _placed(layer, wanted, size)
    left = min(center[spot] - size[spot] // 2 for spot in center)
    return {spot: round(value - left) for spot, value in center.items()}


def _placed(
    layer: list[Spot], wanted: Sequence[float], size: Mapping[Spot, int]
) -> dict[Spot, float]:
    """Return whole columns nearest to the wanted ones (least squares) so that nothing overlaps."""
    offsets, at = [], 0
    for spot, after in zip(layer, [*layer[1:], None], strict=True):
        offsets.append(at)
        if after is not None:
            at += (size[spot] + 1) // 2 + _BETWEEN + size[after] // 2
    blocks: list[list[float]] = []  # [sum, count]: pool adjacent violators
    for want, offset in zip(wanted, offsets, strict=True):
        blocks.append([want - offset, 1])
        while len(blocks) > 1 and _mean(blocks[-2]) >= _mean(blocks[-1]):
            total, count = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += count
    flat = [round(_mean(block)) for block in blocks for _ in range(int(block[1]))]
    return {
        spot: float(place + offset)
        for spot, place, offset in zip(layer, flat, offsets, strict=True)
    }


def _mean(block: list[float]) -> float:
    return block[0] / block[1]

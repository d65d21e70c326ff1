"""A drawing says what the diagram says: who reads its lines finds the same arrows."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from assay.pipeline.diagram import Diagram, make
from assay.pipeline.drawing import draw
from assay.pipeline.layout import Bend, arrange


def edges(text: str) -> Diagram:
    """Read `a>b b>c d` as a diagram."""
    pairs = [part.split(">") for part in text.split()]
    return make([n for pair in pairs for n in pair], [(p[0], p[1]) for p in pairs if len(p) == 2])


@st.composite
def diagrams(draw_from: st.DrawFn) -> Diagram:
    n_nodes = draw_from(st.integers(1, 12))
    names = [f"{'n' * draw_from(st.integers(0, 9))}{number}" for number in range(n_nodes)]
    pairs = [(a, b) for b in range(n_nodes) for a in range(b)]
    chosen = draw_from(st.sets(st.sampled_from(pairs), max_size=20)) if pairs else set()
    order = draw_from(st.permutations(names))
    return make(order, [(names[a], names[b]) for a, b in chosen])


def read(picture: str) -> Diagram:
    """Follow the lines of a picture, as a person does."""
    rows = picture.split("\n")
    columns = max(len(row) for row in rows)
    rows = [row.ljust(columns) for row in rows]
    boxes: dict[tuple[int, int], str] = {}
    names = []
    for number, row in enumerate(rows):
        at = 0
        while (left := row.find("| ", at)) >= 0:
            right = row.find(" |", left + 1)
            at = right + 2 if right >= 0 else left + 1
            label = row[left + 1 : right].strip()
            rim = "+" + "-" * (right - left) + "+"
            beside = [
                rows[n][left : right + 2] for n in (number - 1, min(number + 1, len(rows) - 1))
            ]
            if right < 0 or not label.isalnum() or beside != [rim, rim]:
                at = left + 1
                continue
            names.append(label)
            boxes |= {(number + d, c): label for d in (-1, 0, 1) for c in range(left, right + 2)}
    found = []
    for (number, column), label in boxes.items():
        is_rim = (number + 1, column) not in boxes and number + 1 < len(rows)
        if is_rim and rows[number + 1][column] == "|":
            found += [(label, end) for end in ends(rows, boxes, number + 1, column)]
    return make(names, found)


def ends(rows: list[str], boxes: dict[tuple[int, int], str], line: int, column: int) -> set[str]:
    """Return the boxes that a line reaches: `|` goes down, `-` sideways, `+` wherever it can."""
    reached, seen, todo = set[str](), set(), [(line, column, 1, 0)]
    while todo:
        y, x, dy, dx = todo.pop()
        if (y, x, dy, dx) in seen:
            continue
        seen.add((y, x, dy, dx))
        if (y, x) in boxes:
            reached.add(boxes[y, x])
            continue
        sign = rows[y][x]
        if sign != "+":  # a bar that is crossed sideways is another's
            todo.append((y + dy, x + dx, dy, dx))
            continue
        for step in ((1, 0), (0, 1), (0, -1)):
            if step == (-dy, -dx) or (step != (1, 0) and not goes_on(rows, y, x, step[1])):
                continue
            if step != (1, 0) or (y + 1 < len(rows) and rows[y + 1][x] in "|+-"):
                below = (y + 1, x)
                if step == (1, 0) and rows[y + 1][x] != "|" and below not in boxes:
                    continue
                todo.append((y + step[0], x + step[1], *step))
    return reached


def goes_on(rows: list[str], y: int, x: int, step: int) -> bool:
    """Say whether a line runs on sideways from a corner, maybe below a bar that crosses it."""
    x += step
    while 0 <= x < len(rows[y]) and rows[y][x] == "|":
        x += step
    return 0 <= x < len(rows[y]) and rows[y][x] in "-+"


@given(diagrams())
def test_the_arrows_that_are_drawn_are_those_that_there_are(diagram):
    found = read(draw(diagram))
    assert sorted(found.nodes) == sorted(diagram.nodes)
    assert sorted(found.edges) == sorted(diagram.edges)


@given(diagrams())
def test_everything_stands_below_what_it_needs_and_nothing_overlaps(diagram):
    for part in diagram.parts:
        layout = arrange(part)
        layer = {spot: number for number, spots in enumerate(layout.layers) for spot in spots}
        assert all(layer[above] < layer[below] for above, below in part.edges)
        assert all(layout.layers)
        for spots in layout.layers:
            for left, right in pairwise(spots):
                assert layout.right(left) + 3 < layout.left(right) + 1
        assert min(layout.left(spot) for spot in layer) == 0


def test_a_chain_is_straight_and_branches_share_a_line():
    assert draw(edges("prep>train prep>check")).split("\n") == [
        "      +------+",
        "      | prep |",
        "      +------+",
        "          |",
        "    +-----+-----+",
        "    |           |",
        "+-------+   +-------+",
        "| train |   | check |",
        "+-------+   +-------+",
    ]


def test_parts_stand_below_each_other_in_the_order_of_their_first_nodes():
    lines = draw(edges("b a>c")).split("\n")
    assert lines[1] == "| b |"
    assert lines[4] == "| a |"


def test_a_long_arrow_passes_beside_the_boxes_between():
    layout = arrange(edges("a>b b>c c>d a>d"))
    assert Bend("a", 1) in layout.layers[1]
    assert Bend("a", 2) in layout.layers[2]


def test_wide_characters_take_two_columns():
    top, middle, bottom = draw(make(["日本"], [])).split("\n")
    assert (top, middle, bottom) == ("+------+", "| 日本 |", "+------+")


def test_a_pipeline_of_a_thousand_stages_is_drawn():
    chain = [f"s{number}" for number in range(1000)]
    picture = draw(make(chain, list(pairwise(chain))))
    assert picture.count("\n") == 3999 - 1

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.pipeline.graph import Graph, InvalidGraph
from assay.project.stages import Out, ParamsDep, Stage
from assay.project.workspace import Project

ROOT = Path("/project")


def stage(
    name: str, *, deps: tuple[str, ...] = (), outs: tuple[str, ...] = (), frozen: bool = False
) -> Stage:
    return Stage(
        name=name, address=name, file=ROOT / "dvc.yaml", wdir=ROOT, cmd="true", deps=deps,
        outs=tuple(Out(path=out) for out in outs), frozen=frozen,
    )  # fmt: skip


def graph(*stages: Stage) -> Graph:
    return Graph(stages, Project(ROOT))


def names(stages: list[Stage]) -> list[str]:
    return [one.name for one in stages]


def test_a_stage_needs_the_maker_of_a_path_of_the_folder_around_it_and_of_what_is_below():
    found = graph(
        stage("file", outs=("a.csv",)),
        stage("folder", outs=("out",)),
        stage("part", outs=("parts/1",)),
        stage("reads", deps=("out/x/y.csv", "parts", "./a.csv", "other")),
    )
    assert found.upstream["reads"] == ("folder", "part", "file")
    assert found.downstream["folder"] == ["reads"]


def test_a_stage_needs_the_maker_of_a_parameter_file():
    reader = Stage(
        name="reads", address="reads", file=ROOT / "dvc.yaml", wdir=ROOT / "w", cmd="true",
        params=(ParamsDep(file="../made.yaml", keys=("k",)),),
    )  # fmt: skip
    assert graph(stage("makes", outs=("made.yaml",)), reader).upstream["reads"] == ("makes",)


def test_order_is_depth_first_in_the_order_of_deps():
    found = graph(
        stage("last", deps=("o/b", "a")), stage("a", outs=("a",)), stage("b", outs=("o/b",))
    )
    assert names(found.order(["last"])) == ["b", "a", "last"]
    assert names(found.order(["last", "a"], single=True)) == ["a", "last"]


def test_what_lies_above_a_frozen_stage_is_left_out():
    found = graph(
        stage("a", outs=("a",)),
        stage("b", deps=("a",), outs=("b",), frozen=True),
        stage("c", deps=("b",)),
    )
    assert names(found.order(["c"])) == ["b", "c"]
    assert set(found.with_needs(["c"]).stages) == {"a", "b", "c"}


def _edges(n: int) -> st.SearchStrategy[set[tuple[int, int]]]:
    ends = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1))
    return st.sets(ends.filter(lambda edge: edge[0] < edge[1]))


edges = st.integers(2, 8).flatmap(
    lambda n: st.tuples(
        st.just(n),
        _edges(n),
        st.permutations(range(n)),
        st.sets(st.integers(0, n - 1), min_size=1),
    )
)


def _stages(n: int, pairs: set[tuple[int, int]], order: list[int]) -> list[Stage]:
    return [
        stage(str(b), deps=tuple(f"o{a}" for a, to in sorted(pairs) if to == b), outs=(f"o{b}",))
        for b in order
    ]


@given(edges)
def test_each_stage_comes_after_what_it_needs_and_nothing_else_comes(
    drawn: tuple[int, set[tuple[int, int]], list[int], set[int]],
):
    n, pairs, order, targets = drawn
    needed, todo = set(targets), list(targets)
    while todo:
        stage_ = todo.pop()
        above = {a for a, b in pairs if b == stage_} - needed
        needed |= above
        todo += above
    found = names(graph(*_stages(n, pairs, order)).order([str(t) for t in sorted(targets)]))
    assert sorted(found) == sorted(map(str, needed))
    assert all(found.index(str(a)) < found.index(str(b)) for a, b in pairs if b in needed)


@given(edges, st.data())
def test_stages_that_wait_for_each_other_are_refused_and_the_circle_is_named(
    drawn: tuple[int, set[tuple[int, int]], list[int], set[int]], data: st.DataObject
):
    n, pairs, order, _ = drawn
    a, b = sorted(data.draw(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1))))
    with pytest.raises(InvalidGraph, match="stages wait for each other: '") as caught:
        graph(*_stages(n, {*pairs, (a, b), (b, a)}, order))
    circle = caught.value.what.partition(": ")[2].split(" needs ")
    assert circle[0] == circle[-1]
    assert caught.value.where == "dvc.yaml"


def test_two_makers_of_one_output_are_both_named():
    with pytest.raises(InvalidGraph, match="'o' is made by two stages: 'a' and 'b'"):
        graph(stage("a", outs=("o",)), stage("b", outs=("./x/../o",)))


def test_an_output_inside_another_is_refused():
    with pytest.raises(InvalidGraph, match="'o/x/y' of 'b' lies inside the output 'o' of 'a'"):
        graph(stage("a", outs=("o",)), stage("b", outs=("o/x/y",)))


def test_a_name_that_only_begins_alike_is_no_overlap():
    found = graph(
        stage("a", outs=("o",)), stage("b", outs=("o.txt",)), stage("c", deps=("o.txt",))
    )
    assert found.upstream["c"] == ("b",)


def test_the_maker_of_a_path_is_found_inside_its_output():
    found = graph(stage("a", outs=("o",)))
    assert (found.maker(ROOT / "o" / "x") or stage("none")).name == "a"
    assert found.maker(ROOT / "other") is None

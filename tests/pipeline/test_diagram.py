"""Which names and arrows a diagram has: all, those about targets, groups as one."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.base.errors import NotFound
from assay.pipeline import diagram
from assay.pipeline.diagram import make
from assay.project import workspace
from assay.workflows import diagrams
from tests import make as made
from tests import stages

TEXT = """
stages:
  prep: {cmd: x, deps: [data.csv], outs: [parts]}
  train: {cmd: x, deps: [parts/a], params: [made.yaml: [lr]], outs: [model.txt]}
  settings: {cmd: x, outs: [made.yaml]}
  alone: {cmd: x, outs: [alone.txt]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return stages.pipeline(tmp_path / "project", TEXT, {"data.csv": "a\n"})


def test_a_diagram_has_each_pair_once_and_in_the_order_of_its_nodes():
    found = make(["c", "a", "b"], [("a", "b"), ("c", "b"), ("a", "b")])
    assert found.edges == (("c", "b"), ("a", "b"))


def test_stages_are_linked_by_files_folders_and_parameters(folder):
    found = diagrams.stages(workspace.find(folder), cwd=folder)
    assert found.nodes == ("prep", "train", "settings", "alone", "data.csv.dvc")
    assert set(found.edges) == {
        ("data.csv.dvc", "prep"), ("prep", "train"), ("settings", "train"),
    }  # fmt: skip


def test_outputs_are_linked_by_the_stages_that_make_them(folder):
    found = diagrams.outs(workspace.find(folder), cwd=folder)
    assert set(found.nodes) == {"parts", "model.txt", "made.yaml", "alone.txt", "data.csv"}
    assert set(found.edges) == {
        ("data.csv", "parts"), ("parts", "model.txt"), ("made.yaml", "model.txt"),
    }  # fmt: skip


def test_a_target_comes_with_what_it_needs_or_with_all_that_hangs_together(folder):
    project = workspace.find(folder)

    def names(*targets: str, full: bool = False) -> set[str]:
        return set(diagrams.stages(project, targets, cwd=folder, full=full).nodes)

    assert names("prep") == {"prep", "data.csv.dvc"}
    assert names("parts/a") == {"prep", "data.csv.dvc"}
    assert names("alone", "settings") == {"alone", "settings"}
    assert names("prep", full=True) == {"prep", "data.csv.dvc", "train", "settings"}
    assert set(diagrams.outs(project, ["parts"], cwd=folder).nodes) == {"parts", "data.csv"}
    assert set(diagrams.outs(project, ["train"], cwd=folder).nodes) == {
        "model.txt", "parts", "data.csv", "made.yaml",
    }  # fmt: skip
    with pytest.raises(NotFound, match="nope"):
        names("nope")


def test_a_group_can_be_one_node_that_does_not_need_itself():
    found = make(["p", "t@1", "t@2", "e"], [("p", "t@1"), ("t@1", "t@2"), ("t@2", "e")])
    one = found.collapsed({"t@1": "t", "t@2": "t"})
    assert (one.nodes, set(one.edges)) == (("p", "e", "t"), {("p", "t"), ("t", "e")})


def test_names_are_relative_to_where_a_person_is(folder):
    made.write(folder, {"sub/dvc.yaml": "stages: {in: {cmd: x, outs: [o]}}"})
    sub = folder / "sub"
    found = diagrams.stages(workspace.find(folder), cwd=sub, shown_from=sub)
    assert found.nodes[:1] == ("../dvc.yaml:prep",)
    assert found.nodes[-2:] == ("in", "../data.csv.dvc")


def test_the_forms_of_the_command(folder):
    boxes = made.done(folder, "dag", "--ascii", "prep")
    assert "| data.csv.dvc |" in boxes
    assert made.done(folder, "dag", "prep") == "data.csv.dvc\nprep  <- data.csv.dvc\n"
    assert made.done(folder, "dag", "--md", "alone") == (
        '```mermaid\nflowchart TD\n\tnode1["alone"]\n```\n'
    )
    for given, code, words in (
        (("--md", "--json"), 2, "choose one"),
        (("--outs", "--collapse-foreach-matrix"), 2, "no stages"),
        (("trian",), 255, "did you mean 'train'?"),
    ):
        shown = made.assay(folder, "dag", *given)
        assert (shown.code, shown.out) == (code, "")
        assert words in shown.err


def test_a_project_without_a_stage_says_so(project):
    shown = made.assay(project, "dag")
    assert shown.code == 255
    assert "there is no stage yet" in shown.err


def test_lines_come_after_what_they_need():
    found = make(["end", "mid", "start"], [("start", "mid"), ("mid", "end"), ("start", "end")])
    assert diagram.lines(found).split("\n") == ["start", "mid  <- start", "end  <- mid, start"]


def test_mermaid_numbers_part_by_part():
    found = make(["z", "alone", "a", "b"], [("z", "a"), ("z", "b")])
    assert diagram.mermaid(found).split("\n") == [
        "flowchart TD",
        '\tnode1["a"]', '\tnode2["b"]', '\tnode3["z"]',
        "\tnode3-->node1", "\tnode3-->node2",
        '\tnode4["alone"]',
    ]  # fmt: skip


def test_a_frozen_stage_hides_nothing_above_it(folder):
    made.write(
        folder, {"dvc.yaml": TEXT.replace("prep: {cmd: x,", "prep: {cmd: x, frozen: true,")}
    )
    found = diagrams.stages(workspace.find(folder), ["train"], cwd=folder)
    assert found.edges == (("prep", "train"), ("settings", "train"), ("data.csv.dvc", "prep"))

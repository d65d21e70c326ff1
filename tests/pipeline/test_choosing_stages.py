"""Which stages a `repro` looks at: targets, and the flags that widen or narrow them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests import make, stages
from tests.pipeline import diamond
from tests.pipeline.diamond import DIAMOND, states


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return diamond.ran(tmp_path_factory.mktemp("template"))[0]


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Path:
    return shutil.copytree(template, tmp_path / "project", symlinks=True)


@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [
        ([], [*DIAMOND, "alone"]),
        (["left"], ["top", "left"]),
        (["-s", "bottom"], ["bottom"]),
        (["-s", "bottom", "left"], ["left", "bottom"]),
        (["-p", "right"], [*DIAMOND, "sub/dvc.yaml:sub"]),
        (["-p", "alone"], ["alone"]),
        (["-p", "-s", "right"], [*DIAMOND, "sub/dvc.yaml:sub"]),
        (["-P"], [*DIAMOND, "alone", "sub/dvc.yaml:sub"]),
        (["-P", "--downstream", "left"], [*DIAMOND, "alone", "sub/dvc.yaml:sub"]),
        (["--downstream", "left"], ["left", "bottom"]),
        (["--downstream", "top"], [*DIAMOND, "sub/dvc.yaml:sub"]),
        (["-R", "sub"], ["top", "sub/dvc.yaml:sub"]),
        (["-R", "."], [*DIAMOND, "alone", "sub/dvc.yaml:sub"]),
        (["-s", "-R", "sub"], ["sub/dvc.yaml:sub"]),
        (["--glob", "-s", "*t*"], ["top", "left", "right", "bottom"]),
        (["--glob", "al*"], ["alone"]),
        (["--glob", "sub/dvc.yaml:s*"], ["top", "sub/dvc.yaml:sub"]),
        (["sub/dvc.yaml"], ["top", "sub/dvc.yaml:sub"]),
    ],
)  # fmt: skip
def test_flags_choose_the_stages_and_dry_says_the_same(
    project: Path, arguments: list[str], chosen: list[str]
):
    assert list(states(project, "--dry", *arguments)) == chosen
    assert list(states(project, *arguments)) == chosen


@pytest.mark.parametrize("dry", [[], ["--dry"]])
@pytest.mark.parametrize(
    ("arguments", "what", "hint"),
    [
        (["--glob", "zz*"], "no stage matches 'zz*'", "see 'assay stage list' for the names"),
        (["--glob", "top", "zz*"], "no stage matches 'zz*'", "nothing was run"),
        (["-R", "empty"], "there is no stage in this folder", "nothing was run"),
        (["-R", "tpo"], "'tpo' is neither a stage nor", "did you mean 'top'?"),
    ],
)
def test_a_target_that_names_nothing_runs_nothing(
    project: Path, arguments: list[str], what: str, hint: str, dry: list[str]
):
    make.write(project, {"in.txt": "2\n", "empty/x": ""})
    before = make.state(project)
    shown = make.assay(project, "repro", *dry, *arguments)
    assert shown.code == 255
    assert what in shown.err
    assert hint in shown.err
    assert make.state(project) == before
    assert not (project.parent / "starts").exists()


def test_in_a_folder_without_stages_all_are_meant(project: Path):
    make.write(project, {"other/x": ""})
    assert len(states(project / "other")) == 6
    assert list(states(project / "sub")) == ["top", "sub/dvc.yaml:sub"]


GROUPS = """
stages:
  each:
    foreach: [a, b]
    do:
      cmd: echo ${item} > ${item}.txt
      outs: ["${item}.txt"]
  after:
    cmd: cat a.txt b.txt > after.txt
    deps: [a.txt, b.txt]
    outs: [after.txt]
"""


def test_a_group_and_one_of_it_are_targets(tmp_path: Path):
    folder = stages.pipeline(tmp_path / "project", GROUPS)
    assert list(states(folder, "each@b")) == ["each@b"]
    assert list(states(folder, "each")) == ["each@a", "each@b"]
    assert list(states(folder, "--downstream", "each")) == ["each@a", "each@b", "after"]


def test_a_frozen_stage_cuts_what_lies_above_it_and_what_follows_from_it(project: Path):
    make.done(project, "freeze", "left")
    assert list(states(project, "left")) == ["left"]
    assert list(states(project, "--downstream", "top")) == [
        "top", "right", "bottom", "sub/dvc.yaml:sub",
    ]  # fmt: skip

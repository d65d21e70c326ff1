"""Stop tracking: the record goes, and nothing of a person's."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from assay.base.errors import Negative, NotFound, Usage
from assay.project import removing
from assay.project.removing import remove, without_stage
from assay.project.workspace import Project
from tests import make, stages

YAML = """\
# of the whole file
vars_of_mine: &x 1
stages:
  # first
  one:
    cmd: echo "stages:" # inline
    outs: [one.txt]

  # about two

  # right above two
  two:
    cmd: |
      echo 2
      # no comment

    # inside two
    outs:
    - two.txt
  # about three
  "three":  {cmd: x}
# at the end
plots:
- a.csv
"""


def tracked(folder: Path, *names: str) -> Project:
    make.write(folder, dict.fromkeys(names, "1"))
    make.done(folder, "add", "--no-profile", *names)
    return Project(folder)


def test_data_stays_and_its_lines_in_gitignore_go_escaped_or_not(project: Path):
    make.write(project, {".gitignore": "# mine\n*.log\n"})
    names = ["[b]*!.txt", "#c", "a\\b", "plain"]
    found = tracked(project, *names)
    done = remove(found, [f"{name}.dvc" for name in names], cwd=project, outs=False)
    assert (project / ".gitignore").read_text() == "# mine\n*.log\n"
    assert all((project / name).read_text() == "1" for name in names)
    assert not list(project.glob("*.dvc.dvc"))
    assert done.outs == []


def test_a_gitignore_that_is_empty_goes(project: Path):
    found = tracked(project, "s/a")
    remove(found, ["s/a.dvc"], cwd=project, outs=False)
    assert [path.name for path in (project / "s").iterdir()] == ["a"]


def test_outs_are_deleted_when_the_cache_has_them(project: Path):
    found = tracked(project, "a", "d/x")
    (project / "a").unlink()
    done = remove(found, ["a.dvc", "d/x.dvc"], cwd=project, outs=True)
    assert done.outs == [project / "d" / "x"]
    assert not (project / "d" / "x").exists()


@pytest.mark.parametrize("case", ["edited", "not in the cache"])
def test_data_that_could_not_be_had_again_is_not_deleted(project: Path, case: str):
    found = tracked(project, "a", "b")
    if case == "edited":
        make.write(project, {"b": "2"})
    else:
        make.write(project, {"b": "2"})
        make.done(project, "add", "--no-profile", "b")
        stages.object_of(project, "c81e728d9d4c2f636f067f89cc14862c").unlink()
    before = make.state(project)
    with pytest.raises(Negative, match="not in the cache"):
        remove(found, ["a.dvc", "b.dvc"], cwd=project, outs=True)
    assert make.state(project) == before


@pytest.mark.parametrize(
    ("target", "error", "hint"),
    [
        ("nope.dvc", NotFound, None),
        ("a", Usage, "assay remove a.dvc"),
        ("nope", NotFound, "assay stage list"),
        ("one.txt", Usage, "assay stage list"),
    ],
)
def test_a_wrong_target_among_others_changes_nothing(project: Path, target, error, hint):
    make.write(project, {"dvc.yaml": "stages:\n  s:\n    cmd: x\n    outs: [one.txt]\n"})
    found = tracked(project, "a")
    before = make.state(project)
    with pytest.raises(error) as caught:
        remove(found, ["a.dvc", target], cwd=project, outs=False)
    assert hint is None or hint in str(caught.value)
    assert make.state(project) == before


def test_a_record_that_is_not_understood_can_be_removed_beside_another_broken_one(project: Path):
    make.write(
        project,
        {
            "other.dvc": "outs: [",
            "old.dvc": "outs:\n- md5: 12\n  pathx: 1\n  path: old\n",
            ".gitignore": "/old\n",
        },
    )
    remove(Project(project), ["old.dvc"], cwd=project, outs=False)
    assert not (project / "old.dvc").exists()
    assert not (project / ".gitignore").exists()


def test_a_path_of_a_record_that_leaves_the_project_is_not_deleted(project: Path):
    make.write(project, {"evil.dvc": "outs:\n- path: ../victim\n"})
    make.write(project.parent, {"victim": "mine"})
    with pytest.raises(Negative, match="outside"):
        remove(Project(project), ["evil.dvc"], cwd=project, outs=True)
    assert (project.parent / "victim").exists()


def test_a_stage_is_cut_out_and_every_other_line_stays():
    cut = without_stage(YAML, "two")
    start = YAML.index("  # right above two")
    end = YAML.index("  # about three")
    assert cut == YAML[:start] + YAML[end:]


@pytest.mark.parametrize("name", ["one", "two", "three"])
def test_what_is_left_is_the_file_without_the_stage(name: str):
    wanted = yaml.safe_load(YAML)
    del wanted["stages"][name]
    cut = without_stage(YAML, name)
    assert yaml.safe_load(cut or "") == wanted
    assert "# of the whole file" in (cut or "")
    assert "# at the end" in (cut or "")


def test_the_last_stage_takes_stages_along_and_leaves_what_stands_beside_it():
    text = "# top\nstages:\n  a:\n    cmd: x\n# plots\nplots:\n- p.csv\n"
    assert without_stage(text, "a") == "# top\n# plots\nplots:\n- p.csv\n"
    assert without_stage("# top\nstages:\n  a:\n    cmd: x\n", "a") is None


@pytest.mark.parametrize(
    "text",
    [
        "stages: {a: {cmd: x}, b: {cmd: y}}\n",
        "stages:\n  a: &a\n    cmd: x\n  b: *a\n",
        "{stages: {a: {cmd: x},\n b: {cmd: y}}}\n",
        "stages:\n    'a':\n        cmd:\n        - x\n        - y\n    b:\n        cmd: y",
        "stages:\n  a:\n    cmd: >-\n      x\n\n      y\n\n  b:\n    cmd: z\n",
    ],
)
def test_a_file_in_any_form_is_without_the_stage(text: str):
    before = yaml.safe_load(text)
    del before["stages"]["a"]
    assert yaml.safe_load(without_stage(text, "a") or "") == before


def test_a_stage_goes_from_its_lock_too(project: Path):
    make.write(
        project,
        {
            "dvc.yaml": "stages:\n  a:\n    cmd: echo 1 > a\n    outs: [a]\n"
            "  b:\n    cmd: echo 2 > b\n    outs: [b]\n"
        },
    )
    make.done(project, "repro")
    make.done(project, "remove", "a")
    assert list(yaml.safe_load((project / "dvc.lock").read_text())["stages"]) == ["b"]
    make.done(project, "remove", "b", "--outs")
    assert not (project / "dvc.lock").exists()
    assert not (project / "dvc.yaml").exists()
    assert (project / "a").exists()
    assert not (project / "b").exists()


def test_a_stage_of_a_subfolder_is_found_by_its_address_and_from_within(project: Path):
    text = "stages:\n  a:\n    cmd: x\n  b:\n    cmd: y\n"
    make.write(project, {"s/dvc.yaml": text})
    assert removing.remove(
        Project(project), ["s/dvc.yaml:a"], cwd=project, outs=False
    ).targets == ["s/dvc.yaml:a"]
    make.done(project / "s", "remove", "b")
    assert not (project / "s" / "dvc.yaml").exists()


TEMPLATES = """\
vars: [{out: o}]
stages:
  # of all
  a:
    foreach: [x, y]
    do:
      cmd: echo ${item} > ${out}-${item}
      outs: ['${out}-${item}']
  b:
    matrix: {m: [1, 2]}
    cmd: echo ${item.m} > ${key}
    outs: ['${key}']
"""


def test_all_that_a_template_makes_goes_with_it(project: Path):
    make.write(project, {"dvc.yaml": TEMPLATES})
    make.done(project, "repro")
    make.done(project, "remove", "a", "--outs")
    left = (project / "dvc.yaml").read_text()
    assert left == "vars: [{out: o}]\nstages:\n" + TEMPLATES[TEMPLATES.index("  b:") :]
    locked = yaml.safe_load((project / "dvc.lock").read_text())["stages"]
    assert list(locked) == ["b@1", "b@2"]
    assert sorted(p.name for p in project.iterdir() if p.name in {"o-x", "o-y", "1", "2"}) == [
        "1",
        "2",
    ]


def test_a_stage_that_a_template_makes_among_others_is_not_removed_alone(project: Path):
    make.write(project, {"dvc.yaml": TEMPLATES})
    shown = make.assay(project, "remove", "b@2")
    assert shown.code == 2
    assert "error: b@2: the template 'b' makes this stage, and others" in shown.err
    assert "'assay remove b'" in shown.err
    assert (project / "dvc.yaml").read_text() == TEMPLATES

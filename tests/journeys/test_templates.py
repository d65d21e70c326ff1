"""A pipeline of templates is run, looked at and taken apart like any other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import make, stages

FILES = {
    "params.yaml": "models: {ridge: {alpha: 1}, forest: {trees: 10}}\nseed: 7\n",
    "data.csv": "b\na\n",
    "dvc.yaml": """\
vars: [{out: results}]
stages:
  sort:
    cmd: sort data.csv > sorted.csv
    deps: [data.csv]
    outs: [sorted.csv]
  train:
    foreach: ${models}
    do:
      cmd: echo ${key} ${item} --seed ${seed} > ${key}.txt; cat sorted.csv >> ${key}.txt
      deps: [sorted.csv]
      outs: ['${key}.txt']
  score:
    matrix:
      model: [ridge, forest]
      metric: [mae, rmse]
    cmd: 'echo "{\\"${item.metric}\\": 1}" > ${out}-${key}.json'
    deps: ['${item.model}.txt']
    metrics: [{'${out}-${key}.json': {cache: false}}]
""",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return stages.pipeline(tmp_path / "project", FILES["dvc.yaml"], FILES)


def ran(folder: Path, *arguments: str) -> list[str]:
    """Return the stages that a `repro` ran, in their order."""
    said = make.done(folder, "repro", *arguments)
    return [line.split("'")[1] for line in said.splitlines() if line.startswith("Running stage")]


def test_a_changed_element_runs_its_own_stages_only(folder: Path):
    assert ran(folder) == [
        "sort", "train@ridge", "train@forest",
        "score@ridge-mae", "score@ridge-rmse", "score@forest-mae", "score@forest-rmse",
    ]  # fmt: skip
    assert (folder / "forest.txt").read_text() == "forest --trees 10 --seed 7\na\nb\n"
    assert make.done(folder, "status", "--json") == "{}\n"
    make.write(folder, {"params.yaml": FILES["params.yaml"].replace("10", "20")})
    assert json.loads(make.done(folder, "status", "--json")) == {
        "train@forest": ["changed command"]
    }
    assert ran(folder) == ["train@forest", "score@forest-mae", "score@forest-rmse"]
    assert "forest --trees 20" in (folder / "forest.txt").read_text()


def test_the_name_of_a_template_means_all_that_it_makes(folder: Path):
    assert ran(folder, "train") == ["sort", "train@ridge", "train@forest"]
    assert ran(folder, "score@ridge-mae") == ["score@ridge-mae"]
    assert list(json.loads(make.done(folder, "status", "--json", "score"))) == [
        "score@ridge-rmse",
        "score@forest-mae",
        "score@forest-rmse",
    ]


def test_one_element_less_leaves_the_others_alone(folder: Path):
    ran(folder)
    text = FILES["params.yaml"].replace("ridge: {alpha: 1}, ", "")
    make.write(folder, {"params.yaml": text})
    (folder / "ridge.txt").unlink()
    shown = make.assay(folder, "status")
    assert "ridge.txt" in shown.out + shown.err  # 'score' still reads what nothing makes
    text = FILES["dvc.yaml"].replace("[ridge, forest]", "${models}")
    make.write(folder, {"dvc.yaml": text})
    assert make.done(folder, "status", "--json") == "{}\n"
    assert ran(folder) == []


def test_a_template_that_cannot_be_resolved_stops_every_command_and_changes_nothing(folder: Path):
    ran(folder)
    make.write(folder, {"dvc.yaml": FILES["dvc.yaml"].replace("${seed}", "${sed}")})
    before = make.snapshot(folder, without=(".git", ".assay"))
    for command in (["repro"], ["status"], ["dag"], ["stage", "list"], ["repro", "train@ridge"]):
        shown = make.assay(folder, *command)
        assert shown.code == 255
        assert "dvc.yaml:10: in stage 'train@ridge', there is no variable 'sed'" in shown.err
        assert "did you mean 'seed'?" in shown.err
    assert make.snapshot(folder, without=(".git", ".assay")) == before

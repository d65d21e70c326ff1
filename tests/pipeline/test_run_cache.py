from __future__ import annotations

import os
from pathlib import Path

import pytest

from assay.pipeline import run_cache
from assay.pipeline.changes import Inspector
from assay.project import definition, workspace
from assay.project.lock import Entry
from assay.project.stages import Out, ParamsDep, Stage
from tests import make, stages


def stage(**given: object) -> Stage:
    made = {
        "name": "s", "address": "s", "file": Path("/p/dvc.yaml"), "wdir": Path("/p"),
        "cmd": "true", "deps": ("d",), "outs": (Out(path="o"),), **given,
    }  # fmt: skip
    return Stage(**made)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, True),
        ({"deps": (), "params": (ParamsDep(file="params.yaml", keys=("a",)),)}, True),
        ({"deps": ()}, False),
        ({"outs": ()}, False),
        ({"always_changed": True}, False),
        ({"outs": (Out(path="o"), Out(path="p", persist=True))}, False),
        ({"outs": (Out(path="o", cache=False, kind="metric"),)}, True),
    ],
)
def test_only_what_depends_on_its_declared_inputs_is_cached(
    given: dict[str, object], expected: bool
):
    assert run_cache.is_cachable(stage(**given)) is expected


def entries(folder: Path) -> list[Path]:
    return sorted(p for p in (folder / ".dvc/cache/runs").rglob("*") if p.is_file())


def known(folder: Path, name: str) -> Entry | None:
    declared = definition.read(workspace.find(folder))
    one = declared.by_address[name]
    return run_cache.find(declared.project, one, Inspector(declared).entry(one))


def test_a_stage_is_found_by_command_dependencies_and_parameters(tmp_path: Path):
    folder, _ = stages.three(tmp_path)
    assert known(folder, "prep") is None
    make.done(folder, "repro")
    assert len(entries(folder)) == 3
    found = known(folder, "train")
    assert found is not None
    assert [row.path for row in found.outs] == ["model.txt"]
    make.write(folder, {"params.yaml": "lr: 0.5\nseed: 7\n"})
    assert known(folder, "train") is None
    assert known(folder, "prep") is not None


def test_a_damaged_entry_is_thrown_away_and_the_stage_runs(tmp_path: Path):
    folder, side = stages.three(tmp_path)
    make.done(folder, "repro")
    for file in entries(folder):
        file.write_text("cmd: [unclosed")
    assert known(folder, "prep") is None
    assert len(entries(folder)) == 2
    make.write(folder, {"params.yaml": "lr: 0.5\nseed: 7\n"})
    make.done(folder, "repro")
    assert stages.starts(side) == ["prep", "train", "evaluate", "train", "evaluate"]


def test_an_entry_whose_objects_are_gone_gives_way_to_an_older_one(tmp_path: Path):
    """Two runs of an unseeded stage; DVC looks at the newest alone."""
    text = """
stages:
  draw:
    cmd: od -An -N8 -tx1 /dev/urandom > drawn
    params: [k]
    outs: [drawn]
"""
    folder = stages.pipeline(tmp_path / "project", text, {"params.yaml": "k: 1\n"})
    oids = []
    for at in (1, 2):
        make.done(folder, "repro", "--force")
        oids.append(stages.out_oid(folder, "drawn"))
        for file in entries(folder):
            if oids[-1] in file.read_text():
                os.utime(file, (at, at))
    assert oids[0] != oids[1]
    stages.object_of(folder, oids[1]).unlink()
    found = known(folder, "draw")
    assert found is not None
    assert found.outs[0].oid == oids[0]


def test_an_output_that_is_kept_nowhere_is_not_remembered(tmp_path: Path):
    text = """
stages:
  plain:
    cmd: cp params.yaml o
    params: [k]
    outs: [{o: {cache: false}}]
"""
    folder = stages.pipeline(tmp_path / "project", text, {"params.yaml": "k: 1\n"})
    make.done(folder, "repro")
    assert entries(folder) == []

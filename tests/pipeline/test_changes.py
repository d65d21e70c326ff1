from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from assay.base.errors import NotFound
from assay.pipeline.changes import Changes, Inspector
from assay.project import definition, workspace
from tests import make, stages

FORMATS = {
    "params.yaml": "lr: 0.1\nlayers: [8, 4]\nnet: {depth: 2, name: a}\n",
    "c.json": '{"lr": 0.1, "net": {"depth": 2}}',
    "c.toml": "lr = 0.1\n[net]\ndepth = 2\n",
    "c.py": "LR = 0.1\nclass Net:\n    depth = 2\nlater = LR + 1\n",
}
ONE = """
stages:
  one:
    cmd: cp data.csv out.csv; mkdir -p folder/sub; cp data.csv folder/sub/a
    deps: [data.csv]
    params:
    - lr
    - net.depth
    - layers.1
    - c.json: [net]
    - c.toml: [net.depth]
    - c.py: [LR, Net.depth]
    - whole.yaml:
    outs: [out.csv, folder]
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = {**FORMATS, "whole.yaml": "a: 1\nb: [x]\n", "data.csv": "1\n"}
    folder = stages.pipeline(tmp_path_factory.mktemp("ran") / "project", ONE, files)
    make.done(folder, "repro")
    return folder


@pytest.fixture
def folder(ran: Path, tmp_path: Path) -> Path:
    return shutil.copytree(ran, tmp_path / "project", symlinks=True)


def changes(folder: Path, stage: str = "one") -> Changes:
    declared = definition.read(workspace.find(folder))
    return Inspector(declared).changes(declared.by_address[stage])


def edit(folder: Path, name: str, before: str, after: str) -> None:
    text = (folder / name).read_text()
    assert before in text
    (folder / name).write_text(text.replace(before, after))


def test_right_after_it_ran_nothing_is_changed_and_nothing_is_read_again(ran: Path):
    time.sleep(0.05)  # a file of this very moment is read again: the clock of files is coarse
    make.done(ran, "status")
    declared = definition.read(workspace.find(ran))
    inspector = Inspector(declared)
    assert [inspector.changes(stage) for stage in declared.all] == [Changes()] * 2
    assert inspector.n_hashed == 0


@pytest.mark.parametrize(
    ("name", "before", "after", "file", "states"),
    [
        ("params.yaml", "0.1", "0.2", "params.yaml", {"lr": "modified"}),
        ("params.yaml", "depth: 2", "depth: 3", "params.yaml", {"net.depth": "modified"}),
        ("params.yaml", "[8, 4]", "[8, 5]", "params.yaml", {"layers.1": "modified"}),
        ("params.yaml", "[8, 4]", "[8]", "params.yaml", {"layers.1": "deleted"}),
        ("params.yaml", "lr: 0.1", "lr: '0.1'", "params.yaml", {"lr": "modified"}),
        ("c.json", '"depth": 2', '"depth": 2, "new": 1', "c.json", {"net": "modified"}),
        ("c.toml", "depth = 2", "depth = 4", "c.toml", {"net.depth": "modified"}),
        ("c.py", "LR = 0.1", "LR = 1", "c.py", {"LR": "modified"}),
        ("c.py", "    depth = 2", "    depth = LR", "c.py", {"Net.depth": "deleted"}),
        ("whole.yaml", "a: 1", "c: 1", "whole.yaml", {"a": "deleted", "c": "new"}),
    ],
)
def test_a_parameter_that_changed_is_named(
    folder: Path, name: str, before: str, after: str, file: str, states: dict[str, str]
):
    edit(folder, name, before, after)
    assert changes(folder) == Changes(deps={file: states})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("params.yaml", "[8, 4]", "[9, 4]"),
        ("params.yaml", "name: a", "name: b"),
        ("params.yaml", "lr: 0.1", "lr: 1e-1 # the rate"),
        ("c.json", '"lr": 0.1', '"lr": 0.5'),
        ("c.py", "LR + 1", "LR + 2"),
        ("dvc.yaml", "deps: [data.csv]", "deps: [./data.csv]\n    desc: other"),
    ],
)
def test_what_a_stage_does_not_read_is_no_change(folder: Path, name: str, before: str, after: str):
    edit(folder, name, before, after)
    found = changes(folder)
    assert not found.command
    assert set(found.deps) <= {"./data.csv"}  # as in DVC, another spelling is another dependency


def test_a_parameter_file_that_is_gone_is_deleted_as_a_whole(folder: Path):
    (folder / "c.toml").unlink()
    assert changes(folder).deps == {"c.toml": "deleted"}


def test_data_counts_by_its_bytes(folder: Path):
    text = (folder / "data.csv").read_text()
    (folder / "data.csv").unlink()
    assert changes(folder).deps == {"data.csv": "deleted"}
    (folder / "data.csv").write_text(text + "2\n")
    assert changes(folder).deps == {"data.csv": "modified"}
    (folder / "data.csv").write_text(text)
    (folder / "data.csv").chmod(0o755)
    assert not changes(folder)


def test_outputs_that_are_edited_deleted_or_gone_from_the_cache_are_told_apart(folder: Path):
    make.write(folder, {"out.csv": "edited"})
    shutil.rmtree(folder / "folder")
    assert changes(folder).outs == {"out.csv": "modified", "folder": "deleted"}
    inner = make.done(folder, "checkout", "folder")
    assert inner.startswith("A\t")
    stages.object_of(folder, "b026324c6904b2a9cb4b88d6d61c81d1").unlink()
    assert set(changes(folder).outs.values()) == {"not in cache"}


def test_why_a_stage_runs_is_said_in_words(folder: Path):
    edit(folder, "dvc.yaml", "cp data.csv out.csv", "cat data.csv > out.csv")
    edit(folder, "params.yaml", "0.1", "0.2")
    (folder / "data.csv").write_text("3\n")
    (folder / "out.csv").unlink()
    assert changes(folder).in_words() == (
        "its command changed; data.csv is modified; params.yaml:lr is modified; "
        "output out.csv is deleted"
    )


def test_a_frozen_stage_does_not_look_at_what_it_reads(folder: Path):
    edit(folder, "dvc.yaml", "  one:", "  one:\n    frozen: true")
    (folder / "data.csv").write_text("3\n")
    assert not changes(folder)


def test_a_stage_that_never_ran_says_so(folder: Path):
    (folder / "dvc.lock").unlink()
    assert changes(folder).in_words() == "it has not run yet"


@pytest.mark.parametrize(
    ("name", "before", "after", "said"),
    [
        ("params.yaml", "lr: 0.1", "rate: 0.1", "stage 'one' needs 'lr' of 'params.yaml'"),
        ("c.toml", "depth", "deep", "stage 'one' needs 'net.depth' of 'c.toml'"),
    ],
)
def test_a_stage_cannot_run_on_a_parameter_that_is_not_there(
    folder: Path, name: str, before: str, after: str, said: str
):
    edit(folder, name, before, after)
    declared = definition.read(workspace.find(folder))
    with pytest.raises(NotFound, match=said):
        Inspector(declared).entry(declared.by_address["one"])


def test_what_is_assumed_of_an_output_holds_for_what_is_inside_it(folder: Path):
    declared = definition.read(workspace.find(folder))
    one = declared.by_address["one"]
    rows = list(declared.recorded(one).values())
    inspector = Inspector(declared)
    expected = {
        path: (inspector.content(one.path(path)) or pytest.fail(path)).oid
        for path in ("out.csv", "folder", "folder/sub", "folder/sub/a")
    }
    shutil.rmtree(folder / "folder")
    make.write(folder, {"folder/sub/a": "other", "out.csv": "other"})
    inspector.assume(one, rows)
    found = {path: inspector.content(one.path(path)) for path in expected}
    assert {path: one and one.oid for path, one in found.items()} == expected

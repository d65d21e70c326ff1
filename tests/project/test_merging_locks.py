"""A lock is merged by stage, in a real git merge; what both sides ran on other things is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.base.errors import Error
from assay.project import emit, yaml12
from assay.project.merging import Conflict
from assay.project.merging_locks import merge_entries, merge_locks
from tests import make, stages

SIDE = st.dictionaries(st.sampled_from("abcd"), st.sampled_from([1, 2, 3]))


@given(SIDE, SIDE, SIDE)
def test_a_merge_has_what_each_side_changed_and_names_what_both_did(base, ours, theirs):
    merged, contested = merge_entries(base, ours, theirs)
    for name in {*base, *ours, *theirs}:
        changed = [s.get(name) for s in (ours, theirs) if s.get(name) != base.get(name)]
        if len(set(changed)) > 1:
            assert name in contested
        else:
            assert name not in contested
            assert merged.get(name) == (changed[0] if changed else base.get(name))


def lock(**entries: int) -> dict[str, Any]:
    found: dict[str, Any] = {"schema": "2.0", "stages": {}}
    for name, number in entries.items():
        row = {"path": f"{name}.txt", "hash": "md5", "md5": str(number) * 32, "size": 1}
        found["stages"][name] = {"cmd": f"make {name}", "outs": [row]}
    return found


def written(folder: Path, **sides: dict[str, Any] | str) -> dict[str, Any]:
    texts = {n: side if isinstance(side, str) else emit.dump(side) for n, side in sides.items()}
    make.write(folder, texts)
    return {name: folder / name for name in sides}


def test_the_merged_lock_is_what_the_writer_makes_of_both(tmp_path: Path):
    files = written(
        tmp_path, ancestor=lock(a=1, b=1), our=lock(a=2, b=1), their=lock(a=1, b=3, c=4)
    )
    merge_locks(**files)
    assert files["our"].read_text() == emit.dump(lock(a=2, b=3, c=4))


def test_a_contested_stage_is_named_and_the_others_are_merged(tmp_path: Path):
    files = written(
        tmp_path, ancestor=lock(a=1, b=1), our=lock(a=2, b=1), their=lock(a=3, b=3)
    )  # fmt: skip
    with pytest.raises(Conflict, match="both sides ran stage 'a', on different things") as caught:
        merge_locks(**files)
    assert "assay repro" in (caught.value.hint or "")
    assert yaml12.load(files["our"].read_text(), where="") == lock(a=2, b=3)


def test_a_side_that_is_no_lock_changes_nothing(tmp_path: Path):
    files = written(tmp_path, ancestor="", our=lock(a=1), their="schema: '1.0'\n")
    before = files["our"].read_text()
    with pytest.raises(Error, match=r"not '2\.0'"):
        merge_locks(**files)
    assert files["our"].read_text() == before


TWO = """
stages:
  one:
    cmd: echo $(cat in1) > one.txt
    deps: [in1]
    outs: [one.txt]
  two:
    cmd: echo $(cat in2) > two.txt
    deps: [in2]
    outs: [two.txt]
"""


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A pipeline of two stages that ran, in a clone where `assay install` was run."""
    folder = stages.pipeline(tmp_path / "project", TWO, {"in1": "1\n", "in2": "1\n"})
    make.done(folder, "repro")
    make.done(folder, "install")
    make.commit(folder)
    return folder


def branch(folder: Path, name: str, files: dict[str, str]) -> None:
    make.git(folder, "switch", "-q", "-c", name, "main")
    make.write(folder, files)
    make.done(folder, "repro")
    make.commit(folder)


def test_two_branches_that_ran_different_stages_merge_in_git(two: Path):
    branch(two, "first", {"in1": "2\n"})
    branch(two, "second", {"in2": "3\n"})
    make.git(two, "merge", "-q", "first")
    make.done(two, "checkout")
    assert make.done(two, "repro") == "Data and pipelines are up to date.\n"
    assert (two / "one.txt").read_text() + (two / "two.txt").read_text() == "2\n3\n"


def test_a_lock_with_conflict_markers_is_refused_by_line_and_stays(two: Path):
    text = stages.lock(two).replace("  two:\n", "<<<<<<< HEAD\n  two:\n=======\n>>>>>>> other\n")
    make.write(two, {"dvc.lock": text})
    for command in (["repro"], ["status"], ["repro", "--dry"]):
        shown = make.assay(two, *command)
        assert shown.code == 255
        assert shown.err.startswith("error: dvc.lock:"), shown.err
        assert "this is possibly a merge conflict" in shown.err
    assert stages.lock(two) == text

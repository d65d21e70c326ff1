"""The data that a script read is what its run recorded, whatever its commit tracks."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import dvc_2, make

SUM = """
from pathlib import Path
import assay

with assay.run("sum"):
    assay.log_metric("sum", sum(map(int, Path("d/x.csv").read_text().split())))
"""


def read(folder: Path, code: str = SUM) -> Path:
    """Make a project that tracks `d/x.csv`, and a script that reads it."""
    root = make.write(make.project(folder / "project"), {"d/x.csv": "1\n2\n", "s.py": code})
    make.done(root, "add", "d/x.csv")
    make.commit(root)
    return root


def call(folder: Path) -> None:
    subprocess.run([sys.executable, "s.py"], cwd=folder, check=True, capture_output=True)


def again(folder: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    shown = make.assay(folder, "reproduce", "--json", *arguments)
    assert shown.code == code, shown
    found: dict[str, Any] = json.loads(shown.out)
    return found


def refused(folder: Path) -> str:
    """Return the error of a reproduction that left everything as it was."""
    before = make.snapshot(folder)
    cached = make.snapshot(folder / ".dvc" / "cache")
    shown = make.assay(folder, "reproduce")
    assert shown.code == 255, shown
    assert make.snapshot(folder) == before
    assert make.snapshot(folder / ".dvc" / "cache") == cached
    assert [one for one in (folder / ".assay" / "worktrees").iterdir() if one.is_dir()] == []
    rows = json.loads(make.done(folder, "runs", "list", "--json"))
    assert "reproduction" not in {row["kind"] for row in rows}
    return shown.err


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def older(folder: Path) -> None:
    """Record another version of the data, keep it in the tree, and put the old record back."""
    make.write(folder, {"d/x.csv": "10\n20\n"})
    make.done(folder, "add", "d/x.csv")
    make.git(folder, "checkout", "-q", "--", "d/x.csv.dvc")


def test_the_recorded_version_is_read_and_not_the_one_that_the_commit_tracks(tmp_path: Path):
    folder = read(tmp_path)
    older(folder)
    call(folder)
    make.write(folder, {"d/x.csv": "100\n"})
    found = again(folder)
    assert (found["sameness"], found["lost"]) == ("identical", [])
    (metric,) = found["stages"][0]["metrics"]
    assert (metric["recorded"], metric["found"]) == ("30.0", "30.0")
    assert (folder / "d/x.csv").read_text() == "100\n"


def test_the_recorded_version_comes_from_a_remote_and_the_commits_is_not_needed(tmp_path: Path):
    folder = read(tmp_path)
    older(folder)
    call(folder)
    make.done(folder, "remote", "add", "-d", "store", str(tmp_path / "store"))
    make.done(folder, "add", "d/x.csv")
    make.done(folder, "push")
    make.git(folder, "checkout", "-q", "--", "d/x.csv.dvc")
    shutil.rmtree(folder / ".dvc" / "cache")
    (folder / "d" / "x.csv").unlink()
    shown = make.assay(folder, "reproduce")
    assert shown.code == 0, shown
    assert "fetched 1 object of the run's data from 'store'" in shown.out


def test_a_version_that_only_the_tree_has_is_to_be_added_and_then_it_can_be_had(tmp_path: Path):
    folder = read(tmp_path)
    make.write(folder, {"d/x.csv": "10\n20\n"})
    call(folder)
    error = refused(folder)
    oid = md5("10\n20\n")
    assert (
        f"the version of 'd/x.csv' that script 'sum' read is gone: md5:{oid} is not in the "
        "cache, and the project has no remote"
    ) in error
    assert "hint: the tree still has it: 'assay add d/x.csv' keeps it" in error
    make.done(folder, "add", "d/x.csv")
    assert again(folder)["sameness"] == "identical"


def test_a_version_that_is_nowhere_is_named_with_the_remotes_that_were_asked(tmp_path: Path):
    folder = read(tmp_path)
    make.done(folder, "remote", "add", "-d", "store", str(tmp_path / "store"))
    make.done(folder, "push")
    make.write(folder, {"d/x.csv": "10\n20\n"})
    call(folder)
    make.write(folder, {"d/x.csv": "1\n2\n"})
    error = refused(folder)
    assert f"is gone: md5:{md5(chr(10).join(['10', '20', '']))} is not in the cache" in error
    assert "nor on the remotes 'store'" in error
    assert "'assay push' it" in error


def test_a_folder_that_was_changed_is_read_as_it_was_recorded(tmp_path: Path):
    code = SUM.replace('Path("d/x.csv").read_text()', 'Path("d/a").read_text()')
    folder = make.write(
        make.project(tmp_path / "project"), {"d/a": "1\n", "d/b": "2\n", "s.py": code}
    )
    make.done(folder, "add", "d")
    make.commit(folder)
    make.write(folder, {"d/a": "5\n", "d/c": "6\n"})
    call(folder)
    assert "that script 'sum' read is gone: md5:" in refused(folder)
    make.done(folder, "add", "d")
    make.git(folder, "checkout", "-q", "--", ".")
    make.done(folder, "checkout", "--force")
    assert (folder / "d" / "a").read_text() == "1\n"
    found = again(folder, "--keep")
    assert found["sameness"] == "identical"
    (tree,) = [one for one in (folder / ".assay/worktrees").iterdir() if one.is_dir()]
    assert sorted(path.name for path in (tree / "d").iterdir()) == ["a", "b", "c"]


def test_an_output_of_a_stage_that_was_changed_by_hand_is_read_as_it_was(tmp_path: Path):
    folder = make.write(make.project(tmp_path / "project"), {"s.py": SUM})
    stage = "stages:\n  make:\n    cmd: mkdir -p d && echo 3 > d/x.csv\n    outs: [d/x.csv]\n"
    make.write(folder, {"dvc.yaml": stage})
    make.done(folder, "repro")
    make.commit(folder)
    (folder / "d" / "x.csv").unlink()
    make.write(folder, {"d/x.csv": "4\n"})
    call(folder)
    assert "hint: the tree still has it: 'assay commit make' keeps it" in refused(folder)


def inputs(folder: Path) -> list[tuple[str, str]]:
    shown = json.loads(make.done(folder, "runs", "show", "latest", "--json"))
    return [(one["path"], one["kind"]) for one in shown["run"]["inputs"]]


LOGS = """
import subprocess, assay
with assay.run("sum"):
    assay.log_dataset("d/x.csv", name="numbers")
    lines = subprocess.check_output(["cat", "d/x.csv"], text=True).split()
    assay.log_metric("sum", sum(map(int, lines)))
"""


@pytest.mark.parametrize("tracked", ["d", "d/x.csv"])
def test_a_data_set_that_was_logged_counts_like_one_that_was_opened(tmp_path: Path, tracked: str):
    folder = make.write(make.project(tmp_path / "project"), {"d/x.csv": "1\n2\n", "s.py": LOGS})
    make.done(folder, "add", tracked)
    make.commit(folder)
    make.write(folder, {"d/x.csv": "10\n20\n"})
    make.done(folder, "add", tracked)
    make.git(folder, "checkout", "-q", "--", ".")
    call(folder)
    with sqlite3.connect(folder / ".assay" / "ledger.db") as db:  # as if no hash was computed
        db.execute("delete from run_data where kind = 'dep'")
    db.close()
    assert inputs(folder) == [("numbers", "dataset")]
    found = again(folder)
    assert (found["sameness"], found["lost"]) == ("identical", [])
    shutil.rmtree(folder / ".dvc" / "cache")
    without = make.assay(folder, "reproduce")
    assert "'s.py' failed with exit status 1" in without.err
    assert "it went without 'd" in without.err
    assert "'d/x.csv', neither here nor on a remote; see what it printed" in without.err


def test_a_data_set_that_the_script_makes_and_logs_is_made_again(tmp_path: Path):
    made = LOGS.replace("import subprocess", "import pathlib, subprocess").replace(
        "    assay.log_dataset",
        "    pathlib.Path('d/x.csv').write_text('7')\n    assay.log_dataset",
    )
    folder = read(tmp_path, made)
    call(folder)
    found = again(folder)
    assert (found["sameness"], found["lost"]) == ("identical", ["d/x.csv"])


def test_data_of_dvc_2_that_did_not_change_is_the_recorded_one(tmp_path: Path):
    folder = dvc_2.project(tmp_path / "project")
    code = SUM.replace('Path("d/x.csv").read_text()', 'Path("a.txt").read_text()')
    make.write(folder, {"s.py": code})
    make.commit(folder)
    call(folder)
    assert again(folder)["sameness"] == "identical"
    make.write(folder, {"a.txt": b"7\r\n"})
    call(folder)
    assert (
        "the version of 'a.txt' that script 'sum' read is gone"
        in make.assay(folder, "reproduce").err
    )

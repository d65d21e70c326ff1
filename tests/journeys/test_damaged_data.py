"""A damaged or missing object is named and handed out by no command; another copy repairs it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests import make
from tests.journeys.test_bad_data import DATA, assert_refused


@pytest.mark.parametrize("command", ["checkout", "push"])
def test_a_damaged_object_is_named_and_a_pull_repairs_it(
    project: Path, tmp_path: Path, command: str
):
    make.write(project, {"a.txt": "1", "d/x": "1", "d/y": "2"})
    make.done(project, "remote", "add", "-d", "st", str(tmp_path / "store"))
    make.done(project, "remote", "add", "other", str(tmp_path / "other"))
    make.done(project, "add", "a.txt", "d")
    make.done(project, "push")
    damaged = make.cache(project).path(DATA)
    damaged.chmod(0o644)
    damaged.write_text("X")
    damaged.chmod(0o444)
    shutil.rmtree(project / "d")
    (project / "a.txt").unlink()
    arguments = (command,) if command == "checkout" else (command, "-r", "other")
    assert_refused(project, arguments, 255, DATA[2:], "damaged", "assay pull")
    assert not damaged.exists()
    assert (make.cache(project).folder / "damaged" / DATA).read_text() == "X"
    there = tmp_path / "other" / "files" / "md5"
    assert not list(there.rglob(f"*{DATA[2:]}"))
    assert not list(there.rglob("*.dir"))
    make.done(project, "pull")
    assert make.cache(project).read(DATA) == b"1"
    assert (project / "a.txt").read_text() == "1"
    make.done(project, "push", "-r", "other")


def test_a_damaged_remote_hands_out_nothing_and_says_what_to_remove(project: Path, tmp_path: Path):
    make.write(project, {"a.txt": "1"})
    make.done(project, "remote", "add", "-d", "st", str(tmp_path / "store"))
    make.done(project, "add", "a.txt")
    make.done(project, "push")
    there = tmp_path / "store" / "files" / "md5" / DATA[:2] / DATA[2:]
    there.chmod(0o644)
    there.write_text("X")
    (project / "a.txt").unlink()
    make.cache(project).remove(DATA)
    assert_refused(project, ("pull",), 255, str(there), "damaged", "remove the damaged files")
    assert list(make.cache(project)) == []


def test_a_push_repairs_a_remote_that_lost_a_file_of_a_folder(project: Path, tmp_path: Path):
    make.write(project, {"d/x": "1", "d/y": "2"})
    make.done(project, "remote", "add", "-d", "st", str(tmp_path / "store"))
    make.done(project, "add", "d")
    make.done(project, "push")
    make.commit(project)
    (tmp_path / "store" / "files" / "md5" / DATA[:2] / DATA[2:]).unlink()
    make.git(tmp_path, "clone", "-q", str(project), "clone")
    shown = make.assay(tmp_path / "clone", "pull")
    assert (shown.code, f"md5:{DATA}" in shown.err) == (255, True)
    assert "from a clone that has the data" in shown.err
    assert make.done(project, "push") == "1 file pushed\n"
    make.done(tmp_path / "clone", "pull")
    assert (tmp_path / "clone" / "d" / "x").read_text() == "1"

"""What stores or sends objects is waited for by what collects them, and the other way round."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from assay.project.guarding import alone, using
from assay.project.workspace import Project
from tests import make


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        make.command(*arguments),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def waiting(process: subprocess.Popen[str]) -> bool:
    """Read what a process says until it says that it waits."""
    assert process.stderr is not None
    return any("waiting for another process" in line for line in iter(process.stderr.readline, ""))


def test_those_who_use_objects_do_not_wait_for_each_other(project: Path):
    make.write(project, {"a": "1"})
    with using(Project(project)), using(Project(project)):
        make.done(project, "add", "a")
        assert make.process(project, "checkout") == (0, "", "")


@pytest.mark.parametrize("share", ["clone", "cache"])
def test_a_collection_waits_and_then_looks_again(project: Path, tmp_path: Path, share: str):
    """What an add has stored is named by nobody before it writes its record."""
    other = project
    if share == "cache":
        other = make.project(tmp_path / "other")
        make.done(other, "config", "cache.dir", str(project / ".dvc" / "cache"))
    cache = make.cache(project)
    unused = cache.add(b"named by nobody")
    with using(Project(project)):
        oid = cache.add(b"stored")
        collecting = started(other, "gc", "-w", "-f")
        assert waiting(collecting)
        make.write(other, {"a.dvc": f"outs:\n- md5: {oid}\n  size: 6\n  hash: md5\n  path: a\n"})
        assert {oid, unused} <= set(cache)
    collecting.communicate()
    assert collecting.returncode == 0
    assert set(cache) == {oid}


@pytest.mark.parametrize("command", ["add a", "commit", "checkout", "push", "fetch", "pull"])
def test_who_uses_objects_waits_for_a_collection(project: Path, tmp_path: Path, command: str):
    make.write(project, {"a": "1"})
    make.done(project, "remote", "add", "-d", "st", str(tmp_path / "store"))
    make.done(project, "add", "a")
    make.done(project, "push")
    with alone(Project(project)):
        process = started(project, *command.split())
        assert waiting(process)
        assert process.poll() is None
    process.communicate()
    assert process.returncode == 0


def test_a_killed_process_leaves_no_lock(project: Path):
    make.cache(project).add(b"named by nobody")
    with using(Project(project)):
        killed = started(project, "gc", "-w", "-f")  # it holds a part of the locks
        assert waiting(killed)
        killed.kill()
        killed.communicate()
    assert make.process(project, "gc", "-w", "-f").code == 0
    assert list(make.cache(project)) == []


def test_where_nothing_can_be_written_a_lock_is_no_obstacle(project: Path):
    make.write(project, {"a": "1"})
    make.done(project, "add", "a")
    tmp = project / ".dvc" / "tmp"
    for path in (*tmp.iterdir(), tmp):
        path.unlink() if path.is_file() else path.rmdir()
    tmp.write_text("in the way of the folder")
    assert make.done(project, "checkout") == ""

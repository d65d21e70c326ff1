"""A project goes away when a person says so, and the data stays."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest

from assay.base.errors import Usage
from assay.project import destroying
from assay.project.workspace import Project
from tests import make


@pytest.fixture
def full(project: Path) -> Path:
    make.done(project, "config", "cache.type", "symlink")
    make.write(
        project,
        {"a": "1", "d/x": "2", "dvc.yaml": "stages:\n  s:\n    cmd: cp a b\n    outs: [b]\n"},
    )
    make.done(project, "add", "--no-profile", "a", "d")
    make.done(project, "repro")
    make.commit(project)
    return project


def test_without_a_terminal_nothing_happens_and_it_is_said_what_would(full: Path):
    before = make.snapshot(full)
    shown = make.process(full, "destroy")
    assert shown.code == 1
    assert "4 files that records data or stages" not in shown.err
    assert "4 files that record data or stages" in shown.err
    assert "the record of all runs" in shown.err
    assert make.snapshot(full) == before


def answer(folder: Path, text: bytes) -> tuple[int, str]:
    """Run `destroy` with a terminal, and answer its question."""
    master, slave = pty.openpty()
    running = subprocess.Popen(
        make.command("destroy"), cwd=folder, stdin=slave, stderr=subprocess.PIPE
    )
    os.write(master, text)
    _, said = running.communicate()
    os.close(master)
    os.close(slave)
    return running.returncode, said.decode()


def test_a_person_is_asked(full: Path):
    before = make.snapshot(full)
    code, said = answer(full, b"n\n")
    assert (code, make.snapshot(full)) == (1, before)
    assert "for ever" in said
    code, _ = answer(full, b"y\n")
    assert code == 0
    assert not (full / ".dvc").exists()


def test_data_that_were_links_are_files_and_git_still_ignores_them(full: Path):
    make.done(full, "destroy", "--force")
    for name, content in (("a", "1"), ("b", "1"), ("d/x", "2")):
        assert not (full / name).is_symlink()
        assert (full / name).read_text() == content
    assert not [p for p in full.rglob("*.dvc") if ".git" not in p.parts]
    for name in (".assay", ".dvc", ".dvcignore", "dvc.yaml", "dvc.lock"):
        assert not (full / name).exists()
    assert make.git(full, "check-ignore", "a", "d", "b").split() == ["a", "d", "b"]


def test_a_project_with_a_broken_record_can_be_destroyed(full: Path):
    make.write(full, {"bad.dvc": "outs: ["})
    make.done(full, "destroy", "-f")
    assert (full / "a").read_text() == "1"
    assert not (full / "bad.dvc").exists()


def test_from_a_linked_work_tree_the_clone_is_not_destroyed(full: Path, tmp_path: Path):
    make.git(full, "worktree", "add", "-q", "--detach", str(tmp_path / "tree"))
    with pytest.raises(Usage, match="linked work tree"):
        destroying.look(Project(tmp_path / "tree"))

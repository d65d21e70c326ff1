"""One stage fails: what else runs, what is recorded, and what is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests import make, stages
from tests.pipeline import diamond

JOBS = pytest.mark.parametrize("jobs", ["1", "3"])


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return diamond.ran(tmp_path_factory.mktemp("template"))[0]


@pytest.fixture
def failing(template: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A pipeline that ran; its inputs changed, and its stage 'left' fails now."""
    folder = shutil.copytree(template, tmp_path / "project", symlinks=True)
    diamond.fails(folder, "left")
    make.write(folder, {"in.txt": "2\n", "alone.in": "b\n"})
    return folder, tmp_path / "starts"


def runs(folder: Path) -> dict[str, str]:
    """Return how the runs of the last `repro` ended, by name."""
    shown = json.loads(make.done(folder, "runs", "show", "--json"))
    rows = [shown["run"], *shown["children"]]
    return {row["stage"] or "whole": row["status"] for row in rows}


@JOBS
def test_without_flags_nothing_else_begins(failing: tuple[Path, Path], jobs: str):
    folder, side = failing
    before = stages.locked(folder)
    shown = make.assay(folder, "repro", "-j", jobs)
    assert shown.code == 255
    assert "error: stage 'left': 'echo left" in shown.err
    assert "failed with exit status 3" in shown.err
    assert "bottom" not in stages.starts(side)
    assert (folder / "left.txt").read_text() == "1\n"
    now = stages.locked(folder)
    assert [now[n] == before[n] for n in ("top", "left", "bottom")] == [False, True, True]
    assert runs(folder)["left"] == runs(folder)["whole"] == "failed"
    assert runs(folder)["top"] == "finished"


@JOBS
def test_keep_going_runs_what_does_not_depend_on_it(failing: tuple[Path, Path], jobs: str):
    folder, side = failing
    before = stages.locked(folder)
    shown = make.assay(folder, "repro", "-k", "-j", jobs)
    assert shown.code == 255
    assert "error: stage 'left' failed; left out: 'bottom'\n" in shown.err
    assert "error: stage 'left': 'echo left" in shown.out
    assert sorted(stages.starts(side)) == ["alone", "left", "right", "top"]
    now = stages.locked(folder)
    assert {name for name in now if now[name] != before[name]} == {"top", "right", "alone"}
    assert runs(folder) == {
        "whole": "failed", "top": "finished", "left": "failed", "right": "finished",
        "alone": "finished",
    }  # fmt: skip


@JOBS
def test_several_failures_are_all_named(failing: tuple[Path, Path], jobs: str):
    folder, _ = failing
    diamond.fails(folder, "alone")
    shown = make.assay(folder, "repro", "-k", "-j", jobs)
    assert shown.code == 255
    assert "error: stages 'left' and 'alone' failed; left out: 'bottom'\n" in shown.err
    assert "error: stage 'alone': 'echo alone" in shown.out


@JOBS
def test_ignored_errors_stop_nothing_and_are_shown(failing: tuple[Path, Path], jobs: str):
    folder, side = failing
    shown = make.assay(folder, "repro", "--ignore-errors", "-j", jobs)
    assert shown.code == 0
    assert "error (ignored): stage 'left'" in shown.out
    assert "Failed, and ignored: left." in shown.out
    assert sorted(stages.starts(side)) == ["alone", "bottom", "left", "right", "top"]
    assert (folder / "bottom.txt").read_text() == "1\n2"  # of what 'left' made before
    assert "left" in json.loads(make.done(folder, "status", "--json"))


def test_both_ways_of_going_on_at_once_are_refused(failing: tuple[Path, Path]):
    folder, side = failing
    shown = make.assay(folder, "repro", "-k", "--ignore-errors")
    assert shown.code == 2
    assert "'--keep-going' and '--ignore-errors' exclude each other" in shown.err
    assert stages.starts(side) == []


def test_a_command_that_does_not_exist_is_said_to(failing: tuple[Path, Path]):
    folder, _ = failing
    make.write(folder, {"dvc.yaml": "stages: {a: {cmd: no-such-program --x, outs: [y]}}\n"})
    before = make.state(folder)
    shown = make.assay(folder, "repro")
    assert shown.code == 255
    assert "error: stage 'a': 'no-such-program --x' failed with exit status 127" in shown.err
    assert "there is no such command" in shown.err
    assert make.state(folder) == before


def test_an_output_that_was_not_written_leaves_all_as_it_was(failing: tuple[Path, Path]):
    folder, _ = failing
    make.write(folder, {"dvc.yaml": "stages: {a: {cmd: touch other, outs: [y]}}\n"})
    lock, cached = stages.lock(folder), set(make.cache(folder))
    shown = make.assay(folder, "repro")
    assert shown.code == 255
    assert "stage 'a': the command ended well but did not write its output 'y'" in shown.err
    assert stages.lock(folder) == lock
    assert set(make.cache(folder)) == cached
    assert "/y" not in (folder / ".gitignore").read_text().splitlines()

"""One stage fails: what else runs, what is recorded, and what is said."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
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


def test_one_failure_is_said_once_where_the_others_go_on(failing: tuple[Path, Path]):
    folder, _ = failing
    make.write(folder, {"dvc.yaml": "stages: {a: {cmd: exit 3, outs: [y]}}\n"})
    shown = make.assay(folder, "repro", "-k")
    assert shown.code == 255
    assert shown.out.count("failed with exit status 3") == 1
    assert "exit status 3" not in shown.err
    assert "error: stage 'a' failed\n" in shown.err
    quiet = make.assay(folder, "-q", "repro", "-k")
    assert (quiet.code, quiet.out) == (255, "")
    assert quiet.err.count("failed with exit status 3") == 1


def test_as_json_what_became_of_all_is_there_though_some_failed(failing: tuple[Path, Path]):
    folder, _ = failing
    shown = make.assay(folder, "repro", "-k", "--json")
    assert shown.code == 255
    document = json.loads(shown.out)
    found = {done["stage"]: done["state"] for done in document["stages"]}
    assert (found["left"], found["bottom"], found["alone"]) == ("failed", "left out", "ran")
    assert "failed with exit status 3" in document["stages"][1]["why"]
    assert document["run"] is not None


@pytest.mark.parametrize("flags", [[], ["--json"]])
@pytest.mark.parametrize("ending", ["", "; exit 3"])
def test_a_reader_that_leaves_does_not_end_the_work(tmp_path: Path, flags: list[str], ending: str):
    text = f"""
stages:
  one: {{cmd: "seq 30000; echo 1 > a", outs: [a]}}
  two: {{cmd: "seq 30000; echo 2 > b{ending}", deps: [a], outs: [b]}}
"""
    folder = stages.pipeline(tmp_path / "project", text)
    script = f"{sys.executable} -m assay repro {' '.join(flags)} 2>&1 | head -1"
    ended = subprocess.run(
        ["bash", "-c", f"{script}; exit ${{PIPESTATUS[0]}}"], cwd=folder, check=False,
        capture_output=True, text=True, env=make.environment(tmp_path),
    )  # fmt: skip
    assert ended.returncode == (255 if ending else 0)
    assert ended.stderr == ""
    assert runs(folder)["one"] == "finished"
    assert runs(folder)["whole"] == ("failed" if ending else "finished")
    assert (folder / "b").exists() is not bool(ending)


@JOBS
def test_a_failed_run_has_what_its_failed_stage_was_given(tmp_path: Path, jobs: str):
    folder = make.project(tmp_path / "project")
    make.write(
        folder,
        {
            "in.txt": "1\n",
            "params.yaml": "split: 0.3\nC: 77\n",
            "dvc.yaml": """
stages:
  prep: {cmd: cp in.txt clean.txt, deps: [in.txt], params: [split], outs: [clean.txt]}
  train:
    cmd: exit 3
    deps: [clean.txt, more.txt]
    params: [C]
    outs: [model.txt]
""",
            "more.txt": "2\n",
        },
    )
    make.commit(folder)
    assert make.assay(folder, "repro", "-j", jobs).code == 255
    run = json.loads(make.done(folder, "runs", "show", "--json"))["run"]
    assert run["params"] == {"split": 0.3, "C": 77}
    assert [one["path"] for one in run["inputs"]] == ["in.txt", "more.txt"]
    assert [one["path"] for one in run["outputs"]] == ["clean.txt"]
    assert "C = 77" in make.done(folder, "runs", "show")

"""`assay runs delete` and `restore`: what a person sees, and how what is gone comes back."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from assay.base.ids import uuid7
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.writer import Writer
from assay.project.workspace import Project
from tests import make


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make.project(tmp_path / "project")


def opened(root: Path) -> Ledger:
    return open_ledger(Project(root).ledger_path)


def recorded(root: Path, name: str) -> str:
    with opened(root) as ledger:
        writer = Writer(ledger)
        run = writer.start_run(name=name, kind="script", experiment="tries")
        writer.finish_run(run, status="finished")
    return run


def ids(root: Path) -> list[str]:
    found = json.loads(make.done(root, "runs", "list", "--json", "--all"))
    return sorted(run["id"] for run in found)


def test_a_deleted_run_is_listed_apart_and_comes_back(root: Path):
    run = recorded(root, "a")
    said = make.done(root, "runs", "delete", run[:13])
    assert said == f"Deleted 1 run; 'assay runs restore {run[:13]}' brings it back.\n"
    assert "No runs yet" in make.done(root, "runs", "list")
    assert run[:13] in make.done(root, "runs", "list", "--deleted")
    make.done(root, *said.split("'")[1].split()[1:])
    assert run[:13] in make.done(root, "runs", "list")
    assert "No run is deleted." in make.done(root, "runs", "list", "--deleted")


def family(root: Path) -> tuple[str, str]:
    """Record a run with a part; their ids begin alike, as those of one millisecond do."""
    top = uuid7(at_ms=5)
    with opened(root) as ledger:
        writer = Writer(ledger)
        writer.start_run(name="top", kind="script", id_=top)
        part = writer.start_run(name="part", kind="script", parent=top, id_=uuid7(at_ms=5))
        for run in (part, top):
            writer.finish_run(run, status="finished")
    assert part[:13] == top[:13]
    return top, part


def test_a_part_that_was_deleted_before_is_not_counted_again(root: Path):
    top, part = family(root)
    with opened(root) as ledger:
        writer = Writer(ledger)
        other = writer.start_run(name="other", kind="script", parent=top)
        below = writer.start_run(name="below", kind="script", parent=part)
        for run in (below, other):
            writer.finish_run(run, status="finished")
    assert make.done(root, "runs", "delete", below, other).startswith("Deleted 2 runs;")
    assert make.done(root, "runs", "delete", part).startswith("Deleted 1 run;")
    said = make.done(root, "runs", "delete", "--json", top)
    assert json.loads(said)["runs"] == [top]
    assert make.done(root, "runs", "restore", top) == "Restored 1 run.\n"
    assert ids(root) == [top]


def way_back(said: str) -> list[str]:
    """Return the command that brings back what was deleted, as a person pastes it."""
    return said.split("'")[1].split()[1:]


def test_a_run_that_is_named_twice_is_deleted_once(root: Path):
    run = recorded(root, "a")
    said = make.done(root, "runs", "delete", run, run[:13])
    assert said == f"Deleted 1 run; 'assay runs restore {run[:13]}' brings it back.\n"
    make.done(root, *way_back(said))
    assert ids(root) == [run]


def test_the_way_back_names_what_was_deleted_and_not_its_parts(root: Path):
    top, part = family(root)
    other = recorded(root, "other")
    for named in ([top, top], [part, top], [top, other, part], [part], [part, part, other]):
        said = make.done(root, "runs", "delete", *named)
        back = way_back(said)
        gone = {other, top, part} - set(ids(root))
        assert gone == {*named, *([part] if top in named else [])}
        assert said.startswith(f"Deleted {len(gone)} run")
        assert len(back) - 2 == len({other, top if top in named else part} & gone)
        make.done(root, *back)
        assert ids(root) == sorted([top, part, other])


def test_the_way_back_names_the_folder_that_was_given(root: Path, tmp_path: Path):
    run = recorded(root, "a")
    there = tmp_path / "a team's folder"
    root.rename(there)
    for named in ([run], ["--experiment", "tries"]):
        said = make.done(tmp_path, "runs", "delete", *named, "--directory", "a team's folder")
        back = shlex.split(said.partition("; '")[2].removesuffix("' brings it back.\n"))
        assert back[:3] == ["assay", "runs", "restore"]
        assert back[-2:] == ["--directory", "a team's folder"]
        assert make.done(tmp_path, *back[1:]).startswith("Restored ")


def test_runs_and_an_experiment_are_not_deleted_in_one(root: Path):
    run = recorded(root, "a")
    for command in ("delete", "restore"):
        said = make.assay(root, "runs", command, run, "--experiment", "tries")
        assert said.code == 2
        assert "RUNS and '--experiment' exclude each other" in said.err
        assert "do one after the other" in said.err
    assert ids(root) == [run]


def test_an_experiment_with_blanks_in_its_name_comes_back_as_the_hint_says(root: Path):
    with opened(root) as ledger:
        run = Writer(ledger).start_run(name="a", kind="script", experiment="it's new")
        Writer(ledger).finish_run(run, status="finished")
    said = make.done(root, "runs", "delete", "--experiment", "it's new")
    command = said.partition("'assay ")[2].rpartition("' brings")[0]
    make.done(root, *shlex.split(command))
    assert ids(root) == [run]


def test_an_experiment_is_deleted_and_restored_by_name(root: Path):
    recorded(root, "a")
    said = make.done(root, "runs", "delete", "--experiment", "tries")
    assert "Deleted the experiment 'tries'" in said
    assert "No runs yet" in make.done(root, "runs", "list")
    make.done(root, "runs", "restore", "--experiment", "tries")
    assert "a" in make.done(root, "runs", "list")


@pytest.mark.parametrize("command", ["delete", "restore"])
def test_nothing_named_is_a_wrong_use(root: Path, command: str):
    recorded(root, "a")
    said = make.assay(root, "runs", command)
    assert said.code == 2
    assert "say which runs" in said.err
    assert "'assay runs list' shows ids" in said.err


def test_a_deleted_run_that_is_shown_is_said_to_be_deleted(root: Path):
    run = recorded(root, "a")
    make.done(root, "runs", "delete", run)
    for name in (run, run[:13]):
        shown = make.assay(root, "runs", "show", name)
        assert (shown.code, shown.out) == (255, "")
        assert f"the run {run} (a) is deleted" in shown.err
        assert f"'assay runs restore {run[:13]}' brings it back" in shown.err
    make.done(root, "runs", "restore", run[:13])
    assert run in make.done(root, "runs", "show", run)


def test_of_several_deleted_runs_it_is_said_where_they_are_listed(root: Path):
    runs_ = [recorded(root, "a"), recorded(root, "b")]
    begin = runs_[0][:4]  # of the time
    make.done(root, "runs", "delete", *runs_)
    shown = make.assay(root, "runs", "show", begin)
    assert f"the runs that begin with '{begin}' are deleted" in shown.err
    assert "'assay runs list --deleted' shows them" in shown.err

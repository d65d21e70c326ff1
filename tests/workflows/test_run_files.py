"""Files of runs that are larger than the memory: they are written and read portion by portion."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from assay.ledger import runs
from assay.ledger.database import open_ledger
from assay.ledger.exchange import gathering, record_checks, records
from assay.ledger.exchange.records import RunRecord
from assay.ledger.writer import Metric, Writer
from assay.project.workspace import Project
from assay.workflows import run_files
from assay.workflows.record_places import of_project
from tests import make

N_POINTS = 40  # of a run


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with nine runs, of which memory has room for two."""
    monkeypatch.setattr(gathering, "MOST_POINTS", 2 * N_POINTS)
    root = make.project(tmp_path / "ada")
    with open_ledger(Project(root).ledger_path) as ledger:
        writer = Writer(ledger)
        for _ in range(9):
            run = writer.start_run(name="a", kind="script", experiment="tries")
            points = [Metric(key="loss", value=0.5, step=n, at=1) for n in range(N_POINTS)]
            writer.log_metrics(run, points)
            writer.finish_run(run, status="finished")
    return root


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many points of records are in memory whenever one is written, or has been read."""
    found: list[int] = []

    def look(module: Any, name: str) -> None:
        whole: Callable[[Any], Any] = getattr(module, name)

        def looking(given: Any) -> Any:
            records = [one for one in gc.get_objects() if isinstance(one, RunRecord)]
            found.append(sum(one.n_points for one in records))
            return whole(given)

        monkeypatch.setattr(module, name, looking)

    look(records, "dump")
    look(record_checks, "parse")
    yield found
    monkeypatch.undo()


def test_the_histories_of_all_runs_are_never_in_memory_at_once(
    root: Path, tmp_path: Path, held: list[int]
):
    file = tmp_path / "all.zip"
    run_files.write(of_project(Project(root)), [], experiment="tries", out=file)
    assert len(held) >= 9
    assert 0 < max(held) <= 3 * N_POINTS
    held.clear()
    other = make.project(tmp_path / "other")
    done = run_files.read(of_project(Project(other)), file)
    assert (done.new, done.complaints) == (9, [])
    assert len(held) >= 18  # looked through before one is taken
    assert 0 < max(held) <= 3 * N_POINTS
    with (
        open_ledger(Project(root).ledger_path) as here,
        open_ledger(Project(other).ledger_path) as there,
    ):
        for one in runs.list_(here, experiment="tries"):
            assert runs.history(there, one.id, "loss") == runs.history(here, one.id, "loss")


def test_a_push_never_has_all_histories_in_memory(root: Path, tmp_path: Path, held: list[int]):
    make.done(root, "remote", "add", "-d", "store", str(tmp_path / "store"))
    assert "9 runs" in make.done(root, "push")
    assert len(held) >= 9
    assert 0 < max(held) <= 3 * N_POINTS

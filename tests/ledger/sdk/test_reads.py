"""What a script opens is remembered up to a bound, whatever it does with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import assay
from assay.ledger import runs
from assay.ledger.database import open_ledger
from assay.ledger.sdk import reads
from assay.ledger.sdk.reads import Reads
from tests import make

if TYPE_CHECKING:
    import pytest


def test_files_that_are_written_count_as_those_that_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reads, "_MOST", 10)
    heard = Reads()
    heard._root = f"{tmp_path}/"
    for number in range(100):
        heard._hear("open", (f"{tmp_path}/{number}", "r" if number % 2 else "w", 0))
    assert len(heard._read) == len(heard._written) == 5


def test_a_data_set_that_is_opened_too_keeps_what_was_logged_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = make.project(tmp_path / "project")
    make.write(folder, {"data.csv": "1\n", "more.csv": "2\n"})
    make.done(folder, "add", "data.csv", "more.csv")
    monkeypatch.chdir(folder)
    with assay.run() as run:
        assay.log_dataset("data.csv", context="training", schema={"x": "int"})
        for name in ("data.csv", "more.csv"):
            Path(name).read_text()
    with open_ledger(folder / ".assay" / "ledger.db") as ledger:
        data, more = runs.get(ledger, run.id).inputs
    assert (data.path, data.kind, data.context) == ("data.csv", "dataset", "training")
    assert (data.details or {})["schema"] == '{"x": "int"}'
    assert (more.path, more.kind, more.context) == ("more.csv", "dep", None)


def test_a_file_that_was_read_and_is_written_counts_as_written_at_the_bound_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reads, "_MOST", 3)
    for name in "abcd":
        (tmp_path / name).write_text(name)
    heard = Reads()
    heard.begin(tmp_path)
    for name in "abcd":
        (tmp_path / name).read_text()
    (tmp_path / "c").write_text("new")
    (tmp_path / "d").write_text("new")
    assert {Path(path).name for path in heard.end()} == {"a", "b"}
    assert len(heard._read) + len(heard._written) == 4  # no path more than was known

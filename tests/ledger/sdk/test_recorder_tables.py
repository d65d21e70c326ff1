"""Rows of a table that is logged again come after those that the run has at its path."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import assay
from assay.base.errors import Error
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.sdk import channels, renderings
from tests.databases import SLOW_IN_POSTGRESQL


@pytest.fixture
def ledger(
    project: Path, recorded: str | None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Ledger]:
    monkeypatch.chdir(project)
    with open_ledger(recorded or project / ".assay" / "ledger.db") as opened:
        yield opened
    channels._channels.clear()


def text(run: str, path: str) -> str:
    file: Path = assay.load(f"runs:/{run}/{path}")
    return file.read_text()


def test_rows_come_after_those_that_were_logged_before(ledger: Ledger):
    with assay.run() as run:
        for number in range(3):
            assay.log_table({"x": [number], "y": ["a,b"]}, "t.csv")
            assay.log_table([{"x": number}], "./t.json")
    assert text(run.id, "t.csv") == 'x,y\n0,"a,b"\n1,"a,b"\n2,"a,b"\n'
    assert json.loads(text(run.id, "t.json")) == {"columns": ["x"], "data": [[0], [1], [2]]}


def test_columns_that_one_side_has_alone_are_missing_on_the_other(ledger: Ledger):
    with assay.run() as run:
        for path in ("t.csv", "t.json"):
            assay.log_table({"a": [1, 2], "b": ["x", None]}, path)
            assay.log_table({"c": [1.5], "b": ["y"]}, path)
    assert text(run.id, "t.csv") == "a,b,c\n1,x,\n2,,\n,y,1.5\n"
    assert json.loads(text(run.id, "t.json")) == {  # as MLflow 3.17.2, but for 1.0 and 2.0
        "columns": ["a", "b", "c"], "data": [[1, "x", None], [2, None, None], [None, "y", 1.5]],
    }  # fmt: skip


@SLOW_IN_POSTGRESQL
def test_threads_that_log_to_one_table_lose_no_row(ledger: Ledger):
    with assay.run() as run, futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: run.log_table({"x": [number]}, "t.csv"), range(40)))
    assert sorted(map(int, text(run.id, "t.csv").split()[1:])) == [*range(40)]


@SLOW_IN_POSTGRESQL
def test_a_run_that_is_resumed_or_of_another_process_goes_on_with_its_table(ledger: Ledger):
    begin = "import assay\nwith assay.run():\n    assay.log_table({'x': [1]}, 't.csv')\n"
    subprocess.run([sys.executable, "-c", begin], check=True)
    run = str(assay.search_runs(columns=["run_id"])["run_id"][0])
    for number in (2, 3):
        with assay.run(resume=run) as again:
            assay.log_table({"x": [number]}, "t.csv")
            assay.log_table({"x": [number]}, "other.csv")
            again.log_table({"x": [number]}, "t.csv")
    assert text(run, "t.csv") == "x\n1\n2\n2\n3\n3\n"
    assert text(run, "other.csv") == "x\n2\n3\n"


@SLOW_IN_POSTGRESQL
def test_a_file_that_is_no_table_is_an_error_and_stays(ledger: Ledger):
    with assay.run() as run:
        assay.log_dict({"x": 1}, "u.json")
        assay.log_text('{"columns": ["a"], "data": [[1, 2]]}', "wide.json")
        assay.log_text("a,a\n1,2\n", "twice.csv")
        for path in ("u.json", "wide.json", "twice.csv"):
            with pytest.raises(Error, match=r"is no table that rows can be put after(?s:.)*log"):
                assay.log_table({"x": [1]}, path)
    assert json.loads(text(run.id, "u.json")) == {"x": 1}
    assert text(run.id, "twice.csv") == "a,a\n1,2\n"


@SLOW_IN_POSTGRESQL
def test_a_table_that_cannot_be_read_is_an_error_that_says_so(ledger: Ledger, project: Path):
    with assay.run() as run:
        assay.log_table({"x": [1]}, "t.csv")
    shutil.rmtree(project / ".assay" / "objects")
    with assay.run(resume=run.id), pytest.raises(Error, match=r"'t\.csv' .* cannot be read"):
        assay.log_table({"x": [2]}, "t.csv")


cells = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5))
parts = st.lists(
    st.integers(0, 3).flatmap(
        lambda n: st.dictionaries(
            st.sampled_from(["a", "b,", 'c"', "d\n"]), st.lists(cells, min_size=n, max_size=n)
        )
    ),
    min_size=1,
    max_size=4,
)


@given(parts)
def test_a_table_in_parts_is_the_table_of_all_rows(given_parts: list[dict[str, list[Any]]]):
    """The same as all rows at once, each cell by the name of its column."""
    before: dict[str, bytes | None] = {"t.csv": None, "t.json": None}
    names: dict[str, None] = {}
    rows: list[dict[str, Any]] = []
    for part in given_parts:
        names |= dict.fromkeys(part)
        rows += [dict(zip(part, row, strict=True)) for row in zip(*part.values(), strict=True)]
        for path, content in before.items():
            before[path] = renderings.table(part, path, before=content)
    found = json.loads(before["t.json"] or b"")
    assert found["columns"] == list(names)
    assert found["data"] == [[row.get(name) for name in names] for row in rows]
    lines = list(csv.reader(io.StringIO((before["t.csv"] or b"").decode(), newline="")))
    shown = [["" if row.get(n) is None else str(row[n]) for n in names] for row in rows]
    assert [line for line in lines if names] == ([list(names), *shown] if names else [])

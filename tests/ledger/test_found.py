"""Many runs at once: each with what lies beside it, in the order that was asked for."""

from __future__ import annotations

import importlib.util
import math
from typing import Any

import pytest
from sqlalchemy import event

from assay.base.errors import Error
from assay.ledger import found
from assay.ledger.database import Ledger
from assay.ledger.search import search_runs
from assay.ledger.search.columns import Columns
from assay.ledger.search.tree import BadQuery
from assay.ledger.writer import Data, Metric, Writer


@pytest.fixture
def two(ledger: Ledger, writer: Writer) -> list[str]:
    """Two runs, of which the first has all."""
    ids = [writer.start_run(name=name, kind="script", at=at) for name, at in (("a", 1), ("b", 2))]
    writer.log_params(ids[0], {"lr": 0.1, "model": "tree"})
    points = [Metric(key="rmse", value=0.5, at=1, step=3), Metric(key="x", value=math.nan, at=1)]
    writer.log_metrics(ids[0], points)
    writer.set_tags(ids[0], {"k": "v"})
    data = Data(path="d.csv", oid="md5:1", kind="dataset", context="train", details={"n": 1})
    writer.add_inputs(ids[0], [data])
    writer.finish_run(ids[0], status="finished", at=1001)
    return ids


def test_runs_come_whole_and_in_the_order_of_their_ids(ledger: Ledger, two: list[str]) -> None:
    with ledger.read() as connection:
        second, first = found.load(connection, [two[1], "missing", two[0]])
    assert (first.id, first.name, first.experiment, first.seconds) == (two[0], "a", "Default", 1.0)
    assert first.params == {"lr": "0.1", "model": "tree"}
    assert first.metrics["rmse"] == Metric(key="rmse", value=0.5, at=1, step=3)
    assert math.isnan(first.metrics["x"].value)
    assert (first.tags, first.datasets[0].context) == ({"k": "v"}, "train")
    assert first.datasets[0].details == {"n": 1}
    assert (second.params, second.metrics, second.datasets, second.seconds) == ({}, {}, (), None)


def test_however_many_runs_there_are_the_selects_are_few(
    ledger: Ledger, writer: Writer, two: list[str]
) -> None:
    ids = two + [writer.start_run(name="r", kind="script") for _ in range(5)]
    said: list[Any] = []
    event.listen(ledger.engine, "before_cursor_execute", lambda *given: said.append(given[2]))
    with ledger.read() as connection:
        assert len(found.load(connection, ids)) == 7
        assert len(said) == 6
        assert found.load(connection, []) == []
        found.load(connection, ids, parts={"params"})
    assert len([one for one in said if "SELECT" in one]) == 8


def test_many_more_ids_than_a_statement_has_parameters(ledger: Ledger, two: list[str]) -> None:
    with ledger.read() as connection:
        runs = found.load(connection, [*(f"{n:032x}" for n in range(70_000)), *two])
    assert [run.id for run in runs] == two


def test_a_search_returns_columns(ledger: Ledger, two: list[str]) -> None:
    everything = search_runs(ledger)
    assert everything["run_name"] == ["b", "a"]
    assert everything["params.lr"] == [None, "0.1"]
    assert everything["metrics.rmse"] == [None, 0.5]
    chosen = search_runs(
        ledger, "metrics.rmse < 1", columns=["name", "params.lr", "dataset.name", "duration"]
    )
    assert dict(chosen) == {
        "run_name": ["a"],
        "params.lr": ["0.1"],
        "dataset.name": ["d.csv"],
        "duration": [1.0],
    }
    assert (len(chosen), chosen.n_rows, search_runs(ledger, limit=1).n_rows) == (4, 1, 1)
    assert next(chosen.rows())["run_name"] == "a"
    assert repr(chosen) == "Columns(1 runs: run_name, params.lr, dataset.name, duration)"


def test_a_search_without_runs_has_columns_all_the_same(ledger: Ledger) -> None:
    found_none = search_runs(ledger, "metrics.rmse < 1", columns=["run_id", "metrics.rmse"])
    assert (dict(found_none), found_none.n_rows) == ({"run_id": [], "metrics.rmse": []}, 0)


@pytest.mark.parametrize("options", [{"query": "a >"}, {"order_by": ["x"]}, {"columns": ["x"]}])
def test_a_search_that_cannot_be_read_says_where(ledger: Ledger, options: Any) -> None:
    with pytest.raises(BadQuery, match="at column"):
        search_runs(ledger, **options)


@pytest.mark.parametrize("name", ["pandas", "pyarrow"])
def test_what_is_not_installed_is_said(name: str) -> None:
    if importlib.util.find_spec(name) is not None:
        pytest.skip(f"{name} is installed")
    columns = Columns({"run_id": ["a"]})
    with pytest.raises(Error, match=f"{name} is not installed") as raised:
        columns.to_pandas() if name == "pandas" else columns.to_arrow()
    assert raised.value.hint == f"pip install {name}"

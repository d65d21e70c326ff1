"""The benchmark of the ledger checks what it measures, and says what was reached."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.ledger.database import open_ledger
from assay.ledger.found import load
from benchmarks import Wrong, ledger, ledger_fill
from benchmarks.ledger import Case
from benchmarks.ledger_load import drive, request
from tests import mlflow


def test_a_case_says_how_much_faster_it_is_and_whether_that_was_wanted():
    case = Case(name="x", unit="/s", aim=10, ours=[0.001, 0.002, 0.009], peer=[0.02])
    assert case.ratio == 10
    assert ledger.row(case) == ["x", "500 /s", "50 /s", "10.0", "10x: reached"]
    slow = Case(name="start", limit=1.0, ours=[1.5], peer=[5.0])
    assert ledger.row(slow) == ["start", "1,500 ms", "5,000 ms", "3.3", "under 1 s: missed"]


def test_what_is_filled_by_sql_is_what_a_run_holds(tmp_path: Path):
    made = [ledger_fill.Made(number) for number in range(1, 9)]
    with open_ledger(tmp_path / "ledger.db") as opened:
        ledger_fill.ours(tmp_path / "ledger.db", made, experiment=0)
        with opened.read() as connection:
            found = load(connection, [one.id for one in made])
    for one, run in zip(made, found, strict=True):
        assert run.params == one.params
        assert {key: metric.value for key, metric in run.metrics.items()} == one.metrics
        assert (run.name, run.start, run.tags["team"]) == (one.name, one.start, one.tags["team"])


def test_what_a_search_has_to_find_is_in_its_order():
    made = [ledger_fill.Made(number) for number in range(1, 1001)]
    (_, best, ids), (_, newest, others) = ledger._questions(made)
    assert best["max_results"] == 100
    accuracy = [ledger_fill.Made(int(id_, 16)).metrics["accuracy"] for id_ in ids]
    assert accuracy == sorted(accuracy, reverse=True)
    assert newest["max_results"] == 1000
    assert len(others) == 200
    assert others == sorted(others, reverse=True)


def test_a_server_that_refuses_stops_the_measurement(tmp_path: Path):
    with mlflow.hub(tmp_path) as hub:
        with pytest.raises(Wrong, match="404 Not Found"):
            drive(hub.url, [request("GET", "runs/get", {"run_id": "0" * 32})])
        said: list[bytes] = []
        one = request("GET", "experiments/get", {"experiment_id": "0"})
        assert drive(hub.url, [one] * 20, n_connections=4, check=said.append) > 0
        assert len(said) == 20
        with pytest.raises(Wrong, match="points"):
            ledger._expect(ledger.n_points(hub.url, ledger.new_run(hub.url), "loss"), 3, "points")


@pytest.mark.slow
@pytest.mark.peer
@mlflow.needs("mlflow")
def test_both_servers_answer_all_questions(capsys: pytest.CaptureFixture[str]):
    options = ["--rounds", "1", "--calls", "20", "--sizes", "50"]
    assert ledger.main(options) == 0
    out = capsys.readouterr().out
    for name in ("log_metric", "log_batch", "search 50 runs", "history", "start", "SDK", "base"):
        assert name in out

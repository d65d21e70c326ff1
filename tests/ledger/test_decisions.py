"""Decisions: each begun once, worked on by one living process, ended once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from assay.base.errors import Error, NotFound
from assay.ledger import decisions, lineage
from assay.ledger.database import Ledger
from assay.ledger.decisions import Decision
from assay.ledger.writer import Writer


def begun(ledger: Ledger, end: int = 7) -> Decision:
    made = decisions.start(ledger, "e", trigger="drift", window_end=end, at=end)
    assert made is not None
    return made


def test_a_decision_comes_back_as_it_was_begun_and_its_alert_triggered_it(ledger: Ledger):
    made = decisions.start(
        ledger, "e", trigger="performance", window_end=7, alert="a1", reason="worse by 30%",
        details={"limit": 1.15}, at=9,
    )  # fmt: skip
    assert made is not None
    assert decisions.get(ledger, made.id[:30]) == decisions.get(ledger, made.thing) == made
    assert (made.state, made.step, made.outcome, made.at) == ("started", "begun", None, 9)
    assert (made.alert, made.reason, made.details) == ("a1", "worse by 30%", {"limit": 1.15})
    (edge,) = lineage.edges_from(ledger, "alert:a1")
    assert (edge.relation, edge.target, edge.at) == ("triggered", made.thing, 9)


def test_a_trigger_starts_one_decision_a_window(ledger: Ledger):
    begun(ledger)
    assert decisions.start(ledger, "e", trigger="drift", window_end=7, alert="a2") is None
    assert lineage.edges_from(ledger, "alert:a2") == []
    assert decisions.start(ledger, "e", trigger="schedule", window_end=7) is not None
    assert decisions.start(ledger, "e", trigger="drift", window_end=14) is not None
    assert decisions.start(ledger, "f", trigger="drift", window_end=7) is not None
    assert len(decisions.list_decisions(ledger)) == 4


@pytest.mark.parametrize(("start", "relation"), [(6, "reused"), (8, "started")])
def test_a_decision_started_a_run_only_if_the_run_is_the_younger_one(
    ledger: Ledger, start: int, relation: str
):
    run = Writer(ledger).start_run(name="train", kind="pipeline", at=start)
    made = begun(ledger, end=7)
    decisions.update(ledger, made.id, step="run", run=run)
    (edge,) = lineage.edges_from(ledger, made.thing)
    assert (edge.relation, edge.target) == (relation, f"run:{run}")


def test_what_is_done_for_a_decision_is_recorded_step_by_step_with_its_lineage(ledger: Ledger):
    made = begun(ledger)
    decisions.update(ledger, made.id, step="data", commit="c0", details={"n_rows": 14})
    decisions.update(ledger, made.id, step="run", run="r1", candidate="sha256:1")
    for _ in range(2):
        found = decisions.update(
            ledger, made.id, step="deployed", version="m/2", base="sha256:0", verdict="pass",
            deployment="d2", details={"seconds": 5}, reason="better",
        )  # fmt: skip
    assert (found.commit, found.run, found.candidate, found.base) == (
        "c0", "r1", "sha256:1", "sha256:0",
    )  # fmt: skip
    assert (found.step, found.version, found.verdict) == ("deployed", "m/2", "pass")
    assert found.details == {"n_rows": 14, "seconds": 5}
    edges = {(edge.relation, edge.target) for edge in lineage.edges_from(ledger, made.thing)}
    assert edges == {
        ("started", "run:r1"), ("judged", "bundle:sha256:1"), ("deployed_as", "deployment:d2"),
    }  # fmt: skip


def test_a_decision_ends_once(ledger: Ledger):
    made = begun(ledger)
    done = decisions.finish(ledger, made.id, outcome="refused", reason="not better", at=20)
    assert (done.state, done.outcome, done.reason, done.ended) == (
        "finished", "refused", "not better", 20,
    )  # fmt: skip
    assert decisions.finish(ledger, made.id, outcome="refused", reason="else", at=30) == done
    with pytest.raises(Error, match=r"is finished \(refused\), so it cannot end with 'deployed'"):
        decisions.finish(ledger, made.id, outcome="deployed", reason="x")
    with pytest.raises(Error, match=r"is finished \(refused\)"):
        decisions.update(ledger, made.id, step="deployed")
    assert decisions.get(ledger, made.id) == done


def test_what_is_no_part_of_a_decision_s_progress_cannot_be_changed(ledger: Ledger):
    made = begun(ledger)
    with pytest.raises(TypeError, match="outcome, state cannot be changed"):
        decisions.update(ledger, made.id, state="finished", outcome="deployed")
    with pytest.raises(NotFound, match="there is no decision 'x'"):
        decisions.update(ledger, "x", step="data")
    assert decisions.update(ledger, made.id) == made


def test_decisions_are_listed_newest_first_and_unfinished_ones_oldest_first(ledger: Ledger):
    made = [begun(ledger, end) for end in (1, 2, 3)]
    other = decisions.start(ledger, "f", trigger="hand", window_end=0, at=9)
    assert decisions.unfinished(ledger, "e") == made
    done = decisions.finish(ledger, made[1].id, outcome="failed", reason="x")
    assert decisions.unfinished(ledger, "e") == [made[0], made[2]]
    assert decisions.list_decisions(ledger) == [other, made[2], done, made[0]]
    assert decisions.list_decisions(ledger, "e", limit=1) == [made[2]]
    assert decisions.list_decisions(ledger, "none") == decisions.unfinished(ledger, "none") == []


START = """if True:
    import sys
    from assay.ledger import decisions
    from assay.ledger.database import open_ledger
    with open_ledger(sys.argv[1]) as ledger:
        made = decisions.start(ledger, "e", trigger="drift", window_end=7)
        print(made.id, flush=True)
        sys.stdin.read()
"""


@contextmanager
def another_process(ledger: Ledger) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Give a process that works on a decision until it is killed, with its id."""
    command = [sys.executable, "-c", START, ledger.where]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout is not None
        try:
            yield started, started.stdout.readline().strip()
        finally:
            started.kill()


def test_a_decision_is_taken_over_only_when_its_process_is_gone(ledger: Ledger):
    with another_process(ledger) as (started, id_):
        assert decisions.is_worked_on(decisions.get(ledger, id_))
        assert not decisions.take(ledger, id_)
        started.kill()
        started.wait()
        assert not decisions.is_worked_on(decisions.get(ledger, id_))
        for _ in range(2):
            assert decisions.take(ledger, id_)
    found = decisions.get(ledger, id_)
    assert found.pid != started.pid
    assert decisions.is_worked_on(found)


def test_nobody_works_on_a_decision_that_is_finished(ledger: Ledger):
    made = begun(ledger)
    done = decisions.finish(ledger, made.id, outcome="failed", reason="x")
    assert not decisions.is_worked_on(done)
    assert not decisions.take(ledger, made.id)


def test_a_process_of_another_host_counts_as_alive(ledger: Ledger):
    made = begun(ledger)
    with ledger.write() as connection:
        connection.exec_driver_sql("UPDATE decision SET host = 'elsewhere', pid = 999999999")
    assert decisions.is_worked_on(decisions.get(ledger, made.id))
    assert not decisions.take(ledger, made.id)

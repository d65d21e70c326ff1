"""A place that was made anew gets the beginnings of runs again, those above them first."""

from __future__ import annotations

import pytest

from assay.base.errors import NotFound
from assay.ledger import operations, runs
from assay.ledger.database import Ledger
from assay.ledger.operations import Batch, Refusal, SetTags, StartRun
from assay.ledger.process import Process
from assay.ledger.sdk.delivery import deliver
from assay.ledger.sinks import Unavailable

WHO = Process(host="h", boot="b", pid=1, start="1")


def begun(run: str, parent: str | None) -> StartRun:
    return StartRun(
        run=run, parent=parent, name=run, kind="script", experiment="e", at=1, process=WHO
    )


def test_the_runs_above_one_begin_before_it(ledger: Ledger):
    def send(batch: Batch) -> list[Refusal]:
        with ledger.write() as connection:
            return operations.apply(connection, batch, at=5)

    lines = [begun("c", None), begun("b", "c"), begun("a", "b"), begun("other", None)]
    started = {one.run: one for one in lines}  # ids in no order
    tagged = Batch(sender="s", number=7, operations=(SetTags(run="a", tags={"k": "v"}),))
    assert deliver(tagged, send, started) == []
    found = runs.get(ledger, "a")
    assert (found.parent, found.tags) == ("b", {"k": "v"})
    assert runs.get(ledger, "b").parent == "c"
    assert [row.id for row in runs.list_(ledger)] == ["c"]  # and none that was not asked for


def test_runs_that_are_above_each_other_do_not_go_round(ledger: Ledger):
    sent: list[str] = []

    def send(batch: Batch) -> list[Refusal]:
        sent.extend(one.run for one in batch.operations)
        if len(sent) == 1:
            raise NotFound("no such run")
        return []

    started = {"a": begun("a", "b"), "b": begun("b", "a")}  # a file that somebody has written
    batch = Batch(sender="s", number=1, operations=(SetTags(run="a", tags={}),))
    assert deliver(batch, send, started) == []
    assert sent == ["a", "b", "a", "a"]


def test_a_part_of_a_run_that_another_process_still_has_to_begin_waits(ledger: Ledger):
    def send(batch: Batch) -> list[Refusal]:
        with ledger.write() as connection:
            return operations.apply(connection, batch, at=5)

    part = begun("part", "whole")
    batch = Batch(sender="worker", number=1, operations=(part,))
    with pytest.raises(Unavailable, match="no run 'whole'") as caught:
        deliver(batch, send, {"part": part})
    assert isinstance(caught.value.__cause__, NotFound)
    assert send(Batch(sender="parent", number=1, operations=(begun("whole", None),))) == []
    assert deliver(batch, send, {"part": part}) == []
    assert runs.get(ledger, "part").parent == "whole"

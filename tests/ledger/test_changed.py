"""What is added to a run after its end changes the moment by which `assay push` sends it again."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from assay.base.clock import now_ms
from assay.ledger import operations
from assay.ledger.database import Ledger
from assay.ledger.exchange import gathering
from assay.ledger.operations import (
    AddArtifacts,
    AddEdges,
    AddInputs,
    LogMetrics,
    LogParams,
    Operation,
    SetTags,
)
from assay.ledger.writer import Artifact, Data, Writer

OID = f"sha256:{'a' * 64}"
LATE: dict[str, Callable[[str], Operation]] = {
    "metrics": lambda run: LogMetrics(
        run=run, points=(operations.point("loss", 1.0, step=0, at=1),)
    ),
    "params": lambda run: LogParams(run=run, params={"lr": ("1", "int")}),
    "tags": lambda run: SetTags(run=run, tags={"team": "a"}),
    "inputs": lambda run: AddInputs(
        run=run, data=(Data(path="a", oid=OID, kind="dataset"),), at=1
    ),
    "artifacts": lambda run: AddArtifacts(
        run=run, artifacts=(Artifact(path="a", oid=OID, size=1),), at=1
    ),
    "edges": lambda run: AddEdges(run=run, edges=((f"run:{run}", "made", "bundle:x"),), at=1),
}


def changed(ledger: Ledger, run: str) -> int:
    with ledger.read() as connection:
        return gathering.known(connection).runs[run]


def ended(writer: Writer) -> str:
    run = writer.start_run(name="train", kind="script")
    writer.add_inputs(run, [Data(path="data.csv", oid="md5:ab")])
    writer.finish_run(run, status="finished")
    until = now_ms()
    while now_ms() <= until:
        time.sleep(0.001)
    return run


@pytest.mark.parametrize("kind", LATE)
def test_what_a_script_says_after_the_end_of_its_run_is_sent_again(
    ledger: Ledger, writer: Writer, kind: str
):
    run = ended(writer)
    before = changed(ledger, run)
    with ledger.write() as connection:
        assert operations.apply_all(connection, [LATE[kind](run)]) == []
    assert changed(ledger, run) > before


def test_a_profile_that_is_made_later_is_sent_with_all_runs_that_it_is_of(
    ledger: Ledger, writer: Writer
):
    run, other = ended(writer), ended(writer)
    going = writer.start_run(name="goes on", kind="script")
    writer.add_inputs(going, [Data(path="data.csv", oid="md5:ab")])
    before = changed(ledger, run), changed(ledger, other)
    writer.set_profiles({"md5:ab": OID, "md5:cd": OID})
    after = changed(ledger, run), changed(ledger, other)
    assert after[0] > before[0]
    assert after[1] > before[1]
    writer.set_profiles({"md5:ab": OID})  # which it has
    assert (changed(ledger, run), changed(ledger, other)) == after

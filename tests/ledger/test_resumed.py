"""What is known of a run to whoever goes on with it, or copies its files."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from assay.ledger import liveness, resumed, tables
from assay.ledger.database import Ledger
from assay.ledger.process import Process
from assay.ledger.writer import Artifact, Writer

OID = f"sha256:{'a' * 64}"
ELSEWHERE = Process(host="elsewhere", boot="b", pid=7, start="1")
NO_START = Process(host="elsewhere", boot="b", pid=7, start=None)
HERE = Process(host="here", boot="c", pid=8, start="2")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("plots", ["plots/b.txt"]),
        ("Plots", ["Plots/a.txt"]),
        ("Plots/a.txt", ["Plots/a.txt"]),
        ("PLOTS", []),
        ("plot_", ["plot_/c%.txt"]),
        ("", ["Plots/a.txt", "plot_/c%.txt", "plots/b.txt"]),
        ("plot_/c%.txt", ["plot_/c%.txt"]),
    ],
)
def test_a_folder_of_files_is_the_one_that_is_spelt_so(
    ledger: Ledger, writer: Writer, run: str, path: str, found: list[str]
) -> None:
    kept = ["Plots/a.txt", "plots/b.txt", "plot_/c%.txt"]
    writer.add_artifacts(run, [Artifact(path=one, oid=OID, size=1) for one in kept])
    with ledger.read() as connection:
        assert [one.path for one in resumed.artifacts(connection, run, path)] == found


def test_a_process_of_another_host_that_speaks_for_one_of_its_runs_has_the_others_too(
    ledger: Ledger, writer: Writer
):
    for run in ("silent", "heard"):
        writer.start_run(id_=run, name="a", kind="script", who=ELSEWHERE, at=0)
    writer.start_run(id_="other", name="a", kind="script", who=NO_START, at=0)
    later = liveness.LOST + 1000

    def who_has(run: str, *, at: int) -> tuple[bool, str]:
        with ledger.write() as connection:
            known = resumed.known(connection, run, at=at)
            liveness.resume(connection, run, HERE, at=at)
            table = tables.run
            query = select(table.c.host).where(table.c.id == run)
            return known.is_running, connection.execute(query).scalar_one()

    with ledger.write() as connection:
        liveness.beat(connection, "heard", at=later)
        assert set(liveness.gone(connection, at=later)) == {"other"}
    assert who_has("silent", at=later) == (True, "elsewhere")
    assert who_has("other", at=later) == (False, "here")
    assert who_has("silent", at=later + liveness.LOST + 1) == (False, "here")


def test_a_run_that_has_ended_speaks_for_no_other(ledger: Ledger, writer: Writer):
    for run in ("silent", "ended"):
        writer.start_run(id_=run, name="a", kind="script", who=ELSEWHERE, at=0)
    later = liveness.LOST + 1000
    with ledger.write() as connection:
        liveness.beat(connection, "ended", at=later)
    writer.finish_run("ended", status="finished", at=later)
    with ledger.read() as connection:
        assert not resumed.known(connection, "silent", at=later).is_running
        assert set(liveness.gone(connection, at=later)) == {"silent"}

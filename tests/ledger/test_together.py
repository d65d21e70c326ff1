"""Several writes are one transaction where that is asked for: all of them, or none."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from assay.base.errors import Error
from assay.ledger import runs
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.writer import Writer


def test_all_is_kept_or_nothing(ledger_where: Path | str):
    with open_ledger(ledger_where) as ledger:
        writer = Writer(ledger)
        with ledger.together():
            kept = writer.start_run(name="kept", kind="script")
            writer.log_params(kept, {"lr": 1})
        with pytest.raises(Error, match="cannot become"):
            _start_and_contradict(writer, kept)
        assert runs.get(ledger, kept).params == {"lr": 1}
        assert [run.id for run in runs.list_(ledger)] == [kept]
        writer.finish_run(kept, status="finished")
        assert runs.get(ledger, kept).status == "finished"


def test_nobody_sees_the_half_of_it(ledger_where: Path | str):
    with open_ledger(ledger_where) as ledger, open_ledger(ledger.where) as other:
        with ledger.together():
            Writer(ledger).start_run(name="one", kind="script")
            assert _names(other) == []
            with ledger.together():
                Writer(ledger).start_run(name="two", kind="script")
            assert _names(other) == []
        assert sorted(_names(other)) == ["one", "two"]


def test_another_thread_waits_and_has_a_transaction_of_its_own(ledger_where: Path | str):
    with open_ledger(ledger_where) as ledger:
        writer = Writer(ledger)
        other = threading.Thread(target=writer.start_run, kwargs={"name": "b", "kind": "script"})
        with ledger.together():
            other.start()
            writer.start_run(name="a", kind="script")
            assert _names(ledger) == []
        other.join()
        assert sorted(_names(ledger)) == ["a", "b"]


def _names(ledger: Ledger) -> list[str]:
    return [run.name for run in runs.list_(ledger)]


def _start_and_contradict(writer: Writer, run: str) -> None:
    with writer.ledger.together():
        writer.start_run(name="lost", kind="script")
        writer.log_params(run, {"lr": 2})

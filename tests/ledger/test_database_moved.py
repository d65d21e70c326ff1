"""A ledger whose file is moved or replaced while it is open: nothing goes into the old one."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

import pytest

from assay.base.errors import Error
from assay.ledger import runs
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.writer import Writer
from tests.ledger import old


def test_a_ledger_whose_file_was_moved_away_is_not_written_to(tmp_path: Path):
    where, aside = tmp_path / "ledger.db", tmp_path / "aside.db"
    with open_ledger(where) as ledger:
        writer = Writer(ledger)
        first = writer.start_run(name="first", kind="script")
        with contextlib.closing(sqlite3.connect(where)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        where.rename(aside)
        with pytest.raises(Error, match="the ledger's file is gone"):
            writer.start_run(name="lost", kind="script")
        assert not where.exists()
        aside.rename(where)
        second = writer.start_run(name="second", kind="script")
        assert {row.id for row in runs.list_(ledger)} == {first, second}


def test_a_ledger_whose_file_was_replaced_is_written_to_in_its_new_file(tmp_path: Path):
    where, other = tmp_path / "ledger.db", tmp_path / "other.db"
    old.make(other, "0001")
    with open_ledger(where) as ledger:
        writer = Writer(ledger)
        writer.start_run(name="first", kind="script")
        for suffix in ("-wal", "-shm"):
            where.with_name(where.name + suffix).unlink(missing_ok=True)
        other.rename(where)
        second = writer.start_run(name="second", kind="script")
        third = writer.start_run(name="third", kind="script")
    with open_ledger(where) as again:
        found = {row.id for row in runs.list_(again, top_level=False, limit=1000)}
    assert {second, third} <= found


def test_a_transaction_looks_once_for_the_file(
    ledger: Ledger, writer: Writer, monkeypatch: pytest.MonkeyPatch
):
    stat, looked = os.stat, []

    def counted(path: object, *arguments: object, **named: object) -> os.stat_result:
        if str(path) == ledger.where:
            looked.append(path)
        return stat(path, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "stat", counted)
    with ledger.together():
        writer.start_run(name="first", kind="script")
        writer.start_run(name="second", kind="script")
    assert len(looked) == int(ledger.is_sqlite)

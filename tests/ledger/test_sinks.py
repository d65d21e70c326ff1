"""A ledger that fails says whether the same may be written later, on both databases alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.base.errors import Error
from assay.ledger import tables
from assay.ledger.database import open_ledger
from assay.ledger.operations import Batch, SetTags, StartRun
from assay.ledger.process import Process
from assay.ledger.sinks import LedgerSink, Unavailable

WHO = Process(host="h", boot="b", pid=1, start="1")
BEGUN = StartRun(run="r", name="train", kind="script", experiment="e", at=1, process=WHO)


def test_what_the_database_does_not_understand_is_not_tried_again(ledger_where: Path | str):
    sink = LedgerSink(str(ledger_where))
    assert sink.send(Batch(sender="s", number=1, operations=(BEGUN,))) == []
    with open_ledger(ledger_where) as ledger, ledger.write() as connection:
        tables.batch.drop(connection)
    with pytest.raises(Error, match=r"no such table: batch|relation \"batch\"") as caught:
        sink.send(Batch(sender="s", number=2, operations=(SetTags(run="r", tags={}),)))
    assert not isinstance(caught.value, Unavailable)
    sink.rest()


def test_a_file_that_is_damaged_may_be_mended_and_is_tried_again(tmp_path: Path):
    where = tmp_path / "ledger.db"
    sink = LedgerSink(str(where))
    assert sink.send(Batch(sender="s", number=1, operations=(BEGUN,))) == []
    sink.rest()
    size = where.stat().st_size
    with where.open("r+b") as handle:
        handle.seek(4096)
        handle.write(b"\xff" * (size - 4096))
    with pytest.raises(Unavailable, match="malformed") as caught:
        sink.send(Batch(sender="s", number=2, operations=(SetTags(run="r", tags={}),)))
    assert "restore the file from a backup" in (caught.value.hint or "")
    sink.rest()

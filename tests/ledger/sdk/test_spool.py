"""A file of what waits is read line by line, and is removed only by who has that file."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.ledger import operations
from assay.ledger.operations import AddArtifacts, Batch, Beat, Operation
from assay.ledger.sdk import spool
from assay.ledger.sdk.replay import replay
from assay.ledger.sdk.spool import Header, Spool
from assay.ledger.writer import Artifact

if TYPE_CHECKING:
    import pytest

SENDER = "s" * 12


def line(number: int, *found: Operation) -> bytes:
    found = found or (Beat(run="r", at=number),)
    return operations.encode(Batch(sender=SENDER, number=number, operations=found))


def left_behind(folder: Path, *lines: bytes) -> Path:
    made = Spool(folder, sender=SENDER)
    made.append([*lines], Header(to="x"), run="r")
    made.close()
    (path,) = spool.files(folder)
    return path


def test_the_file_of_a_living_process_is_not_removed_where_it_had_an_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    owner = Spool(tmp_path, sender=SENDER)
    owner.append([line(1)], Header(to="x"), run="r")
    locked = fcntl.flock

    def flock(handle: Any, how: int) -> None:
        if how & fcntl.LOCK_NB:  # of who sends what was left behind
            monkeypatch.setattr(fcntl, "flock", locked)
            owner.clear()  # all was written, and then the place was away again
            owner.append([line(2)], Header(to="x"), run="r")
        locked(handle, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    sent: list[int] = []

    def send(batch: Batch) -> list[operations.Refusal]:
        sent.append(batch.number)
        return []

    replay(tmp_path, send, to="x")
    assert sent == []
    assert owner.path is not None
    assert owner.path.exists()
    owner.close()
    replay(tmp_path, send, to="x")
    assert sent == [2]


def test_no_more_of_a_file_is_read_than_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = left_behind(tmp_path, *(line(number) for number in range(100)))
    read: list[bytes] = []
    decode = operations.decode

    def noting(content: bytes, *, where: str) -> Batch:
        read.append(content)
        return decode(content, where=where)

    monkeypatch.setattr(operations, "decode", noting)
    with spool.claimed(path) as left:
        assert left is not None
        assert (left.header.to, left.run, read) == ("x", "r", [])
        found = left.batches()
        assert [next(found).number for _ in range(3)] == [0, 1, 2]
        assert len(read) == 3


def test_the_objects_that_waiting_batches_name_are_known(tmp_path: Path):
    one, other = "a" * 64, "b" * 64
    kept = AddArtifacts(
        run="r", artifacts=(Artifact(path="x", oid=f"sha256:{one}", size=1),), at=1
    )
    path = left_behind(tmp_path, line(1), line(2, kept), line(3))
    assert spool.oids(tmp_path) == {one}
    with path.open("ab") as handle:
        handle.write(b'{"sender": 5, "of": "sha256:' + other.encode() + b'"}\n')
    assert spool.oids(tmp_path) == {one, other}
    path.write_bytes(b"sha256:" + other.encode())  # no spool at all, and its line was cut
    assert spool.oids(tmp_path) == {other}

"""What waits to be written is counted once, put into its file once, and left to others once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assay.ledger import operations
from assay.ledger.operations import Beat, ResumeRun, StartRun
from assay.ledger.process import Process
from assay.ledger.sdk import outbox, spool
from assay.ledger.sdk.outbox import Outbox

WHO = Process(host="h", boot="b", pid=1, start="1")


class Counted(deque[Any]):
    """A deque that counts what is looked at."""

    n_seen = 0

    def __iter__(self) -> Iterator[Any]:
        for one in super().__iter__():
            self.n_seen += 1
            yield one


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Outbox]:
    made = Outbox(tmp_path, to="ledger")
    yield made
    made.spool.close()


def add(box: Outbox, at: int) -> None:
    box.add([Beat(run="r", at=at)])


def moments(folder: Path) -> list[int]:
    (path,) = spool.files(folder)
    with spool.claimed(path) as left:
        assert left is not None
        found = [one for batch in left.batches() for one in batch.operations]
        assert left.problems == []
    return [one.at for one in found if isinstance(one, Beat)]


def test_what_is_left_to_others_is_not_waited_for(box: Outbox, tmp_path: Path):
    for at in range(3):
        add(box, at)
    box.leave()
    assert (box.made, box.written, len(box)) == (3, 3, 0)
    assert moments(tmp_path) == [0, 1, 2]


def test_what_lies_in_the_file_is_not_looked_at_again(box: Outbox):
    items, fresh = Counted(), Counted()
    box._items, box._fresh = items, fresh
    for at in range(500):
        add(box, at)
        box.keep(at_once=True)
    assert items.n_seen + fresh.n_seen <= 1000  # it was 125,000


def test_each_batch_is_put_into_the_file_once_and_in_order(
    box: Outbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for at in range(4):
        add(box, at)
    box.keep()
    assert not spool.files(tmp_path)  # it is too early
    monkeypatch.setattr(outbox, "_AFTER", 0)
    box.keep()
    add(box, 4)
    assert box.first() == operations.Batch(
        sender=box.sender, number=1, operations=(Beat(run="r", at=0),)
    )
    box.done(1)
    box.keep()
    box.keep(at_once=True)
    box.leave()
    assert moments(tmp_path) == [0, 1, 2, 3, 4]


def test_a_batch_that_is_written_before_it_lies_in_the_file_is_never_put_there(
    box: Outbox, tmp_path: Path
):
    for at in range(3):
        add(box, at)
    box.done(1)
    box.keep(at_once=True)
    add(box, 3)
    box.done(2)
    box.done(3)
    box.done(4)
    assert (len(box), box.written, spool.files(tmp_path)) == (0, 4, [])
    add(box, 4)
    box.leave()
    assert moments(tmp_path) == [4]


@pytest.mark.parametrize("lies_in_the_file", [False, True])
def test_a_batch_that_is_taken_back_leaves_the_others(
    box: Outbox, tmp_path: Path, lies_in_the_file: bool
):
    for at in range(3):
        add(box, at)
    if lies_in_the_file:
        box.keep(at_once=True)
    assert box.forget(2)
    assert not box.forget(2)
    assert (len(box), box.written) == (2, 0)
    box.done(1)
    assert box.written == 2  # the second is none that anybody waits for
    box.leave()
    assert moments(tmp_path) == ([0, 2] if lies_in_the_file else [2])


@pytest.mark.parametrize("lies_in_the_file", [False, True])
def test_a_run_whose_beginning_is_taken_back_is_in_no_file_that_comes_after(
    box: Outbox, tmp_path: Path, lies_in_the_file: bool
):
    for run in ("kept", "refused"):
        box.add([StartRun(run=run, name="a", kind="script", experiment="e", at=1, process=WHO)])
        box.add([ResumeRun(run="kept", at=2, process=WHO)])
    if lies_in_the_file:
        box.keep(at_once=True)
    assert box.forget(4)
    assert set(box.started) == {"kept", "refused"}  # a run that goes on began before
    assert box.forget(3)
    assert set(box.started) == {"kept"}
    for number in (1, 2):
        box.done(number)
    add(box, 5)
    box.leave()
    (path,) = spool.files(tmp_path)
    with spool.claimed(path) as left:
        assert left is not None
        assert [one.run for one in left.header.started] == ["kept"]

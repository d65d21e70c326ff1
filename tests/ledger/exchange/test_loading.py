"""Records that are written into a ledger: none is lost on the way, and no two contradict."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from assay.base.errors import Error
from assay.ledger import deleting, engines, runs, tables
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.exchange import gathering, merging
from assay.ledger.exchange.loaded import Loaded
from assay.ledger.exchange.loading import Loader
from assay.ledger.exchange.records import DataRecord, RunRecord
from assay.ledger.writer import Data, Writer

A = RunRecord(
    id="a", name="n", kind="script", status="finished", experiment="e", start=1, end=2
)  # fmt: skip
B = replace(A, id="b", parent_id="a")


def several(begin: int, end: int, **other: Any) -> list[RunRecord]:
    return [replace(A, id=f"r{number:04}", **other) for number in range(begin, end)]


def ids(ledger: Ledger) -> list[str]:
    with ledger.read() as connection:
        return sorted(row.id for row in connection.execute(tables.run.select()))


def load(ledger: Ledger, *found: RunRecord) -> Loaded:
    loader = Loader(ledger, at=5)
    loader.add(found)
    return loader.finish()


@pytest.fixture
def two(ledger_where: Path | str, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Ledger]]:
    """Two processes' views of one ledger; the second does not wait long for the first."""
    monkeypatch.setattr(engines, "BUSY_TIMEOUT", 0.2)
    with open_ledger(ledger_where) as one, open_ledger(ledger_where) as other:
        yield [one, other]


def test_records_that_wait_while_the_ledger_is_locked_are_written_afterwards(two: list[Ledger]):
    other, ledger = two
    loader = Loader(ledger, at=5)
    loader.add(several(0, 3))
    with other.write() as connection:
        connection.execute(tables.run.select())
        with pytest.raises(Error):
            loader.add(several(3, 700))
    done = loader.finish()
    assert ids(ledger) == sorted(done.new) == [one.id for one in several(0, 500)]
    assert done.runs.keys() == {*done.new}
    assert done.refused == []


def test_loading_does_not_end_well_as_long_as_what_waits_cannot_be_written(two: list[Ledger]):
    other, ledger = two
    loader = Loader(ledger, at=5)
    loader.add(several(0, 3))
    with other.write() as connection:
        connection.execute(tables.run.select())
        for _ in range(2):
            with pytest.raises(Error):
                loader.finish()
        assert (loader.done.new, loader.done.runs) == ([], {})
    assert loader.finish().new == ids(ledger) == ["r0000", "r0001", "r0002"]


def test_what_was_refused_before_the_ledger_was_locked_is_refused_once(
    two: list[Ledger], monkeypatch: pytest.MonkeyPatch
):
    _, ledger = two
    whole = Loader._put
    bad = replace(A, id="bad", name=None)
    is_locked = True

    def put(self: Loader, connection: Any, batch: list[RunRecord]) -> None:
        if is_locked and batch[0].id == "r0002":
            raise Error("the ledger is locked")
        whole(self, connection, batch)

    monkeypatch.setattr(Loader, "_put", put)
    loader = Loader(ledger, at=5)
    loader.add([*several(0, 1), bad, *several(2, 4)])
    with pytest.raises(Error, match="locked"):
        loader.finish()
    is_locked = False
    done = loader.finish()
    assert len(done.refused) == 1
    assert done.refused[0].startswith("the run 'bad' is refused")
    assert sorted(done.new) == ids(ledger) == ["r0000", "r0002", "r0003"]


def test_of_two_runs_that_are_a_part_of_each_other_one_stays_the_whole(ledger: Ledger):
    load(ledger, A, B)
    done = load(ledger, replace(A, parent_id="b", updated=9, params={"p": ("1", "int")}))
    assert done.refused == [
        "the run 'a' does not become a part of the run 'b', which is a part of it here"
    ]
    assert done.changed == ["a"]
    assert (runs.get(ledger, "a").parent, runs.get(ledger, "b").parent) == (None, "a")
    assert runs.get(ledger, "a").params == {"p": 1}
    assert done.runs == {}


def test_a_run_that_comes_does_not_close_a_circle_either(ledger: Ledger):
    load(ledger, A)
    done = load(ledger, replace(A, parent_id="c", updated=9), replace(A, id="c", parent_id="a"))
    assert done.new == ["c"]
    assert done.refused == [
        "the run 'a' does not become a part of the run 'c', which is a part of it here"
    ]
    assert (runs.get(ledger, "a").parent, runs.get(ledger, "c").parent) == (None, "a")


def test_a_run_becomes_a_part_of_one_that_comes_with_it(ledger: Ledger):
    load(ledger, A)
    done = load(ledger, replace(A, parent_id="c", updated=9), replace(A, id="c"))
    assert (done.new, done.changed, done.refused) == (["c"], ["a"], [])
    assert runs.get(ledger, "a").parent == "c"


def test_a_family_that_goes_in_a_circle_is_found_and_has_an_end(ledger: Ledger):
    load(ledger, A, B, replace(A, id="c", parent_id="b"))
    with ledger.write() as connection:
        connection.execute(tables.run.update().where(tables.run.c.id == "a").values(parent_id="b"))

    def late(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(20)
    try:
        with ledger.read() as connection:
            for run in "abc":
                assert sorted(gathering.family(connection, run)) == ["a", "b", "c"]
            assert sorted(deleting.with_parts(connection, ["a"])) == ["a", "b", "c"]
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_a_family_is_all_runs_or_none_where_one_goes_on(ledger: Ledger):
    load(ledger, A, B, replace(A, id="c", parent_id="b"), replace(A, id="d"))
    with ledger.read() as connection:
        assert gathering.family(connection, "b") == ["a", "b", "c"]
        assert gathering.family(connection, "x") == []
    with ledger.write() as connection:
        query = tables.run.update().where(tables.run.c.id == "c")
        connection.execute(query.values(status="running"))
    with ledger.read() as connection:
        assert gathering.family(connection, "a") == []
        assert gathering.family(connection, "d") == ["d"]


def read(kind: str, **other: Any) -> DataRecord:
    return DataRecord(direction="input", path="data.csv", oid="md5:1", kind=kind, **other)


def test_a_data_set_stays_one_where_another_clone_saw_its_file_opened(ledger: Ledger):
    logged = read("dataset", context="train", details='{"name": "d"}')
    load(ledger, replace(A, data=(logged,)))
    load(ledger, replace(A, data=(read("dep", size=3),), updated=9))
    [found] = runs.get(ledger, "a").inputs
    expected = Data(
        path="data.csv", oid="md5:1", kind="dataset", size=3, details={"name": "d"},
        context="train",
    )  # fmt: skip
    assert found == expected


def test_what_a_record_does_not_say_of_data_stays(ledger: Ledger):
    load(ledger, A)
    Writer(ledger).add_inputs("a", [Data(path="data.csv", oid="md5:1", kind="dataset", size=3)])
    load(ledger, replace(A, data=(read("dep"),), updated=2**50))
    [found] = runs.get(ledger, "a").inputs
    assert (found.kind, found.size) == ("dataset", 3)


kinds = st.sampled_from(["dep", "dataset", "out", "params", "stdin"])
seen = st.builds(
    lambda found: replace(A, data=tuple(
        replace(read(kind, size=size), path=path) for path, (kind, size) in sorted(found.items())
    )),
    st.dictionaries(
        st.sampled_from("xy"), st.tuples(kinds, st.none() | st.integers(0, 2)), max_size=2
    ),
)  # fmt: skip


@given(seen, seen, seen)
def test_the_order_in_which_kinds_of_data_are_merged_never_matters(
    a: RunRecord, b: RunRecord, c: RunRecord
):
    merge = merging.of_runs
    assert merge(a, b) == merge(b, a)
    assert merge(merge(a, b), c) == merge(a, merge(b, c))
    merged = {one.path: one.kind for one in merge(a, b).data}
    for one in (*a.data, *b.data):
        assert merged[one.path] != "dep" or one.kind == "dep"

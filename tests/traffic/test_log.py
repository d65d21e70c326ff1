"""What was written is read once: in any order of writing, rolling, tearing and opening again."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from assay.base.errors import Error, NotFound
from assay.base.ids import uuid7
from assay.traffic import files, ids
from assay.traffic.find import find
from assay.traffic.framing import pack, seed_of
from assay.traffic.log import read
from assay.traffic.record import Record, encode
from assay.traffic.roll import roll
from assay.traffic.spool import Spool
from tests.traffic.records import AT, logged, numbered, record, rows_of

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
values = {
    "whole": st.integers(-(2**63), 2**63 - 1),
    "real": st.floats(width=32),
    "word": text,
    "flag": st.booleans(),
    "tensor": st.lists(st.lists(st.floats(width=32) | st.none(), max_size=2), max_size=2),
    "words": st.lists(text | st.none(), max_size=3),
    "Word": text,
}


@st.composite
def records(draw: st.DrawFn) -> Record:
    """A request with some columns, each of one type, nulls among the values."""
    n_rows = draw(st.integers(1, 3))

    def columns(names):
        return {
            name: draw(
                st.lists(values[name] | st.none(), min_size=n_rows, max_size=n_rows)
            )
            for name in names
        }  # fmt: skip

    names = st.lists(st.sampled_from(sorted(values)), unique=True)
    return record(
        inputs=columns(draw(names)),
        outputs=columns(draw(names)),
        n_rows=n_rows,
        endpoint=draw(st.sampled_from(["rides", "tips"])),
    )


class TheLogIsADict(RuleBasedStateMachine):
    """A dict of rows is the model: whatever happens, the log says what the dict does."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.spool = Spool(self.folder, flush_seconds=3600)
        self.model: dict[str, str] = {}
        self.waiting: dict[str, str] = {}

    @rule(record=records())
    def append(self, record):
        self.spool.append(record)
        self.waiting |= rows_of(record)

    @rule()
    def flush(self):
        self.spool.flush()
        self.model |= self.waiting
        self.waiting = {}

    @rule()
    def reopen(self):
        self.spool.close()
        self.model |= self.waiting
        self.waiting = {}
        self.spool = Spool(self.folder, flush_seconds=3600)

    @rule()
    def roll(self):
        assert not roll(self.folder).problems

    @rule(record=records(), share=st.floats(0, 0.99))
    def a_writer_is_killed(self, record, share):
        file_id = uuid7()
        frame = pack(encode(record), seed_of(file_id))
        torn = frame[: int(len(frame) * share)]
        files.spool_path(self.folder, file_id).write_bytes(frame + torn)
        self.model |= rows_of(record)

    @invariant()
    def says_what_the_model_says(self):
        assert logged(self.folder) == self.model

    def teardown(self):
        self.spool.close()
        shutil.rmtree(self.folder)


TestTheLogIsADict = TheLogIsADict.TestCase
TestTheLogIsADict.settings = settings(
    max_examples=20,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def logging(folder: Path, *records: Record) -> None:
    with Spool(folder, flush_seconds=3600) as spool:
        for one in records:
            assert spool.append(one)


@settings(max_examples=25, deadline=None)
@given(given=records())
def test_a_request_that_is_found_is_the_same_before_and_after_rolling(given):
    folder = Path(tempfile.mkdtemp())
    try:
        logging(folder, numbered(1), given, numbered(2))
        before = find(folder, given.id)
        roll(folder)
        after = find(folder, given.id)
        assert before is not None
        assert after is not None
        assert rows_of(before.record) == rows_of(after.record) == rows_of(given)
        assert list(before.record.inputs) == list(after.record.inputs) == list(given.inputs)
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("rolled", [False, True])
def test_a_row_is_found_by_its_id(tmp_path, rolled):
    wanted = record(
        inputs={"hour": [7, 8]},
        outputs={"count": [1.0, 2.0]},
        request_id="theirs",
        deployment="d",
        event_time=[AT, None],
    )
    logging(tmp_path, numbered(1), wanted, numbered(2))
    if rolled:
        roll(tmp_path)

    found = find(tmp_path, f"{wanted.id}/1")

    assert found is not None
    assert found.record == wanted
    assert found.values() == ({"hour": 8}, {"count": 2.0})
    assert find(tmp_path, wanted.id.upper()) is not None
    assert find(tmp_path, f"{wanted.id}/2") is None
    assert find(tmp_path, ids.new_id()) is None
    assert find(tmp_path / "nowhere", wanted.id) is None
    with pytest.raises(Error, match="is no prediction id"):
        find(tmp_path, "theirs")


def test_finding_opens_only_files_of_that_time(tmp_path):
    old = numbered(1, id=ids.new_id(at_ms=AT), at=AT)
    new = numbered(2, id=ids.new_id(at_ms=AT + 1000), at=AT + 1000)
    for one in (old, new):
        logging(tmp_path, one)
        roll(tmp_path)
    tables = files.list_tables(tmp_path)
    assert [(table.first, table.last) for table in tables] == [(AT, AT), (AT + 1000, AT + 1000)]
    tables[0].path.write_bytes(b"no Parquet")  # would fail to open

    assert find(tmp_path, new.id) is not None


def test_a_text_in_a_request_is_not_taken_for_its_id(tmp_path):
    other = ids.new_id()
    logging(tmp_path, record(inputs={"text": [other]}))

    assert find(tmp_path, other) is None


@pytest.mark.parametrize("rolled", [False, True])
def test_rows_are_read_by_endpoint_and_time(tmp_path, rolled):
    logging(
        tmp_path,
        *(numbered(number, at=AT + number) for number in range(4)),
        numbered(9, at=AT + 1, endpoint="tips"),
    )
    if rolled:
        roll(tmp_path)

    with read(tmp_path, endpoint="rides", start=AT + 1, end=AT + 3) as found:
        assert found.arrays("input.n")["input.n"].tolist() == [1, 2]
        assert found.n_rows == 2
        assert found.relation().columns[0] == "prediction_id"
    with read(tmp_path, end=AT + 2) as found:
        assert sorted(found.arrays("input.n")["input.n"].tolist()) == [0, 1, 9]


def test_an_empty_folder_is_an_empty_log(tmp_path):
    with read(tmp_path / "nowhere") as found:
        assert found.n_rows == 0
        assert found.arrays("at")["at"].tolist() == []
        with pytest.raises(NotFound, match="no column 'statu' was logged") as caught:
            found.column("statu")
    assert caught.value.hint == "did you mean 'status'?"


@pytest.mark.parametrize("rolled", [False, True])
def test_columns_of_versions_are_joined_by_name_and_widened(tmp_path, rolled):
    logging(tmp_path, record(inputs={"hour": [7], "old": ["a"]}))
    if rolled:
        roll(tmp_path)
    logging(tmp_path, record(inputs={"hour": [7.5], "new": [True]}, version="rides/2"))

    with read(tmp_path) as found:
        types = {column.name: column.type for column in found.columns}
        rows = found.rows(
            'SELECT "input.hour", "input.old", "input.new" FROM predictions ORDER BY version'
        )

    assert types["input.hour"] == "DOUBLE"
    assert rows == [(7.0, "a", None), (7.5, None, True)]


@pytest.mark.parametrize("rolled", [False, True])
def test_types_that_contradict_each_other_are_named_with_their_versions(tmp_path, rolled):
    logging(
        tmp_path,
        record(inputs={"hour": [7]}),
        record(inputs={"hour": ["seven"]}, version="rides/2"),
        record(inputs={"hour": [8]}, endpoint="tips"),
    )
    if rolled:
        assert not roll(tmp_path).problems

    with pytest.raises(Error) as caught:
        read(tmp_path)
    assert caught.value.what == (
        "the column 'input.hour' is BIGINT in rides/1 of 'rides' and VARCHAR in rides/2 of 'rides'"
    )
    with read(tmp_path, endpoint="tips") as found:
        assert found.n_rows == 1


def test_columns_that_differ_in_case_stay_two(tmp_path):
    logging(tmp_path, record(inputs={"X": [1], "x": ["a"]}))
    roll(tmp_path)
    logging(tmp_path, record(inputs={"x": ["b"], "X": [2]}))

    with read(tmp_path) as found:
        assert sorted(found.arrays("input.X")["input.X"].tolist()) == [1, 2]
        assert sorted(found.arrays("input.x")["input.x"].tolist()) == ["a", "b"]


def test_nan_is_a_number_and_a_null_is_missing(tmp_path):
    logging(tmp_path, record(inputs={"x": [float("nan"), None, float("-inf")]}, outputs={}))
    for _ in range(2):
        with read(tmp_path) as found:
            x = found.arrays("input.x")["input.x"]
        assert isinstance(x, np.ma.MaskedArray)
        assert x.mask.tolist() == [False, True, False]
        assert np.isnan(x.data[0])
        assert x.data[2] == -np.inf
        roll(tmp_path)


def test_a_reader_gets_at_no_other_file(tmp_path):
    import duckdb

    (tmp_path / "secret.csv").write_text("a\n1\n")
    (tmp_path / "log").mkdir()
    with read(tmp_path / "log") as found, pytest.raises(duckdb.Error, match="disabled"):
        found.rows(f"FROM '{tmp_path / 'secret.csv'}'")


def test_a_folder_may_have_any_name(tmp_path):
    folder = tmp_path / "it's [a] *log*"
    one = numbered(1)
    logging(folder, one)
    roll(folder)
    (tmp_path / "link").symlink_to(folder)

    assert logged(folder) == logged(tmp_path / "link") == rows_of(one)
    assert find(folder, one.id) is not None


def test_a_changed_byte_costs_one_record_and_is_counted(tmp_path):
    wanted = [numbered(number) for number in range(5)]
    logging(tmp_path, *wanted)
    ((_, path),) = files.list_spools(tmp_path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)

    with read(tmp_path) as found:
        assert (found.n_rows, found.n_torn, found.n_corrupt) == (4, 0, 1)
    rolled = roll(tmp_path)
    assert (rolled.n_records, rolled.n_torn, rolled.n_corrupt) == (4, 0, 1)
    with read(tmp_path) as found:
        assert (found.n_rows, found.n_torn, found.n_corrupt) == (4, 0, 1)


def test_a_torn_end_is_counted_once_nobody_writes_any_more(tmp_path):
    with Spool(tmp_path, flush_seconds=3600) as spool:
        spool.append(numbered(1))
        spool.flush()
        ((_, path),) = files.list_spools(tmp_path)
        with path.open("ab") as handle:
            handle.write(b"ASP1 and no more")
        with read(tmp_path) as found:
            assert (found.n_rows, found.n_torn) == (1, 0)
    with read(tmp_path) as found:
        assert (found.n_rows, found.n_torn) == (1, 1)


def test_a_record_of_another_version_is_neither_read_nor_lost(tmp_path):
    file_id = uuid7()
    path = files.spool_path(tmp_path, file_id)
    path.write_bytes(pack(b"\x81\xa2id\x01", seed_of(file_id)))

    with pytest.raises(Error, match="a record of another form"):
        read(tmp_path)
    (problem,) = roll(tmp_path).problems
    assert str(path) == problem.where
    assert os.path.exists(path)  # noqa: PTH110 -- it stays

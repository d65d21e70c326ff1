"""Truth is joined once, however late, often or wrong it comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from assay.base.errors import Error
from assay.traffic import files, ids
from assay.traffic.feedback import Counts, Latest, add, counts, find, joined, truth
from assay.traffic.record import Record
from assay.traffic.roll import roll
from assay.traffic.spool import Spool
from tests.traffic.records import AT, record


def logging(folder: Path, *records: Record) -> None:
    with Spool(folder, flush_seconds=3600) as spool:
        for one in records:
            spool.append(one)


def targets(folder: Path, **given: Any) -> dict[str, Any]:
    with joined(folder, **given) as found:
        return dict(found.rows("SELECT prediction_id, target FROM joined"))


def counted(**given: int) -> Counts:
    fields = dict.fromkeys(Counts.__struct_fields__, 0) | given
    return Counts(**fields)


@pytest.fixture
def two() -> Record:
    return record(inputs={"ride": [17, 18]}, outputs={"count": [1.0, 2.0]})


@pytest.fixture(params=["live", "rolled"])
def settle(request, tmp_path):
    """Rolls what was logged, or leaves it in the spool."""
    return lambda: roll(tmp_path) if request.param == "rolled" else None


def test_truth_is_joined_by_the_id_of_a_row(tmp_path, two, settle):
    logging(tmp_path, two)
    add(tmp_path, [truth(5.0, at=AT, prediction_id=f"{two.id}/1", source="counter")])
    settle()

    with joined(tmp_path) as found:
        names = [column.name for column in found.columns]
        (row,) = found.rows("FROM joined")
        assert found.arrays("target", "output.count")["target"].tolist() == [5]
    known = dict(zip(names, row, strict=True))
    assert known["prediction_id"] == f"{two.id}/1"
    assert known["output.count"] == 2.0
    assert (known["target"], known["target_at"], known["target_source"]) == (5, AT, "counter")
    assert known["n_corrections"] == 0
    assert counts(tmp_path) == counted(n_truths=1, n_rows=1)


def test_the_id_of_a_request_is_enough_where_it_has_one_row(tmp_path, two, settle):
    one = record()
    logging(tmp_path, one, two)
    add(tmp_path, [truth(5, at=AT, prediction_id=each.id.upper()) for each in (one, two)])
    settle()

    assert targets(tmp_path) == {f"{one.id}/0": 5}
    assert counts(tmp_path) == counted(n_truths=2, n_rows=1, n_ambiguous=1)


@pytest.mark.parametrize("key", [17, 17.0, "17"])
def test_truth_is_joined_by_a_key_column_to_all_rows_that_have_it(tmp_path, two, settle, key):
    again = record(inputs={"ride": [17]})
    tips = record(inputs={"ride": [17]}, endpoint="tips")
    logging(tmp_path, two, again, tips)
    add(tmp_path, [truth(5, at=AT, column="ride", key=key, endpoint="rides")])
    settle()

    assert targets(tmp_path) == {f"{two.id}/0": 5, f"{again.id}/0": 5}


def test_a_text_key_and_a_key_of_the_wrong_kind(tmp_path):
    one = record(inputs={"ride": ["a'b"]})
    logging(tmp_path, one, record(inputs={"hour": [7]}))
    add(
        tmp_path,
        [
            truth(5, at=AT, column="ride", key="a'b"),
            truth(6, at=AT, column="hour", key="seven"),
            truth(6, at=AT, column="nowhere", key=1),
        ],
    )

    assert targets(tmp_path) == {f"{one.id}/0": 5}
    assert counts(tmp_path) == counted(n_truths=3, n_rows=1, n_unknown=2)


def test_the_same_truth_again_changes_nothing(tmp_path, settle):
    one = record()
    logging(tmp_path, one)
    for at in (AT, AT, AT + 1):
        add(tmp_path, [truth(5.0, at=at, prediction_id=one.id)])
    add(tmp_path, [truth(5, at=AT, prediction_id=f"{one.id}/0")])
    settle()

    assert targets(tmp_path) == {f"{one.id}/0": 5}
    assert counts(tmp_path) == counted(n_truths=4, n_rows=1, n_repeated=3)


def test_the_latest_truth_counts_in_whatever_order_they_arrive(tmp_path, settle):
    one = record()
    logging(tmp_path, one)
    add(tmp_path, [truth(7.5, at=AT + 2, prediction_id=one.id)])
    add(tmp_path, [truth(5.0, at=AT + 1, prediction_id=one.id)])
    settle()

    assert targets(tmp_path) == {f"{one.id}/0": 7.5}
    assert counts(tmp_path) == counted(n_truths=2, n_rows=1, n_corrected=1)


def test_of_two_truths_of_one_moment_the_later_arrival_counts(tmp_path, settle):
    one = record()
    logging(tmp_path, one)
    add(tmp_path, [truth(value, at=AT, prediction_id=one.id) for value in (9, 8, 7, 9)])
    settle()

    assert targets(tmp_path) == {f"{one.id}/0": 9}
    assert counts(tmp_path) == counted(n_truths=4, n_rows=1, n_corrected=3)


def test_a_truth_that_comes_before_its_prediction_waits_for_it(tmp_path, settle):
    one = record()
    add(tmp_path, [truth(5, at=AT, prediction_id=one.id)])
    assert counts(tmp_path) == counted(n_truths=1, n_unknown=1)
    settle()

    logging(tmp_path, one)

    assert targets(tmp_path) == {f"{one.id}/0": 5}
    assert counts(tmp_path) == counted(n_truths=1, n_rows=1)


def test_the_times_are_those_of_the_predictions(tmp_path):
    early, late = record(at=AT), record(at=AT + 1000)
    logging(tmp_path, early, late)
    add(tmp_path, [truth(5, at=AT + 5000, prediction_id=one.id) for one in (early, late)])

    assert targets(tmp_path, end=AT + 1) == {f"{early.id}/0": 5}
    assert targets(tmp_path, start=AT + 1, endpoint="rides") == {f"{late.id}/0": 5}


@pytest.mark.parametrize("target", [True, "a 'word'", 2**40, 0.1, [1.5, 2.5], ["a", 'b"']])
def test_a_target_comes_back_as_it_was(tmp_path, target, settle):
    one = record()
    logging(tmp_path, one)
    add(tmp_path, [truth(target, at=AT, prediction_id=one.id)])
    settle()

    (found,) = targets(tmp_path).values()
    assert found == target
    assert type(found) is type(target)


def test_targets_that_contradict_each_other_are_named_until_one_is_corrected(tmp_path):
    one, other = record(), record()
    logging(tmp_path, one, other)
    add(tmp_path, [truth(5, at=AT, prediction_id=one.id)])
    add(tmp_path, [truth("five", at=AT, prediction_id=other.id)])
    with pytest.raises(
        Error, match="BIGINT for some predictions and VARCHAR for others"
    ) as caught:
        targets(tmp_path)
    assert caught.value.what.endswith(f": {other.id}/0")

    add(tmp_path, [truth(5.5, at=AT + 1, prediction_id=other.id)])

    assert targets(tmp_path) == {f"{one.id}/0": 5.0, f"{other.id}/0": 5.5}


def test_a_truth_that_others_contradict_is_found_by_its_row(tmp_path, two, settle):
    logging(tmp_path, two)
    add(tmp_path, [truth(5.5, at=AT, prediction_id=f"{two.id}/0")])
    add(tmp_path, [truth("five", at=AT + 1, prediction_id=f"{two.id}/1", source="a person")])
    settle()

    def found(row: int) -> Latest | None:
        return find(tmp_path, f"{two.id}/{row}", endpoint=two.endpoint, at=two.at)

    assert found(0) == Latest(target=5.5, at=AT, source=None, n_corrections=0)
    assert found(1) == Latest(target="five", at=AT + 1, source="a person", n_corrections=0)
    assert found(2) is None
    with pytest.raises(Error, match="DOUBLE for some predictions and VARCHAR for others"):
        targets(tmp_path)


def test_without_predictions_or_truths_nothing_is_joined(tmp_path):
    assert targets(tmp_path) == {}
    logging(tmp_path, record())
    assert targets(tmp_path) == {}
    assert counts(tmp_path) == counted()


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"target": None, "prediction_id": ids.new_id()}, "None is no truth"),
        ({"target": float("nan"), "prediction_id": ids.new_id()}, "nan is no truth"),
        ({"target": [1.0, float("inf")], "prediction_id": ids.new_id()}, "inf is no truth"),
        ({"target": {}, "prediction_id": ids.new_id()}, "not dict"),
        ({"target": 1, "prediction_id": "17"}, "no prediction id"),
        ({"target": 1}, "either by its id or by a key column"),
        ({"target": 1, "column": "ride"}, "either by its id or by a key column"),
        ({"target": 1, "key": 17}, "either by its id or by a key column"),
        ({"target": 1, "prediction_id": ids.new_id(), "column": "a", "key": 1}, "either by"),
    ],
)
def test_what_is_no_truth_is_refused(given, what):
    with pytest.raises(Error, match=what):
        truth(at=AT, **given)


def test_truth_is_rolled_with_the_predictions(tmp_path):
    logging(tmp_path, record())
    assert add(tmp_path, [truth(5, at=AT, prediction_id=ids.new_id())] * 3) == 3

    rolled = roll(tmp_path)

    assert (rolled.n_files, rolled.n_records) == (2, 4)
    assert not files.list_spools(tmp_path / "truth")


def test_truth_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "truth").write_text("in the way")
    with pytest.raises(Error, match="file exists"):
        add(tmp_path, [truth(5, at=AT, prediction_id=ids.new_id())])

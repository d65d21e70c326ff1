"""Requests read into structs: the quick way and the careful way say the same."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.api.mlflow import asks
from assay.api.mlflow.asks import Id, Int64, RunStatus
from assay.api.mlflow.calls import Table
from assay.api.mlflow.errors import Refused


class Inner(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a request."""

    some_key: str
    value: float = 0.0


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A request with a field of each kind."""

    run_id: str
    step_count: Int64 = 0
    status: RunStatus | None = None
    experiment_ids: list[Id] = []
    inner_parts: list[Inner] = []
    flag: bool = False


values = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**64), 2**64), st.floats(), st.text(max_size=5),
    st.sampled_from(["NaN", "Infinity", "-Infinity", "12", "1.5", "RUNNING", "3", "", "null"]),
)  # fmt: skip
parts = st.dictionaries(st.sampled_from(["some_key", "value", "someKey", "other"]), values)
fields = st.fixed_dictionaries(
    {},
    optional={
        "run_id": values, "run_uuid": values, "step_count": values, "status": values,
        "experiment_ids": st.one_of(values, st.lists(values, max_size=3)),
        "inner_parts": st.one_of(values, st.lists(parts, max_size=3)), "flag": values,
        "unknown": values,
    },
)  # fmt: skip


def read(body: bytes, *, carefully: bool) -> Any:
    try:
        if carefully:
            return asks._fit(Ask, json.loads(body))
        return asks.from_json(Ask, body, path={})
    except Refused as error:
        return error.code


def comparable(found: Any) -> Any:
    """Return something that is equal to itself, with not-a-number in it, too."""
    return repr(found)


@given(fields)
def test_both_ways_of_reading_say_the_same(given_: dict[str, Any]):
    text = json.dumps(given_)
    for name in ("NaN", "Infinity", "-Infinity"):  # Python writes them bare: that is no JSON
        text = (
            text.replace(f": {name}", ": 0").replace(f"[{name}", "[0").replace(f", {name}", ", 0")
        )
    body = text.encode()
    quick, careful = read(body, carefully=False), read(body, carefully=True)
    assert comparable(quick) == comparable(careful)


@given(fields)
def test_every_body_is_read_or_refused(given_: dict[str, Any]):
    found = read(json.dumps(given_).encode(), carefully=False)
    assert isinstance(found, Ask) or found == "INVALID_PARAMETER_VALUE"


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(body: bytes):
    found = read(body, carefully=False)
    assert isinstance(found, Ask) or found == "INVALID_PARAMETER_VALUE"


def test_a_body_that_is_nested_too_deep_is_refused():
    for deep in (b'{"run_id": "a", "other": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", b"[" * 90_000):
        with pytest.raises(Refused, match="JSON"):
            asks.from_json(Ask, deep, path={})


def test_a_query_names_a_list_several_times():
    query = {"run_id": ["r"], "experiment_ids": ["1", "2"], "status": ["1"], "flag": ["true"]}
    found = asks.from_query(Ask, query, path={})
    assert found == Ask(run_id="r", experiment_ids=["1", "2"], status="RUNNING", flag=True)
    assert asks.from_query(Ask, {"runId": ["r"]}, path={}).run_id == "r"
    assert asks.from_query(Ask, {"experimentIds": ["1", "2"]}, path={"run_id": "r"}) == Ask(
        run_id="r", experiment_ids=["1", "2"]
    )


def test_the_path_is_above_the_body():
    found = asks.from_json(Ask, b'{"run_id": "body", "step_count": 3}', path={"run_id": "path"})
    assert found == Ask(run_id="path", step_count=3)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"run_id": "r", "inner_parts": [{}]}', "'inner_parts[0].some_key'"),
        (b'{"run_id": "r", "inner_parts": [{"some_key": "k", "value": "x"}]}', "parts[0].value"),
        (b'{"run_id": "r", "experiment_ids": "1"}', "'experiment_ids'"),
        (b'{"run_id": "r", "runId": "r"}', "given twice"),
        (b'{"run_id": "r", "status": "running"}', "'status'"),
        (b'{"run_id": "r", "step_count": 9223372036854775808}', "'step_count'"),
        (b'{"run_id": "r", "step_count": "9223372036854775808"}', "'step_count'"),
    ],
)
def test_an_error_names_its_field(body: bytes, words: str):
    with pytest.raises(Refused) as raised:
        asks.from_json(Ask, body, path={})
    assert words in raised.value.what


@given(st.floats())
def test_numbers_come_back_as_they_went(value: float):
    sent = msgspec.json.encode({"some_key": "k", "value": asks.number(value)})
    found = asks.from_json(Inner, sent, path={}).value
    assert found == value or (math.isnan(found) and math.isnan(value))


def test_paths_with_parts_are_found():
    from assay.api.mlflow.calls import Call

    def function() -> None: ...

    calls = [
        Call(function, method="GET", path="/a/{id}", version=None, way="thread"),
        Call(function, method="PUT", path="/a/{id}", version=None, way="thread"),
        Call(function, method="GET", path="/f/{path:path}", version="2.0", way="thread"),
    ]
    table = Table(calls)
    found = table.find("/a/x y")
    assert found is not None
    assert (sorted(found[0]), found[1]) == (["GET", "PUT"], {"id": "x y"})
    assert table.find("/a/x/y") is None
    found = table.find("/ajax-api/2.0/f/x/y\nz")
    assert found is not None
    assert found[1] == {"path": "x/y\nz"}

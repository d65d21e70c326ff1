"""The protocol's bytes: what a client packs is what the model is given, bit by bit."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.bundle.signature import DATATYPES, Column, ColumnType, Output, Signature
from assay.serve import open_inference, predict
from assay.serve.limits import Limits, Refused
from assay.serve.predict import Beside

NUMBERS: list[ColumnType] = [type_ for type_ in DATATYPES if type_ != "string"]
LIMITS = Limits()


def signature(*types: ColumnType) -> Signature:
    columns = tuple(
        Column(name=f"c{at}", type=type_, missing="no") for at, type_ in enumerate(types)
    )
    output = Output(type="float64", shape=(-1,), classes=None, probabilities=False)
    return Signature(task="regression", columns=columns, output=output)


def request(
    columns: list[Any], types: list[ColumnType], *, binary: list[bool]
) -> tuple[bytes, str]:
    """Pack tensors as the protocol says, by hand."""
    inputs, tails = [], []
    for at, (values, type_) in enumerate(zip(columns, types, strict=True)):
        one: dict[str, Any] = {
            "name": f"c{at}",
            "shape": [len(values)],
            "datatype": DATATYPES[type_],
        }
        if not binary[at]:
            one["data"] = values if type_ == "string" else values.tolist()
        else:
            texts = [text.encode() for text in values] if type_ == "string" else []
            packed = b"".join(struct.pack("<I", len(text)) + text for text in texts)
            tails.append(packed if type_ == "string" else values.tobytes())
            one["parameters"] = {"binary_data_size": len(tails[-1])}
        inputs.append(one)
    head = json.dumps({"inputs": inputs}).encode()
    return head + b"".join(tails), str(len(head))


@given(st.data())
def test_binary_and_json_tensors_arrive_as_they_were_sent(data):
    n_rows = data.draw(st.integers(1, 5))
    types = data.draw(st.lists(st.sampled_from([*NUMBERS, "string"]), min_size=1, max_size=4))
    binary = [data.draw(st.booleans()) for _ in types]
    columns = [_column(data, type_, n_rows) for type_ in types]
    body, length = request(columns, types, binary=binary)
    found = open_inference.decode(
        body, length, signature(*types), beside=frozenset(), limits=LIMITS
    )
    enforced = signature(*types).enforce(found.columns)
    for values, type_, arrived in zip(columns, types, enforced.values(), strict=True):
        if type_ == "string":
            assert arrived.tolist() == values
        else:
            assert arrived.dtype == values.dtype
            assert arrived.tobytes() == values.tobytes()


def _column(data: st.DataObject, type_: str, n_rows: int) -> Any:
    if type_ == "string":
        return data.draw(st.lists(st.text(max_size=5), min_size=n_rows, max_size=n_rows))
    dtype = np.dtype(type_)
    if dtype.kind == "b":
        element: Any = st.booleans()
    elif dtype.kind == "f":
        element = st.floats(
            width=32 if dtype.itemsize == 4 else 64, allow_nan=False, allow_infinity=False
        )
    else:
        info = np.iinfo(dtype)
        element = st.integers(int(info.min), int(info.max))
    return np.array(data.draw(st.lists(element, min_size=n_rows, max_size=n_rows)), dtype)


@given(st.binary(max_size=60), st.one_of(st.none(), st.text(max_size=4)))
def test_no_body_does_more_than_be_refused(body, length):
    with pytest.raises(Refused):
        open_inference.decode(
            body, length, signature("int64", "string"), beside=frozenset(), limits=LIMITS
        )


@given(st.binary(max_size=40), st.integers(0, 5))
def test_no_bytes_of_texts_do_more_than_be_refused(tail, n_rows):
    one = {
        "name": "c0", "shape": [n_rows], "datatype": "BYTES",
        "parameters": {"binary_data_size": len(tail)},
    }  # fmt: skip
    head = json.dumps({"inputs": [one]}).encode()
    try:
        found = open_inference.decode(
            head + tail, str(len(head)), signature("string"), beside=frozenset(), limits=LIMITS
        )
    except Refused:
        pass
    else:
        texts = [text.encode() for text in found.columns["c0"]]
        assert b"".join(struct.pack("<I", len(text)) + text for text in texts) == tail


@given(st.lists(st.tuples(st.integers(-(10**12), 10**12)), min_size=1))
def test_event_times_are_the_same_as_text_and_as_milliseconds(given_):
    times = [time for (time,) in given_]
    beside = Beside(times=frozenset({"at"}))
    numbers = predict.ask({"c0": times, "at": times}, signature("int64"), beside)
    texts = predict.ask({"c0": times, "at": numbers.columns["at"]}, signature("int64"), beside)
    assert numbers.event_time == texts.event_time == times
    assert numbers.columns == texts.columns
    assert list(numbers.features) == ["c0"]

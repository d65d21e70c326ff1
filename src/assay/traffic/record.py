"""What the log keeps: one record a request, one truth for what came out, and their bytes.

Both are MessagePack maps with the names of the fields; a field without a value is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from assay.base.errors import Error
from assay.traffic.ids import split_id

Value = Any
"""A number, text, a boolean, None, or a list of such (a tensor)."""


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One answered request.

    Attributes
    ----------
    id : str
        The prediction id.
    version, bundle : str
        The model's version (`name/3`) and the id of its bundle.
    at : int
        When the request came, in Unix milliseconds.
    latency : float
        Seconds from then to the answer.
    inputs, outputs : mapping of str to sequence
        By column, one value a row. A NumPy array will do; what is given must not change later.
    event_time : sequence, optional
        Unix milliseconds by row, from the time column that the declaration names.
    status : str
        'ok', or the kind of the error.
    """

    id: str
    endpoint: str
    version: str
    bundle: str
    at: int
    latency: float
    n_rows: int
    inputs: Mapping[str, Sequence[Value]]
    outputs: Mapping[str, Sequence[Value]]
    event_time: Sequence[int | None] | None = None
    request_id: str | None = None
    deployment: str | None = None
    status: str = "ok"

    @property
    def n_values(self) -> int:
        """How many values it holds, a tensor being one."""
        return self.n_rows * (len(self.inputs) + len(self.outputs))


class Truth(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a prediction should have been, by its id or by the value of a key column.

    Attributes
    ----------
    id : str
        A UUIDv7 of its own; it says in which order truths arrived.
    prediction_id : str, optional
        `ID/ROW`, or `ID` for a request of one row.
    column, key : str and value, optional
        An input column and the value in it.
    at : int
        When this became known, in Unix milliseconds; the latest truth is the one that counts.
    endpoint : str, optional
        Where only the predictions of one endpoint are meant.
    source : str, optional
        Who says so.
    """

    id: str
    target: Value
    at: int
    prediction_id: str | None = None
    column: str | None = None
    key: Value = None
    endpoint: str | None = None
    source: str | None = None

    @property
    def n_values(self) -> int:
        """How many values it holds."""
        return 1


def encode(record: Record | Truth) -> bytes:
    """Return the bytes of a record.

    Raises
    ------
    assay.Error
        If a column has not one value a row, or the id is not a request's.
    TypeError, ValueError, OverflowError
        If a value has no form in MessagePack.
    """
    if split_id(record.id) != (record.id, None):
        raise Error("the id of a record is a UUIDv7 in lower case", where=record.id)
    if isinstance(record, Record):
        _check(record)
    return _encoder.encode(record)


def decode_record(payload: bytes | memoryview) -> Record:
    """Return a record from its bytes; raises `msgspec.MsgspecError` if they are not one."""
    return _records.decode(payload)


def decode_truth(payload: bytes | memoryview) -> Truth:
    """Return a truth from its bytes; raises `msgspec.MsgspecError` if they are not one."""
    return _truths.decode(payload)


def _check(record: Record) -> None:
    n_rows = record.n_rows
    for kind, columns in (("input", record.inputs), ("output", record.outputs)):
        for name, values in columns.items():
            if len(values) != n_rows:
                what = f"the {kind} '{name}' has {len(values)} values; the request {n_rows} rows"
                raise Error(what, where=record.id)
    if record.event_time is not None and len(record.event_time) != n_rows:
        raise Error("there is not one event time a row", where=record.id)


def _plain(value: Any) -> Any:
    """Return arrays and scalars of NumPy, which is not imported here, as what they hold."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a value of type '{type(value).__name__}' cannot be logged")


_encoder = msgspec.msgpack.Encoder(enc_hook=_plain)
_records = msgspec.msgpack.Decoder(Record)
_truths = msgspec.msgpack.Decoder(Truth)

"""Let a version answer a table, and the JSON form of that: rows by column name.

The columns of a table are those of the model, and beside them the key and time columns that the
declaration names: these are logged, so that truth can be joined by them, and not given to the
model.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from assay.bundle import columns as tables
from assay.bundle.columns import InvalidRows
from assay.serve import bodies
from assay.serve.limits import Refused, sentence

if TYPE_CHECKING:
    from assay.bundle.signature import Signature
    from assay.serve.versions import Served

Scalar = bool | int | float | str | None
Row = dict[str, Scalar]
Columns = dict[str, Any]


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """Columns that a request may have beside those of the model.

    Attributes
    ----------
    keys : frozenset of str
        They name a row; truth can be given by them.
    times : frozenset of str
        Event time: ISO 8601 text, UTC where it has no offset, or whole Unix milliseconds.
    """

    keys: frozenset[str] = frozenset()
    times: frozenset[str] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        """All of them."""
        return self.keys | self.times


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A table that was sent: all its columns, and of them what the model is given."""

    columns: Columns
    features: Columns
    event_time: list[int | None] | None
    n_rows: int


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a version said; `seconds` is what the model took."""

    served: Served
    outputs: dict[str, Any]
    n_rows: int
    seconds: float


class Rows(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /predict`: rows by column name, and an id of the client's choice."""

    rows: list[Row]
    id: str | None = None


def ask(columns: Columns, signature: Signature, beside: Beside) -> Asked:
    """Return a table with what the model is given apart.

    Raises
    ------
    InvalidRows
        If columns differ in length, or a column beside is none.
    """
    columns = tables.of(columns)
    names = beside.names.difference(signature.names)
    given = names.intersection(columns)
    features = {name: values for name, values in columns.items() if name not in given}
    for name in given:
        _check_beside(name, columns[name])
    at = next((name for name in sorted(beside.times) if name in columns), None)
    return Asked(
        columns=columns,
        features=features,
        event_time=None if at is None else _milliseconds(at, columns[at]),
        n_rows=tables.n_rows(columns),
    )


def answer(served: Served, asked: Asked) -> Answer:
    """Let a version answer; runs in a thread of its own.

    Raises
    ------
    Refused
        With 400 for a table that is not the model's, 500 where the model stumbles.
    """
    began = time.perf_counter()
    try:
        outputs = served.bundle.answers(asked.features)
    except InvalidRows as error:
        raise Refused(400, sentence(error)) from error
    except Exception as error:
        name = type(error).__name__
        raise Refused(500, f"the model failed with {name}") from error
    return Answer(
        served=served,
        outputs=outputs,
        n_rows=asked.n_rows,
        seconds=time.perf_counter() - began,
    )


def decode(body: bytes) -> tuple[Columns, str | None]:
    """Return the columns that the body of `POST /predict` has, and the client's id."""
    found = bodies.decode(_ROWS, body)
    rows, id_ = (found.rows, found.id) if isinstance(found, Rows) else (found, None)
    return tables.of(rows), id_


def encode(answer: Answer, *, id_: str | None, prediction_id: str) -> bytes:
    """Return the body of the answer; a number that is none is null."""
    output = answer.served.bundle.signature.output
    document: dict[str, Any] = {
        "model_name": answer.served.model,
        "model_version": answer.served.version,
        "prediction_id": prediction_id,
        "predictions": answer.outputs["predict"].tolist(),
    }
    if id_ is not None:
        document["id"] = id_
    if "predict_proba" in answer.outputs:
        document["probabilities"] = answer.outputs["predict_proba"].tolist()
        document["classes"] = output.classes
    return msgspec.json.encode(document)


def _check_beside(name: str, values: Sequence[Any]) -> None:
    dtype = getattr(values, "dtype", None)
    if dtype is not None and dtype.kind in "biu":
        return
    for at, value in enumerate(values):
        if value is not None and not isinstance(value, str | int):
            raise InvalidRows(
                f"the value of row {at + 1} is a {type(value).__name__}; expected is text or a "
                "whole number",
                where=f"column '{name}'",
            )


def _milliseconds(name: str, values: Sequence[Any]) -> list[int | None]:
    """Return event times as Unix milliseconds."""
    plain = values.tolist() if hasattr(values, "tolist") else values
    return [_moment(name, at, value) for at, value in enumerate(plain)]


def _moment(name: str, at: int, value: Any) -> int | None:
    if value is None:
        return None
    if type(value) is int and -(2**53) < value < 2**53:
        return value
    try:
        moment = dt.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise InvalidRows(
            f"the value of row {at + 1} is {repr(value)[:60]}; expected is a time",
            where=f"column '{name}'",
            hint="send ISO 8601 text, or whole Unix milliseconds",
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return round(moment.timestamp() * 1000)


_ROWS: msgspec.json.Decoder[list[Row] | Rows] = msgspec.json.Decoder(list[Row] | Rows)

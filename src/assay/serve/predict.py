"""Let a version answer a table, and the JSON form of that: rows by column name.

The columns of a table are those of the model, and beside them the key and time columns that the
declaration names: these are logged, so that truth can be joined by them, and not given to the
model.
"""

from __future__ import annotations

import datetime as dt
import re
import time
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.errors import did_you_mean
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
    """Columns that a request may have beside those of the model; all are logged as text.

    Attributes
    ----------
    keys : frozenset of str
        They name a row; truth can be given by them.
    times : frozenset of str
        Event time: ISO 8601 text, UTC where it has no offset, or whole Unix milliseconds. It is
        logged in the form `2012-01-01T08:00:00`, in UTC.
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
        If columns differ in length, one that is not known stands where another is missing, or a
        column beside is none.
    """
    columns = dict(tables.of(columns))
    given = beside.names.difference(signature.names).intersection(columns)
    features = {name: values for name, values in columns.items() if name not in given}
    _check_names(features, signature)
    event_time = None
    for name in sorted(given):
        plain = list(columns[name])
        if name in beside.times:
            event_time = [_moment(name, at, value) for at, value in enumerate(plain)]
            columns[name] = [None if ms is None else _iso(ms) for ms in event_time]
        else:
            columns[name] = [_key(name, at, value) for at, value in enumerate(plain)]
    return Asked(
        columns=columns,
        features=features,
        event_time=event_time,
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
        raise Refused(400, sentence(_as_ids_count(error))) from error
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
    try:
        found = bodies.decode(_ROWS, body)
    except Refused as error:
        raise _without_rows(body) or error from None
    rows, id_ = (found.rows, found.id) if isinstance(found, Rows) else (found, None)
    try:
        return tables.of(rows), id_
    except InvalidRows as error:
        raise _as_ids_count(error) from error


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


def _without_rows(body: bytes) -> Refused | None:
    """Return what to say of a body that is one object without rows: a row, or another's form."""
    found = bodies.keys(body) if body.lstrip().startswith(b"{") else []
    if not found or "rows" in found[0]:
        return None
    first = f", with '{found[0][0][:60]}'" if found[0] else ""
    return Refused(
        400,
        f"the body is one object without 'rows'{first}",
        hint='send a list of rows, or {"rows": [...]}',
    )


def _check_names(features: Columns, signature: Signature) -> None:
    """Refuse a name that is not known where the column that it is near to is missing."""
    missing = [name for name in signature.names if name not in features]
    for name in features:
        near = did_you_mean(name, missing) if name not in signature.names else None
        if near is not None:
            raise InvalidRows(f"'{name}' is not known", hint=near)


def _as_ids_count(error: InvalidRows) -> InvalidRows:
    """Return an error that counts rows from 0, as `ID/0` does; those of a bundle begin at 1."""

    def lower(match: re.Match[str]) -> str:
        return f"{match[1]}{int(match[2]) - 1}"

    what = re.sub(r"\A(the value of row )(\d+)", lower, error.what)
    where = None if error.where is None else re.sub(r"\A(row )(\d+)\Z", lower, error.where)
    return InvalidRows(what, where=where, hint=error.hint)


def _key(name: str, at: int, value: Any) -> str | None:
    """Return the value of a key as text, so that no client can change the type of the column."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise InvalidRows(
            f"the value of row {at} is {_shown(value)}; expected is text or a whole number",
            where=f"column '{name}'",
        )
    return str(int(value))


def _moment(name: str, at: int, value: Any) -> int | None:
    """Return an event time as Unix milliseconds."""
    if value is None:
        return None
    try:
        if isinstance(value, str):
            moment = dt.datetime.fromisoformat(value)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
            return (moment - _EPOCH) // dt.timedelta(milliseconds=1)
        if not isinstance(value, bool) and hasattr(value, "__index__"):
            _iso(int(value))
            return int(value)
    except (ValueError, OverflowError):
        pass
    raise InvalidRows(
        f"the value of row {at} is {_shown(value)}; expected is a time",
        where=f"column '{name}'",
        hint="send ISO 8601 text, or whole Unix milliseconds",
    )


def _iso(milliseconds: int) -> str:
    """Return a time as text in UTC, with a fraction only where there is one."""
    moment = _EPOCH + dt.timedelta(milliseconds=milliseconds)
    precision = "milliseconds" if milliseconds % 1000 else "seconds"
    return moment.replace(tzinfo=None).isoformat(timespec=precision)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_ROWS: msgspec.json.Decoder[list[Row] | Rows] = msgspec.json.Decoder(list[Row] | Rows)

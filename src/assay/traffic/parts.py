"""Records as tables: rows, columns, and no two types in one column.

Records of one endpoint with the same columns make one part, as long as the types of the columns
go together; others begin a new part. So nothing is lost here, and where types contradict each
other a reader can say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from assay.base.errors import Error
from assay.traffic.columns import as_text, exact_type, type_of, widen
from assay.traffic.ids import row_id, time_of
from assay.traffic.record import Record, Truth, decode_record, decode_truth

PREDICTION: dict[str, str] = {
    "prediction_id": "VARCHAR",
    "request_id": "VARCHAR",
    "endpoint": "VARCHAR",
    "version": "VARCHAR",
    "bundle": "VARCHAR",
    "deployment": "VARCHAR",
    "at": "BIGINT",
    "event_time": "BIGINT",
    "latency": "DOUBLE",
    "n_rows": "BIGINT",
    "row": "BIGINT",
    "status": "VARCHAR",
}
"""The columns that every row of the log has, and their types."""

TRUTH: dict[str, str] = {
    "truth_id": "VARCHAR",
    "prediction_id": "VARCHAR",
    "column": "VARCHAR",
    "key": "VARCHAR",
    "endpoint": "VARCHAR",
    "target": "VARCHAR",
    "target_type": "VARCHAR",
    "at": "BIGINT",
    "source": "VARCHAR",
}
"""The columns of the log of truths; key and target are text there."""

INPUT, OUTPUT = "input.", "output."


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that go together, by column.

    Attributes
    ----------
    versions : list of str
        The model versions that made them.
    first, last : int
        Unix milliseconds: all `at`, and the times in all ids, lie between.
    """

    endpoint: str | None
    types: dict[str, str]
    values: dict[str, list[Any]]
    first: int
    last: int
    versions: list[str] = []

    @property
    def n_rows(self) -> int:
        """How many rows it has."""
        return len(next(iter(self.values.values())))


def decoded(payloads: Iterable[memoryview], *, truths: bool, where: Path) -> list[Any]:
    """Return the records, or truths, of a file.

    Raises
    ------
    assay.Error
        If sound bytes are not a record of this version's form.
    """
    decode: Callable[[memoryview], Record | Truth] = decode_truth if truths else decode_record
    try:
        return [decode(payload) for payload in payloads]
    except msgspec.MsgspecError as error:
        raise Error(
            f"it holds a record of another form: {error}",
            where=where,
            hint="it was written by another version of assay; read or roll it with that one",
        ) from error


def prediction_parts(records: Iterable[Record]) -> list[Part]:
    """Return the rows of requests in as few parts as their types allow."""
    alike: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        if record.n_rows:
            key = (record.endpoint, *record.inputs, None, *record.outputs)
            alike.setdefault(key, []).append(record)
    return [part for group in alike.values() for part in _parts(group)]


def truth_parts(truths: Sequence[Truth]) -> list[Part]:
    """Return truths as one part, or none."""
    if not truths:
        return []
    targets = [target_text(one.target) for one in truths]
    moments = [one.at for one in truths] + [time_of(one.id) for one in truths]
    values: dict[str, list[Any]] = {
        "truth_id": [one.id for one in truths],
        "prediction_id": [one.prediction_id for one in truths],
        "column": [one.column for one in truths],
        "key": [key_text(one.key) for one in truths],
        "endpoint": [one.endpoint for one in truths],
        "target": [text for text, _ in targets],
        "target_type": [type_ for _, type_ in targets],
        "at": [one.at for one in truths],
        "source": [one.source for one in truths],
    }
    return [Part(endpoint=None, types=TRUTH, values=values, first=min(moments), last=max(moments))]


def target_text(target: Any) -> tuple[str | None, str]:
    """Return a target as text that DuckDB casts to the type that goes with it.

    Equal targets have equal text: 1.0 is 1.

    Examples
    --------
    >>> target_text(1.0), target_text(2.5), target_text(True), target_text([1, 2.0])
    (('1', 'BIGINT'), ('2.5', 'DOUBLE'), ('true', 'BOOLEAN'), ('[1,2]', 'BIGINT[]'))
    """
    plain = _plain_number(target)
    return as_text(plain), type_of([plain])


def key_text(key: Any) -> str | None:
    """Return a key as text; 1.0 is 1."""
    return as_text(_plain_number(key))


def _plain_number(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain_number(one) for one in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def _parts(records: list[Record]) -> list[Part]:
    """Return records with the same columns as one part, or more where types contradict."""
    columns = _columns(records)
    types = {name: exact_type(values) for name, values in columns.items()}
    known = {name: type_ for name, type_ in types.items() if type_ is not None}
    if len(known) == len(types):
        return [_part(records, columns, known)]
    groups: list[tuple[list[Record], dict[str, str]]] = []
    for record in records:
        own = {name: type_of(values) for name, values in _columns([record]).items()}
        for group, wide in groups:
            if _widened(wide, own):
                group.append(record)
                break
        else:
            groups.append(([record], own))
    return [_part(group, _columns(group), wide) for group, wide in groups]


def _widened(types: dict[str, str], own: dict[str, str]) -> bool:
    """Widen types so that they hold others; false, and nothing done, where they cannot."""
    wide = {name: widen(type_, own[name]) for name, type_ in types.items()}
    if any(type_ is None or type_.startswith("HUGEINT") for type_ in wide.values()):
        return False  # Parquet has no HUGEINT
    types |= {name: type_ for name, type_ in wide.items() if type_ is not None}
    return True


def _columns(records: Sequence[Record]) -> dict[str, list[Any]]:
    """Return the logged values of records with the same columns."""
    inputs, outputs = [one.inputs for one in records], [one.outputs for one in records]
    return {
        prefix + name: list(chain.from_iterable([columns[name] for columns in all_columns]))
        for prefix, all_columns in ((INPUT, inputs), (OUTPUT, outputs))
        for name in all_columns[0]
    }


def _part(records: list[Record], columns: dict[str, list[Any]], types: dict[str, str]) -> Part:
    def repeated(field: str) -> list[Any]:
        return [value for one in records for value in [getattr(one, field)] * one.n_rows]

    values = {name: repeated(name) for name in PREDICTION if name not in _BY_ROW}
    times = [one.event_time or [None] * one.n_rows for one in records]
    values["prediction_id"] = [row_id(one.id, row) for one in records for row in range(one.n_rows)]
    values["row"] = [row for one in records for row in range(one.n_rows)]
    values["event_time"] = list(chain.from_iterable(times))
    moments = [one.at for one in records] + [time_of(one.id) for one in records]
    return Part(
        endpoint=records[0].endpoint,
        versions=list(dict.fromkeys(one.version for one in records)),
        types=PREDICTION | types,
        values={name: values[name] for name in PREDICTION} | columns,
        first=min(moments),
        last=max(moments),
    )


_BY_ROW = {"prediction_id", "row", "event_time"}

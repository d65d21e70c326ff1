"""Records as tables: rows, columns, and no two types in one column.

Records of one endpoint with the same columns make one part, as long as the types of the columns
go together; others begin a new part. So nothing is lost here, and where types contradict each
other a reader can say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from assay.base.errors import Error
from assay.traffic.columns import as_text, type_of, widen
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


class Part(msgspec.Struct, kw_only=True):
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

    def stretch(self, *moments: int) -> None:
        """Make the times include some more."""
        self.first, self.last = min(self.first, *moments), max(self.last, *moments)


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
    """Return the rows of requests, in order, in as few parts as their types allow."""
    parts: dict[tuple[Any, ...], list[Part]] = {}
    found: list[Part] = []
    for record in records:
        if not record.n_rows:
            continue
        own = {INPUT + name: values for name, values in record.inputs.items()}
        own |= {OUTPUT + name: values for name, values in record.outputs.items()}
        types = {name: type_of(values) for name, values in own.items()}
        alike = parts.setdefault((record.endpoint, *own), [])
        part = next((part for part in alike if _fits(part, types)), None)
        if part is None:
            part = Part(
                endpoint=record.endpoint,
                types=PREDICTION | types,
                values={name: [] for name in (*PREDICTION, *types)},
                first=record.at,
                last=record.at,
            )
            alike.append(part)
            found.append(part)
        _add(part, record, own)
    return found


def truth_parts(truths: Sequence[Truth]) -> list[Part]:
    """Return truths as one part, or none."""
    if not truths:
        return []
    part = Part(
        endpoint=None,
        types=dict(TRUTH),
        values={name: [] for name in TRUTH},
        first=truths[0].at,
        last=truths[0].at,
    )
    for truth in truths:
        target, target_type = target_text(truth.target)
        row = (
            truth.id, truth.prediction_id, truth.column, key_text(truth.key), truth.endpoint,
            target, target_type, truth.at, truth.source,
        )  # fmt: skip
        for values, value in zip(part.values.values(), row, strict=True):
            values.append(value)
        part.stretch(truth.at, time_of(truth.id))
    return [part]


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


def _fits(part: Part, types: dict[str, str]) -> bool:
    """Say whether rows with these types go into a part, and see to it that they do."""
    if all(part.types[name] == type_ for name, type_ in types.items()):
        return True
    wide = {name: widen(part.types[name], type_) for name, type_ in types.items()}
    if any(type_ is None or type_.startswith("HUGEINT") for type_ in wide.values()):
        return False  # Parquet has no HUGEINT
    part.types |= {name: type_ for name, type_ in wide.items() if type_ is not None}
    return True


def _add(part: Part, record: Record, own: dict[str, Sequence[Any]]) -> None:
    n_rows, values = record.n_rows, part.values
    fixed = {
        "request_id": record.request_id, "endpoint": record.endpoint, "version": record.version,
        "bundle": record.bundle, "deployment": record.deployment, "at": record.at,
        "latency": record.latency, "n_rows": n_rows, "status": record.status,
    }  # fmt: skip
    for name, value in fixed.items():
        values[name].extend([value] * n_rows)
    values["prediction_id"].extend(row_id(record.id, row) for row in range(n_rows))
    values["row"].extend(range(n_rows))
    values["event_time"].extend(record.event_time or [None] * n_rows)
    for name, column in own.items():
        values[name].extend(column)
    if record.version not in part.versions:
        part.versions.append(record.version)
    part.stretch(record.at, time_of(record.id))

"""Do a few rows fit a schema? For serving: plain Python on plain values, no engine, no profile.

Types are strict, as a request's JSON has them: text is no number, true is no integer. What only
a whole table can show (shares, uniqueness, freshness) is not asked.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from assay.data.anomalies import Anomaly, Example
from assay.project.declaration import ColumnSchema, NumberDomain, Presence, TableSchema

N_EXAMPLES = 3

Row = Mapping[str, Any]
Finding = tuple[str, str, str]
"""Type, short description and description of what is wrong with a value."""
ValueCheck = Callable[[Any], Finding | None]
RowCheck = Callable[[Sequence[Row]], list[Anomaly]]

_TYPE_NAMES: dict[type, str] = {bool: "BOOL", int: "INT", float: "FLOAT", str: "STRING",
                                dt.datetime: "TIME", dt.date: "TIME"}  # fmt: skip


def validate_rows(
    schema: TableSchema, rows: Sequence[Row], *, columns: Collection[str] | None = None
) -> list[Anomaly]:
    """Check rows against a schema; `row_check` makes a function that does so many times.

    Parameters
    ----------
    schema : TableSchema
        What is expected.
    rows : sequence of mapping
        Values by column; None is a missing value, and so is a column that is not there.
    columns : collection of str, optional
        The columns that a row may have, such as those of a model's signature; by default all of
        the schema.
    """
    return row_check(schema, columns=columns)(rows)


def row_check(schema: TableSchema, *, columns: Collection[str] | None = None) -> RowCheck:
    """Return the function that checks rows against a schema."""
    expected = {
        name: column
        for name, column in schema.columns.items()
        if columns is None or name in columns
    }
    known = frozenset(expected) if columns is None else frozenset(columns)
    checks = [(name, _value_check(column)) for name, column in expected.items()]

    def check(rows: Sequence[Row]) -> list[Anomaly]:
        found: dict[tuple[str, Finding | tuple[str, str, str]], list[Example]] = {}
        counts: dict[tuple[str, Finding], int] = {}
        for at, row in enumerate(rows):
            wrong = [
                (name, finding)
                for name, value_check in checks
                if (finding := value_check(row.get(name, _ABSENT))) is not None
            ]
            if not known.issuperset(row):
                wrong += [(name, _NEW) for name in row if name not in known]
            for fault in wrong:
                counts[fault] = counts.get(fault, 0) + 1
                examples = found.setdefault(fault, [])
                if len(examples) < N_EXAMPLES:
                    value = row.get(fault[0])
                    shown = None if value is None else str(value)
                    examples.append(Example(value=shown, row=at))
        return [
            Anomaly(
                type=finding[0],
                column=name,
                severity=_severity(finding[0], expected.get(name)),
                short_description=finding[1],
                description=finding[2],
                n_rows=counts[name, finding],
                share=counts[name, finding] / len(rows),
                examples=tuple(examples),
            )
            for (name, finding), examples in found.items()
        ]

    return check


_ABSENT = object()
_NEW = ("SCHEMA_NEW_COLUMN", "New column", "New column (column in data but not in schema)")
_GONE = ("SCHEMA_MISSING_COLUMN", "Column dropped", "Column is completely missing")
_MISSING = (
    "FEATURE_TYPE_LOW_FRACTION_PRESENT",
    "Column dropped",
    "The feature was expected everywhere, but was missing.",
)
_SOFT = ("_SMALL_INT", "_BIG_INT", "_SMALL_FLOAT", "_BIG_FLOAT", "_EARLY_TIME", "_LATE_TIME")


def _severity(type_: str, expected: ColumnSchema | None) -> Any:
    soft = expected is not None and expected.inferred and type_.endswith(_SOFT)
    return "warning" if soft else "error"


def _value_check(expected: ColumnSchema) -> ValueCheck:
    """Return the check of one value of a column."""
    everywhere = (expected.presence or Presence()).min_fraction == 1
    check_type = _type_check(expected)
    check_domain = _domain_check(expected)

    def check(value: Any) -> Finding | None:
        if value is None or value is _ABSENT:
            if not everywhere:
                return None
            return _GONE if value is _ABSENT else _MISSING
        return check_type(value) or check_domain(value)

    return check


_ACCEPTED: dict[str, tuple[type, ...]] = {
    "INT": (int,),
    "FLOAT": (float, int),
    "BYTES": (str,),
    "BOOL": (bool,),
    "TIME": (dt.datetime, dt.date, str),
    "STRUCT": (list, tuple, dict),
}


def _type_check(expected: ColumnSchema) -> ValueCheck:
    wanted = expected.type
    accepted = _ACCEPTED[wanted]
    shown = "STRING" if wanted == "BYTES" else wanted

    def check(value: Any) -> Finding | None:
        if isinstance(value, accepted) and (wanted == "BOOL" or not isinstance(value, bool)):
            if wanted != "TIME" or _moment(value) is not None:
                return None
            got = "STRING"
        else:
            got = _TYPE_NAMES.get(type(value), type(value).__name__.upper())
        text = f"Expected data of type: {shown} but got {got}."
        return "UNEXPECTED_DATA_TYPE", "Unexpected data type", text

    return check


def _domain_check(expected: ColumnSchema) -> ValueCheck:
    numbers = expected.int_domain or expected.float_domain
    if numbers is not None and expected.type in {"INT", "FLOAT"}:
        return _number_check(numbers, kind=expected.type)
    if numbers is not None and expected.type == "BYTES":
        return _parsed_check(numbers, whole=expected.int_domain is not None)
    texts = expected.string_domain
    if texts is not None and texts.value and texts.min_domain_mass == 1:
        known = frozenset(texts.value)
        return lambda value: None if value in known else (
            "ENUM_TYPE_UNEXPECTED_STRING_VALUES",
            "Unexpected string values",
            "Examples contain values missing from the schema.",
        )  # fmt: skip
    if expected.time_domain is not None:
        return _time_check(expected)
    return lambda _: None


def _number_check(domain: NumberDomain, *, kind: str) -> ValueCheck:
    low = -math.inf if domain.min is None else domain.min
    high = math.inf if domain.max is None else domain.max
    short = "Out-of-range values"

    def check(value: Any) -> Finding | None:
        if value != value:  # noqa: PLR0124 -- only NaN differs from itself
            if domain.disallow_nan:
                return "FLOAT_TYPE_HAS_NAN", "Invalid values", "Float values include NaN."
            return None
        if domain.disallow_inf and value in {math.inf, -math.inf}:
            return "FLOAT_TYPE_HAS_INF", "Invalid values", "Float values include infinities."
        if value < low:
            return f"{kind}_TYPE_SMALL_{kind}", short, f"Unexpectedly low values: below {low:.6g}."
        if value > high:
            return f"{kind}_TYPE_BIG_{kind}", short, f"Unexpectedly high value: above {high:.6g}."
        return None

    return check


def _parsed_check(domain: NumberDomain, *, whole: bool) -> ValueCheck:
    """Return the check of texts that have to parse as numbers."""
    inner = _number_check(domain, kind="INT" if whole else "FLOAT")
    parse: Callable[[str], float] = int if whole else float
    type_ = "INT_TYPE_NOT_INT_STRING" if whole else "FLOAT_TYPE_STRING_NOT_FLOAT"
    what = "integers" if whole else "floats"

    def check(value: Any) -> Finding | None:
        try:
            number = None if "_" in value else parse(value)
        except ValueError:
            number = None
        if number is None:
            return type_, "Invalid values", f"String values that were not {what} were found."
        return inner(number)

    return check


def _time_check(expected: ColumnSchema) -> ValueCheck:
    domain = expected.time_domain
    low = _moment(domain.min) if domain is not None and domain.min is not None else None
    high = _moment(domain.max) if domain is not None and domain.max is not None else None
    short = "Out-of-range values"

    def check(value: Any) -> Finding | None:
        moment = _moment(value)
        if moment is None:
            return None
        if low is not None and moment < low:
            return "TIME_TYPE_EARLY_TIME", short, f"Unexpectedly early times: before {low}."
        if high is not None and moment > high:
            return "TIME_TYPE_LATE_TIME", short, f"Unexpectedly late times: after {high}."
        return None

    return check


def _moment(value: Any) -> dt.datetime | None:
    """Return a moment without a zone, in UTC; None where the value is none."""
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, dt.datetime):
        value = dt.datetime(value.year, value.month, value.day)  # noqa: DTZ001 -- as written
    if value.tzinfo is None:
        return value  # type: ignore[no-any-return]
    return value.astimezone(dt.UTC).replace(tzinfo=None)  # type: ignore[no-any-return]

"""What is expected of a table: inferred from its profile, as plain data, and as types to read by.

The form is `assay.project.declaration.TableSchema`, in TFDV's words. What is inferred on top of
TFDV's rules (ranges of numbers, unique columns, no NaN where there was none) is a suggestion:
`inferred: true` stays on a column until a person reviews it, and until then its range and its
uniqueness only warn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from typing import Any, Literal

import msgspec

from assay.data.columns import Column
from assay.data.infer import LogicalType
from assay.data.profile import Profile
from assay.data.read import Table
from assay.project.declaration import (
    ColumnSchema,
    NumberDomain,
    Presence,
    StringDomain,
    TableSchema,
)

SchemaType = Literal["INT", "FLOAT", "BYTES", "BOOL", "TIME", "STRUCT"]
Tails = Mapping[str, Sequence[float]]
"""By column the quantiles .001, .25, .75 and .999 of its finite values."""

MAX_STRING_DOMAIN_SIZE = 100
KEY_ROWS = 20  # so few rows may all differ by chance
N_IQR = 3
TYPES: dict[LogicalType, SchemaType] = {
    "integer": "INT",
    "float": "FLOAT",
    "boolean": "BOOL",
    "time": "TIME",
    "category": "BYTES",
    "text": "BYTES",
    "other": "STRUCT",
}
_FITTING: dict[str, frozenset[LogicalType]] = {
    "INT": frozenset({"integer"}),
    "FLOAT": frozenset({"float", "integer"}),
    "BOOL": frozenset({"boolean"}),
    "TIME": frozenset({"time"}),
    "BYTES": frozenset({"category", "text"}),
    "STRUCT": frozenset({"other"}),
}
_READ_AS: dict[str, LogicalType] = {
    "INT": "integer",
    "FLOAT": "float",
    "BOOL": "boolean",
    "TIME": "time",
    "BYTES": "category",
}


def infer(profile: Profile, *, tails: Tails | None = None, key: Sequence[str] = ()) -> TableSchema:
    """Return a schema that the profiled table fits.

    Parameters
    ----------
    profile : Profile
        What is in the table.
    tails : mapping, optional
        What `tails` found in the rows: without it no range of numbers is suggested. A profile
        knows quantiles that far out from a sketch only, which gives another one each time.
    key : sequence of str
        The columns that name a row; a single one is checked as the key, not as unique.
    """
    found = {
        column.name: infer_column(
            column,
            tails=(tails or {}).get(column.name),
            is_key=list(key) == [column.name],
        )
        for column in profile.columns
    }
    return TableSchema(columns=found, min_examples_count=1)


def infer_column(
    column: Column, *, tails: Sequence[float] | None = None, is_key: bool = False
) -> ColumnSchema:
    """Return what a column with this profile fits."""
    everywhere = column.n_present > 0 and not column.n_missing
    result = ColumnSchema(
        type=TYPES[column.type],
        presence=Presence(
            min_fraction=1.0 if everywhere else None, min_count=1 if column.n_present else 0
        ),
        unique=_is_unique(column) and not is_key,
        inferred=True,
    )
    if is_key or result.unique:  # the next row has another value, so there is no range
        tails = None
    if column.type == "integer":
        return msgspec.structs.replace(result, int_domain=_range(tails, whole=True))
    if column.type == "float" and (numbers := column.numbers) is not None and numbers.n_finite:
        domain = _range(tails, whole=False) or NumberDomain()
        n_infinite = numbers.n_positive_infinity + numbers.n_negative_infinity
        domain = msgspec.structs.replace(
            domain, disallow_nan=not numbers.n_nan, disallow_inf=not n_infinite
        )
        return msgspec.structs.replace(
            result, float_domain=None if domain == NumberDomain() else domain
        )
    if values := _categories(column):
        return msgspec.structs.replace(result, string_domain=StringDomain(value=values))
    return result


def accepting(column: Column, *, unless: SchemaType | None = None) -> ColumnSchema:
    """Return a schema that every value of a column fits, also those that are not of its type.

    A column of which one value in twenty is of another type is read as the type of the others:
    what accepts all of them is text. So it is where the type is `unless`, which did not hold.
    """
    result = infer_column(column)
    if not column.n_invalid and result.type != unless:
        return result
    return ColumnSchema(type="BYTES", presence=result.presence, inferred=True)


def tails(table: Table) -> dict[str, tuple[float, ...]]:
    """Return for columns of numbers the quantiles that suggest a range, by one query."""
    columns = [column for column in table.columns if column.type in {"integer", "float"}]
    rows = table.aggregate(
        [
            [f"quantile_cont({ref}, [0.001, 0.25, 0.75, 0.999]) FILTER (isfinite({ref}))"]
            for ref in (f"{column.ref}::DOUBLE" for column in columns)
        ]
    )
    return {
        column.name: tuple(quantiles)
        for column, (quantiles,) in zip(columns, rows, strict=True)
        if quantiles is not None
    }


def suggested_range(quantiles: Sequence[float]) -> tuple[float, float] | None:
    """Return quantile .001 - 3 IQR and .999 + 3 IQR, rounded outwards to a hundredth of the IQR.

    None where the IQR is 0: half of the values are equal, and say nothing about the others.

    Examples
    --------
    >>> suggested_range([0.0213, 10.0, 12.5, 31.77])
    (-7.5, 39.3)
    """
    low, first, third, high = quantiles
    spread = third - first
    if not spread > 0 or not math.isfinite(high - low + 2 * N_IQR * spread):
        return None
    with localcontext() as context:
        context.prec = 700  # a double has fewer digits
        unit = Decimal(1).scaleb(math.floor(math.log10(spread)) - 1)
        return (
            float(Decimal(low - N_IQR * spread).quantize(unit, ROUND_FLOOR)),
            float(Decimal(high + N_IQR * spread).quantize(unit, ROUND_CEILING)),
        )


def types(schema: TableSchema) -> dict[str, LogicalType]:
    """Return what the columns have to be read as, whatever is in them."""
    return {
        name: read_as
        for name, column in schema.columns.items()
        if (read_as := _READ_AS.get(_effective(column))) is not None
    }


def fits(column: Column, expected: ColumnSchema) -> bool:
    """Return whether a profiled column was read as what the schema says."""
    return is_of(column, _effective(expected))


def is_of(column: Column, type_: SchemaType) -> bool:
    """Return whether a column is of a type as it is, with no text read as something else."""
    return not column.n_present or column.type in _FITTING[type_]


def is_required(expected: ColumnSchema) -> bool:
    """Return whether a table must have the column."""
    presence = expected.presence or Presence()
    return bool(presence.min_count or presence.min_fraction)


def plain(schema: TableSchema | ColumnSchema) -> dict[str, Any]:
    """Return a schema as it stands in `assay.yaml`: what is not given is not there."""
    result: dict[str, Any] = _plain(schema)
    return result


def update(before: TableSchema | None, inferred: TableSchema) -> TableSchema:
    """Return the inferred schema, with what a person wrote or reviewed before it as it was.

    Columns that are no longer marked `inferred` stay, also where the data lack them by now; the
    others are inferred anew.
    """
    if before is None:
        return inferred
    columns: dict[str, ColumnSchema] = {}
    for name, column in before.columns.items():
        if not column.inferred:
            columns[name] = column
        elif name in inferred.columns:
            columns[name] = inferred.columns[name]
    columns |= {name: new for name, new in inferred.columns.items() if name not in columns}
    return msgspec.structs.replace(before, columns=columns)


def _effective(column: ColumnSchema) -> SchemaType:
    """Return the type that the values are checked as: texts with a domain of numbers are read."""
    if column.type == "BYTES" and column.int_domain is not None:
        return "INT"
    if column.type == "BYTES" and column.float_domain is not None:
        return "FLOAT"
    return column.type


def _is_unique(column: Column) -> bool:
    found = column.distinct
    return (
        column.type in {"integer", "category", "text"}
        and found is not None
        and found.exact
        and found.count == column.n_rows > KEY_ROWS
    )


def _range(quantiles: Sequence[float] | None, *, whole: bool) -> NumberDomain | None:
    ends = None if quantiles is None else suggested_range(quantiles)
    if ends is None:
        return None
    low, high = ends
    if whole:
        low, high = float(math.floor(low)), float(math.ceil(high))
    return NumberDomain(min=low, max=high)


def _categories(column: Column) -> list[str]:
    """Return the values of a column of few different texts, sorted; none where they all differ."""
    cells, found = column.cells, column.distinct
    if column.type != "category" or cells is None or found is None or cells.other:
        return []
    if found.count > MAX_STRING_DOMAIN_SIZE or found.count == column.n_present:
        return []
    return sorted(str(value) for value in cells.values)


def _plain(value: Any) -> Any:
    if not isinstance(value, msgspec.Struct):
        return {k: _plain(v) for k, v in value.items()} if isinstance(value, dict) else value
    result: dict[str, Any] = {}
    for field in msgspec.structs.fields(value):
        content = getattr(value, field.name)
        default = field.default if field.default_factory is msgspec.NODEFAULT else None
        if content == default or content in ({}, []):
            continue
        whole = field.name == "int_domain"
        result[field.name] = _whole(_plain(content)) if whole else _plain(content)
    return result


def _whole(domain: dict[str, Any]) -> dict[str, Any]:
    """Return a domain of integers without the decimal point that its limits are stored with."""
    return {
        key: int(value) if isinstance(value, float) and value.is_integer() else value
        for key, value in domain.items()
    }

"""What is expected of a table: inferred from its profile, as plain data, and as types to read by.

The form is `assay.project.declaration.TableSchema`, in TFDV's words. What is inferred on top of
TFDV's rules (ranges of numbers, unique columns, no NaN where there was none) is a suggestion:
`inferred: true` stays on a column until a person reviews it, and until then its range and its
uniqueness only warn. The table that a schema was inferred from fits it without a warning.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from typing import Any, Literal

import msgspec

from assay.data.columns import Column
from assay.data.infer import LogicalType
from assay.data.numeric import Numbers
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
FEW_INTEGERS = 20  # so few different ones are a code or a count of few: their range is as seen
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
    return TableSchema(columns=found, min_examples_count=min(profile.n_rows, 1))


def infer_column(
    column: Column, *, tails: Sequence[float] | None = None, is_key: bool = False
) -> ColumnSchema:
    """Return what a column with this profile fits."""
    result = ColumnSchema(
        type=TYPES[column.type],
        presence=Presence(
            min_fraction=1.0 if column.n_present and not column.n_missing else None,
            min_count=1 if column.n_present else 0,
        ),
        unique=_is_unique(column) and not is_key,
        inferred=True,
    )
    if column.n_invalid:  # some of its values are texts
        return msgspec.structs.replace(result, type="BYTES")
    if is_key or result.unique:  # the next row has another value, so there is no range
        tails = None
    numbers = column.numbers
    if column.type == "integer" and numbers is not None:
        return msgspec.structs.replace(result, int_domain=_whole_range(column, numbers, tails))
    if column.type == "float" and numbers is not None and numbers.n_finite:
        n_infinite = numbers.n_positive_infinity + numbers.n_negative_infinity
        domain = msgspec.structs.replace(
            _range(numbers, tails) or NumberDomain(),
            disallow_nan=not numbers.n_nan,
            disallow_inf=not n_infinite,
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
    if result.type != unless:
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


def suggested_range(
    quantiles: Sequence[float], *, least: float, most: float
) -> tuple[float, float] | None:
    """Return limits beyond which a number would be odd, given all that were seen.

    They are quantile .001 - 3 IQR and .999 + 3 IQR, rounded outwards to a hundredth of the IQR.
    Where the column itself goes further, they are 3 IQR beyond its last value. They stop at 0
    where no value is beyond it. None where the IQR is 0: half of the values are equal, and say
    nothing about the others.

    Parameters
    ----------
    quantiles : sequence of float
        Those of `tails`.
    least, most : float
        The smallest and the largest value.

    Examples
    --------
    >>> suggested_range([-2.5, 10.0, 12.5, 31.77], least=-4.0, most=35.0)
    (-10.0, 39.3)
    >>> suggested_range([0.0213, 10.0, 12.5, 31.77], least=0.0, most=99.0)
    (0.0, 106.5)
    """
    low, first, third, high = quantiles
    reach = N_IQR * (third - first)
    if not reach > 0:
        return None
    start = low - reach if least >= low - reach else least - reach
    end = high + reach if most <= high + reach else most + reach
    if not math.isfinite(end - start):
        return None
    with localcontext() as context:
        context.prec = 700  # a double has fewer digits
        unit = Decimal(1).scaleb(math.floor(math.log10(third - first)) - 1)
        start = float(Decimal(start).quantize(unit, ROUND_FLOOR))
        end = float(Decimal(end).quantize(unit, ROUND_CEILING))
    return (max(start, 0.0) if least >= 0 else start, min(end, 0.0) if most <= 0 else end)


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


def _range(numbers: Numbers, quantiles: Sequence[float] | None) -> NumberDomain | None:
    """Return the suggested range of a column; its infinite values leave an end of it open."""
    if quantiles is None or numbers.min is None or numbers.max is None:
        return None
    ends = suggested_range(quantiles, least=numbers.min, most=numbers.max)
    if ends is None:
        return None
    return NumberDomain(
        min=None if numbers.n_negative_infinity else ends[0],
        max=None if numbers.n_positive_infinity else ends[1],
    )


def _whole_range(
    column: Column, numbers: Numbers, quantiles: Sequence[float] | None
) -> NumberDomain | None:
    """Return the suggested range of integers: of few different ones, that of what was seen."""
    if quantiles is None or numbers.min is None or numbers.max is None:
        return None
    found = column.distinct
    if (
        found is not None
        and found.exact
        and found.count <= FEW_INTEGERS
        and found.count * 2 <= column.n_present
    ):
        return NumberDomain(min=float(numbers.min), max=float(numbers.max))
    domain = _range(numbers, quantiles)
    if domain is None or domain.min is None or domain.max is None:
        return None
    return NumberDomain(min=float(math.floor(domain.min)), max=float(math.ceil(domain.max)))


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

"""The checks of one column. What its profile cannot decide is a suspicion for the rows to answer.

Types, domains and texts follow TFDV; the type of a file that has types (Parquet) is compared as
it is there, that of CSV by whether the values can be read as what the schema says.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec

from assay.data import schema as schemas
from assay.data import schema_checks
from assay.data.anomalies import Anomaly, Example, Severity, percent
from assay.data.columns import Column
from assay.data.infer import quoted
from assay.data.probes import Condition, Hit, Probe
from assay.data.times import microseconds
from assay.project.declaration import (
    ColumnSchema,
    NumberDomain,
    StringDomain,
    TimeDomain,
)

MAX_DOMAIN = 400  # texts that an edit adds to a domain; for more it drops the domain
SHOWN = 10  # values that a message lists


class Suspicion(msgspec.Struct, frozen=True, kw_only=True):
    """A condition on the rows that an anomaly depends on."""

    column: str
    condition: Condition
    resolve: Callable[[Hit, Probe], Anomaly | None]


Found = list[Anomaly | Suspicion]


def check(column: Column, expected: ColumnSchema, *, natural: Column, is_csv: bool) -> Found:
    """Check a column that is in the table.

    Parameters
    ----------
    column : Column
        Its profile, read as the type that the schema says.
    expected : ColumnSchema
        What the schema says.
    natural : Column
        Its profile, read as what it looks like.
    is_csv : bool
        Whether the file has no types of its own.
    """
    wrong = schema_checks.check(column.name, expected)
    if wrong:
        return [*wrong]
    if not column.n_present:
        return _presence(column, expected)
    found = _presence(column, expected)
    found += _type(column, expected, natural, is_csv=is_csv)
    if column.numbers is not None:
        found += _numbers(column, expected)
    if column.times is not None and expected.time_domain is not None:
        found += _times(column, expected, expected.time_domain)
    if column.texts is not None and expected.string_domain is not None:
        found += _texts(column, expected.string_domain)
    if expected.unique:
        found += _unique(column, expected)
    return found


def _edit(name: str, **keys: Any) -> dict[str, Any]:
    return {"columns": {name: keys}}


def _soft(expected: ColumnSchema) -> Severity:
    return "warning" if expected.inferred else "error"


def _presence(column: Column, expected: ColumnSchema) -> Found:
    presence = expected.presence
    if presence is None or not schemas.is_required(expected):
        return []
    n, n_rows = column.n_present, column.n_rows
    least, fraction = presence.min_count or 0, presence.min_fraction or 0.0
    if n and n >= least and n / n_rows >= fraction:
        return []
    common: dict[str, Any] = {"column": column.name, "short_description": "Column dropped"}
    if not n:
        return [
            Anomaly(
                type="FEATURE_TYPE_NOT_PRESENT",
                description="The feature was not present in any examples.",
                n_rows=n_rows,
                edit=_edit(column.name, presence={"min_fraction": 0, "min_count": 0}),
                **common,
            )
        ]
    type_, text = _too_few(column, least, fraction)
    edit = _edit(
        column.name,
        presence={
            "min_fraction": min(fraction, math.floor(n / n_rows * 1e6) / 1e6),
            "min_count": min(least, n),
        },
    )

    def resolve(hit: Hit, _: Probe) -> Anomaly:
        examples = tuple(Example(value=None, row=one.row) for one in hit.examples)
        return Anomaly(
            type=type_,
            description=text,
            n_rows=column.n_missing,
            examples=() if column.n_invalid else examples,
            edit=edit,
            **common,
        )

    return [Suspicion(column=column.name, condition=lambda ref: f"{ref} IS NULL", resolve=resolve)]


def _too_few(column: Column, least: int, fraction: float) -> tuple[str, str]:
    """Return type and description of the anomaly of a column with too few values."""
    n, n_rows = column.n_present, column.n_rows
    fewer = "The feature was present in fewer examples than expected"
    if n / n_rows >= fraction:
        return "FEATURE_TYPE_LOW_NUMBER_PRESENT", f"{fewer}: {n}, at least {least}."
    text = f"{fewer}: {n} of {n_rows}, at least {fraction:.6g} of them."
    if fraction == 1:
        text = (
            f"The feature was expected everywhere, but was missing in {column.n_missing} examples."
        )
    return "FEATURE_TYPE_LOW_FRACTION_PRESENT", text


_NAMES = {"INT": "INT", "FLOAT": "FLOAT", "BYTES": "STRING", "BOOL": "BOOL", "TIME": "TIME",
          "STRUCT": "STRUCT"}  # fmt: skip


def _type(column: Column, expected: ColumnSchema, natural: Column, *, is_csv: bool) -> Found:
    """Check the type: of the values in CSV, of the column elsewhere."""
    is_foreign = not is_csv and not schemas.is_of(natural, expected.type)
    fitting = schemas.fits(column, expected)  # else none of its values could be read
    if not is_foreign and not column.n_invalid and fitting:
        return []
    seen = schemas.accepting(natural, unless=expected.type)
    n = column.n_invalid if fitting and not is_foreign else column.n_present
    some = f" in {percent(n, column.n_present)} of the values" if n < column.n_present else ""
    text = f"Expected data of type: {_NAMES[expected.type]} but got {_NAMES[seen.type]}{some}"
    type_, short = "UNEXPECTED_DATA_TYPE", "Unexpected data type"
    before, after = schemas.plain(expected), schemas.plain(seen)
    edit = {**{key: None for key in before if key not in after}, **after}
    if expected.type == "BYTES" and not is_foreign:  # texts that had to parse as numbers
        whole = expected.int_domain is not None
        type_ = "INT_TYPE_NOT_INT_STRING" if whole else "FLOAT_TYPE_STRING_NOT_FLOAT"
        short, kind = "Invalid values", "integers" if whole else "floats"
        text = f"String values that were not {kind} were found"
        edit = {"int_domain" if whole else "float_domain": None}
    shown = ", ".join(f'"{value}"' for value in dict.fromkeys(column.examples))
    return [
        Anomaly(
            type=type_,
            column=column.name,
            short_description=short,
            description=f"{text}{f', such as {shown}' if shown else ''}.",
            n_rows=n,
            examples=tuple(Example(value=value) for value in column.examples),
            edit=_edit(column.name, **edit),
        )
    ]


def _numbers(column: Column, expected: ColumnSchema) -> Found:
    """Check a column of numbers against its domain."""
    key = "int_domain" if expected.int_domain is not None else "float_domain"
    domain = expected.int_domain or expected.float_domain
    if domain is None:
        return []
    found = _range(column, domain, key, severity=_soft(expected))
    return found + _not_finite(column, domain, key)


def _range(column: Column, domain: NumberDomain, key: str, *, severity: Severity) -> Found:
    """Check the range of a column of numbers; infinite ones are outside every limit."""
    numbers = column.numbers
    found: Found = []
    if numbers is None:
        return found
    up, down = numbers.n_positive_infinity, numbers.n_negative_infinity
    low = -math.inf if down else numbers.min
    high = math.inf if up else numbers.max
    kind = ("SMALL_INT", "BIG_INT") if key == "int_domain" else ("SMALL_FLOAT", "BIG_FLOAT")
    prefix = "INT_TYPE" if key == "int_domain" else "FLOAT_TYPE"
    if domain.min is not None and low is not None and low < domain.min:
        text = (
            f"Unexpectedly low values: {low:.6g}<{domain.min:.6g} (up to six significant digits)"
        )
        limit = quoted(repr(float(domain.min)))
        found.append(
            _counted(
                column,
                lambda ref: f"{ref} < {limit}::DOUBLE",
                type_=f"{prefix}_{kind[0]}",
                text=text,
                severity=severity,
                edit=_edit(column.name, **{key: {"min": None if down else low}}),
            )
        )
    if domain.max is not None and high is not None and high > domain.max:
        text = f"Unexpectedly high value: {high:.6g}>{domain.max:.6g}"
        top = quoted(repr(float(domain.max)))
        found.append(
            _counted(
                column,
                lambda ref: f"{ref} > {top}::DOUBLE AND NOT isnan({ref}::DOUBLE)",
                type_=f"{prefix}_{kind[1]}",
                text=f"{text} (up to six significant digits)",
                severity=severity,
                edit=_edit(column.name, **{key: {"max": None if up else high}}),
            )
        )
    return found


def _not_finite(column: Column, domain: NumberDomain, key: str) -> Found:
    """Check NaN and infinity of a column of numbers."""
    numbers = column.numbers
    found: Found = []
    if numbers is None:
        return found
    n_infinite = numbers.n_positive_infinity + numbers.n_negative_infinity
    for what, n, disallowed in (
        ("nan", numbers.n_nan, domain.disallow_nan),
        ("inf", n_infinite, domain.disallow_inf),
    ):
        if n and disallowed:
            found.append(
                _counted(
                    column,
                    lambda ref, what=what: f"is{what}({ref}::DOUBLE)",  # type: ignore[misc]
                    type_=f"FLOAT_TYPE_HAS_{what.upper()}",
                    text=f"Float values include {'NaN' if what == 'nan' else 'infinities'}",
                    short="Invalid values",
                    edit=_edit(column.name, **{key: {f"disallow_{what}": False}}),
                )
            )
    return found


def _counted(
    column: Column,
    condition: Condition,
    *,
    type_: str,
    text: str,
    edit: dict[str, Any],
    short: str = "Out-of-range values",
    severity: Severity = "error",
) -> Suspicion:
    """Return the suspicion that becomes an anomaly where the rows have it."""

    def resolve(hit: Hit, _: Probe) -> Anomaly | None:
        if not hit.n:
            return None
        return Anomaly(
            type=type_,
            column=column.name,
            severity=severity,
            short_description=short,
            description=f"{text}.",
            n_rows=hit.n,
            examples=hit.examples,
            edit=edit,
        )

    return Suspicion(column=column.name, condition=condition, resolve=resolve)


def _times(column: Column, expected: ColumnSchema, domain: TimeDomain) -> Found:
    times = column.times
    found: Found = []
    if times is None or times.min is None or times.max is None:
        return found
    cast = "TIMESTAMPTZ" if times.zoned else "TIMESTAMP"
    if domain.min is not None and microseconds(times.min) < microseconds(domain.min):
        first = quoted(domain.min)
        found.append(
            _counted(
                column,
                lambda ref: f"{ref} < {first}::{cast}",
                type_="TIME_TYPE_EARLY_TIME",
                text=f"Unexpectedly early times: {times.min}<{domain.min}",
                severity=_soft(expected),
                edit=_edit(column.name, time_domain={"min": times.min}),
            )
        )
    if domain.max is not None and microseconds(times.max) > microseconds(domain.max):
        last = quoted(domain.max)
        found.append(
            _counted(
                column,
                lambda ref: f"{ref} > {last}::{cast}",
                type_="TIME_TYPE_LATE_TIME",
                text=f"Unexpectedly late times: {times.max}>{domain.max}",
                severity=_soft(expected),
                edit=_edit(column.name, time_domain={"max": times.max}),
            )
        )
    return found


def _texts(column: Column, domain: StringDomain) -> Found:
    """Check texts against their domain: by the cells where they list all values."""
    cells = column.cells
    if not domain.value or cells is None:
        return []
    known = set(domain.value)
    if not cells.other and known.issuperset(map(str, cells.values)):
        return []
    n_values = column.n_present - column.n_invalid

    def condition(ref: str) -> str:
        return f"{ref} NOT IN ({', '.join(map(quoted, domain.value))})"

    def resolve(hit: Hit, probe: Probe) -> Anomaly | None:
        # compared as the share that is inside: 1 - min_domain_mass has a rounding error
        if not hit.n or (n_values - hit.n) / n_values >= domain.min_domain_mass:
            return None
        values = probe.values(column.name, condition, most=MAX_DOMAIN + 1)
        shown = [f"{value} ({percent(n, n_values)})" for value, n, _ in values[:SHOWN]]
        more = ", ..." if len(values) > SHOWN else ""
        edit: dict[str, Any] = {"string_domain": None}
        if len(domain.value) + len(values) <= MAX_DOMAIN:
            added = sorted(value for value, _, _ in values)
            edit = {"string_domain": {"value": [*domain.value, *added]}}
        return Anomaly(
            type="ENUM_TYPE_UNEXPECTED_STRING_VALUES",
            column=column.name,
            short_description="Unexpected string values",
            description="Examples contain values missing from the schema:"
            f" {', '.join(shown)}{more}.",
            n_rows=hit.n,
            examples=tuple(Example(value=value, row=row) for value, _, row in values[:3]),
            edit=_edit(column.name, **edit),
        )

    return [Suspicion(column=column.name, condition=condition, resolve=resolve)]


def _unique(column: Column, expected: ColumnSchema) -> Found:
    distinct = column.distinct
    n_values = column.n_present - column.n_invalid
    if distinct is not None and distinct.exact and distinct.count == n_values:
        return []

    def resolve(_: Hit, probe: Probe) -> Anomaly | None:
        repeated = probe.repeated([column.name], with_missing=False)
        if not repeated.n:
            return None
        return Anomaly(
            type="FEATURE_TYPE_LOW_UNIQUE",
            column=column.name,
            severity=_soft(expected),
            short_description="Low number of unique values",
            description=f"Expected at least {n_values} unique values but found only"
            f" {repeated.n_distinct}.",
            n_rows=repeated.n,
            examples=repeated.examples,
            edit=_edit(column.name, unique=False),
        )

    return [Suspicion(column=column.name, condition=lambda _: "false", resolve=resolve)]

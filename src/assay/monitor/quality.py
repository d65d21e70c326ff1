"""Input quality: what breaks a column at once, against the schema or against the training data.

Types, missing values, ranges and domains are looked at in every window, whatever came before; the
names of what can be wrong are TFDV's. Tallies of parts of a window add up.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from assay.data.anomalies import Severity, percent
from assay.project.declaration import ColumnSchema, Declaration

if TYPE_CHECKING:
    from assay.bundle.reference import Reference
    from assay.bundle.signature import Column, Signature

MOST_MISSING = 0.01
"""The share of missing values that breaks a column which missed none in training."""

MOST_EXAMPLES = 5

Kind = Literal["bool", "integer", "number", "text"]
_NAMES: dict[Kind, str] = {"bool": "BOOL", "integer": "INT", "number": "FLOAT", "text": "STRING"}


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What a column must be.

    Attributes
    ----------
    least_present : float or None
        The smallest share of rows with a value.
    because : str
        Who says so of missing values: the schema, or the training data.
    low, high : float or None
        The range of a number; both ends belong to it.
    values : frozenset of str or None
        The texts that are known; `least_known` of the values must be among them.
    soft : bool
        Whether the range was inferred and no person reviewed it.
    """

    kind: Kind
    least_present: float | None = None
    because: str = ""
    low: float | None = None
    high: float | None = None
    no_nan: bool = False
    no_inf: bool = False
    values: frozenset[str] | None = None
    least_known: float = 1.0
    soft: bool = False


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of one column; those of several parts add up."""

    n_rows: int = 0
    n_missing: int = 0
    n_wrong: int = 0
    n_nan: int = 0
    n_inf: int = 0
    n_low: int = 0
    n_high: int = 0
    n_unknown: int = 0
    least: float = math.inf
    largest: float = -math.inf
    seen: str = ""  # the type of what is wrong
    unknown: dict[str, int] = {}

    def __add__(self, other: Tally) -> Tally:
        mine, its = msgspec.structs.asdict(self), msgspec.structs.asdict(other)
        added = {name: mine[name] + its[name] for name in mine if name.startswith("n_")}
        unknown = Counter(mine["unknown"]) + Counter(its["unknown"])
        return Tally(
            **added,
            least=min(self.least, other.least),
            largest=max(self.largest, other.largest),
            seen=self.seen or other.seen,
            unknown=dict(unknown.most_common(10 * MOST_EXAMPLES)),
        )


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a column in a window.

    Attributes
    ----------
    type : str
        TFDV's name.
    share, limit : float
        The share of the rows that have it, and how many may.
    message : str
        A part of a sentence that begins with the column.
    """

    type: str
    column: str
    share: float
    limit: float
    message: str
    severity: Severity = "error"


def expectations(
    declared: Declaration,
    signature: Signature,
    reference: Reference,
    *,
    tables: Sequence[str] = (),
) -> dict[str, Expected]:
    """Return what is expected of each column that a model takes.

    Parameters
    ----------
    tables : sequence of str
        The tables whose schemas come first.
    """
    return {
        column.name: _expected(column, _schema(declared, column, tables), reference)
        for column in signature.columns
    }


def tally(values: Any, expected: Expected) -> Tally:
    """Count what is wrong with the values of a column.

    Parameters
    ----------
    values : array
        As DuckDB gives it: masked where a value is missing.
    """
    import numpy as np

    gone = np.ma.getmaskarray(values)
    data = np.ma.getdata(values)
    n_rows, kind = len(data), data.dtype.kind
    found: dict[str, Any] = {"n_rows": n_rows}
    if kind == "f":
        nan = np.isnan(data) & ~gone
        found["n_nan"] = int(nan.sum())
        gone |= nan
    found["n_missing"] = int(gone.sum())
    if found["n_missing"] == n_rows:
        return Tally(**found)
    there = data[~gone] if found["n_missing"] else data
    if not _fits(there, expected.kind):
        wrong = _n_wrong(there, expected.kind)
        return Tally(**found, n_wrong=wrong, seen=_NAMES[_kind_of(there)] if wrong else "")
    found |= _texts(there, expected) if kind == "O" else _numbers(there, expected)
    return Tally(**found)


def faults(column: str, found: Tally, expected: Expected) -> list[Fault]:
    """Say what is wrong with a column, by the counts of a whole window."""
    n, there = found.n_rows, found.n_rows - found.n_missing
    wrong: list[Fault] = []

    def fault(type_: str, count: int, text: str, *, limit: float = 0.0, why: str = "") -> None:
        soft = expected.soft and type_.endswith(_RANGE)
        wrong.append(
            Fault(
                type=type_,
                column=column,
                share=count / n,
                limit=round(limit, 12),
                message=f"{text} in {percent(count, n).lstrip('~')} of the rows{why}",
                severity="warning" if soft else "error",
            )
        )

    least = expected.least_present
    if least is not None and there < n * least:
        type_ = "LOW_FRACTION_PRESENT" if there else "NOT_PRESENT"
        why = f" ({expected.because})"
        fault(f"FEATURE_TYPE_{type_}", found.n_missing, "is missing", limit=1 - least, why=why)
    if found.n_wrong:
        text = f"is {found.seen} instead of {_NAMES[expected.kind]}"
        fault("UNEXPECTED_DATA_TYPE", found.n_wrong, text)
    if found.n_nan and expected.no_nan:
        fault("FLOAT_TYPE_HAS_NAN", found.n_nan, "is NaN")
    if found.n_inf and expected.no_inf:
        fault("FLOAT_TYPE_HAS_INF", found.n_inf, "is infinite")
    name = "INT" if expected.kind == "integer" else "FLOAT"
    if found.n_low and expected.low is not None:
        text = f"is below {expected.low:g} (down to {found.least:g})"
        fault(f"{name}_TYPE_SMALL_{name}", found.n_low, text)
    if found.n_high and expected.high is not None:
        text = f"is above {expected.high:g} (up to {found.largest:g})"
        fault(f"{name}_TYPE_BIG_{name}", found.n_high, text)
    if found.n_unknown and there - found.n_unknown < expected.least_known * there:
        shown = ", ".join(f"'{value}'" for value in [*found.unknown][:MOST_EXAMPLES])
        text = f"has values that the schema does not know, such as {shown},"
        limit = 1 - expected.least_known
        fault("ENUM_TYPE_UNEXPECTED_STRING_VALUES", found.n_unknown, text, limit=limit)
    return wrong


_RANGE = ("_SMALL_INT", "_BIG_INT", "_SMALL_FLOAT", "_BIG_FLOAT")


def _expected(column: Column, schema: ColumnSchema | None, reference: Reference) -> Expected:
    """Return what the schema says of a column, and where it says nothing the training data."""
    kind = _kind(column)
    least, because = None, ""
    if schema is not None and schema.presence and schema.presence.min_fraction is not None:
        least = schema.presence.min_fraction
        because = f"the schema allows {100 - 100 * least:.3g}%" if least < 1 else "never allowed"
    elif column.name in reference.columns:
        cells = reference.cells(column.name)
        if not cells.missing + cells.nan:
            least, because = 1 - MOST_MISSING, "never in the training data"
    if schema is None:
        return Expected(kind=kind, least_present=least, because=because)
    domain, texts = schema.int_domain or schema.float_domain, schema.string_domain
    return Expected(
        kind="integer" if schema.type == "INT" and kind == "number" else kind,
        least_present=least,
        because=because,
        low=None if domain is None or kind == "text" else domain.min,
        high=None if domain is None or kind == "text" else domain.max,
        no_nan=domain is not None and domain.disallow_nan,
        no_inf=domain is not None and domain.disallow_inf,
        values=frozenset(texts.value) if texts is not None and texts.value else None,
        least_known=1.0 if texts is None else texts.min_domain_mass,
        soft=schema.inferred,
    )


def _schema(
    declared: Declaration, column: Column, tables: Sequence[str]
) -> ColumnSchema | None:  # fmt: skip
    """Return the schema of a column: of the first table that has one of this name and kind.

    A table that keeps something else under the name, such as a text where the model takes its
    number, says nothing of what the model takes.
    """
    for name in dict.fromkeys([*tables, *declared.schema]):
        table = declared.schema.get(name)
        found = None if table is None else table.columns.get(column.name)
        if found is not None and (found.type in _TEXTS) == (column.type == "string"):
            return found
    return None


_TEXTS = {"BYTES", "TIME"}


def _kind(column: Column) -> Kind:
    if column.type in {"bool", "string"}:
        return "bool" if column.type == "bool" else "text"
    return "number" if column.type.startswith("float") else "integer"


def _kind_of(values: Any) -> Kind:
    kinds: Mapping[str, Kind] = {"b": "bool", "i": "integer", "u": "integer", "f": "number"}
    return kinds.get(values.dtype.kind, "text")


def _fits(values: Any, kind: Kind) -> bool:
    """Say whether all values are of a kind; a whole number may be written as any number."""
    import numpy as np

    own = _kind_of(values)
    if kind == "integer" and own == "number":
        with np.errstate(invalid="ignore"):
            return bool((values == np.floor(values)).all())
    if kind == "number":
        return own in {"integer", "number"}
    return own == kind


def _n_wrong(values: Any, kind: Kind) -> int:
    import numpy as np

    if kind == "integer" and _kind_of(values) == "number":
        return int((values != np.floor(values)).sum())
    return len(values)


def _numbers(values: Any, expected: Expected) -> dict[str, Any]:
    import numpy as np

    found: dict[str, Any] = {"least": float(values.min()), "largest": float(values.max())}
    if values.dtype.kind == "f":
        found["n_inf"] = int(np.isinf(values).sum())
    if expected.low is not None and found["least"] < expected.low:
        found["n_low"] = int((values < expected.low).sum())
    if expected.high is not None and found["largest"] > expected.high:
        found["n_high"] = int((values > expected.high).sum())
    return found


def _texts(values: Any, expected: Expected) -> dict[str, Any]:
    if expected.values is None:
        return {}
    counted = Counter(values.tolist())
    unknown = {text: n for text, n in counted.items() if text not in expected.values}
    ranked = sorted(unknown.items(), key=lambda pair: (-pair[1], pair[0]))
    return {
        "n_unknown": sum(unknown.values()),
        "unknown": dict(ranked[: 10 * MOST_EXAMPLES]),
    }

"""One column of a profile: its parts, and how it merges, is checked and rounded."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import msgspec

from assay.base.errors import Error
from assay.data import cells, distinct, numeric, sketches, texts, times
from assay.data.cells import Cells
from assay.data.distinct import Distinct
from assay.data.infer import LogicalType
from assay.data.numeric import Numbers
from assay.data.texts import Texts
from assay.data.times import Times

DIGITS = 9  # of a statistic that may be hashed

Part = TypeVar("Part")


class Booleans(msgspec.Struct, frozen=True, kw_only=True):
    """How many values are true and false."""

    n_true: int
    n_false: int


class Column(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is in one column."""

    name: str
    type: LogicalType
    rule: str  # what decided the type
    physical: str  # the type in the file, as DuckDB names it; VARCHAR for CSV
    n_present: int  # values that are not missing, invalid ones included
    n_missing: int
    n_invalid: int = 0  # values that are not of the type
    examples: tuple[str, ...] = ()  # up to three invalid values
    distinct: Distinct | None = None
    numbers: Numbers | None = None
    texts: Texts | None = None
    booleans: Booleans | None = None
    times: Times | None = None
    cells: Cells | None = None

    @property
    def n_rows(self) -> int:
        """The rows of the table."""
        return self.n_present + self.n_missing


def merge(a: Column, b: Column) -> Column:
    """Return what is in both columns together.

    Raises
    ------
    assay.Error
        If their types, or the edges of their cells, differ.
    """
    if not a.n_present or not b.n_present:  # nothing is known of one but that it is empty
        full, empty = (b, a) if not a.n_present else (a, b)
        n_missing = full.n_missing + empty.n_missing
        return msgspec.structs.replace(
            full,
            n_missing=n_missing,
            cells=full.cells and msgspec.structs.replace(full.cells, missing=n_missing),
        )
    type_ = a.type if a.type == b.type else _WIDER.get(frozenset({a.type, b.type}))
    where = f"column '{a.name}'"
    if type_ is None:
        raise Error(
            f"the column is of type {a.type} in one profile and {b.type} in the other",
            where=where,
            hint="profile one of them again with '--edges PROFILE', PROFILE being the other",
        )
    merged_texts, n_distinct = (
        texts.merge(a.texts, b.texts) if a.texts and b.texts else (None, None)
    )
    booleans = _join(a.booleans, b.booleans, _merge_booleans)
    if booleans is not None:
        n_distinct = (booleans.n_true > 0) + (booleans.n_false > 0)
    return Column(
        name=a.name,
        type=type_,
        rule=a.rule if a.type == type_ else b.rule,
        physical=a.physical if a.physical == b.physical else f"{a.physical}, {b.physical}",
        n_present=a.n_present + b.n_present,
        n_missing=a.n_missing + b.n_missing,
        n_invalid=a.n_invalid + b.n_invalid,
        examples=tuple(sorted({*a.examples, *b.examples})[:3]),
        distinct=_join(
            a.distinct, b.distinct, lambda x, y: distinct.merge(x, y, counted=n_distinct)
        ),
        numbers=_join(a.numbers, b.numbers, numeric.merge),
        texts=merged_texts,
        booleans=booleans,
        times=_join(a.times, b.times, times.merge),
        cells=_join(a.cells, b.cells, lambda x, y: cells.add(x, y, where=where)),
    )


def check(column: Column, *, where: str) -> None:
    """Raise where a profile from a file contradicts itself."""
    found = column.cells
    if found is not None:
        ascending = all(x < y for x, y in zip(found.edges, found.edges[1:], strict=False))
        sized = len(found.inside) == max(len(found.edges) - 1, 0) and len(found.at) == len(
            found.values
        )
        if not ascending or not sized:
            raise Error("the cells contradict themselves", where=where, hint=sketches.REMAKE)
        if sum(found.counts) != column.n_rows:
            raise Error(
                f"the cells hold {sum(found.counts)} rows, expected {column.n_rows}",
                where=where,
                hint=sketches.REMAKE,
            )
    for part in (column.distinct, column.numbers, column.texts):
        sketches.check(part.sketch if part is not None else None, where=where)


def facts(column: Column) -> Column:
    """Return the column without sketches and what came from them, its statistics rounded."""
    numbers, found = column.numbers, column.texts
    return msgspec.structs.replace(
        column,
        distinct=Distinct(count=column.distinct.count, exact=True)
        if column.distinct is not None and column.distinct.exact
        else None,
        numbers=None if numbers is None else _number_facts(numbers),
        texts=None
        if found is None
        else msgspec.structs.replace(
            found,
            length_mean=_rounded(found.length_mean, 1.0),
            entropy=_rounded(found.entropy, 1.0),
            top=found.top if found.top_exact else (),
            sketch=None,
        ),
    )


def _number_facts(numbers: Numbers) -> Numbers:
    # A mean or sum near zero is the rest of larger values: the digits that count are theirs.
    spread = numbers.std or 0.0
    histogram = numbers.histogram
    return msgspec.structs.replace(
        numbers,
        sum=numbers.sum
        if isinstance(numbers.sum, int)
        else _rounded(numbers.sum, spread * numbers.n_finite),
        mean=_rounded(numbers.mean, spread),
        std=_rounded(numbers.std, abs(numbers.mean or 0.0)),
        skewness=_rounded(numbers.skewness, 1.0),
        kurtosis=_rounded(numbers.kurtosis, 1.0),
        quantiles={} if numbers.quantiles_from == "sketch" else numbers.quantiles,
        histogram=histogram if histogram is not None and histogram.exact else None,
        moments=None,
        sketch=None,
    )


def _rounded(value: float | None, scale: float) -> float | None:
    """Return `value` to nine digits of itself or of `scale`, whichever is larger."""
    size = max(abs(value or 0.0), scale)
    if value is None or not size or not math.isfinite(size):
        return value
    return round(value, DIGITS - 1 - math.floor(math.log10(size))) + 0.0


_WIDER: dict[frozenset[LogicalType], LogicalType] = {
    frozenset({"integer", "float"}): "float",
    frozenset({"category", "text"}): "text",
}


def _merge_booleans(a: Booleans, b: Booleans) -> Booleans:
    return Booleans(n_true=a.n_true + b.n_true, n_false=a.n_false + b.n_false)


def _join(a: Part | None, b: Part | None, join: Callable[[Part, Part], Part]) -> Part | None:
    return None if a is None or b is None else join(a, b)

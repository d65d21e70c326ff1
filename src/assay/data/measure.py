"""Measuring columns of numbers and times: two SELECTs a hundred columns, then their values once.

DuckDB counts and sorts, NumPy sums: sums of doubles in DuckDB depend on its threads in their last
digits, an array's do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from assay.data import cells, moments, sketches
from assay.data.cells import Cells, Number
from assay.data.distinct import COUNTED, Distinct
from assay.data.moments import Moments
from assay.data.numeric import QUANTILES, Histogram, Numbers, bucket_edges
from assay.data.read import BATCH, Table, TableColumn
from assay.data.sketches import DistinctCounter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

QUANTILE_ROWS = 2_000_000  # quantiles of a longer table come from so many of its rows
CHUNK_VALUES = 1 << 23  # values that are in NumPy's hands at a time

_GRID = tuple(step / cells.N_QUANTILES for step in range(cells.N_QUANTILES + 1))
_LEVELS = tuple(sorted({*QUANTILES, *_GRID}))


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What was found about one column of numbers or times."""

    numbers: Numbers
    cells: Cells
    distinct: Distinct


class _First(msgspec.Struct, frozen=True, array_like=True):
    """The answer of the first SELECT about one column, in its order."""

    n: int
    low: Number | None
    high: Number | None
    sum: Number | None
    n_zero: int
    n_negative: int
    n_nan: int
    n_up: int
    n_down: int
    n_about: int  # distinct values, by DuckDB's own sketch
    quantiles: list[Number] | None

    @property
    def edges(self) -> list[Number]:
        """The distinct quantiles of the grid, from minimum to maximum."""
        if self.low is None or self.high is None:
            return []
        levels = zip(_LEVELS, self.quantiles or [], strict=True)
        return sorted({self.low, self.high, *(value for level, value in levels if level in _GRID)})


def measure(
    table: Table,
    columns: Sequence[TableColumn],
    *,
    on: Mapping[str, Cells],
    quantile_rows: int = QUANTILE_ROWS,
) -> list[Measured]:
    """Return the statistics of columns of numbers and times (as microseconds since 1970).

    Parameters
    ----------
    table : Table
        Where the columns are.
    columns : sequence of TableColumn
        Columns of the types integer, float and time.
    on : mapping of str to Cells
        For columns that are to be counted on another profile's edges, those.
    quantile_rows : int
        In a table with more rows, quantiles come from about so many of them, the same each time.
    """
    exact = table.n_rows <= quantile_rows
    answers = table.aggregate(
        [
            _first_terms(column, None if exact else quantile_rows / table.n_rows)
            for column in columns
        ]
    )
    firsts = [_First(*answer) for answer in answers]
    cuts = [
        _Cut(column, first, on.get(column.name))
        for column, first in zip(columns, firsts, strict=True)
    ]
    seconds = table.aggregate(
        [cut.terms() for cut in cuts], parameters=[cut.parameters() for cut in cuts]
    )
    sums = _sum(table, columns, firsts)
    source = "values" if exact else "sample"
    return [
        _assemble(table, cut, second, summed, source)
        for cut, second, summed in zip(cuts, seconds, sums, strict=True)
    ]


def value_of(column: TableColumn) -> str:
    """Return the SQL of a column's value as a number."""
    return f"epoch_us({column.ref})" if column.type == "time" else column.ref


def _is_finite(column: TableColumn) -> str:
    ref = column.ref
    return f"{ref} IS NOT NULL" if column.type == "integer" else f"isfinite({ref})"


def _first_terms(column: TableColumn, share: float | None) -> list[str]:
    ref, good = column.ref, _is_finite(column)
    value = f"CASE WHEN {good} THEN {value_of(column)} END"
    signed = column.type != "time"
    levels = ", ".join(map(repr, _LEVELS))
    taken = good
    if share is not None:  # a multiplicative hash of the row's place: any threads, the same rows
        taken += f" AND (rowid * 2654435761) % 4294967296 < {int(share * 4294967296)}"
    infinite = column.type != "integer"
    kind = "TIMESTAMPTZ" if column.zoned else "TIMESTAMP"
    kind = kind if column.type == "time" else "DOUBLE"
    return [
        f"count(*) FILTER ({good})",
        f"min({value})",
        f"max({value})",
        f"sum({value})" if column.type == "integer" else "NULL",
        f"count(*) FILTER ({ref} = 0)" if signed else "0",
        f"count(*) FILTER ({good} AND {ref} < 0)" if signed else "0",
        f"count(*) FILTER (isnan({ref}))" if column.type == "float" else "0",
        f"count(*) FILTER ({ref} = 'infinity'::{kind})" if infinite else "0",
        f"count(*) FILTER ({ref} = '-infinity'::{kind})" if infinite else "0",
        f"approx_count_distinct({value})",
        f"quantile_disc({value}, [{levels}]) FILTER ({taken})",
    ]


class _Cut:
    """The second question about a column: how many values lie between which edges."""

    def __init__(self, column: TableColumn, first: _First, on: Cells | None) -> None:
        self.column, self.first, self.on = column, first, on
        self.edges: list[Number] = list(on.edges) if on else first.edges
        points = {*on.values, *on.edges[:1]} if on else set(self.edges)
        self.points = sorted(point for point in points if not isinstance(point, str))
        self.widths: list[float] = []
        if column.type != "time" and first.low is not None and first.high is not None:
            self.widths = bucket_edges(first.low, first.high)

    def _histogram(self, name: str, edges: Sequence[Number], kind: str) -> str:
        if not edges or not self.first.n:
            return "NULL"
        value, good = value_of(self.column), _is_finite(self.column)
        return f"map_values({name}({value}::{kind}, ?::{kind}[]) FILTER ({good}))"

    def terms(self) -> list[str]:
        """Return the aggregates."""
        kind = {"float": "DOUBLE", "time": "BIGINT"}.get(self.column.type, "HUGEINT")
        if self.column.type == "integer" and self.column.physical != "UBIGINT":
            kind = "BIGINT"
        distinct = f"count(DISTINCT {value_of(self.column)}) FILTER ({_is_finite(self.column)})"
        return [
            self._histogram("histogram", self.edges, kind),
            self._histogram("histogram_exact", self.points, kind),
            self._histogram("histogram", self.widths, "DOUBLE"),
            distinct if self.first.n_about <= COUNTED else "NULL",
        ]

    def parameters(self) -> list[list[Number]]:
        """Return the lists that the question marks of `terms` stand for."""
        given = (self.edges, self.points, self.widths)
        return [list(edges) for edges in given if edges and self.first.n]

    def cells(self, upto: Sequence[int] | None, at: Sequence[int] | None) -> Cells:
        """Return the cells, from the answer."""
        first, column = self.first, self.column
        upto = list(upto or [0] * len(self.edges))[: len(self.edges)]
        at = list(at or [0] * len(self.points))[: len(self.points)]
        if self.on is None:
            counted = cells.own_cells(self.edges, upto, at, n=first.n)
        else:
            count = dict(zip(self.points, at, strict=True))
            values = [count[value] for value in self.on.values if not isinstance(value, str)]
            at_first = count[self.edges[0]] if self.edges else 0
            counted = cells.recount(self.on, upto, at_first, at=values, n=first.n)
        ends = bool(counted.edges)
        return msgspec.structs.replace(
            counted,
            below=counted.below + (first.n_down if ends else 0),
            above=counted.above + (first.n_up if ends else 0),
            other=counted.other + (0 if ends else first.n_down + first.n_up),
            nan=first.n_nan,
            invalid=column.n_invalid,
        )


def _sum(
    table: Table, columns: Sequence[TableColumn], firsts: Sequence[_First]
) -> list[tuple[Moments, Any, DistinctCounter]]:
    """Return for each column its moments, its sketch of quantiles and its distinct words."""
    sums: list[tuple[Moments, Any, DistinctCounter]] = []
    for start in range(0, len(columns), BATCH):
        batch = columns[start : start + BATCH]
        state = [
            (Moments(), sketches.kll(), DistinctCounter(few=first.n_about <= sketches.FEW))
            for first in firsts[start : start + BATCH]
        ]
        for arrays in _chunks(table, batch):
            for at, values in enumerate(arrays):
                total, kll, words = state[at]
                words.add(words_of(values))
                if batch[at].type == "time":
                    continue
                doubles = values.astype("float64")
                kll.update(doubles)
                state[at] = (moments.merge(total, moments.of(doubles)), kll, words)
        sums += state
    return sums


def _chunks(
    table: Table, columns: Sequence[TableColumn]
) -> Iterator[list[NDArray[np.float64] | NDArray[np.int64]]]:
    """Yield the finite values of the columns, a stretch of rows at a time."""
    import numpy as np

    kinds = ["DOUBLE" if _as_double(column) else "BIGINT" for column in columns]
    terms = ", ".join(
        f"({value_of(column)})::{kind} AS v{at}"
        if column.type != "time"
        else f"CASE WHEN {_is_finite(column)} THEN {value_of(column)} END AS v{at}"
        for at, (column, kind) in enumerate(zip(columns, kinds, strict=True))
    )
    size = max(CHUNK_VALUES // len(columns), 1 << 12)
    for start in range(0, table.n_rows, size):
        sql = f"SELECT {terms} FROM t WHERE rowid BETWEEN {start} AND {start + size - 1}"  # noqa: S608
        found = table.execute(sql).fetchnumpy()
        arrays = []
        for at in range(len(columns)):
            column = found[f"v{at}"]
            values = column.compressed() if isinstance(column, np.ma.MaskedArray) else column
            arrays.append(values[np.isfinite(values)] if kinds[at] == "DOUBLE" else values)
        yield arrays


def _as_double(column: TableColumn) -> bool:
    return column.type == "float" or column.physical == "UBIGINT"


def words_of(values: NDArray[np.float64] | NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return the 64-bit words that stand for numbers in a sketch of distinct values.

    A number is the bits of its double, so that 1 and 1.0 are one value; an integer that no
    double holds is its own bits.
    """
    import numpy as np

    words = (values.astype(np.float64) + 0.0).view(np.uint64)  # + 0.0: -0.0 becomes 0.0
    if values.dtype.kind == "i":
        large = (values > 2**53) | (values < -(2**53))
        words[large] = values[large].astype(np.int64).view(np.uint64)
    return words


def _assemble(
    table: Table,
    cut: _Cut,
    second: tuple[Any, ...],
    summed: tuple[Moments, Any, DistinctCounter],
    source: str,
) -> Measured:
    upto, at, widths, n_distinct = second
    total, kll, words = summed
    sketch = words.sketch()
    return Measured(
        numbers=_numbers(cut, total, kll, widths=widths, source=source),
        cells=msgspec.structs.replace(
            cut.cells(upto, at), missing=table.n_rows - cut.column.n_present
        ),
        distinct=Distinct(
            count=sketches.estimate_hll(sketch) if n_distinct is None else n_distinct,
            exact=n_distinct is not None,
            sketch=sketch,
        ),
    )


def _numbers(
    cut: _Cut, total: Moments, kll: Any, *, widths: Sequence[int] | None, source: str
) -> Numbers:
    first = cut.first
    known = dict(zip(_LEVELS, first.quantiles or [], strict=False))
    histogram = None
    if widths is not None and first.low is not None and first.high is not None:
        counts = tuple(widths[: len(cut.widths)])
        histogram = Histogram(low=first.low, high=first.high, counts=counts)
    return Numbers(
        n_finite=first.n,
        n_zero=first.n_zero,
        n_negative=first.n_negative,
        n_nan=first.n_nan,
        n_positive_infinity=first.n_up,
        n_negative_infinity=first.n_down,
        min=first.low,
        max=first.high,
        quantiles={str(level): known[level] for level in QUANTILES if level in known},
        quantiles_from=source,
        histogram=histogram,
        sketch=sketches.dump_kll(kll) if cut.column.type != "time" else None,
    ).with_moments(total, exact_sum=first.sum)

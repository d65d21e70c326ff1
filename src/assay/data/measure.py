"""Measuring columns of numbers and times: each is sorted once, the rest is read off its order.

DuckDB hands the columns over, NumPy does the sums: those of doubles in DuckDB depend on its
threads in their last digits, an array's do not. A table that is too long to be sorted goes by in
chunks, twice: once for everything but the cells, whose edges are then the quantiles of a sample of
its rows, and once for the cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from assay.data import cells, moments, sketches
from assay.data.cells import Cells, Number
from assay.data.distinct import Distinct
from assay.data.moments import Moments
from assay.data.numeric import QUANTILES, Histogram, Numbers, bucket_edges
from assay.data.read import BATCH, Table, TableColumn
from assay.data.sketches import DistinctCounter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Values = NDArray[Any]  # doubles, or integers of 64 bits with or without a sign

SORTED_ROWS = 2_000_000  # a longer table goes by in chunks
CHUNK_VALUES = 1 << 23  # values that are in NumPy's hands at a time
CHUNK_COLUMNS = 16


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What was found about one column of numbers or times."""

    numbers: Numbers
    cells: Cells
    distinct: Distinct


def measure(
    table: Table,
    columns: Sequence[TableColumn],
    *,
    on: Mapping[str, Cells],
    sorted_rows: int = SORTED_ROWS,
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
    sorted_rows : int
        The most rows of a table whose columns are sorted as a whole. In a longer one, quantiles
        come from about so many of its rows, the same each time.
    """
    whole = table.n_rows <= sorted_rows
    width = CHUNK_COLUMNS
    if whole:
        width = min(max(CHUNK_VALUES // max(table.n_rows, 1), 1), BATCH)
    result: list[Measured] = []
    for start in range(0, len(columns), width):
        group = columns[start : start + width]
        size = max(table.n_rows, 1) if whole else min(CHUNK_VALUES // width, sorted_rows)
        share = min(sorted_rows / table.n_rows, 1.0) if table.n_rows else 1.0
        tallies = [_Tally(column, on.get(column.name), share) for column in group]
        for first_row, arrays in _chunks(table, group, size):
            for tally, found in zip(tallies, arrays, strict=True):
                tally.add(found, first_row)
        if not whole:
            for _, arrays in _chunks(table, group, size):
                for tally, found in zip(tallies, arrays, strict=True):
                    tally.count(tally.ordered(found))
        result += [tally.measured(table.n_rows) for tally in tallies]
    return result


def _chunks(
    table: Table, columns: Sequence[TableColumn], size: int
) -> Iterator[tuple[int, list[Any]]]:
    """Yield the first row of a stretch of rows, and the columns there as (masked) arrays."""
    terms = []
    for at, column in enumerate(columns):
        value = f"epoch_us({column.ref})" if column.type == "time" else column.ref
        terms.append(f"{value} AS v{at}")
        if column.type == "time":  # infinite times have no number
            terms[-1] = f"CASE WHEN isfinite({column.ref}) THEN {value} END AS v{at}"
            kind = "TIMESTAMPTZ" if column.zoned else "TIMESTAMP"
            terms.append(
                f"CASE {column.ref} WHEN 'infinity'::{kind} THEN 1"
                f" WHEN '-infinity'::{kind} THEN -1 ELSE 0 END::TINYINT AS i{at}"
            )
    for start in range(0, table.n_rows, size):
        sql = (
            f"SELECT {', '.join(terms)} FROM t WHERE rowid BETWEEN {start} AND {start + size - 1}"  # noqa: S608 -- names are quoted
        )
        found = table.execute(sql).fetchnumpy()
        yield start, [(found[f"v{at}"], found.get(f"i{at}")) for at in range(len(columns))]


class _Tally:
    """What is known of one column so far."""

    def __init__(self, column: TableColumn, on: Cells | None, share: float) -> None:
        self.column, self.on, self.share = column, on, share
        self.n = self.n_zero = self.n_negative = self.n_nan = self.n_up = self.n_down = 0
        self.sum = 0
        self.low: Number | None = None
        self.high: Number | None = None
        self.moments, self.kll, self.words = Moments(), sketches.kll(), DistinctCounter()
        self.sample: list[Values] = []
        self.quantiles: dict[int, Number] = {}  # by per cent
        self.edges: list[Number] | None = None  # of the cells, once they are known
        self.points: list[Number] = []  # whose own counts the cells need
        self.widths: list[float] = []
        self.upto: list[int] = []
        self.at: list[int] = []
        self.buckets: list[int] = []

    def add(self, found: tuple[Any, Any], first_row: int) -> None:
        """Take a chunk in everything but the cells; with them where it is the whole column."""
        values, infinite = found
        self._count_special(values, infinite)
        ordered = self.ordered(found)
        if self.share < 1:
            self.sample.append(_sampled(values, first_row, self.share))
        if len(ordered):
            self._add_finite(ordered)
        if self.share == 1:
            self.sample = [ordered]
            self.count(ordered)

    def ordered(self, found: tuple[Any, Any]) -> Values:
        """Return the finite values of a chunk, sorted."""
        import numpy as np

        return np.sort(_finite(_present(found[0])))

    def _count_special(self, values: Any, infinite: Any) -> None:
        import numpy as np

        if infinite is not None:
            self.n_up += int((infinite == 1).sum())
            self.n_down += int((infinite == -1).sum())
        elif values.dtype.kind == "f":
            present = _present(values)
            self.n_nan += int(np.isnan(present).sum())
            self.n_up += int(np.isposinf(present).sum())
            self.n_down += int(np.isneginf(present).sum())

    def _add_finite(self, ordered: Values) -> None:
        import numpy as np

        low, high = ordered[0].item(), ordered[-1].item()
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)
        self.n += len(ordered)
        self.words.add(words_of(ordered[np.r_[True, ordered[1:] != ordered[:-1]]]))
        if self.column.type == "time":
            return
        below = int(np.searchsorted(ordered, 0, side="left"))
        self.n_negative += below
        self.n_zero += int(np.searchsorted(ordered, 0, side="right")) - below
        if ordered.dtype.kind != "f":  # the halves of 64 bits add up without overflow
            upper, lower = ordered >> 32, ordered & 0xFFFF_FFFF
            self.sum += (int(upper.sum()) << 32) + int(lower.sum())
        doubles = ordered.astype(np.float64)
        self.kll.update(doubles)
        self.moments = moments.merge(self.moments, moments.of(doubles))

    def _settle(self) -> None:
        """Choose the edges, from the quantiles of the values or of their sample."""
        import numpy as np

        values = self.sample[0] if self.sample else np.empty(0)
        if self.share < 1 and self.sample:
            values = np.sort(np.concatenate(self.sample))
        self.sample = []
        n = len(values)
        if n:
            steps = range(101)
            self.quantiles = {s: values[max(-(-s * n // 100), 1) - 1].item() for s in steps}
        self.edges, self.points = [], []
        if self.on is not None:
            self.edges = list(self.on.edges)
            known = [value for value in self.on.values if not isinstance(value, str)]
            self.points = sorted({*known, *self.edges[:1]})
        elif self.low is not None and self.high is not None:
            grid = [self.quantiles[s] for s in range(0, 101, 100 // cells.N_QUANTILES) if n]
            self.edges = self.points = sorted({self.low, self.high, *grid})
        if self.low is not None and self.high is not None and self.column.type != "time":
            self.widths = bucket_edges(self.low, self.high)
        self.upto, self.at = [0] * len(self.edges), [0] * len(self.points)
        self.buckets = [0] * len(self.widths)

    def count(self, ordered: Values) -> None:
        """Count a chunk into the cells and buckets."""
        import numpy as np

        if self.edges is None:
            self._settle()
        right = _rank(ordered, self.edges or [], "right")
        self.upto = _added(self.upto, np.diff(right, prepend=0))
        equal = _rank(ordered, self.points, "right") - _rank(ordered, self.points, "left")
        self.at = _added(self.at, equal)
        ranks = np.searchsorted(ordered.astype(np.float64), self.widths, side="right")
        self.buckets = _added(self.buckets, np.diff(ranks, prepend=0))

    def measured(self, n_rows: int) -> Measured:
        """Return the statistics."""
        if self.edges is None:
            self._settle()
        sketch, n_distinct = self.words.sketch(), self.words.counted
        return Measured(
            numbers=self._numbers(),
            cells=self._cells(n_rows),
            distinct=Distinct(
                count=sketches.estimate_hll(sketch) if n_distinct is None else n_distinct,
                exact=n_distinct is not None,
                sketch=sketch,
            ),
        )

    def _numbers(self) -> Numbers:
        histogram = None
        if self.widths and self.low is not None and self.high is not None:
            histogram = Histogram(low=self.low, high=self.high, counts=tuple(self.buckets))
        levels = {str(level): round(level * 100) for level in QUANTILES}
        return Numbers(
            n_finite=self.n,
            n_zero=self.n_zero,
            n_negative=self.n_negative,
            n_nan=self.n_nan,
            n_positive_infinity=self.n_up,
            n_negative_infinity=self.n_down,
            min=self.low,
            max=self.high,
            quantiles={k: self.quantiles[s] for k, s in levels.items() if self.quantiles},
            quantiles_from="values" if self.share == 1 else "sample",
            histogram=histogram,
            sketch=sketches.dump_kll(self.kll) if self.column.type != "time" else None,
        ).with_moments(self.moments, exact_sum=self.sum if self.column.type == "integer" else None)

    def _cells(self, n_rows: int) -> Cells:
        upto, at, edges = self.upto, self.at, self.edges or []
        if self.on is None:
            counted = cells.own_cells(edges, upto, at, n=self.n)
        else:
            count = dict(zip(self.points, at, strict=True))
            values = [count[value] for value in self.on.values if not isinstance(value, str)]
            at_first = count[edges[0]] if edges else 0
            counted = cells.recount(self.on, upto, at_first, at=values, n=self.n)
        ends = bool(counted.edges)
        return msgspec.structs.replace(
            counted,
            below=counted.below + (self.n_down if ends else 0),
            above=counted.above + (self.n_up if ends else 0),
            other=counted.other + (0 if ends else self.n_down + self.n_up),
            nan=self.n_nan,
            invalid=self.column.n_invalid,
            missing=n_rows - self.column.n_present,
        )


def words_of(values: Values) -> NDArray[np.uint64]:
    """Return the 64-bit words that stand for numbers in a sketch of distinct values.

    A number is the bits of its double, so that 1 and 1.0 are one value; an integer that no
    double holds is its own bits.
    """
    import numpy as np

    words = values.astype(np.float64).view(np.uint64)
    if values.dtype.kind != "f":
        large = (values > 2**53) | (values < -(2**53) if values.dtype.kind == "i" else False)
        words[large] = values[large].view(np.uint64)
    return words


def _present(values: Any) -> Any:
    import numpy as np

    return values.compressed() if isinstance(values, np.ma.MaskedArray) else values


def _finite(values: Any) -> Any:
    import numpy as np

    if values.dtype.kind != "f":
        return values
    return values[np.isfinite(values)] + 0.0  # -0.0 becomes 0.0


def _sampled(values: Any, first_row: int, share: float) -> Any:
    """Return the finite values of about a share of the rows, the same ones each time."""
    import numpy as np

    rows = np.arange(first_row, first_row + len(values), dtype=np.uint64)
    taken = ((rows * np.uint64(2654435761)) & np.uint64(0xFFFF_FFFF)) < share * 2**32
    return _finite(_present(values[taken]))


def _rank(ordered: Values, points: Sequence[Number], side: Any) -> NDArray[np.int64]:
    """Return how many values lie below each point (`left`), or up to and with it (`right`)."""
    import numpy as np

    if ordered.dtype.kind == "f" or not points:
        return np.searchsorted(ordered, np.asarray(points, ordered.dtype), side=side)
    info = np.iinfo(ordered.dtype)  # an edge of another window may not fit these integers
    inside = np.asarray([min(max(int(p), info.min), info.max) for p in points], ordered.dtype)
    ranks = np.searchsorted(ordered, inside, side=side)
    ranks[[p > info.max for p in points]] = len(ordered)
    ranks[[p < info.min for p in points]] = 0
    return ranks


def _added(counts: list[int], more: NDArray[np.int64]) -> list[int]:
    return [count + int(extra) for count, extra in zip(counts, more, strict=True)]

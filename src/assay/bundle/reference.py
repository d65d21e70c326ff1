"""The reference in a bundle: how the training rows were distributed, day by day, exactly.

Each column is cut into cells (`assay.data.cells`) on its own quantiles, and the rows in each cell
are counted for each calendar day (UTC). Whole days add up to any window, so that a monitor can
compare traffic with any stretch of the training. No sketch is in it: those are not stable.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.errors import Error, NotFound, did_you_mean
from assay.bundle.columns import InvalidRows
from assay.bundle.placing import Kind, cut, kind_of, place, rounded
from assay.data.cells import Cells

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from assay.bundle.signature import Values

REFERENCE_FORMAT = 1
FIRST_MONDAY = 4  # 5 January 1970, in days since 1 January


class Counts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rows of one column, by day and cell.

    Attributes
    ----------
    edges, values : list
        The cells, as in `assay.data.cells.Cells`.
    counts : list of list of int
        A list a day, in the order of `Cells.counts`.
    """

    edges: list[int | float]
    values: list[bool | int | float | str]
    counts: list[list[int]]

    @property
    def order(self) -> tuple[int, ...]:
        """The places of the cells that have an order, from the lowest number to the highest.

        Texts and booleans have none. Beyond a heavy value at the end lies another value, not a
        neighbour: so flags and levels stay apart from what was never seen.
        """
        if not self.edges:
            return ()
        n_inside = len(self.edges) - 1
        spans = [(edge, 1.0, 0.0, 2 + at) for at, edge in enumerate(self.edges[:-1])]
        for at, value in enumerate(self.values):
            if not isinstance(value, str):  # within an interval it is below what lies there
                low = max(bisect_right(self.edges, value) - 1, 0)
                spans.append((self.edges[low], 0.0, value, 2 + n_inside + at))
        below = [] if self.edges[0] in self.values else [0]
        above = [] if self.edges[-1] in self.values else [1]
        return (*below, *(place for *_, place in sorted(spans)), *above)

    @property
    def kind(self) -> Kind:
        """What the column has: numbers, booleans or texts."""
        if self.edges or any(day[-3] for day in self.counts):  # NaN is a number
            return "number"
        return "boolean" if self.values and isinstance(self.values[0], bool) else "text"

    def count(self, values: Any) -> list[int]:
        """Return the cells of other values of this column, in the order of `Cells.counts`.

        Parameters
        ----------
        values : array or list
            A missing one is None, NaN or masked. It is counted as the training counts it: as NaN
            among numbers, as missing among texts and booleans. What is not of the column's type
            is invalid.
        """
        import numpy as np

        n_cells = _width(self.edges, self.values)
        on = _cells(self.edges, self.values, [0] * n_cells)
        found = place(rounded(values, self.edges), on, kind=self.kind)
        counts: list[int] = np.bincount(found, minlength=n_cells).tolist()
        return counts


class Reference(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """The distribution of the training rows.

    Attributes
    ----------
    days : list of str or None
        The days that have rows, in order, as ISO 8601 dates; one None where no time was given.
    n_rows : list of int
        The rows of each day.
    target : Counts or None
        What was to be predicted, where it was given.
    prediction : Counts or None
        What the model answers for its training rows, where that is one number or class a row.
        Bundles made before this was counted have none.
    """

    reference: int
    days: list[str | None]
    n_rows: list[int]
    columns: dict[str, Counts]
    target: Counts | None
    prediction: Counts | None = None

    def cells(self, column: str, *, start: str | None = None, end: str | None = None) -> Cells:
        """Return the counts of a column over the days from `start` up to and with `end`.

        Raises
        ------
        NotFound
            If there is no such column.
        """
        return self._sum(self.column(column), start, end)

    def target_cells(self, *, start: str | None = None, end: str | None = None) -> Cells | None:
        """Return the counts of the target, as `cells` does of a column."""
        return None if self.target is None else self._sum(self.target, start, end)

    def column(self, name: str) -> Counts:
        """Return the counts of a column.

        Raises
        ------
        NotFound
            If there is no such column.
        """
        if name not in self.columns:
            raise NotFound(
                f"the reference has no column '{name}'", hint=did_you_mean(name, self.columns)
            )
        return self.columns[name]

    def count(self, column: str, values: Any) -> list[int]:
        """Return the cells of other values of a column; see `Counts.count`."""
        return self.column(column).count(values)

    def count_prediction(self, values: Any) -> list[int]:
        """Return the cells of other answers of the model; see `Counts.count`.

        Raises
        ------
        NotFound
            If the reference has no answers.
        """
        return self._answers().count(values)

    def counts(self, column: str, first_day: str, last_day: str) -> NDArray[np.int64]:
        """Return the rows in each cell of a column from a day up to and with another."""
        return self._add(self.column(column), first_day, last_day)

    def counts_prediction(self, first_day: str, last_day: str) -> NDArray[np.int64]:
        """Return the same of the model's answers for its training rows.

        Raises
        ------
        NotFound
            If the reference has no answers.
        """
        return self._add(self._answers(), first_day, last_day)

    def windows(self, days: int) -> list[tuple[str, str]]:
        """Return the first and the last day of each whole window of the reference, in order.

        Windows begin a whole number of lengths after Monday, 5 January 1970. Those without a row
        are left out, and those that reach beyond the first or the last day with rows.
        """
        import numpy as np

        known = np.array([day for day in self.days if day is not None], "datetime64[D]")
        if not len(known):
            return []
        number = (known.astype(np.int64) - FIRST_MONDAY) // days
        begin = np.unique(number) * days + FIRST_MONDAY
        first, last = known[0].astype(np.int64), known[-1].astype(np.int64)
        begin = begin[(begin >= first) & (begin + days - 1 <= last)]
        starts, ends = begin.astype("datetime64[D]"), (begin + days - 1).astype("datetime64[D]")
        return list(zip(starts.astype(str).tolist(), ends.astype(str).tolist(), strict=True))

    def _answers(self) -> Counts:
        if self.prediction is None:
            raise NotFound(
                "the reference does not tell what the model answers for its training rows",
                hint="make the bundle again; a model with several targets has none",
            )
        return self.prediction

    def _add(self, found: Counts, start: str | None, end: str | None) -> NDArray[np.int64]:
        import numpy as np

        names = [day or "" for day in self.days]
        low = 0 if start is None else bisect_left(names, start)
        high = len(names) if end is None else bisect_right(names, end)
        width = len(found.counts[0]) if found.counts else 0
        chosen = np.array(found.counts[low:high], np.int64).reshape(-1, width)
        sums: NDArray[np.int64] = chosen.sum(axis=0)
        return sums

    def _sum(self, found: Counts, start: str | None, end: str | None) -> Cells:
        return _cells(found.edges, found.values, self._add(found, start, end).tolist())


def make(
    columns: Mapping[str, Values],
    *,
    days: NDArray[np.datetime64] | None,
    target: Values | None,
    prediction: Values | None = None,
) -> Reference:
    """Return the distribution of training rows.

    Parameters
    ----------
    columns : mapping of str to array
        The columns that the model takes.
    days : array of datetime64[D], optional
        The day of each row.
    target : array, optional
        What was to be predicted.
    prediction : array, optional
        What the model answers for these rows.
    """
    import numpy as np

    n_rows = len(next(iter(columns.values())))
    if days is None:
        names: list[str | None] = [None]
        day = np.zeros(n_rows, np.int64)
    else:
        distinct, day = np.unique(days, return_inverse=True)
        names = [str(one) for one in distinct]
    n_days = len(names)
    return Reference(
        reference=REFERENCE_FORMAT,
        days=names,
        n_rows=np.bincount(day, minlength=n_days).tolist(),
        columns={name: _count(values, day, n_days) for name, values in columns.items()},
        target=None if target is None else _count(target, day, n_days),
        prediction=None if prediction is None else _count(prediction, day, n_days),
    )


def dump(reference: Reference) -> bytes:
    """Return canonical JSON."""
    return msgspec.json.encode(reference, order="sorted") + b"\n"


def load(content: bytes, *, where: str) -> Reference:
    """Read what `dump` wrote."""
    try:
        found = msgspec.json.decode(content, type=Reference)
    except msgspec.MsgspecError as error:
        raise Error(f"the reference cannot be read: {error}", where=where) from error
    others = {"(target)": found.target, "(prediction)": found.prediction}
    for name, counts in {**found.columns, **others}.items():
        if counts is not None and not _adds_up(counts, found.n_rows):
            raise Error("the counts contradict the number of rows", where=f"{where}: '{name}'")
    return found


def days_of(times: Any, *, n_rows: int) -> NDArray[np.datetime64]:
    """Return the calendar day (UTC) of moments.

    Parameters
    ----------
    times : array or sequence
        NumPy's datetimes, Python's (one without a zone is UTC), or ISO 8601 text.

    Raises
    ------
    InvalidRows
        If one is missing or no moment, or there are more or fewer than rows.
    """
    import numpy as np

    values = times.to_numpy() if hasattr(times, "to_numpy") else times
    if isinstance(values, np.ma.MaskedArray):
        values = values.filled(np.datetime64("NaT"))
    if len(values) != n_rows:
        raise InvalidRows(f"there are {len(values)} times, and {n_rows} rows", where="time")
    if not (isinstance(values, np.ndarray) and values.dtype.kind == "M"):
        values = np.array(
            [_moment(value, at) for at, value in enumerate(values)], "datetime64[us]"
        )
    missing = np.isnat(values)
    if missing.any():
        raise InvalidRows(f"the time of row {int(missing.argmax()) + 1} is missing", where="time")
    found: NDArray[np.datetime64] = values.astype("datetime64[D]")
    return found


def _moment(value: Any, at: int) -> Any:
    import datetime as dt

    import numpy as np

    if isinstance(value, np.datetime64):
        return value
    try:
        found = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        found = None
    if isinstance(found, dt.datetime):
        if found.tzinfo is not None:
            found = found.astimezone(dt.UTC).replace(tzinfo=None)
        return np.datetime64(found, "us")
    if isinstance(found, dt.date):
        return np.datetime64(found, "us")
    raise InvalidRows(
        f"the time of row {at + 1} is {value!r}; expected is a moment, or ISO 8601 text",
        where="time",
    )


def _count(values: Values, day: NDArray[np.int64], n_days: int) -> Counts:
    import numpy as np

    found = cut(values)
    width = len(found.counts)
    cell = place(values, found, kind=kind_of(values))
    counts = np.bincount(day * width + cell, minlength=n_days * width).reshape(n_days, width)
    return Counts(edges=list(found.edges), values=list(found.values), counts=counts.tolist())


def _width(edges: Sequence[Any], values: Sequence[Any]) -> int:
    """Return the number of cells."""
    return (2 + len(edges) - 1 if edges else 0) + len(values) + 4


def _cells(edges: Sequence[Any], values: Sequence[Any], counts: Sequence[int]) -> Cells:
    """Return cells from counts in the order of `Cells.counts`."""
    n_ends, n_inside = 2 if edges else 0, max(len(edges) - 1, 0)
    ends, rest = counts[:n_ends] or (0, 0), counts[n_ends:]
    inside, at = rest[:n_inside], rest[n_inside : n_inside + len(values)]
    other, nan, invalid, missing = rest[n_inside + len(values) :] or (0, 0, 0, 0)
    return Cells(
        edges=tuple(edges),
        values=tuple(values),
        inside=tuple(inside),
        at=tuple(at),
        below=ends[0],
        above=ends[1],
        other=other,
        nan=nan,
        invalid=invalid,
        missing=missing,
    )


def _adds_up(found: Counts, n_rows: Sequence[int]) -> bool:
    width = _width(found.edges, found.values)
    rising = all(low < high for low, high in pairwise(found.edges))
    return rising and [sum(day) for day in found.counts] == [*n_rows] and all(
        len(day) == width and min(day) >= 0 for day in found.counts
    )  # fmt: skip

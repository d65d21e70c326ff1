"""The reference in a bundle: how the training rows were distributed, day by day, exactly.

Each column is cut into cells (`assay.data.cells`) on its own quantiles, and the rows in each cell
are counted for each calendar day (UTC). Whole days add up to any window, so that a monitor can
compare traffic with any stretch of the training. No sketch is in it: those are not stable.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.errors import Error, NotFound, did_you_mean
from assay.bundle.columns import InvalidRows
from assay.data import cells
from assay.data.cells import Cells

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from assay.bundle.signature import Values

REFERENCE_FORMAT = 1


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


class Reference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The distribution of the training rows.

    Attributes
    ----------
    days : list of str or None
        The days that have rows, in order, as ISO 8601 dates; one None where no time was given.
    n_rows : list of int
        The rows of each day.
    target : Counts or None
        What was to be predicted, where it was given.
    """

    reference: int
    days: list[str | None]
    n_rows: list[int]
    columns: dict[str, Counts]
    target: Counts | None

    def cells(self, column: str, *, start: str | None = None, end: str | None = None) -> Cells:
        """Return the counts of a column over the days from `start` up to and with `end`.

        Raises
        ------
        NotFound
            If there is no such column.
        """
        if column not in self.columns:
            raise NotFound(
                f"the reference has no column '{column}'",
                hint=did_you_mean(column, self.columns),
            )
        return self._sum(self.columns[column], start, end)

    def target_cells(self, *, start: str | None = None, end: str | None = None) -> Cells | None:
        """Return the counts of the target, as `cells` does of a column."""
        return None if self.target is None else self._sum(self.target, start, end)

    def _sum(self, found: Counts, start: str | None, end: str | None) -> Cells:
        chosen = [
            counts
            for day, counts in zip(self.days, found.counts, strict=True)
            if (start is None or (day or "") >= start) and (end is None or (day or "") <= end)
        ]
        width = len(found.counts[0]) if found.counts else 0
        sums = [sum(day[at] for day in chosen) for at in range(width)]
        return _cells(found.edges, found.values, sums)


def make(
    columns: Mapping[str, Values], *, days: NDArray[np.datetime64] | None, target: Values | None
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
    for name, counts in {**found.columns, "(target)": found.target}.items():
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

    found = _cut(values)
    width = len(found.counts)
    place = _place(values, found)
    counts = np.bincount(day * width + place, minlength=n_days * width).reshape(n_days, width)
    return Counts(edges=list(found.edges), values=list(found.values), counts=counts.tolist())


def _cut(values: Values) -> Cells:
    """Return the cells of a column, on its own quantiles or most frequent texts."""
    import numpy as np

    if values.dtype.kind == "O":
        texts = [value for value in values.tolist() if isinstance(value, str)]
        ranked = sorted(Counter(texts).items(), key=lambda pair: (-pair[1], pair[0]))
        listed = tuple(text for text, _ in ranked[: cells.N_CATEGORIES])
        return Cells(values=listed, at=(0,) * len(listed))
    if values.dtype.kind == "b":
        return Cells(values=(False, True), at=(0, 0))
    ordered = np.sort(_finite(values))
    n = len(ordered)
    if not n:
        return Cells()
    steps = range(0, 101, 100 // cells.N_QUANTILES)
    grid = {ordered[max(-(-step * n // 100), 1) - 1].item() for step in steps}
    edges = sorted({ordered[0].item(), ordered[-1].item(), *grid})
    points = np.array(edges, ordered.dtype)
    right = np.searchsorted(ordered, points, "right")
    at = right - np.searchsorted(ordered, points, "left")
    return cells.own_cells(edges, np.diff(right, prepend=0).tolist(), at.tolist(), n=n)


def _place(values: Values, found: Cells) -> NDArray[np.int64]:
    """Return for each value the place of its cell in `Cells.counts`."""
    import numpy as np

    n_ends, n_inside = 2 if found.edges else 0, len(found.inside)
    first_value = n_ends + n_inside
    other, nan, _, missing = range(len(found.counts) - 4, len(found.counts))
    if values.dtype.kind == "O":
        known = {text: first_value + at for at, text in enumerate(found.values)}
        places = [
            known.get(v, other) if isinstance(v, str) else missing for v in values.tolist()
        ]  # fmt: skip
        return np.array(places, np.int64)
    if values.dtype.kind == "b":
        return first_value + values.astype(np.int64)
    place = np.full(len(values), other, np.int64)
    if found.edges:
        edges = np.array(found.edges, values.dtype)
        interval = np.maximum(np.searchsorted(edges, values, "left") - 1, 0)
        place = n_ends + np.minimum(interval, max(n_inside - 1, 0))
        place[values < edges[0]] = 0
        place[values > edges[-1]] = 1
    for at, value in enumerate(found.values):
        place[values == value] = first_value + at
    if values.dtype.kind == "f":
        place[np.isnan(values)] = nan
    return place


def _finite(values: Values) -> Values:
    import numpy as np

    if values.dtype.kind != "f":
        return values
    finite: Values = values[np.isfinite(values)] + 0.0  # -0.0 becomes 0.0
    return finite


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
    width = (2 + len(found.edges) - 1 if found.edges else 0) + len(found.values) + 4
    rising = all(low < high for low, high in pairwise(found.edges))
    return rising and [sum(day) for day in found.counts] == [*n_rows] and all(
        len(day) == width and min(day) >= 0 for day in found.counts
    )  # fmt: skip

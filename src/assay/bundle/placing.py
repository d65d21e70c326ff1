"""The cells of a training column, and which of them a value lies in, now and later in traffic.

A missing value is counted as the training has it, which knows NaN among numbers, and missing rows
among texts and booleans: `null` in a request is what the model is given as NaN.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from assay.data import cells
from assay.data.cells import Cells

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Values = NDArray[Any]

Kind = Literal["number", "boolean", "text"]


def cut(values: Values) -> Cells:
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


def kind_of(values: Values) -> Kind:
    """Return the kind of a training column, which has one type."""
    if values.dtype.kind == "b":
        return "boolean"
    return "number" if values.dtype.kind in "iuf" else "text"


def place(values: Any, on: Cells, *, kind: Kind) -> NDArray[np.int64]:
    """Return for each value the place of its cell in `Cells.counts`.

    Parameters
    ----------
    values : array or list
        A missing one is None, NaN or masked; one of another kind is invalid.
    on : Cells
        Where the edges and values come from; its counts are ignored.
    """
    import numpy as np

    gone = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else None
    data = np.ma.getdata(values) if isinstance(values, np.ma.MaskedArray) else values
    if not isinstance(data, np.ndarray) or data.dtype.kind not in "biuf":
        found = _of_objects(list(data), on, kind)
    elif (data.dtype.kind == "b") == (kind == "boolean") and kind != "text":
        found = _of_booleans(data, on) if kind == "boolean" else _of_numbers(data, on)
    else:
        found = np.full(len(data), _special(on, "invalid"), np.int64)
        if data.dtype.kind == "f":
            found[np.isnan(data)] = _missing(on, kind)
    if gone is not None:
        found[gone] = _missing(on, kind)
    return found


def rounded(values: Any, edges: Sequence[int | float]) -> Any:
    """Return values in the precision of the training.

    What a model takes as 32 bits is logged with more: .1 must lie on the edge that is .1 there.
    """
    import numpy as np

    floats = [edge for edge in edges if isinstance(edge, float)]
    with np.errstate(over="ignore"):
        if not floats or any(float(np.float32(edge)) != edge for edge in floats):
            return values
        if isinstance(values, np.ndarray) and values.dtype.kind == "f":
            return values.astype(np.float32)
        if isinstance(values, np.ndarray):
            return values
        return [float(np.float32(v)) if isinstance(v, float) else v for v in values]


def _of_objects(values: list[Any], on: Cells, kind: Kind) -> NDArray[np.int64]:
    """Return the places of Python's values."""
    import numpy as np

    missing, invalid = _missing(on, kind), _special(on, "invalid")
    if kind == "number":
        plain = [value.item() if isinstance(value, np.generic) else value for value in values]
        right = [type(value) in {int, float} for value in plain]
        found = _of_numbers(_array([v for v, ok in zip(plain, right, strict=True) if ok]), on)
        all_ = np.where([value is None for value in plain], missing, invalid).astype(np.int64)
        all_[np.array(right, bool)] = found
        return all_
    first = _first_value(on)
    known: dict[Any, int] = {value: first + at for at, value in enumerate(on.values)}
    if kind == "boolean":
        return np.array(
            [
                known[bool(value)] if isinstance(value, bool | np.bool_)
                else missing if _is_missing(value) else invalid
                for value in values
            ],
            np.int64,
        )  # fmt: skip
    other = _special(on, "other")
    return np.array(
        [
            known.get(value, other) if isinstance(value, str)
            else missing if _is_missing(value) else invalid
            for value in values
        ],
        np.int64,
    )  # fmt: skip


def _of_booleans(values: Values, on: Cells) -> NDArray[np.int64]:
    import numpy as np

    return _first_value(on) + values.astype(np.int64)


def _of_numbers(values: Values, on: Cells) -> NDArray[np.int64]:
    import numpy as np

    found = np.full(len(values), _special(on, "other"), np.int64)
    if on.edges:
        n_inside = len(on.inside)
        exact = values.dtype if values.dtype == np.uint64 and on.edges[0] >= 0 else None
        edges = np.array(on.edges, exact)
        interval = np.maximum(np.searchsorted(edges, values, "left") - 1, 0)
        found = 2 + np.minimum(interval, max(n_inside - 1, 0)).astype(np.int64)
        found[values < edges[0]] = 0
        found[values > edges[-1]] = 1
    for at, value in enumerate(on.values):
        found[values == value] = _first_value(on) + at
    if values.dtype.kind == "f":
        found[np.isnan(values)] = _special(on, "nan")
    return found


def _array(values: list[int | float]) -> Values:
    """Return numbers as whole ones where they are, and where 64 bits hold them."""
    import numpy as np

    if all(type(value) is int for value in values):
        try:
            return np.array(values, np.int64)
        except OverflowError:
            pass
    return np.array(values, np.float64)


def _finite(values: Values) -> Values:
    import numpy as np

    if values.dtype.kind != "f":
        return values
    finite: Values = values[np.isfinite(values)] + 0.0  # -0.0 becomes 0.0
    return finite


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)  # noqa: PLR0124 -- NaN


def _first_value(on: Cells) -> int:
    """Return the place of the first value with a cell of its own."""
    return (2 if on.edges else 0) + len(on.inside)


def _missing(on: Cells, kind: Kind) -> int:
    return _special(on, "nan" if kind == "number" else "missing")


def _special(on: Cells, name: Literal["other", "nan", "invalid", "missing"]) -> int:
    return len(on.counts) - 4 + ("other", "nan", "invalid", "missing").index(name)

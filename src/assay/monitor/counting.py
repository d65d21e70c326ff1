"""Counts of the rows of windows: cells and tallies by column, which add up over parts of the log.

Each part is in memory once, sorted by window; nothing is done row by row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.errors import Error
from assay.bundle import index as indexes
from assay.bundle import reference as references
from assay.bundle.index import REFERENCE
from assay.monitor import quality, windows
from assay.monitor.drift import PREDICTION, Drift
from assay.monitor.losses import PREDICT
from assay.monitor.quality import Expected, Tally
from assay.monitor.windows import Span
from assay.traffic.table import quoted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from assay.bundle.index import Index
    from assay.bundle.reference import Reference
    from assay.data.read import Table
    from assay.objects.cache import Cache
    from assay.traffic.log import Log

ANSWER = "assay.answer"


class Watcher(msgspec.Struct, frozen=True, kw_only=True):
    """What the columns of one bundle are held against."""

    index: Index
    reference: Reference
    drift: Drift
    expected: Mapping[str, Expected]


class Counts:
    """What was counted of one window; parts of it are added one by one."""

    def __init__(self) -> None:
        self.cells: dict[str, NDArray[Any]] = {}
        self.tallies: dict[str, Tally] = {}

    def add(self, watcher: Watcher, columns: Mapping[str, Any], part: slice) -> None:
        """Count the rows of a part."""
        import numpy as np

        for name, expected in watcher.expected.items():
            found = quality.tally(columns[name][part], expected)
            self.tallies[name] = self.tallies.get(name, Tally()) + found
        for name in watcher.drift.names:
            values = columns[name][part]
            if name == PREDICTION:
                values = values[~np.ma.getmaskarray(values)]  # a request that failed has none
            counted = np.array(watcher.drift.count(name, values), np.int64)
            self.cells[name] = self.cells[name] + counted if name in self.cells else counted


def read_reference(objects: Cache, bundle: str) -> tuple[Index, Reference]:
    """Return the index of a bundle and its reference; the model is not read.

    Raises
    ------
    assay.Error
        If the bundle is not in this object store.
    """
    index = indexes.load(objects.read(bundle.removeprefix("sha256:")), where=bundle)
    if REFERENCE not in index.files:
        raise Error("the bundle has no reference", where=bundle)
    content = objects.read(index.files[REFERENCE].sha256)
    return index, references.load(content, where=bundle)


def answer(log: Log) -> dict[str, str]:
    """Return the SQL of what the model answered, for `windows.load`."""
    for column in log.columns:
        if column.name == PREDICT and not column.type.endswith("]"):
            return {ANSWER: f"p.{quoted(column.ref, chr(34))}"}
    return {ANSWER: "NULL::INTEGER"}


def count(
    table: Table, watchers: Mapping[int, Watcher | None], *, size: int, into: dict[int, Counts]
) -> None:
    """Add the rows of `t` to the counts of their windows.

    Parameters
    ----------
    watchers : mapping
        By the start of each window that is counted, what it is held against.
    into : dict
        Takes the counts by the start of the window.
    """
    import numpy as np

    starts = [start for start, watcher in watchers.items() if watcher is not None]
    if not starts:
        return
    names = {
        name
        for start in starts
        if (one := watchers[start])
        for name in (*one.expected, *one.drift.names)
    }
    known = {column.name: column.ref for column in table.columns}
    terms = {"time": '"assay.time"', PREDICTION: quoted(ANSWER, '"')}
    terms |= {name: known[name] for name in sorted(names - {PREDICTION}) if name in known}
    first, last = Span(min(starts), max(starts)).start, max(starts) + size
    where = f'"assay.time" >= {first} AND "assay.time" < {last}'
    columns = windows.arrays(table, terms, where=where)
    times = np.ma.getdata(columns.pop("time"))
    place = (times - windows.ORIGIN) // size
    if (np.diff(place) < 0).any():
        order = np.argsort(place, kind="stable")
        place, columns = place[order], {name: one[order] for name, one in columns.items()}
    for name in names - set(columns):
        columns[name] = np.ma.array(np.zeros(len(place)), mask=True)  # nobody sent it
    ends = np.flatnonzero(np.diff(place)) + 1
    for low, high in zip([0, *ends.tolist()], [*ends.tolist(), len(place)], strict=True):
        if low == high:
            continue
        start = int(place[low]) * size + windows.ORIGIN
        watcher = watchers.get(start)
        if watcher is not None:
            into.setdefault(start, Counts()).add(watcher, columns, slice(low, high))

# ruff: noqa: S608 -- every name and literal in the SQL of this file goes through `quoted`
"""Windows of event time: which are due, and the rows of the log that lie in each.

Windows are whole days, and begin at a Monday (1970-01-05, UTC) and multiples of their length. A
row without event time, or with one that lies more than a day after it came, is counted and never
used. The log is read a fixed number of times, however many windows are due.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.errors import Error
from assay.data.read import Table, TableColumn
from assay.project import declaration
from assay.traffic.columns import refs
from assay.traffic.parts import INPUT
from assay.traffic.table import quoted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from assay.traffic.log import Log

DAY = 86_400_000
"""Milliseconds of a day."""

ORIGIN = 4 * DAY
"""1970-01-05, the Monday that windows are counted from."""

MOST_ROWS = 1_000_000
"""Rows that are in memory at a time, unless one minute has more."""

_MINUTE = 60_000
_USED = f'p.event_time <= p."at" + {DAY}'
_WHERE = "assay.yaml: monitor.window"


class Span(msgspec.Struct, frozen=True, order=True):
    """A stretch of event time in Unix milliseconds; its end is not part of it."""

    start: int
    end: int

    def __str__(self) -> str:
        """Return its days, the last one included.

        Examples
        --------
        >>> str(Span(ORIGIN, ORIGIN + 7 * DAY)), str(Span(ORIGIN, ORIGIN + DAY))
        ('1970-01-05 to 1970-01-11', '1970-01-05')
        """
        first, last = day(self.start), day(self.end - 1)
        return first if first == last else f"{first} to {last}"


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """What the log holds.

    Attributes
    ----------
    newest : int or None
        The largest event time that is used; None where there is no such row.
    seen : int or None
        When the last row came.
    n_late, n_future, n_untimed : int
        Of the rows that came since the last pass: those of windows that were computed before,
        from the future, and without event time.
    minutes, n_rows : array of int
        The minutes (Unix time) that have rows which are used, in order, and how many.
    """

    newest: int | None
    seen: int | None
    n_late: int
    n_future: int
    n_untimed: int
    minutes: NDArray[Any]
    n_rows: NDArray[Any]

    def count(self, span: Span) -> int:
        """Return how many rows that are used lie in a span of whole minutes."""
        import numpy as np

        ends = [span.start // _MINUTE, -(-span.end // _MINUTE)]
        low, high = np.searchsorted(self.minutes, ends)
        return int(self.n_rows[low:high].sum())


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """What was answered in a window, and by whom.

    Attributes
    ----------
    version, bundle, deployment : str or None
        Of the row that came last.
    versions : dict of str to int
        Rows by version.
    n_days : int
        Days that have rows.
    n_answered : int
        Rows that got an answer.
    latency : list of float
        Seconds that half, 95 % and 99 % of the requests took at most.
    """

    version: str | None
    bundle: str | None
    deployment: str | None
    versions: dict[str, int]
    n_rows: int
    n_days: int
    n_answered: int
    n_requests: int
    n_errors: int
    latency: list[float]


def day(moment: int) -> str:
    """Return the calendar day (UTC) of Unix milliseconds.

    Examples
    --------
    >>> day(1_325_376_000_000)
    '2012-01-01'
    """
    return (dt.date(1970, 1, 1) + dt.timedelta(days=moment // DAY)).isoformat()


def milliseconds(duration: str) -> int:
    """Return a declared duration in milliseconds.

    Examples
    --------
    >>> milliseconds("7d")
    604800000
    """
    return round(declaration.seconds(duration) * 1000)


def length(monitor: declaration.Monitor) -> int:
    """Return the length of a window in milliseconds.

    Raises
    ------
    assay.Error
        If it is not a number of whole days.
    """
    found = milliseconds(monitor.window)
    if found <= 0 or found % DAY:
        raise Error(
            f"a window of '{monitor.window}' is not a number of whole days",
            where=_WHERE,
            hint="write 1d, 7d or the like: the training data are counted by day",
        )
    return found


def span_at(moment: int, size: int) -> Span:
    """Return the window that a moment lies in.

    Examples
    --------
    >>> str(span_at(1_325_376_000_000, 7 * DAY))  # 2012-01-01 is a Sunday
    '2011-12-26 to 2012-01-01'
    """
    start = moment - (moment - ORIGIN) % size
    return Span(start, start + size)


def survey(log: Log, *, start: int | None, computed: int | None, seen: int | None) -> Survey:
    """Count the rows of a log.

    Parameters
    ----------
    start : int, optional
        The event time from which rows are counted by minute.
    computed : int, optional
        The end of the newest window that was computed.
    seen : int, optional
        When the last row came that was there then.
    """
    since = "true" if seen is None else f'p."at" > {seen:d}'
    late = "false" if computed is None else f"{_USED} AND p.event_time < {computed:d}"
    newest, last, n_late, n_future, n_untimed = log.rows(
        f'SELECT max(p.event_time) FILTER ({_USED}), max(p."at"),'
        f" count(*) FILTER ({since} AND {late}),"
        f" count(*) FILTER ({since} AND NOT ({_USED})),"
        f" count(*) FILTER ({since} AND p.event_time IS NULL) FROM predictions p"
    )[0]
    beyond = "" if start is None else f" AND p.event_time >= {start:d}"
    found = log.connection.execute(
        f"SELECT {_start(_MINUTE)} AS m, count(*) AS n"
        f" FROM predictions p WHERE {_USED}{beyond} GROUP BY m ORDER BY m"
    ).fetchnumpy()
    return Survey(
        newest=newest,
        seen=last,
        n_late=n_late,
        n_future=n_future,
        n_untimed=n_untimed,
        minutes=found["m"] // _MINUTE,
        n_rows=found["n"],
    )


def due(found: Survey, *, size: int, watermark: int, computed: int | None) -> list[Span]:
    """Return the windows with rows that the watermark has passed and no pass has computed."""
    import numpy as np

    first = None if computed is None else -((ORIGIN - computed) // size)
    places = np.unique((found.minutes * _MINUTE - ORIGIN) // size).tolist()
    return [
        Span(ORIGIN + at * size, ORIGIN + (at + 1) * size)
        for at in places
        if (first is None or at >= first) and ORIGIN + (at + 1) * size <= watermark
    ]


def serving(log: Log, *, within: Span, size: int) -> dict[int, Serving]:
    """Return what was answered in each window of a stretch, by the window's start."""
    place = _start(size, origin=ORIGIN)
    used = f"{_USED} AND p.event_time >= {within.start:d} AND p.event_time < {within.end:d}"
    last = '(p."at", prediction_id)'
    rows = log.rows(
        f"SELECT {place} AS w, arg_max(version, {last}), arg_max(bundle, {last}),"
        f" arg_max(deployment, {last}) FILTER (deployment IS NOT NULL), count(*),"
        f" count(DISTINCT p.event_time // {DAY}),"
        " count(*) FILTER (status = 'ok'), count(*) FILTER (row = 0),"
        " count(*) FILTER (row = 0 AND status <> 'ok'),"
        " quantile_cont(latency, [0.5, 0.95, 0.99]) FILTER (row = 0)"
        f" FROM predictions p WHERE {used} GROUP BY w"
    )
    by_version: dict[int, dict[str, int]] = {}
    for start, version, n_rows in log.rows(
        f"SELECT {place} AS w, version, count(*) FROM predictions p WHERE {used}"
        ' GROUP BY w, version ORDER BY w, min(p."at"), version'
    ):
        by_version.setdefault(start, {})[version] = n_rows
    return {
        start: Serving(
            version=version,
            bundle=bundle,
            deployment=deployment,
            versions=by_version[start],
            n_rows=n_rows,
            n_days=n_days,
            n_answered=n_answered,
            n_requests=n_requests,
            n_errors=n_errors,
            latency=[float(one) for one in latency or []],
        )
        for start, version, bundle, deployment, n_rows, n_days, n_answered, n_requests, n_errors,
        latency in rows
    }  # fmt: skip


def batches(found: Survey, *, within: Span, most: int = MOST_ROWS) -> Iterator[Span]:
    """Cut a stretch of event time into parts of so many rows at most, of whole minutes."""
    import numpy as np

    ends = [within.start // _MINUTE, -(-within.end // _MINUTE)]
    low, high = np.searchsorted(found.minutes, ends).tolist()
    total = np.cumsum(found.n_rows[low:high])
    at = 0
    while at < high - low:
        before = int(total[at - 1]) if at else 0
        stop = max(int(np.searchsorted(total, before + most, "right")), at + 1)
        start, end = found.minutes[low + at], found.minutes[low + stop - 1] + 1
        yield Span(int(start) * _MINUTE, int(end) * _MINUTE)
        at = stop


def load(
    log: Log,
    span: Span,
    *,
    extra: Mapping[str, str] | None = None,
    joins: str = "",
    where: str = "",
) -> Table:
    """Copy the rows of a stretch into the table `t`, and return it for SQL over a row.

    Its columns are the logged inputs by their own names, `assay.time`, and `extra`, which are
    SQL over the rows `p` of the log and what `joins` adds to them. The table belongs to the log,
    and is replaced by the next one.
    """
    inputs = [column for column in log.columns if column.name.startswith(INPUT)]
    own = refs(["assay.time", *(extra or {}), *(one.name[len(INPUT) :] for one in inputs)])
    terms = ["p.event_time", *(extra or {}).values()]
    terms += [f"p.{quoted(column.ref, chr(34))}" for column in inputs]
    named = (f"{term} AS {quoted(name, chr(34))}" for term, name in zip(terms, own, strict=True))
    log.connection.execute(
        f"CREATE OR REPLACE TABLE t AS SELECT {', '.join(named)} FROM predictions p {joins}"
        f" WHERE p.event_time >= {span.start:d} AND p.event_time < {span.end:d}"
        f" AND {_USED}{where}"
    )
    table = Table(log.connection, Path())
    shown = own[1 + len(extra or {}) :]
    table.columns = tuple(
        TableColumn(
            name=column.name[len(INPUT) :],
            ref=quoted(name, '"'),
            type="other",
            rule="logged",
            physical=column.type,
        )
        for column, name in zip(inputs, shown, strict=True)
    )
    return table


def arrays(table: Table, terms: Mapping[str, str], *, where: str = "") -> dict[str, Any]:
    """Return SQL over the rows of `t` as arrays, in their order, masked where NULL."""
    named = ", ".join(f"{term} AS x{at}" for at, term in enumerate(terms.values()))
    condition = f" WHERE {where}" if where else ""
    found = table.execute(f"SELECT rowid, {named} FROM t{condition} ORDER BY rowid").fetchnumpy()
    return {name: found[f"x{at}"] for at, name in enumerate(terms)}


def _start(size: int, *, origin: int = 0) -> str:
    """Return the SQL for the largest multiple of a size, from an origin, up to the event time."""
    return f"p.event_time - (((p.event_time - {origin}) % {size}) + {size}) % {size}"

"""The points of a metric over time: page by page, or so many that a plot needs no more.

A page goes on where the one before ended, by the last point and not by a count, so that points
that arrive meanwhile move nothing. Its token belongs to one metric of one run.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import msgspec

from assay.base.errors import Error
from assay.ledger.writer import Metric

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Executable


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Points in the order of their moment, step and value.

    Attributes
    ----------
    next : str or None
        What brings the next page; None where this is the last one.
    """

    points: Sequence[Metric]
    next: str | None


class _Token(msgspec.Struct, frozen=True, array_like=True):
    run: str
    key: str
    at: int
    step: int
    value: str  # as `float.hex`, since JSON has no infinities
    is_nan: bool


def page(
    connection: Connection,
    run: str,
    key: str,
    *,
    limit: int | None = None,
    token: str | None = None,
) -> Page:
    """Return points of a metric; none where the run or the metric is not there.

    Parameters
    ----------
    limit : int, optional
        How many at most; all, where it is not given.
    token : str, optional
        What the page before gave.

    Raises
    ------
    Error
        If the token is none, or of another metric.
    """
    known = {"run": run, "key": key, "limit": 2**62 if limit is None else limit + 1}
    if token:
        after = _opened(token, run, key)
        known |= {
            "at": after.at, "step": after.step, "value": float.fromhex(after.value),
            "is_nan": after.is_nan,
        }  # fmt: skip
    rows = connection.execute(_paging(has_token=bool(token)), known).all()
    following = None
    if limit is not None and len(rows) > limit:
        rows = rows[:limit]
        at, step, value, is_nan = rows[-1]
        following = _closed(_Token(run, key, at, step, float(value).hex(), bool(is_nan)))
    return Page(points=[_point(key, *row) for row in rows], next=following)


def sample(
    connection: Connection,
    run: str,
    key: str,
    *,
    most: int,
    start: int | None = None,
    end: int | None = None,
) -> list[Metric]:
    """Return at most so many points, evenly chosen in the order of their steps.

    Parameters
    ----------
    start, end : int, optional
        The first and the last step; both are in it. The first and the last point always are,
        unless `most` is 1: then it is the last.
    """
    smallest, largest = -(2**63), 2**63 - 1
    known = {
        "run": run, "key": key, "start": smallest if start is None else start,
        "end": largest if end is None else end,
    }  # fmt: skip
    n_points = int(connection.execute(_counting(), known).scalar_one())
    if n_points <= most:
        rows = connection.execute(_all_steps(), known).all()
    else:
        wanted = {(n_points - 1) * i // max(1, most - 1) for i in range(most)}
        wanted = wanted if most > 1 else {n_points - 1}
        chosen = [{"places": msgspec.json.encode(sorted(wanted)).decode()}]
        rows = connection.execute(
            _some_steps(connection.dialect.name), known | chosen[0]
        ).all()  # fmt: skip
    return [_point(key, *row) for row in rows]


def _point(key: str, at: int, step: int, value: float, is_nan: bool) -> Metric:
    return Metric(key=key, value=math.nan if is_nan else value, step=step, at=at)


def _closed(token: _Token) -> str:
    import base64

    return base64.urlsafe_b64encode(msgspec.json.encode(token)).decode()


def _opened(token: str, run: str, key: str) -> _Token:
    import base64
    import binascii

    try:
        found = msgspec.json.decode(base64.urlsafe_b64decode(token), type=_Token)
        float.fromhex(found.value)
    except (binascii.Error, msgspec.DecodeError, ValueError, OverflowError):
        raise Error(
            "the page token is not one of this ledger", hint="begin at the first page"
        ) from None
    if (found.run, found.key) != (run, key):
        raise Error(
            "the page token belongs to another metric or run", hint="begin at the first page"
        )
    return found


_OF_METRIC = (
    "FROM metric m JOIN latest_metric l ON l.id = m.series_id "
    "WHERE l.run_id = :run AND l.key = :key "
)


@functools.cache
def _paging(*, has_token: bool) -> Executable:
    from sqlalchemy import text

    after = "AND (m.at, m.step, m.value, m.is_nan) > (:at, :step, :value, :is_nan) "
    return text(
        f"SELECT m.at, m.step, m.value, m.is_nan {_OF_METRIC}{after if has_token else ''}"
        "ORDER BY m.at, m.step, m.value, m.is_nan LIMIT :limit"
    )


_STEPS = "AND m.step BETWEEN :start AND :end "
_IN_STEPS = "ORDER BY m.step, m.at, m.value, m.is_nan"


@functools.cache
def _counting() -> Executable:
    from sqlalchemy import text

    return text(f"SELECT count(*) {_OF_METRIC}{_STEPS}")


@functools.cache
def _all_steps() -> Executable:
    from sqlalchemy import text

    return text(f"SELECT m.at, m.step, m.value, m.is_nan {_OF_METRIC}{_STEPS}{_IN_STEPS}")


@functools.cache
def _some_steps(dialect: str) -> Executable:
    """Return the statement for the points at some places of the order, given as JSON."""
    from sqlalchemy import text

    places = (
        "SELECT place.value::bigint FROM json_array_elements_text(CAST(:places AS json)) place"
        if dialect == "postgresql"
        else "SELECT value FROM json_each(:places)"
    )
    if dialect == "postgresql":
        places = places.replace("::", "\\:\\:")
    return text(
        "SELECT at, step, value, is_nan FROM ("  # noqa: S608 -- our own words
        "SELECT m.at, m.step, m.value, m.is_nan, "
        f"row_number() OVER ({_IN_STEPS}) - 1 AS place {_OF_METRIC}{_STEPS}) ordered "
        f"WHERE place IN ({places}) ORDER BY step, at, value, is_nan"
    )

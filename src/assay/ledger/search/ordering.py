"""The order of what was found: by keys that were asked for, then by what makes it unique.

Missing values are last whichever way it goes, and metrics that are not a number before them; text
goes by its first characters, not by a language. How a page begins behind a row: `following`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from assay.ledger.search.parser import Order, parse_order
from assay.ledger.search.sources import Source
from assay.ledger.search.targets import Target
from assay.ledger.search.tree import BadQuery

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, FromClause


MOST_KEYS = 30  # of two terms each, with two that make it unique: at 64 terms SQLite 3.40 crashes
LONGEST_TEXT = 500
"""So many characters of a text count in an order: a page token has those of its last row."""


class Key(NamedTuple):
    """One key of an order: what is compared, and which rows are last whichever way it goes."""

    value: ColumnElement[Any]
    is_descending: bool
    missing: ColumnElement[bool] | None = None  # where it may be
    is_nan: ColumnElement[bool] | None = None  # where it may be; comes before what is missing

    @property
    def by(self) -> list[ColumnElement[Any]]:
        """What a select is ordered by."""
        from sqlalchemy import case

        way = self.value.desc() if self.is_descending else self.value.asc()
        if self.missing is None:
            return [way]
        if self.is_nan is None:
            return [self.missing, way]
        return [case((self.missing, 2), (self.is_nan, 1), else_=0), way]


class Ordering(NamedTuple):
    """The keys of an order, of which the last make it unique, and the outer joins they take."""

    keys: list[Key]
    joins: list[tuple[FromClause, ColumnElement[bool]]]

    @property
    def by(self) -> list[ColumnElement[Any]]:
        """What a select is ordered by."""
        return [one for key in self.keys for one in key.by]

    def of(self, table: Any) -> Any:
        """Return a table with what is joined to it."""
        for beside, on in self.joins:
            table = table.outerjoin(beside, on)
        return table


def parse_orders(texts: Sequence[str], target: Target) -> list[Order]:
    """Return the keys of an order; one that is named twice is an error."""
    if len(texts) > MOST_KEYS:
        raise BadQuery(f"an order has at most {MOST_KEYS} keys", text=texts[MOST_KEYS], at=0)
    orders: list[Order] = []
    for text in texts:
        order = parse_order(text, target)
        if any((one.entity, one.key) == (order.entity, order.key) for one in orders):
            if target.repeats_orders:
                continue
            raise BadQuery(f"`order_by` names {order.key!r} twice", text=text, at=0)
        orders.append(order)
    return orders


def ordering(
    orders: Sequence[Order],
    source: Source,
    *,
    is_postgres: bool,
    last: Sequence[Order] = (),
    beside: Callable[[Order], tuple[FromClause, ColumnElement[bool]]] | None = None,
) -> Ordering:
    """Return the order by some keys, and then by those of `last` that are not among them.

    Parameters
    ----------
    beside : function, optional
        Gives what is joined for a key that lies beside the target, and the condition of the join.
    """
    found = Ordering([], [])
    keys = {(order.entity, order.key) for order in orders}
    for order in (*orders, *(one for one in last if (one.entity, one.key) not in keys)):
        is_nan, is_whole = None, False
        if order.entity == "attribute":
            value, is_nullable, is_whole = source.attributes[order.key]
            missing = value.is_(None) if is_nullable else None
        else:
            table, on = (beside or _joined(source))(order)
            found.joins.append((table, on))
            value = table.c[source.free[order.entity].value]
            if order.entity == "tag" and order.key in source.derived_tags:
                value = _first(value, source.table.c[source.derived_tags[order.key]])
            missing = value.is_(None)
            is_nan = table.c.is_nan if "is_nan" in table.c else None
        value = _by_characters(value, is_whole=is_whole, is_postgres=is_postgres)
        found.keys.append(Key(value, order.is_descending, missing, is_nan))
    return found


def _first(*values: ColumnElement[Any]) -> ColumnElement[Any]:
    from sqlalchemy import func

    return func.coalesce(*values)


def _joined(source: Source) -> Callable[[Order], tuple[FromClause, ColumnElement[bool]]]:
    """Return the rows of one key, each target's own."""
    from sqlalchemy import and_

    def of(order: Order) -> tuple[FromClause, ColumnElement[bool]]:
        rows = source.free[order.entity]
        table = rows.table.alias()
        return table, and_(*source.link(rows, table), table.c[rows.key] == order.key)

    return of


def _by_characters(
    value: ColumnElement[Any], *, is_whole: bool, is_postgres: bool
) -> ColumnElement[Any]:
    from sqlalchemy import String, Text, func

    if not isinstance(value.type, String):
        return value
    if not is_whole:
        value = func.substr(value, 1, LONGEST_TEXT, type_=Text())
    return value.collate("C") if is_postgres else value

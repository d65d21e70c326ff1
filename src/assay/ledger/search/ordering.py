"""The order of what was found: by keys that were asked for, then by what makes it unique.

Missing values are last whichever way it goes, and metrics that are not a number before them; text
goes by its characters, not by a language.
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


MOST_KEYS = 50  # each may be a join, and SQLite has 64 of them


class Ordering(NamedTuple):
    """What a select is ordered by, and the outer joins that this takes."""

    by: list[ColumnElement[Any]]
    joins: list[tuple[FromClause, ColumnElement[bool]]]


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
        if order.entity == "attribute":
            value, is_nullable = source.attributes[order.key]
            if is_nullable:
                found.by.append(value.is_(None))
        else:
            table, on = (beside or _joined(source))(order)
            found.joins.append((table, on))
            rows = source.free[order.entity]
            value = table.c[rows.value]
            if order.entity == "tag" and order.key in source.derived_tags:
                value = _first(value, source.table.c[source.derived_tags[order.key]])
            found.by.append(_missing(table, value))
        value = _by_characters(value) if is_postgres else value
        found.by.append(value.desc() if order.is_descending else value.asc())
    return found


def _first(*values: ColumnElement[Any]) -> ColumnElement[Any]:
    from sqlalchemy import func

    return func.coalesce(*values)


def _missing(table: Any, value: ColumnElement[Any]) -> ColumnElement[Any]:
    from sqlalchemy import case

    rank: list[tuple[Any, int]] = [(value.is_(None), 2)]
    if "is_nan" in table.c:
        rank.append((table.c.is_nan, 1))
    return case(*rank, else_=0)


def _joined(source: Source) -> Callable[[Order], tuple[FromClause, ColumnElement[bool]]]:
    """Return the rows of one key, each target's own."""
    from sqlalchemy import and_

    def of(order: Order) -> tuple[FromClause, ColumnElement[bool]]:
        rows = source.free[order.entity]
        table = rows.table.alias()
        return table, and_(*source.link(rows, table), table.c[rows.key] == order.key)

    return of


def _by_characters(value: ColumnElement[Any]) -> ColumnElement[Any]:
    from sqlalchemy import String

    return value.collate("C") if isinstance(value.type, String) else value

"""Find runs: which ones fulfil a query, in which order, a page at a time, or how many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from assay.ledger.found import within
from assay.ledger.search import pages
from assay.ledger.search.conditions import Conditions
from assay.ledger.search.ordering import Ordering, ordering, parse_orders
from assay.ledger.search.parser import Order, parse
from assay.ledger.search.sources import Source, source
from assay.ledger.search.targets import NULLS, PATTERNS, RUNS, Target
from assay.ledger.search.tree import And, Comparison, Tree, leaves

if TYPE_CHECKING:
    from sqlalchemy import BindParameter, ColumnElement, Connection, Select

View = Literal["active", "deleted", "all"]

FEW = 5000
"""Up to so many rows of a parameter, metric or tag are looked up first, and their runs then."""

_LAST = (
    Order(entity="attribute", key="start_time", is_descending=True),
    Order(entity="attribute", key="run_id"),
)


class RunQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs, in which order."""

    filter: str = ""
    order_by: tuple[str, ...] = ()
    experiments: tuple[int, ...] | None = None  # None: of all
    view: View | None = None  # None: active ones, or as the filter says by `lifecycle`
    of_children: bool = False  # the runs that those which fulfil the filter are a part of
    top_level: bool = False  # only runs that are no part of another


class Page(NamedTuple):
    """The ids of some runs in their order, and the token of the next page."""

    ids: list[str]
    token: str | None


def find(
    connection: Connection,
    query: RunQuery,
    *,
    limit: int | None,
    token: str | None = None,
    target: Target = RUNS,
) -> Page:
    """Return a page of the runs of a query: newest first, where no other order is asked for.

    Raises
    ------
    BadQuery
        If filter or order cannot be read.
    BadToken
        If the token is of another query.
    """
    from sqlalchemy import select

    of = source("runs", is_open=target.is_open)
    is_postgres = connection.dialect.name == "postgresql"
    tree = parse(query.filter, target)
    orders = parse_orders(query.order_by, target)
    orders = [] if orders == [_LAST[0]] else orders  # as MLflow's pages always ask
    place = pages.load(token, _mark(query, target))
    order = ordering(orders, of, is_postgres=is_postgres, last=_LAST)
    run = of.table
    chosen, by_few = _where(connection, query, tree, of)
    statement = select(run.c.id, run.c.start).select_from(_from(of, order)).where(*chosen)
    if by_few and not orders:
        statement = statement.order_by(_unindexed(run.c.start).desc(), run.c.id)
    else:
        statement = statement.order_by(*order.by)
    if place.id is not None and place.start is not None:
        later = (run.c.start == place.start) & (run.c.id > place.id)
        statement = statement.where(
            run.c.start <= place.start, (run.c.start < place.start) | later
        )
    else:
        statement = statement.offset(place.offset) if place.offset else statement
    if limit is not None:
        statement = statement.limit(limit + 1)
    rows = connection.execute(statement).all()
    if limit is None or len(rows) <= limit:
        return Page([row[0] for row in rows], None)
    after = msgspec.structs.replace(place, offset=place.offset + limit)
    if not orders:
        last_id, last_start = rows[limit - 1]
        after = pages.Place(query=place.query, start=last_start, id=last_id)
    return Page([row[0] for row in rows[:limit]], pages.dump(after))


def count(connection: Connection, query: RunQuery, *, target: Target = RUNS) -> int:
    """Return how many runs a query finds."""
    from sqlalchemy import func, select

    of = source("runs", is_open=target.is_open)
    chosen, _ = _where(connection, query, parse(query.filter, target), of)
    statement = select(func.count()).select_from(of.table).where(*chosen)
    return int(connection.execute(statement).scalar_one())


def _mark(query: RunQuery, target: Target) -> str:
    return pages.mark("runs", target.is_open, msgspec.structs.astuple(query))


def _from(of: Source, order: Ordering) -> Any:
    joined: Any = of.table
    for table, on in order.joins:
        joined = joined.outerjoin(table, on)
    return joined


def _where(
    connection: Connection, query: RunQuery, tree: Tree, of: Source
) -> tuple[list[ColumnElement[bool]], bool]:
    """Return the conditions of a query, and whether they go by a few rows beside the runs.

    A database without statistics cannot know whether it is quicker to look up the runs of the
    rows that fulfil a comparison, or the rows of the runs: counting a few of them costs little.
    """
    from sqlalchemy import select

    run = of.table
    conditions = Conditions(of, is_postgres=connection.dialect.name == "postgresql")
    found, by_few = [], False
    for part in tree.parts if isinstance(tree, And) else (tree,):
        few = _few(connection, part, conditions)
        by_few |= few is not None and not conditions.follows(part)
        found.append(conditions.of(part) if few is None else few)
    if query.of_children:
        parents = select(run.c.parent_id).where(run.c.parent_id.is_not(None), *found)
        found = [run.c.id.in_(parents.where(*_alive(query, tree, of)).correlate(None))]
    scope = [*_alive(query, tree, of), *_within_experiments(connection, query, of, by_few=by_few)]
    if query.top_level:
        scope.append(run.c.parent_id.is_(None))
    return [*scope, *found], by_few


def _few(connection: Connection, part: Tree, conditions: Conditions) -> ColumnElement[bool] | None:
    """Return the condition that a run is one of those of a few rows; None where they are many."""
    from sqlalchemy import func, literal_column, select

    if not isinstance(part, Comparison) or part.entity not in {"metric", "param", "tag"}:
        return None
    if part.operator in NULLS and (part.operator == "IS NULL" or conditions.follows(part)):
        return None
    if conditions.is_postgres:  # it has statistics
        return None
    table, where = conditions.rows(part)
    run = conditions.source.table
    some: Select[Any]
    if part.operator in PATTERNS:  # looking twice for it takes longer than keeping what was found
        some = select(table.c.run_id).where(*where).limit(FEW + 1)
        ids = list(connection.execute(some).scalars())
        n_rows, by_rows = len(ids), within(connection, run.c.id, ids)
    else:
        some = select(literal_column("1")).select_from(table).where(*where).limit(FEW + 1)
        counted = select(func.count()).select_from(some.subquery())
        n_rows = connection.execute(counted).scalar_one()
        by_rows = run.c.id.in_(select(table.c.run_id).where(*where).correlate(None))
    if n_rows > FEW:
        return None
    return conditions.by_column(part) | by_rows if conditions.follows(part) else by_rows


def _unindexed(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a column as an expression: SQLite uses no index of it, and goes by another one."""
    from sqlalchemy.sql.elements import UnaryExpression
    from sqlalchemy.sql.operators import custom_op

    return UnaryExpression(column, operator=custom_op("+"), type_=column.type)


def _within_experiments(
    connection: Connection, query: RunQuery, of: Source, *, by_few: bool
) -> list[ColumnElement[bool]]:
    """Return the condition that a run is of the query's experiments; none where these are all."""
    from sqlalchemy import bindparam, select

    from assay.ledger.tables import experiment

    if query.experiments is None:
        return []
    asked = set(query.experiments)
    every = select(experiment.c.id)
    if len(asked) > 1 and asked.issuperset(connection.execute(every).scalars()):
        return []
    ids: BindParameter[Any] = bindparam(
        None, sorted(asked), expanding=True, unique=True, literal_execute=True
    )
    number = of.table.c.experiment_id
    return [(_unindexed(number) if by_few else number).in_(ids)]


def _alive(query: RunQuery, tree: Tree, of: Source) -> list[ColumnElement[bool]]:
    says = any(leaf.entity == "attribute" and leaf.key == "lifecycle" for leaf in leaves(tree))
    view = query.view or ("all" if says else "active")
    deleted = of.table.c.deleted
    if view == "all":
        return []
    return [deleted.is_(None) if view == "active" else deleted.is_not(None)]

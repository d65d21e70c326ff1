"""The selects of a search of runs, each made once for all queries that differ in values only.

To make a select takes longer than to ask it of a thousand runs. What decides its text is a `Form`;
what a query gives beside that (values, experiments, a limit, a place) is bound when it is asked.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from assay.ledger.found import among
from assay.ledger.search import following
from assay.ledger.search.conditions import TOGETHER, Conditions
from assay.ledger.search.following import Rank
from assay.ledger.search.ordering import Key, Ordering, ordering
from assay.ledger.search.parser import Order
from assay.ledger.search.sources import Source, source
from assay.ledger.search.targets import NULLS, PATTERNS
from assay.ledger.search.tree import And, Comparison, Tree, leaves

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select

LAST = (
    Order(entity="attribute", key="start_time", is_descending=True),
    Order(entity="attribute", key="run_id"),
)
"""What makes an order of runs unique."""

Way = Literal["all", "rows", "ids"]
"""How the runs of a comparison are found: among all, by rows beside them, by ids looked up."""


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """All of a query of runs that decides the text of its selects."""

    tree: Tree  # with slots for its values
    orders: tuple[Order, ...]
    is_open: bool
    is_postgres: bool
    experiments: Literal["all", "one", "several"]
    lives: Literal["active", "deleted", "all"]
    of_children: bool
    top_level: bool

    @property
    def source(self) -> Source:
        """Where runs lie."""
        return source("runs", is_open=self.is_open)

    def conditions(self) -> Conditions:
        """Return what makes conditions of its parts, for one select."""
        many = len(leaves(self.tree)) >= TOGETHER
        return Conditions(self.source, is_postgres=self.is_postgres, one_by_one=many)

    @property
    def dialect(self) -> str:
        """Which of the two databases it is."""
        return "postgresql" if self.is_postgres else "sqlite"

    def ordering(self) -> Ordering:
        """Return its order, which is unique."""
        return ordering(self.orders, self.source, is_postgres=self.is_postgres, last=LAST)

    @property
    def parts(self) -> tuple[Tree, ...]:
        """What all has to be true."""
        return self.tree.parts if isinstance(self.tree, And) else (self.tree,)


class Made(NamedTuple):
    """A select, and how its parameters are made of the values of a query."""

    select: Select[Any]
    bound: Mapping[str, Callable[[Sequence[Any]], Any]]

    def given(self, values: Sequence[Any]) -> dict[str, Any]:
        """Return the parameters that stand for values."""
        return {name: make(values) for name, make in self.bound.items()}


def counted(form: Form, conditions: Conditions) -> list[int]:
    """Return which parts of a tree are comparisons whose rows may be few.

    A database without statistics cannot know whether it is quicker to look up the runs of the
    rows that fulfil a comparison, or the rows of the runs: counting a few of them costs little.
    """
    found = []
    for number, part in enumerate(form.parts):
        if not isinstance(part, Comparison) or part.entity not in {"metric", "param", "tag"}:
            continue
        is_null = part.operator == "IS NULL"
        if is_null or (part.operator in NULLS and conditions.follows(part)):
            continue
        found.append(number)
    return [] if form.is_postgres else found  # which has statistics


class Counting(NamedTuple):
    """What says how many rows there are of each comparison, up to a bound `few`."""

    by_rows: list[int]  # the numbers of the parts that `counts` counts, in its order
    counts: Made | None
    by_ids: dict[int, Made]  # looking twice for a pattern takes longer than keeping what was found
    beside_column: frozenset[int]  # parts that a column of the run may fulfil, too


@functools.lru_cache(maxsize=128)
def counting(form: Form) -> Counting:
    """Return what counts the rows of each comparison."""
    from sqlalchemy import Integer, bindparam, func, literal_column, select

    conditions = form.conditions()
    few, by_rows, by_ids, counts = bindparam("few", type_=Integer()), [], {}, []
    for number in counted(form, conditions):
        part = form.parts[number]
        assert isinstance(part, Comparison)  # noqa: S101 -- as counted
        if part.operator in PATTERNS:
            alone = form.conditions()
            table, where = alone.rows(part)
            ids = select(table.c.run_id).where(*where).limit(few)
            by_ids[number] = Made(ids, alone.bound)
        else:
            table, where = conditions.rows(part)
            some: Select[Any] = (
                select(literal_column("1")).select_from(table).where(*where).limit(few)
            )
            count = select(func.count()).select_from(some.subquery())
            counts.append(count.scalar_subquery())
            by_rows.append(number)
    made = Made(select(*counts), conditions.bound) if counts else None
    beside = frozenset(n for n in (*by_rows, *by_ids) if conditions.follows(form.parts[n]))
    return Counting(by_rows, made, by_ids, beside)


@functools.lru_cache(maxsize=128)
def page(form: Form, ways: tuple[Way, ...], place: tuple[Rank, ...] | None) -> Made:
    """Return what selects the ids and the beginnings of a page of runs, `n_rows` of them.

    Parameters
    ----------
    place : tuple of str, optional
        What the row behind which the page begins has of the keys of the order.
    """
    from sqlalchemy import BigInteger, bindparam, select

    run = form.source.table
    conditions, where, by_few = _where(form, ways)
    order = form.ordering()
    query = select(run.c.id, run.c.start).select_from(order.of(run)).where(*where)
    if by_few and not form.orders:
        query = query.order_by(_unindexed(run.c.start).desc(), run.c.id)
    else:
        query = query.order_by(*order.by)
    if place is not None:
        query = query.where(*following.behind(order.keys, place))
    return Made(query.limit(bindparam("n_rows", type_=BigInteger())), conditions.bound)


class Last(NamedTuple):
    """The keys of an order, and what selects their values of the run `id`."""

    keys: list[Key]
    select: Select[Any]


@functools.lru_cache(maxsize=128)
def last(form: Form) -> Last:
    """Return what selects where a run is in an order."""
    from sqlalchemy import Text, bindparam, select

    run, order = form.source.table, form.ordering()
    query = select(*following.columns(order.keys)).select_from(order.of(run))
    return Last(order.keys, query.where(run.c.id == bindparam("id", type_=Text())))


@functools.lru_cache(maxsize=64)
def count(form: Form, ways: tuple[Way, ...]) -> Made:
    """Return what selects how many runs there are."""
    from sqlalchemy import func, select

    conditions, where, _ = _where(form, ways)
    query = select(func.count()).select_from(form.source.table).where(*where)
    return Made(query, conditions.bound)


def _where(
    form: Form, ways: tuple[Way, ...]
) -> tuple[Conditions, list[ColumnElement[bool]], bool]:
    """Return the conditions of a query, and whether they go by a few rows beside the runs."""
    from sqlalchemy import select

    run = form.source.table
    conditions = form.conditions()
    found, by_few = [], False
    for number, (part, way) in enumerate(zip(form.parts, ways, strict=True)):
        if way == "all" or not isinstance(part, Comparison):
            found.append(conditions.of(part))
            continue
        by_rows = _by_rows(form, part, conditions, ids=f"ids_{number}" if way == "ids" else None)
        is_also_column = conditions.follows(part)
        by_few |= not is_also_column
        found.append(conditions.by_column(part) | by_rows if is_also_column else by_rows)
    if form.of_children:
        parents = select(run.c.parent_id).where(run.c.parent_id.is_not(None), *found)
        found = [run.c.id.in_(parents.where(*_alive(form)).correlate(None))]
    scope = [*_alive(form), *_within_experiments(form, by_few=by_few)]
    if form.top_level:
        scope.append(run.c.parent_id.is_(None))
    return conditions, [*scope, *found], by_few


def _by_rows(
    form: Form, part: Comparison, conditions: Conditions, *, ids: str | None
) -> ColumnElement[bool]:
    """Return the condition that a run is one of those of the rows that fulfil a comparison."""
    from sqlalchemy import bindparam, select

    run = form.source.table
    if ids is not None:
        return among(form.dialect, run.c.id, bindparam(ids))
    table, where = conditions.rows(part)
    return run.c.id.in_(select(table.c.run_id).where(*where).correlate(None))


def _unindexed(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a column as an expression: SQLite uses no index of it, and goes by another one."""
    from sqlalchemy.sql.elements import UnaryExpression
    from sqlalchemy.sql.operators import custom_op

    return UnaryExpression(column, operator=custom_op("+"), type_=column.type)


def _within_experiments(form: Form, *, by_few: bool) -> list[ColumnElement[bool]]:
    """Return the condition that a run is of the `experiments` asked for; none where it is all."""
    from sqlalchemy import bindparam

    column = form.source.table.c.experiment_id
    number = _unindexed(column) if by_few else column
    if form.experiments == "one":
        return [number == bindparam("experiments", type_=column.type)]
    if form.experiments == "several":
        return [number.in_(bindparam("experiments", expanding=True, literal_execute=True))]
    return []


def _alive(form: Form) -> list[ColumnElement[bool]]:
    deleted = form.source.table.c.deleted
    if form.lives == "all":
        return []
    return [deleted.is_(None) if form.lives == "active" else deleted.is_not(None)]

"""Find experiments, registered models, their versions, and logged models, in MLflow's dialect.

Each function gives a select of whole rows in their order, one more than was asked for; `cut`
takes that one away again and tells where the next page begins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from assay.base.errors import Error
from assay.ledger.search import following, pages
from assay.ledger.search.conditions import TOGETHER, Conditions
from assay.ledger.search.ordering import Key, Ordering, ordering, parse_orders
from assay.ledger.search.parser import Order, parse
from assay.ledger.search.sources import PROMPT, source
from assay.ledger.search.targets import (
    MLFLOW_EXPERIMENTS,
    MLFLOW_LOGGED_MODELS,
    MLFLOW_MODELS,
    MLFLOW_VERSIONS,
    Target,
)
from assay.ledger.search.tree import EVERYTHING, And, Comparison, Not, Tree, leaves

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, FromClause, Select

    from assay.ledger.search.runs import View

T = TypeVar("T")


class Paging(msgspec.Struct, frozen=True, kw_only=True):
    """How much is asked for, and from where on."""

    limit: int
    token: str | None = None


class Rows(NamedTuple):
    """What selects a page, and one row more."""

    query: Select[Any]
    connection: Connection
    keys: Sequence[Key]
    place: pages.Place
    limit: int

    def cut(self, found: Sequence[T]) -> tuple[list[T], str | None]:
        """Return the page of what was selected, and the token of the next one.

        It is to be called in the transaction that the rows were selected in.
        """
        if len(found) <= self.limit:
            return list(found), None
        place = self.place
        if self.limit:
            last = self.query.with_only_columns(*following.columns(self.keys))
            row = self.connection.execute(last.limit(1).offset(self.limit - 1)).one()
            place = pages.Place(query=place.query, after=following.written(self.keys, row))
        return list(found[: self.limit]), pages.dump(place)


def experiments(
    connection: Connection,
    *,
    filter_: str = "",
    order_by: Sequence[str] = (),
    view: View = "active",
    paging: Paging,
) -> Rows:
    """Return what selects experiments: the newest first, where no order is asked for."""
    target, deleted = MLFLOW_EXPERIMENTS, _table(MLFLOW_EXPERIMENTS).c.deleted
    alive = {"active": [deleted.is_(None)], "deleted": [deleted.is_not(None)], "all": []}
    orders = parse_orders(order_by, target)
    last = (_by("experiment_id", down=True),) if orders else _NEWEST
    place = pages.load(paging.token, pages.mark("experiments", filter_, order_by, view))
    condition = _condition(connection, target, parse(filter_, target))
    order = _ordering(connection, target, orders, last=last)
    return _page(connection, target, order, [*alive[view], condition], place, paging.limit)


def models(
    connection: Connection, *, filter_: str = "", order_by: Sequence[str] = (), paging: Paging
) -> Rows:
    """Return what selects registered models, by name where no other order is asked for."""
    return _registered(connection, MLFLOW_MODELS, filter_, order_by, paging, (_by("name"),))


def versions(
    connection: Connection, *, filter_: str = "", order_by: Sequence[str] = (), paging: Paging
) -> Rows:
    """Return what selects versions: those changed last first, where no order is asked for."""
    last: tuple[Order, ...] = (_by("name"), _by("version_number", down=True))
    if not order_by:
        last = (_by("last_updated", down=True), *last)
    return _registered(connection, MLFLOW_VERSIONS, filter_, order_by, paging, last)


def _registered(
    connection: Connection,
    target: Target,
    filter_: str,
    order_by: Sequence[str],
    paging: Paging,
    last: Sequence[Order],
) -> Rows:
    place = pages.load(paging.token, pages.mark(target.name, filter_, order_by))
    tree = _prompts_apart(parse(filter_, target))
    orders = parse_orders(order_by, target)
    order = _ordering(connection, target, orders, last=last)
    where = [_table(target).c.deleted.is_(None), _condition(connection, target, tree)]
    return _page(connection, target, order, where, place, paging.limit)


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """What a metric of a logged model was measured on."""

    name: str
    digest: str | None = None


class MetricOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A key of an order of logged models: an attribute, or a metric, maybe on one dataset."""

    field: str
    is_descending: bool = False
    dataset_name: str | None = None
    dataset_digest: str | None = None


def logged_models(
    connection: Connection,
    *,
    experiments: Sequence[int],
    filter_: str = "",
    datasets: Sequence[Dataset] = (),
    order_by: Sequence[MetricOrder] = (),
    paging: Paging,
) -> Rows:
    """Return what selects logged models: the newest first, where no order is asked for.

    With datasets only metrics that were measured on one of them count, and a model has to have
    one.
    """
    target = MLFLOW_LOGGED_MODELS
    mark = pages.mark(target.name, filter_, list(experiments), datasets, order_by)
    place = pages.load(paging.token, mark)
    table, tree = _table(target), parse(filter_, target)
    also = {"metric": _on(datasets)} if datasets else None
    where = [
        table.c.deleted.is_(None),
        table.c.experiment_id.in_(sorted(set(experiments))),
        _condition(connection, target, tree, also=also),
    ]
    if datasets and not any(leaf.entity == "metric" for leaf in leaves(tree)):
        where.append(_measured(table, _on(datasets)))
    orders = parse_orders([_order_text(one) for one in order_by], target)
    by_order = dict(zip([(one.entity, one.key) for one in orders], order_by, strict=True))

    def beside(order: Order) -> tuple[FromClause, ColumnElement[bool]]:
        return _latest(table, order, by_order[order.entity, order.key])

    order = _ordering(connection, target, orders, last=_NEWEST_MODELS, beside=beside)
    return _page(connection, target, order, where, place, paging.limit)


_NEWEST = (
    Order(entity="attribute", key="creation_time", is_descending=True),
    Order(entity="attribute", key="experiment_id"),
)
_NEWEST_MODELS = (
    Order(entity="attribute", key="creation_timestamp_ms", is_descending=True),
    Order(entity="attribute", key="model_id"),
)


def _by(key: str, *, down: bool = False) -> Order:
    return Order(entity="attribute", key=key, is_descending=down)


def _table(target: Target) -> Any:
    return source(target.name, is_open=False).table


def _condition(
    connection: Connection,
    target: Target,
    tree: Tree,
    *,
    also: dict[str, Callable[[Any], ColumnElement[bool]]] | None = None,
) -> ColumnElement[bool]:
    of = source(target.name, is_open=False)
    is_postgres = connection.dialect.name == "postgresql"
    many = len(leaves(tree)) >= TOGETHER
    return Conditions(of, is_postgres=is_postgres, one_by_one=many, also=also).of(tree)


def _ordering(
    connection: Connection,
    target: Target,
    orders: Sequence[Order],
    *,
    last: Sequence[Order],
    beside: Callable[[Order], tuple[FromClause, ColumnElement[bool]]] | None = None,
) -> Ordering:
    of = source(target.name, is_open=False)
    is_postgres = connection.dialect.name == "postgresql"
    return ordering(orders, of, is_postgres=is_postgres, last=last, beside=beside)


def _page(
    connection: Connection,
    target: Target,
    order: Ordering,
    where: Sequence[ColumnElement[bool]],
    place: pages.Place,
    limit: int,
) -> Rows:
    from sqlalchemy import select

    table = _table(target)
    query = select(table).select_from(order.of(table)).where(*where).order_by(*order.by)
    if place.after:
        behind = following.read(order.keys, place.after)
        if behind is None:
            raise pages.unreadable()
        query = query.where(*following.behind(order.keys, behind.ranks)).params(behind.values)
    return Rows(query.limit(limit + 1), connection, order.keys, place, limit)


def _prompts_apart(tree: Tree) -> Tree:
    """Return a tree that finds prompts only where it asks for them, as MLflow's registry does.

    A model has no tag that says it is no prompt, so that `!= 'true'` would find none.
    """
    parts = tree.parts if isinstance(tree, And) else (tree,)
    asked = [one for one in parts if isinstance(one, Comparison) and one.key == PROMPT]
    if asked and (asked[0].operator, str(asked[0].value).lower()) in {
        ("=", "true"),
        ("!=", "false"),
    }:
        return tree
    rest = tuple(one for one in parts if one not in asked) if tree != EVERYTHING else ()
    is_prompt = Comparison(entity="tag", key=PROMPT, operator="ILIKE", value="true")
    return And((*rest, Not(is_prompt)))


def _on(datasets: Sequence[Dataset]) -> Callable[[Any], ColumnElement[bool]]:
    """Return the condition that a metric of a logged model was measured on one of the datasets."""
    from sqlalchemy import or_, true

    def of(table: Any) -> ColumnElement[bool]:
        return or_(
            *(
                (table.c.dataset_name == one.name)
                & (true() if one.digest is None else table.c.dataset_digest == one.digest)
                for one in datasets
            )
        )

    return of


def _measured(table: Any, on: Callable[[Any], ColumnElement[bool]]) -> ColumnElement[bool]:
    from sqlalchemy import literal_column, select

    from assay.ledger.tables import logged_model_metric as metric

    query: Select[Any] = select(literal_column("1")).select_from(metric)
    return query.where(metric.c.model_id == table.c.id, on(metric)).correlate(table).exists()


def _order_text(order: MetricOrder) -> str:
    """Return an order as text: the key of a metric is written there without quotes."""
    entity, dot, key = order.field.partition(".")
    if dot and entity != "metrics":
        raise Error(
            f"Invalid order by field name: {order.field}. Only metrics are supported",
            hint="order by an attribute, such as 'creation_timestamp', or by 'metrics.NAME'",
        )
    field = f"{entity}.`{key}`" if dot else order.field
    return f"{field} {'DESC' if order.is_descending else 'ASC'}"


def _latest(
    table: Any, order: Order, asked: MetricOrder
) -> tuple[FromClause, ColumnElement[bool]]:
    """Return the newest value of a metric of each model, on one dataset where that is asked."""
    from sqlalchemy import func, select

    from assay.ledger.tables import logged_model_metric as metric

    where = [metric.c.key == order.key]
    if asked.dataset_name:
        where.append(metric.c.dataset_name == asked.dataset_name)
    if asked.dataset_digest:
        where.append(metric.c.dataset_digest == asked.dataset_digest)
    newest = (metric.c.at.desc(), metric.c.step.desc(), metric.c.run_id)
    rank = func.row_number().over(partition_by=metric.c.model_id, order_by=newest)
    ranked = select(metric, rank.label("rank")).where(*where).subquery()
    return ranked, (ranked.c.model_id == table.c.id) & (ranked.c.rank == 1)

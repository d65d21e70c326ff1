"""Find runs: which ones fulfil a query, in which order, a page at a time, or how many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

import msgspec

from assay.ledger.found import as_one
from assay.ledger.search import following, pages, selects
from assay.ledger.search.ordering import parse_orders
from assay.ledger.search.parser import Order, parse
from assay.ledger.search.selects import LAST, Counting, Form, Made, Way
from assay.ledger.search.targets import RUNS, Target
from assay.ledger.search.tree import Tree, leaves, slotted

if TYPE_CHECKING:
    from sqlalchemy import Connection

T = TypeVar("T")
View = Literal["active", "deleted", "all"]

FEW = 5000
"""Up to so many rows of a parameter, metric or tag are looked up first, and their runs then."""

_LONGEST_KEPT = 2_000  # characters of a query whose selects are kept
_NO_LIMIT = 1 << 62


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
    tree = parse(query.filter, target)
    orders = parse_orders(query.order_by, target)
    orders = [] if orders == [LAST[0]] else orders  # as MLflow's pages always ask
    place = pages.load(token, _mark(query, target))
    asked = _asked(connection, query, tree, target=target, orders=tuple(orders))
    given: dict[str, Any] = {"n_rows": _NO_LIMIT if limit is None else limit + 1}
    ranks = None
    if place.after:
        behind = following.read(asked.made(selects.last)(asked.form).keys, place.after)
        if behind is None:
            raise pages.unreadable()
        ranks, given = behind.ranks, given | behind.values
    page = asked.made(selects.page)(asked.form, asked.ways, ranks)
    rows = asked.rows(page, asked.also | given)
    if limit is None or len(rows) <= limit:
        return Page([row[0] for row in rows], None)
    if limit:
        place = pages.Place(query=place.query, after=_after(asked, *rows[limit - 1]))
    return Page([row[0] for row in rows[:limit]], pages.dump(place))


def _after(asked: _Asked, run: str, start: int) -> tuple[following.Value, ...]:
    """Return where a run is in the order that is asked for."""
    if not asked.form.orders:
        return start, run
    last = asked.made(selects.last)(asked.form)
    row = asked.connection.execute(last.select, {"id": run}).one()
    return following.written(last.keys, row)


def count(connection: Connection, query: RunQuery, *, target: Target = RUNS) -> int:
    """Return how many runs a query finds."""
    asked = _asked(connection, query, parse(query.filter, target), target=target)
    [row] = asked.rows(asked.made(selects.count)(asked.form, asked.ways), asked.also)
    return int(row[0])


def _mark(query: RunQuery, target: Target) -> str:
    return pages.mark("runs", target.is_open, msgspec.structs.astuple(query))


class _Asked(NamedTuple):
    """A query whose form is known, and what its selects are given."""

    connection: Connection
    form: Form
    ways: tuple[Way, ...]
    values: Sequence[Any]
    also: dict[str, Any]  # looked-up ids, experiments
    is_kept: bool

    def made(self, make: Callable[..., T]) -> Callable[..., T]:
        """Return what makes a select, and keeps it unless the query is long."""
        return make if self.is_kept else make.__wrapped__  # type: ignore[attr-defined]

    def rows(self, made: Made, given: dict[str, Any]) -> Sequence[Any]:
        """Ask a select."""
        parameters = made.given(self.values) | given
        return self.connection.execute(made.select, parameters).all()


def _asked(
    connection: Connection,
    query: RunQuery,
    tree: Tree,
    *,
    target: Target,
    orders: tuple[Order, ...] = (),
) -> _Asked:
    """Take a query apart, and find the quickest ways to its runs."""
    from assay.ledger.tables import INDEXED_SIZE

    said = any(leaf.entity == "attribute" and leaf.key == "lifecycle" for leaf in leaves(tree))
    kind, experiments = _experiments(connection, query)
    form_tree, values = slotted(tree, short=INDEXED_SIZE)
    form = Form(
        tree=form_tree,
        orders=orders,
        is_open=target.is_open,
        is_postgres=connection.dialect.name == "postgresql",
        experiments=kind,
        lives=query.view or ("all" if said else "active"),
        of_children=query.of_children,
        top_level=query.top_level,
    )
    is_kept = len(query.filter) + sum(map(len, query.order_by)) <= _LONGEST_KEPT
    start = _Asked(connection, form, (), values, experiments, is_kept)
    ways, ids = _ways(start)
    return start._replace(ways=ways, also=experiments | ids)


def _ways(asked: _Asked) -> tuple[tuple[Way, ...], dict[str, Any]]:
    """Return how each part's runs are found, and the ids that were looked up for it.

    The fewest rows lead to the runs; of these few the other parts are asked one by one.
    """
    counting = asked.made(selects.counting)(asked.form)
    n_rows, ids = _counted(asked, counting)
    few = {part for part, number in n_rows.items() if number <= FEW}
    leading = few - counting.beside_column
    chosen = {min(leading, key=lambda part: n_rows[part])} if leading else few
    ways: list[Way] = ["all"] * len(asked.form.parts)
    found = {}
    for part in chosen:
        ways[part] = "ids" if part in ids else "rows"
        if part in ids:
            found[f"ids_{part}"] = as_one(asked.form.dialect, ids[part])
    return tuple(ways), found


def _counted(asked: _Asked, counting: Counting) -> tuple[dict[int, int], dict[int, list[str]]]:
    """Return how many rows parts have, up to a few, and the runs of those of patterns."""
    few, n_rows, ids = {"few": FEW + 1}, {}, {}
    if counting.counts is not None:
        [numbers] = asked.rows(counting.counts, few)
        n_rows = dict(zip(counting.by_rows, numbers, strict=True))
    for part, made in counting.by_ids.items():
        ids[part] = [run for (run,) in asked.rows(made, few)]
        n_rows[part] = len(ids[part])
    return n_rows, ids


def _experiments(
    connection: Connection, query: RunQuery
) -> tuple[Literal["all", "one", "several"], dict[str, Any]]:
    """Return of how many experiments runs are asked for, and which."""
    from sqlalchemy import select

    from assay.ledger.tables import experiment

    if query.experiments is None:
        return "all", {}
    asked = set(query.experiments)
    if len(asked) == 1:
        return "one", {"experiments": asked.pop()}
    every = select(experiment.c.id)
    if asked and asked.issuperset(connection.execute(every).scalars()):
        return "all", {}
    return "several", {"experiments": sorted(asked)}

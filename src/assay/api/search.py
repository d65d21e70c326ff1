"""POST /api/runs/search: searches beyond MLflow's: OR, parentheses, columns, counts, children."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from assay.api import looking
from assay.api.mlflow.asks import number
from assay.api.mlflow.calls import call
from assay.ledger import found
from assay.ledger.search.columns import Column, named, parts
from assay.ledger.search.runs import RunQuery, count, find

if TYPE_CHECKING:
    from assay.api.hub import Hub
    from assay.ledger.found import FoundRun

MOST = 50_000


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """What is searched, and what is answered of it.

    Attributes
    ----------
    columns : list of str, optional
        Such as `run_id` or `metrics.rmse`; without them a run comes whole.
    count_only : bool
        Answer how many there are, and no runs.
    children : bool
        Answer the runs that those which the query finds are a part of.
    """

    query: str = ""
    order_by: list[str] = []
    columns: list[str] | None = None
    count_only: bool = False
    children: bool = False
    limit: Annotated[int, Meta(ge=1, le=MOST)] = 100
    page_token: str | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Runs as objects, and the token of the next page; or a count."""

    runs: list[dict[str, Any]] | None = None
    count: int | None = None
    next_page_token: str | None = None


@call("POST", "/api/runs/search", version=None)
def search(hub: Hub, ask: Search) -> Answer:
    """Answer a search in Assay's dialect."""
    query = RunQuery(filter=ask.query, order_by=tuple(ask.order_by), of_children=ask.children)
    columns = None if ask.columns is None else named(ask.columns)
    looking.look(hub)
    with hub.ledger.read() as connection:
        if ask.count_only:
            return Answer(count=count(connection, query))
        page = find(connection, query, limit=ask.limit, token=ask.page_token)
        needed = found.PARTS if columns is None else parts(columns)
        runs = found.load(connection, page.ids, parts=needed)
    shown = [_whole(run) if columns is None else _chosen(run, columns) for run in runs]
    return Answer(runs=shown, next_page_token=page.token)


def _chosen(run: FoundRun, columns: list[Column]) -> dict[str, Any]:
    return {column.name: _value(column.of(run)) for column in columns}


def _whole(run: FoundRun) -> dict[str, Any]:
    """Return all of a run; each metric as its latest value."""
    return msgspec.structs.asdict(run) | {
        "metrics": {key: number(metric.value) for key, metric in run.metrics.items()}
    }


def _value(value: Any) -> Any:
    return number(value) if isinstance(value, float) else value

"""`assay.search_runs`: the runs that a query finds, in the ledger of a project or at a hub."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.clock import now_ms
from assay.ledger.found import FoundRun
from assay.ledger.sdk import places
from assay.ledger.sinks import is_hub
from assay.ledger.writer import Metric

if TYPE_CHECKING:
    from assay.ledger.sdk.places import Place
    from assay.ledger.search.columns import Columns

_PAGE = 1000


def search_runs(
    query: str = "",
    *,
    order_by: Sequence[str] = (),
    columns: Sequence[str] | None = None,
    limit: int | None = None,
    of_children: bool = False,
) -> Columns:
    """Return the runs that a query finds, as columns; the newest come first.

    What is returned maps names to lists, has `rows()`, and `to_pandas()` and `to_arrow()` where
    those are installed.

    Parameters
    ----------
    query : str
        Such as ``metrics.rmse < 0.5 AND (params.model = 'tree' OR params.depth > 3)``.
    order_by : sequence of str
        Such as ``metrics.rmse DESC``; what is missing comes last.
    columns : sequence of str, optional
        Such as ``run_id`` or ``metrics.rmse``; all there are, where not given.
    limit : int, optional
        How many at most.
    of_children : bool
        Return the runs that those which the query finds are a part of.

    Examples
    --------
    >>> assay.search_runs("metrics.rmse < 0.5", columns=["run_id"])  # doctest: +SKIP
    Columns(2 runs: run_id)
    """
    place = places.find(places.find_project())
    if is_hub(place.where):
        asked = {"query": query, "order_by": list(order_by), "children": of_children}
        return _at_hub(place, asked, columns=columns, limit=limit)
    from assay.ledger import liveness, search
    from assay.ledger.database import open_ledger

    with open_ledger(place.where, create=False) as ledger:
        liveness.look(ledger, at=now_ms())
        return search.search_runs(
            ledger, query, order_by=order_by, columns=columns, limit=limit, of_children=of_children
        )


def _at_hub(
    place: Place, asked: dict[str, Any], *, columns: Sequence[str] | None, limit: int | None
) -> Columns:
    from assay.ledger.search.columns import Columns, named

    chosen = None if columns is None else named(columns)
    if chosen is not None:
        asked["columns"] = list(columns or ())
    rows = list(_rows(place, asked, limit=limit))
    if chosen is None:
        return Columns.of([_whole(row) for row in rows])
    found: dict[str, list[Any]] = {}
    for one in chosen:
        column = [row[one.name] for row in rows]
        found[one.name] = [_value(v) for v in column] if one.entity == "metric" else column
    return Columns(found)


def _rows(place: Place, asked: dict[str, Any], *, limit: int | None) -> Iterator[dict[str, Any]]:
    from assay.ledger.hub import HubSink

    sink = HubSink(place.where, objects=None, token=place.token)
    token: str | None = None
    n_found = 0
    try:
        while limit is None or n_found < limit:
            size = _PAGE if limit is None else min(_PAGE, limit - n_found)
            page = sink.search(asked | {"limit": size, "page_token": token})
            rows = page.get("runs") or []
            yield from rows
            n_found += len(rows)
            token = page.get("next_page_token")
            if not token:
                return
    finally:
        sink.rest()


def _whole(row: dict[str, Any]) -> FoundRun:
    metrics = {
        key: Metric(key=key, value=_value(value), at=0) for key, value in row["metrics"].items()
    }
    return msgspec.convert(row | {"metrics": metrics}, type=FoundRun)


def _value(value: Any) -> Any:
    """Return the value of a metric; a parameter's text may be "NaN" as well."""
    return float(value) if value in {"NaN", "Infinity", "-Infinity"} else value

"""What a monitor computed of each window of an endpoint's event time: written once, kept.

A window is [start, end). What was computed of its inputs stays as it is; only its truth, which
comes later, is filled in until it is complete.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    from assay.ledger.database import Ledger


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of event time of one endpoint, and what was seen in it.

    Attributes
    ----------
    start, end : int
        Event time in Unix milliseconds; the end is not part of it.
    bundle : str or None
        "sha256:" and the hash of the bundle whose reference it was compared with: that of the
        last row in it.
    version : str or None
        The version that this bundle was, `bikes/3`.
    state : str
        Of its truth: "partial" until enough is there, then "complete".
    n_rows, n_truths : int
        Predictions in it, and how many of them have a truth.
    details : dict
        What the monitor computed, as JSON has it.
    computed : int
        When it was first computed, in Unix milliseconds.
    """

    endpoint: str
    start: int
    end: int
    bundle: str | None
    version: str | None
    state: Literal["partial", "complete"]
    n_rows: int
    n_truths: int
    details: dict[str, Any]
    computed: int


def put_window(ledger: Ledger, window: Window) -> bool:
    """Write a window; False, and nothing changed, where it is there already."""
    from assay.ledger import rows, tables

    with ledger.write() as connection:
        return rows.add(connection, tables.window, _row(window))


def update_window(ledger: Ledger, window: Window) -> bool:
    """Write the state, the number of truths and the details of a window that was partial.

    False, and nothing changed, where it is complete already, or not there.
    """
    from assay.ledger.tables import window as table

    row = _row(window)
    query = table.update().where(
        table.c.endpoint == window.endpoint,
        table.c.start == window.start,
        table.c.end == window.end,
        table.c.state == "partial",
    )
    changed = {name: row[name] for name in ("state", "n_truths", "details")}
    with ledger.write() as connection:
        return connection.execute(query.values(changed)).rowcount == 1


def list_windows(
    ledger: Ledger, endpoint: str, *, since: int | None = None, limit: int | None = None
) -> list[Window]:
    """Return the windows of an endpoint, oldest first.

    Parameters
    ----------
    since : int, optional
        Only those that start at this event time or later.
    limit : int, optional
        How many at most; the newest are kept.
    """
    from assay.ledger.tables import window

    query = window.select().where(window.c.endpoint == endpoint)
    if since is not None:
        query = query.where(window.c.start >= since)
    query = query.order_by(window.c.start.desc(), window.c.end.desc()).limit(limit)
    with ledger.read() as connection:
        newest_first = [dict(row) for row in connection.execute(query).mappings()]
    return [
        Window(**{**row, "details": msgspec.json.decode(row["details"])})
        for row in reversed(newest_first)
    ]


def _row(window: Window) -> dict[str, Any]:
    row = msgspec.structs.asdict(window)
    return {**row, "details": msgspec.json.encode(window.details).decode()}

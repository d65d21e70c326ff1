"""What a trace says of runs, read many at once: one select a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from assay.ledger.askable import askable
from assay.ledger.writer import Code, Untracked

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row, Table

    from assay.ledger.database import Ledger


class Lying(msgspec.Struct, frozen=True):
    """A content at its place, which a run read or wrote.

    Attributes
    ----------
    source : str or None
        Where a client says that it is from: a path or an address.
    """

    path: str
    oid: str
    source: str | None = None


class RunFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a trace says of a run."""

    id: str
    name: str
    kind: str
    status: str
    stage: str | None
    command: str | None
    directory: str | None
    parent: str | None
    start: int
    deleted: int | None
    code: Code
    params: dict[str, Any]
    metrics: dict[str, float]
    reproduces: str | None
    inputs: tuple[Lying, ...]
    outputs: tuple[Lying, ...]
    artifacts: tuple[Lying, ...]
    children: tuple[str, ...]


@askable
def load(ledger: Ledger, ids: Sequence[str]) -> list[RunFacts]:
    """Return runs by their ids, deleted ones too; what the ledger does not have is left out."""
    from assay.ledger import tables

    with ledger.read() as connection:
        beside = _Beside(connection, ids)
        return [_run(row, beside) for row in beside.of(tables.run, "id")]


class _Beside:
    """The rows of runs in each table, by run: one select a table."""

    def __init__(self, connection: Connection, ids: Sequence[str]) -> None:
        from assay.ledger import tables

        self._connection, self._ids = connection, ids
        self.params = self._by_run(tables.param, "key")
        self.metrics = self._by_run(tables.latest_metric, "key")
        self.data = self._by_run(tables.run_data, "path")
        self.artifacts = self._by_run(tables.artifact, "path")
        self.untracked = self._by_run(tables.untracked, "path")
        reproduces = tables.tag.c.key == "reproduces"
        self.reproduces = self._by_run(tables.tag, "key", reproduces)
        self.children: dict[str, list[str]] = {}
        for row in self.of(tables.run, "parent_id"):
            self.children.setdefault(row.parent_id, []).append(row.id)

    def of(self, table: Table, column: str, *conditions: Any) -> list[Row[Any]]:
        from assay.ledger.found import within

        these = within(self._connection, table.c[column], self._ids)
        query = table.select().where(these, *conditions)
        if table.name == "run":
            query = query.order_by(table.c.start, table.c.id)
        return list(self._connection.execute(query))

    def _by_run(self, table: Table, order: str, *conditions: Any) -> dict[str, list[Row[Any]]]:
        found: dict[str, list[Row[Any]]] = {}
        for row in self.of(table, "run_id", *conditions):
            found.setdefault(row.run_id, []).append(row)
        for rows in found.values():
            rows.sort(key=lambda row: str(row._mapping[order]))  # noqa: SLF001 -- its public way
        return found


def _run(row: Row[Any], beside: _Beside) -> RunFacts:
    from assay.ledger import series, values

    data = beside.data.get(row.id, [])
    tags = beside.reproduces.get(row.id, [])
    return RunFacts(
        id=row.id, name=row.name, kind=row.kind, status=row.status, stage=row.stage,
        command=row.command, directory=row.directory, parent=row.parent_id,
        start=row.start, deleted=row.deleted,
        code=Code(
            commit=row.code_commit,
            diff=row.code_diff,
            untracked=tuple(
                Untracked(path=one.path, oid=one.oid, size=one.size)
                for one in beside.untracked.get(row.id, [])
            ),
            reason=row.code_reason,
        ),
        params={o.key: values.load(o.value, o.type) for o in beside.params.get(row.id, [])},
        metrics={
            one.key: series.value(one.value, is_nan=one.is_nan)
            for one in beside.metrics.get(row.id, [])
        },
        reproduces=tags[0].value if tags else None,
        inputs=tuple(
            Lying(one.path, one.oid, _source(one.details))
            for one in data
            if one.direction == "input"
        ),
        outputs=tuple(Lying(one.path, one.oid) for one in data if one.direction == "output"),
        artifacts=tuple(Lying(o.path, o.oid) for o in beside.artifacts.get(row.id, [])),
        children=tuple(beside.children.get(row.id, [])),
    )  # fmt: skip


def _source(details: str | None) -> str | None:
    r"""Return where a data set is from; MLflow's clients say it in JSON of their own.

    Examples
    --------
    >>> _source('{"source_type": "local", "source": "{\\"uri\\": \\"a.csv\\"}"}')
    'a.csv'
    >>> _source('{"source_type": "code", "source": "{}"}')
    """
    found = {} if details is None else msgspec.json.decode(details, type=dict[str, Any])
    text = str(found.get("source") or "")
    if found.get("source_type") == "code":
        return None
    try:
        named = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError:
        return text or None
    return next((str(named[key]) for key in ("uri", "url", "path") if named.get(key)), None)

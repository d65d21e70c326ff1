"""Runs as searches, tables and protocols give them: many at once, one select a table.

`assay.ledger.runs` reads one run with all that is known of it; this reads what lies beside the
runs of a page: parameters, latest metrics, tags, inputs, logged models.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from assay.ledger.writer import Data, Kind, Metric, Status

if TYPE_CHECKING:
    from sqlalchemy import Column, ColumnElement, Connection

    Part = Iterable[tuple[Any, ...]]

PARTS = ("params", "metrics", "tags", "datasets", "models")
"""What lies beside a run and is read where it is asked for."""


class FoundRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run with its parameters, latest metrics, tags and inputs."""

    id: str
    name: str
    kind: Kind
    status: Status
    experiment_id: int
    experiment: str
    parent: str | None
    stage: str | None
    owner: str | None
    start: int
    end: int | None
    commit: str | None
    artifact_uri: str | None  # None: where the hub keeps them
    deleted: int | None
    params: dict[str, str]
    metrics: dict[str, Metric]  # the latest point of each
    tags: dict[str, str]
    datasets: tuple[Data, ...]  # all that it read
    models_in: tuple[tuple[str, int], ...]  # id of a logged model, step
    models_out: tuple[tuple[str, int], ...]

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it runs."""
        return None if self.end is None else (self.end - self.start) / 1000


def load(
    connection: Connection, ids: Sequence[str], *, parts: Collection[str] = PARTS
) -> list[FoundRun]:
    """Return runs in the order of their ids; deleted ones too, unknown ones left out.

    Parameters
    ----------
    parts : collection of str
        Which of `PARTS` are read; the others are empty.
    """
    if not ids:
        return []
    params: dict[str, dict[str, str]] = {}
    for run, key, value in _params(connection, ids) if "params" in parts else ():
        params.setdefault(run, {})[key] = value
    tags: dict[str, dict[str, str]] = {}
    for run, key, value in _tags(connection, ids) if "tags" in parts else ():
        tags.setdefault(run, {})[key] = value
    metrics = _metrics(connection, ids) if "metrics" in parts else {}
    datasets = _datasets(connection, ids) if "datasets" in parts else {}
    models = _models(connection, ids) if "models" in parts else {}
    found = {}
    for row in _runs(connection, ids):
        run = row[0]
        found[run] = FoundRun(
            **dict(zip(_RUN, row, strict=True)),
            params=params.get(run, {}),
            metrics=metrics.get(run, {}),
            tags=tags.get(run, {}),
            datasets=tuple(datasets.get(run, ())),
            models_in=tuple(models.get((run, "input"), ())),
            models_out=tuple(models.get((run, "output"), ())),
        )
    return [found[run] for run in ids if run in found]


def within(
    connection: Connection, column: Column[Any] | ColumnElement[Any], values: Iterable[str]
) -> ColumnElement[bool]:
    """Return the condition that a column of text is one of many values, as one parameter."""
    from sqlalchemy import Text, any_, bindparam, func, select
    from sqlalchemy.dialects.postgresql import ARRAY

    if connection.dialect.name == "postgresql":
        return column == any_(bindparam(None, list(values), type_=ARRAY(Text), unique=True))
    text = msgspec.json.encode(list(values)).decode()
    each = func.json_each(text).table_valued("value")
    return column.in_(select(each.c.value))


_RUN = (
    "id", "name", "kind", "status", "experiment_id", "parent", "stage", "owner", "start", "end",
    "commit", "artifact_uri", "deleted", "experiment",
)  # fmt: skip


def _runs(connection: Connection, ids: Sequence[str]) -> Part:
    from sqlalchemy import select

    from assay.ledger.tables import experiment, run

    columns = (
        run.c.id, run.c.name, run.c.kind, run.c.status, run.c.experiment_id, run.c.parent_id,
        run.c.stage, run.c.owner, run.c.start, run.c.end, run.c.code_commit, run.c.artifact_uri,
        run.c.deleted, experiment.c.name,
    )  # fmt: skip
    query = select(*columns).join(experiment, experiment.c.id == run.c.experiment_id)
    return connection.execute(query.where(within(connection, run.c.id, ids))).all()


def _params(connection: Connection, ids: Sequence[str]) -> Part:
    from sqlalchemy import select

    from assay.ledger.tables import param

    query = select(param.c.run_id, param.c.key, param.c.value)
    query = query.where(within(connection, param.c.run_id, ids))
    return connection.execute(query.order_by(param.c.run_id, param.c.key)).all()


def _tags(connection: Connection, ids: Sequence[str]) -> Part:
    from sqlalchemy import select

    from assay.ledger.tables import tag

    query = select(tag.c.run_id, tag.c.key, tag.c.value)
    query = query.where(within(connection, tag.c.run_id, ids))
    return connection.execute(query.order_by(tag.c.run_id, tag.c.key)).all()


def _metrics(connection: Connection, ids: Sequence[str]) -> dict[str, dict[str, Metric]]:
    from sqlalchemy import select

    from assay.ledger.tables import latest_metric as table

    query = (
        select(
            table.c.run_id, table.c.key, table.c.value, table.c.is_nan, table.c.step, table.c.at
        )
        .where(within(connection, table.c.run_id, ids))
        .order_by(table.c.run_id, table.c.key)
    )
    found: dict[str, dict[str, Metric]] = {}
    for run, key, value, is_nan, step, at in connection.execute(query).all():
        number = math.nan if is_nan else value
        found.setdefault(run, {})[key] = Metric(key=key, value=number, step=step, at=at)
    return found


def _datasets(connection: Connection, ids: Sequence[str]) -> dict[str, list[Data]]:
    from sqlalchemy import select

    from assay.ledger.tables import run_data as table

    query = select(table).where(
        within(connection, table.c.run_id, ids), table.c.direction == "input"
    )
    query = query.order_by(table.c.run_id, table.c.path, table.c.oid)
    found: dict[str, list[Data]] = {}
    for row in connection.execute(query).all():
        details = row.details and msgspec.json.decode(row.details, type=dict[str, Any])
        found.setdefault(row.run_id, []).append(
            Data(
                path=row.path,
                oid=row.oid,
                size=row.size,
                n_files=row.n_files,
                kind=row.kind,
                profile=row.profile,
                details=details,
                context=row.context,
            )
        )
    return found


def _models(
    connection: Connection, ids: Sequence[str]
) -> dict[tuple[str, str], list[tuple[str, int]]]:
    from sqlalchemy import select

    from assay.ledger.tables import run_model as table

    query = select(table.c.run_id, table.c.direction, table.c.model_id, table.c.step)
    query = query.where(within(connection, table.c.run_id, ids))
    found: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for run, direction, model, step in connection.execute(
        query.order_by(table.c.run_id, table.c.model_id)
    ).all():
        found.setdefault((run, direction), []).append((model, step))
    return found

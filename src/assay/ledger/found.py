"""Runs as searches, tables and protocols give them: many at once, one select a table.

`assay.ledger.runs` reads one run with all that is known of it; this reads what lies beside the
runs of a page: parameters, latest metrics, tags, inputs, logged models.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from assay.ledger.writer import Data, Kind, Metric, Status

if TYPE_CHECKING:
    from sqlalchemy import BindParameter, Column, ColumnElement, Connection, Select

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
    for run, key, value in _rows(connection, "param", ids) if "params" in parts else ():
        params.setdefault(run, {})[key] = value
    tags: dict[str, dict[str, str]] = {}
    for run, key, value in _rows(connection, "tag", ids) if "tags" in parts else ():
        tags.setdefault(run, {})[key] = value
    metrics = _metrics(connection, ids) if "metrics" in parts else {}
    datasets = _datasets(connection, ids) if "datasets" in parts else {}
    models = _models(connection, ids) if "models" in parts else {}
    found = {}
    for row in _rows(connection, "run", ids):
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
    from sqlalchemy import bindparam

    dialect = connection.dialect.name
    return among(dialect, column, bindparam(None, as_one(dialect, values), unique=True))


def among(
    dialect: str, column: Column[Any] | ColumnElement[Any], values: BindParameter[Any]
) -> ColumnElement[bool]:
    """Return the condition that a column is one of the values of a parameter."""
    from sqlalchemy import Text, any_, func, select, type_coerce
    from sqlalchemy.dialects.postgresql import ARRAY

    if dialect == "postgresql":
        return column == any_(type_coerce(values, ARRAY(Text)))
    each = func.json_each(values).table_valued("value")
    return column.in_(select(each.c.value))


def as_one(dialect: str, values: Iterable[str]) -> list[str] | str:
    """Return many values as one parameter of a statement."""
    if dialect == "postgresql":
        return list(values)
    return msgspec.json.encode(list(values)).decode()


def _rows(connection: Connection, of: str, ids: Sequence[str]) -> Sequence[Any]:
    """Return what is known of runs in one table."""
    dialect = connection.dialect.name
    return connection.execute(_statement(of, dialect), {"ids": as_one(dialect, ids)}).all()


@functools.cache
def _statement(of: str, dialect: str) -> Select[Any]:
    """Return how a table is asked; made once, since making it takes longer than asking."""
    from sqlalchemy import bindparam, select

    from assay.ledger import tables

    def those(column: Column[Any]) -> ColumnElement[bool]:
        return among(dialect, column, bindparam("ids"))

    if of == "run":
        return _runs().where(those(tables.run.c.id))
    table = tables.metadata.tables[of]
    columns = {
        "param": ("run_id", "key", "value"),
        "tag": ("run_id", "key", "value"),
        "latest_metric": ("run_id", "key", "value", "is_nan", "step", "at"),
        "run_model": ("run_id", "direction", "model_id", "step"),
        "run_data": tuple(table.c.keys()),
    }[of]
    order = (
        ("path", "oid") if of == "run_data" else ("model_id",) if of == "run_model" else ("key",)
    )
    query = select(*(table.c[name] for name in columns)).where(those(table.c.run_id))
    if of == "run_data":
        query = query.where(table.c.direction == "input")
    return query.order_by(table.c.run_id, *(table.c[name] for name in order))


_RUN = (
    "id", "name", "kind", "status", "experiment_id", "parent", "stage", "owner", "start", "end",
    "commit", "artifact_uri", "deleted", "experiment",
)  # fmt: skip


def _runs() -> Select[Any]:
    from sqlalchemy import select

    from assay.ledger.tables import experiment, run

    columns = (
        run.c.id, run.c.name, run.c.kind, run.c.status, run.c.experiment_id, run.c.parent_id,
        run.c.stage, run.c.owner, run.c.start, run.c.end, run.c.code_commit, run.c.artifact_uri,
        run.c.deleted, experiment.c.name,
    )  # fmt: skip
    return select(*columns).join(experiment, experiment.c.id == run.c.experiment_id)


def _metrics(connection: Connection, ids: Sequence[str]) -> dict[str, dict[str, Metric]]:
    found: dict[str, dict[str, Metric]] = {}
    for run, key, value, is_nan, step, at in _rows(connection, "latest_metric", ids):
        number = math.nan if is_nan else value
        found.setdefault(run, {})[key] = Metric(key=key, value=number, step=step, at=at)
    return found


def _datasets(connection: Connection, ids: Sequence[str]) -> dict[str, list[Data]]:
    found: dict[str, list[Data]] = {}
    for row in _rows(connection, "run_data", ids):
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
    found: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for run, direction, model, step in _rows(connection, "run_model", ids):
        found.setdefault((run, direction), []).append((model, step))
    return found

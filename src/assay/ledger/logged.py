"""Logged models: what runs made of MLflow's kind, before anybody registers it.

Each is named `m-` and 32 hexadecimal digits, belongs to an experiment and mostly to the run that
made it, and has parameters, tags, metrics (of a data set, where that is told) and files. All
functions work in a transaction of the caller. A deleted one is as good as not there, but its
files can be read: a registered version may be made of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from assay.base.errors import Error, NotFound, Taken
from assay.base.ids import uuid7
from assay.ledger import artifacts, lineage, values

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row, Table

LoggedStatus = Literal["pending", "ready", "failed"]
Direction = Literal["input", "output"]
_REFUSED = "/:.%\"'"


class ModelMetric(msgspec.Struct, frozen=True, kw_only=True):
    """A point of a metric that was measured of a logged model."""

    model_id: str
    key: str
    value: float
    step: int = 0
    at: int
    dataset_name: str | None = None
    dataset_digest: str | None = None
    run: str | None = None  # that measured it, where it was read


class LoggedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A logged model with all that is known of it."""

    id: str
    name: str
    experiment_id: int
    status: LoggedStatus
    status_message: str | None
    type: str | None
    run: str | None  # that made it
    owner: str | None
    uri: str  # of its files
    created: int
    updated: int
    deleted: int | None
    params: dict[str, str]
    tags: dict[str, str]
    metrics: tuple[ModelMetric, ...]  # by key, moment, step
    versions: tuple[tuple[str, int], ...]  # that were registered of it

    @property
    def thing(self) -> str:
        """Its name in the lineage."""
        return f"logged_model:{self.id}"


def create(
    connection: Connection,
    *,
    experiment_id: int,
    name: str,
    at: int,
    type_: str | None = None,
    run: str | None = None,
    owner: str | None = None,
    params: Iterable[tuple[str, str]] = (),
    tags: Iterable[tuple[str, str]] = (),
) -> str:
    """Make a logged model that is pending, and return its id.

    Parameters
    ----------
    run : str, optional
        The run that makes it.
    params, tags : iterable of tuple
        Keys and values; a parameter may not have two values, of a tag the last one counts.
    """
    from assay.ledger import rows, tables

    _check_name(name)
    location = _location(connection, experiment_id)
    if run is not None:
        rows.claim_run(connection, run)
    id_ = f"m-{uuid7().replace('-', '')}"
    uri = None if location is None else artifacts.model_uri(experiment_id, id_, location=location)
    row = {
        "id": id_, "name": name, "experiment_id": experiment_id, "status": "pending",
        "type": type_, "run_id": run, "owner": owner, "artifact_uri": uri,
        "created": at, "updated": at,
    }  # fmt: skip
    connection.execute(tables.logged_model.insert().values(row))
    log_params(connection, id_, params, at=at)
    rows.put_tags(connection, tables.logged_model_tag, {"model_id": id_}, _tags(tags))
    if run is not None:
        lineage.add(connection, [_edge(run, "output", id_, at=at)])
    return id_


def _check_name(name: str) -> None:
    if not name.strip() or any(one in name for one in _REFUSED):
        raise Error(
            f"Invalid model name ({name!r}) provided. Model name must be a non-empty string and "
            f"cannot contain the following characters: {tuple(_REFUSED)}"
        )


def get(connection: Connection, id_: str, *, deleted: bool = False) -> LoggedModel:
    """Return a logged model; one that is deleted only where `deleted` is true."""
    found = load(connection, [id_])
    if not found or (found[0].deleted is not None and not deleted):
        raise _missing(id_)
    return found[0]


def load(connection: Connection, ids: Sequence[str]) -> list[LoggedModel]:
    """Return logged models in the order of their ids; deleted ones too, unknown ones left out."""
    from assay.ledger import tables
    from assay.ledger.found import within

    if not ids:
        return []
    table = tables.logged_model
    query = table.select().where(within(connection, table.c.id, ids))
    rows = {row.id: row for row in connection.execute(query).all()}
    params = _texts(connection, tables.logged_model_param, ids)
    tags = _texts(connection, tables.logged_model_tag, ids)
    metrics = _metrics(connection, ids)
    versions = _versions(connection, ids)
    return [
        _model(
            rows[id_],
            params=params.get(id_, {}),
            tags=tags.get(id_, {}),
            metrics=tuple(metrics.get(id_, ())),
            versions=tuple(versions.get(id_, ())),
        )
        for id_ in ids
        if id_ in rows
    ]


def finish(connection: Connection, id_: str, status: LoggedStatus, *, at: int) -> None:
    """Record whether a logged model is whole."""
    _change(connection, id_, status=status, updated=at)


def delete(connection: Connection, id_: str, *, at: int) -> None:
    """Delete a logged model; its files stay, since a version may be made of them."""
    _change(connection, id_, deleted=at, updated=at)


def set_tags(
    connection: Connection, id_: str, tags: Iterable[tuple[str, str]], *, at: int
) -> None:
    """Set tags, over those of the same name."""
    from assay.ledger import rows, tables

    _change(connection, id_, updated=at)
    rows.put_tags(connection, tables.logged_model_tag, {"model_id": id_}, _tags(tags))


def delete_tag(connection: Connection, id_: str, key: str, *, at: int) -> None:
    """Take a tag away."""
    from assay.ledger.tables import logged_model_tag as table

    _change(connection, id_, updated=at)
    query = table.delete().where(table.c.model_id == id_, table.c.key == key)
    if connection.execute(query.execution_options(preserve_rowcount=True)).rowcount == 0:
        raise NotFound(f"No tag with key {key!r} found for model with ID {id_!r}.")


def log_params(
    connection: Connection, id_: str, params: Iterable[tuple[str, str]], *, at: int
) -> None:
    """Record parameters, all or none; one that has another value already is an error."""
    from assay.ledger import rows, tables

    table = tables.logged_model_param
    _need(connection, [id_])
    there = _texts(connection, table, [id_]).get(id_, {})
    new: dict[str, str] = {}
    for key, value in params:
        values.key_text("parameter", key)
        before = there.get(key, new.get(key, value))
        if before != value:
            raise Taken(
                f"The parameter {key!r} of the model {id_!r} is {before!r} already; it cannot "
                f"become {value!r}"
            )
        new[key] = value
    rows.put_tags(connection, table, {"model_id": id_}, new)
    if new.keys() - there.keys():
        touch(connection, [id_], at=at)


def touch(connection: Connection, ids: Iterable[str], *, at: int) -> None:
    """Say that the records of models changed, and those of the ended runs that made them.

    Who has a copy of a record gets it with the next; a moment never goes back.
    """
    from sqlalchemy import select

    from assay.ledger import rows, tables
    from assay.ledger.found import within

    run, model = tables.run, tables.logged_model
    these = within(connection, model.c.id, list(ids))
    connection.execute(model.update().where(these, model.c.updated < at).values(updated=at))
    query = select(run.c.id).join(model, model.c.run_id == run.c.id).distinct()
    ended = connection.execute(query.where(these, run.c.status.in_(rows.ENDED))).scalars().all()
    rows.touch_runs(connection, ended, at=at)


def add_metrics(
    connection: Connection, run: str, metrics: Sequence[ModelMetric], *, at: int
) -> None:
    """Link points of a run, which has been claimed, to the logged models they were measured of.

    The same point again takes the place of the first.
    """
    from assay.ledger import rows, series, tables

    if not metrics:
        return
    models = dict.fromkeys(metric.model_id for metric in metrics)
    _need(connection, models)
    found = {}
    for one in metrics:
        row = {
            "model_id": one.model_id, "key": one.key, "step": one.step, "at": one.at,
            "run_id": run, "dataset_name": one.dataset_name,
            "dataset_digest": one.dataset_digest, **series.stored(one.value),
        }  # fmt: skip
        found[one.model_id, one.key, one.step, one.at] = row
    rows.put(connection, tables.logged_model_metric, list(found.values()))
    touch(connection, models, at=at)


def link(
    connection: Connection,
    run: str,
    direction: Direction,
    models: Iterable[tuple[str, int]],
    *,
    at: int,
) -> None:
    """Record which logged models a run read or made, each with a step; twice is as good as once.

    The run has been claimed.
    """
    from assay.ledger import rows, tables

    steps = dict(models)
    _need(connection, steps)
    found = [
        {"run_id": run, "direction": direction, "model_id": model, "step": step}
        for model, step in steps.items()
    ]
    rows.put(connection, tables.run_model, found)
    lineage.add(connection, [_edge(run, direction, model, at=at) for model in steps])


def _edge(run: str, direction: Direction, model: str, *, at: int) -> lineage.Edge:
    thing, it = f"run:{run}", f"logged_model:{model}"
    if direction == "input":
        return lineage.Edge(source=it, relation="read_by", target=thing, at=at)
    return lineage.Edge(source=thing, relation="made", target=it, at=at)


def _location(connection: Connection, experiment_id: int) -> str | None:
    """Return where an experiment that is not deleted keeps its artifacts."""
    from assay.ledger.tables import experiment

    query = experiment.select().where(experiment.c.id == experiment_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"No Experiment with id={experiment_id} exists")
    if row.deleted is not None:
        raise Error(
            f"The experiment {experiment_id} must be in the 'active' state. "
            "Current state is deleted."
        )
    return None if row.artifact_location is None else str(row.artifact_location)


def _change(connection: Connection, id_: str, **changed: Any) -> None:
    from assay.ledger.tables import logged_model as table

    query = table.update().where(table.c.id == id_, table.c.deleted.is_(None)).values(changed)
    if connection.execute(query.execution_options(preserve_rowcount=True)).rowcount == 0:
        raise _missing(id_)
    touch(connection, [id_], at=changed["updated"])


def _need(connection: Connection, ids: Iterable[str]) -> None:
    """Refuse a logged model that is not there, or is deleted."""
    from sqlalchemy import select

    from assay.ledger.found import within
    from assay.ledger.tables import logged_model as table

    wanted = list(ids)
    query = select(table.c.id).where(within(connection, table.c.id, wanted))
    there = set(connection.execute(query.where(table.c.deleted.is_(None))).scalars())
    for id_ in wanted:
        if id_ not in there:
            raise _missing(id_)


def _missing(id_: str) -> NotFound:
    shown = id_ if re.fullmatch(r"[\w-]{1,64}", id_) else f"{id_[:64]}..."
    return NotFound(f"Logged model with ID '{shown}' not found.")


def _tags(tags: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {values.key_text("tag", key): value for key, value in tags}


def _texts(connection: Connection, table: Table, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    from assay.ledger.found import within

    query = table.select().where(within(connection, table.c.model_id, ids))
    found: dict[str, dict[str, str]] = {}
    for row in connection.execute(query.order_by(table.c.model_id, table.c.key)):
        found.setdefault(row.model_id, {})[row.key] = row.value
    return found


def _metrics(connection: Connection, ids: Sequence[str]) -> dict[str, list[ModelMetric]]:
    from assay.ledger.found import within
    from assay.ledger.tables import logged_model_metric as table

    query = table.select().where(within(connection, table.c.model_id, ids))
    found: dict[str, list[ModelMetric]] = {}
    order = (table.c.key, table.c.at, table.c.step, table.c.run_id)
    for row in connection.execute(query.order_by(*order)):
        one = ModelMetric(
            model_id=row.model_id,
            key=row.key,
            value=math.nan if row.is_nan else row.value,
            step=row.step,
            at=row.at,
            run=row.run_id,
            dataset_name=row.dataset_name,
            dataset_digest=row.dataset_digest,
        )
        found.setdefault(row.model_id, []).append(one)
    return found


def _versions(connection: Connection, ids: Sequence[str]) -> dict[str, list[tuple[str, int]]]:
    from sqlalchemy import select

    from assay.ledger.found import within
    from assay.ledger.tables import version as table

    query = select(table.c.model_id, table.c.model, table.c.number)
    query = query.where(within(connection, table.c.model_id, ids), table.c.deleted.is_(None))
    found: dict[str, list[tuple[str, int]]] = {}
    for id_, name, number in connection.execute(query.order_by(table.c.model, table.c.number)):
        found.setdefault(id_, []).append((name, number))
    return found


def _model(row: Row[Any], **beside: Any) -> LoggedModel:
    uri = row.artifact_uri or artifacts.model_uri(row.experiment_id, row.id)
    return LoggedModel(
        id=row.id, name=row.name, experiment_id=row.experiment_id, status=row.status,
        status_message=row.status_message, type=row.type, run=row.run_id, owner=row.owner,
        uri=uri, created=row.created, updated=row.updated, deleted=row.deleted, **beside,
    )  # fmt: skip

"""Read the records of runs from a ledger: many at once, a few selects for each five hundred."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from assay.ledger import rows, tables
from assay.ledger.exchange.records import (
    PORTABLE,
    ArtifactRecord,
    DataRecord,
    EdgeRecord,
    EnvironmentRecord,
    ExperimentRecord,
    ModelLink,
    ModelMetric,
    ModelRecord,
    Points,
    Record,
    RunRecord,
    stamp,
    value_of,
)
from assay.ledger.series import value
from assay.ledger.writer import Untracked

if TYPE_CHECKING:
    from sqlalchemy import Column, Connection, Row, Table

_PARTS = frozenset(
    ["experiment", "untracked", "params", "tags", "metrics", "data", "artifacts", "models",
     "edges"]
)  # fmt: skip
COLUMNS = tuple(name for name in RunRecord.__struct_fields__ if name not in _PARTS)
"""The columns of `run` that a record has."""
MODEL_COLUMNS = tuple(
    name
    for name in ModelRecord.__struct_fields__
    if name not in {"experiment", "params", "tags", "metrics", "artifacts"}
)
"""The columns of `logged_model` that a record has."""
MOST_POINTS = 500_000
"""Points of metrics that are in memory at a time, some 60 MB, where records are not collected."""


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What a ledger holds, in short.

    Attributes
    ----------
    runs, models : dict
        When each run that has ended, and each logged model, last changed, by id; a run after the
        one that it is a part of. What is a part of a run that goes on, or made by one, is left
        out.
    parts : set of str
        Those of the runs that are a part of another.
    models_of : dict
        The logged models that each run made.
    purged : dict
        When the runs that are gone for good went.
    """

    runs: dict[str, int]
    parts: set[str]
    models: dict[str, int]
    models_of: dict[str, list[str]]
    purged: dict[str, int]


def known(connection: Connection) -> Known:
    """Return what a ledger holds, in three selects."""
    from sqlalchemy import select

    run, model, purged = tables.run.c, tables.logged_model.c, tables.purged.c
    columns = (run.id, run.parent_id, run.status, run.start, run.end, run.updated)
    found = {row[0]: row for row in connection.execute(select(*columns).order_by(run.id))}
    runs: dict[str, int] = {}
    for id_ in found:
        for one in _from_the_top(id_, found):
            runs[one] = stamp(*found[one][3:])
    models: dict[str, int] = {}
    models_of: dict[str, list[str]] = defaultdict(list)
    for id_, of, updated in connection.execute(select(model.id, model.run_id, model.updated)):
        if of is None or of in runs:
            models[id_] = updated
            models_of[of].append(id_)
    return Known(
        runs=runs,
        parts={id_ for id_ in runs if found[id_].parent_id is not None},
        models=models,
        models_of=models_of,
        purged={row.id: row.at for row in connection.execute(select(purged.id, purged.at))},
    )


def _from_the_top(id_: str, found: dict[str, Any]) -> list[str]:
    """Return a run after those that it is a part of; nothing where one of them goes on."""
    line: list[str] = []
    here: str | None = id_
    while here is not None and here in found and here not in line:
        if found[here].status not in rows.ENDED:
            return []
        line.append(here)
        here = found[here].parent_id
    return line[::-1]


def family(connection: Connection, run: str) -> list[str]:
    """Return the ids of a run, of those that it is a part of, and of all their parts.

    Nothing where one of them goes on, since its record is not done, or where there is no run.
    """
    from sqlalchemy import select

    from assay.ledger import deleting
    from assay.ledger.found import within

    table, above = tables.run, [run]
    parent = select(table.c.parent_id)
    while top := connection.execute(parent.where(table.c.id == above[-1])).scalar():
        if top in above:  # in a ledger of before, records of two clones disagree
            break
        above.append(top)
    every = deleting.with_parts(connection, [above[-1]])
    ended = table.c.status.in_(rows.ENDED)
    query = select(table.c.id).where(within(connection, table.c.id, every), ended)
    n_ended = len(connection.execute(query).all())
    return every if n_ended == len(every) else []


def records(
    connection: Connection, runs: Sequence[str], models: Sequence[str]
) -> Iterator[Record]:
    """Go through the records of runs and logged models, after all that they name.

    So few are in memory at a time that their histories fit, if who asks keeps none: see
    `assay.ledger.exchange.passing`.

    Parameters
    ----------
    runs : sequence of str
        Ids; one that is a part of another comes after that.
    models : sequence of str
        Ids of logged models.
    """
    yield from _experiments(connection, runs, models)
    yield from _environments(connection, runs)
    for portion in portions(connection, runs, most=MOST_POINTS):
        yield from of_runs(connection, portion)
    for some in rows.chunks(models):
        yield from of_models(connection, some)


def portions(connection: Connection, runs: Sequence[str], *, most: int) -> Iterator[list[str]]:
    """Go through runs so few at a time that their histories fit into memory.

    Parameters
    ----------
    most : int
        Points of metrics; a run that has more is alone.
    """
    from sqlalchemy import func, select

    latest, metric = tables.latest_metric, tables.metric
    counted = select(latest.c.run_id, func.count().label("n_points"))
    counted = counted.join(metric, metric.c.series_id == latest.c.id).group_by(latest.c.run_id)
    for some in rows.chunks(runs):
        found = connection.execute(counted.where(latest.c.run_id.in_(some)))
        n_points = {row.run_id: row.n_points for row in found}
        portion: list[str] = []
        total = 0
        for id_ in some:
            if portion and total + n_points.get(id_, 0) > most:
                yield portion
                portion, total = [], 0
            portion.append(id_)
            total += n_points.get(id_, 0)
        yield portion


def _experiments(
    connection: Connection, runs: Sequence[str], models: Sequence[str]
) -> Iterator[ExperimentRecord]:
    from sqlalchemy import select

    ids: set[int] = set()
    for table, names in ((tables.run, runs), (tables.logged_model, models)):
        for some in rows.chunks(names):
            query = select(table.c.experiment_id).where(table.c.id.in_(some)).distinct()
            ids.update(connection.execute(query).scalars())
    experiment, tag = tables.experiment, tables.experiment_tag
    tags: dict[int, dict[str, str]] = defaultdict(dict)
    for row in connection.execute(select(tag).where(tag.c.experiment_id.in_(sorted(ids)))):
        tags[row.experiment_id][row.key] = row.value
    query = experiment.select().where(experiment.c.id.in_(sorted(ids)))
    for row in connection.execute(query.order_by(experiment.c.id)):
        yield ExperimentRecord(
            name=row.name, created=row.created, updated=row.updated, deleted=row.deleted,
            tags=tags[row.id],
        )  # fmt: skip


def _environments(connection: Connection, runs: Sequence[str]) -> Iterator[EnvironmentRecord]:
    from sqlalchemy import select

    run, environment = tables.run, tables.environment
    seen: set[str] = set()
    for some in rows.chunks(runs):
        query = select(environment).join(run, run.c.environment_oid == environment.c.oid)
        query = query.where(run.c.id.in_(some)).distinct().order_by(environment.c.oid)
        for row in connection.execute(query):
            if row.oid not in seen:
                seen.add(row.oid)
                yield EnvironmentRecord(oid=row.oid, content=row.content, created=row.created)


def of_runs(connection: Connection, ids: Sequence[str]) -> list[RunRecord]:
    """Return the records of runs in the order of their ids, those that are there."""
    from sqlalchemy import select

    run, experiment = tables.run, tables.experiment
    query = select(run, experiment.c.name.label("experiment"))
    query = query.join(experiment, experiment.c.id == run.c.experiment_id)
    found = {row.id: row for row in connection.execute(query.where(run.c.id.in_(ids)))}
    parts: dict[str, dict[str, Any]] = defaultdict(dict)
    for name, of_run in _parts(connection, ids).items():
        for id_, part in of_run.items():
            parts[id_][name] = part
    return [
        RunRecord(
            **_row(found[id_], COLUMNS),
            experiment=found[id_].experiment,
            **parts[id_],
        )
        for id_ in ids
        if id_ in found
    ]


def links(connection: Connection, ids: Sequence[str]) -> list[str]:
    """Return the logged models that runs read or made, in the order of the runs."""
    from sqlalchemy import select

    table = tables.run_model.c
    columns = (table.run_id, table.direction, table.model_id)
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for some in rows.chunks(ids):
        for run, *link in connection.execute(select(*columns).where(table.run_id.in_(some))):
            found[run].append((link[0], link[1]))
    every = (model for id_ in ids for _, model in sorted(found.get(id_, ())))
    return list(dict.fromkeys(every))


def _row(row: Row[Any], names: Sequence[str]) -> dict[str, Any]:
    """Return columns of a row; a place for artifacts that only one machine or hub has is none."""
    found = {name: row._mapping[name] for name in names}  # noqa: SLF001 -- its public way
    scheme, is_one, _ = (found["artifact_uri"] or "").partition("://")
    if not is_one or scheme in {"file", "mlflow-artifacts"}:
        found["artifact_uri"] = None
    return found


def _parts(connection: Connection, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the parts of records, by field and run."""
    params: dict[str, dict[str, Any]] = defaultdict(dict)
    for row in _of(connection, tables.param, ids):
        params[row.run_id][row.key] = (row.value, row.type)
    tags: dict[str, dict[str, Any]] = defaultdict(dict)
    for row in _of(connection, tables.tag, ids):
        tags[row.run_id][row.key] = (row.value, row.at or 0)
    return {
        "params": params,
        "tags": tags,
        "metrics": _histories(connection, ids),
        "untracked": _tuples(connection, tables.untracked, Untracked, ids),
        "data": _tuples(connection, tables.run_data, DataRecord, ids),
        "artifacts": _tuples(connection, tables.artifact, ArtifactRecord, ids),
        "models": _tuples(connection, tables.run_model, ModelLink, ids),
        "edges": _edges(connection, ids),
    }


def _of(connection: Connection, table: Table, ids: Sequence[str]) -> Any:
    of: Column[Any] = table.c.run_id if "run_id" in table.c else table.c.model_id
    return connection.execute(table.select().where(of.in_(ids)).order_by(*table.primary_key))


def _tuples(
    connection: Connection, table: Table, kind: Any, ids: Sequence[str], *, of: str = "run_id"
) -> dict[str, tuple[Any, ...]]:
    """Return the rows of a table as structs, in an order that no database's language changes."""
    found: dict[str, list[Any]] = defaultdict(list)
    names = kind.__struct_fields__
    keys = [column.name for column in table.primary_key if column.name != of]
    for row in connection.execute(table.select().where(table.c[of].in_(ids))).mappings():
        found[row[of]].append(kind(**{name: row[name] for name in names}))
    return {
        id_: tuple(sorted(rows, key=lambda one: [getattr(one, key) for key in keys]))
        for id_, rows in found.items()
    }


def _histories(connection: Connection, ids: Sequence[str]) -> dict[str, dict[str, Points]]:
    from sqlalchemy import select

    latest, metric = tables.latest_metric.c, tables.metric.c
    query = (
        select(latest.run_id, latest.key, metric.step, metric.at, metric.value, metric.is_nan)
        .join(tables.metric, metric.series_id == latest.id)
        .where(latest.run_id.in_(ids))
        .order_by(latest.run_id, latest.key, metric.step, metric.at, metric.value, metric.is_nan)
    )
    found: dict[str, dict[str, Points]] = defaultdict(dict)
    for run, key, step, at, stored, is_nan in connection.execute(query):
        points = found[run].get(key)
        if points is None:
            points = found[run][key] = Points(steps=[], ats=[], values=[])
        points.steps.append(step)
        points.ats.append(at)
        points.values.append(value_of(value(stored, is_nan=is_nan)))
    return found


def _edges(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[EdgeRecord, ...]]:
    from sqlalchemy import or_

    edge = tables.edge
    things = [f"run:{id_}" for id_ in ids]
    query = edge.select().where(or_(edge.c.source.in_(things), edge.c.target.in_(things)))
    found: dict[str, list[EdgeRecord]] = defaultdict(list)
    wanted = set(things)
    for row in connection.execute(query).mappings():
        ends = {row["source"], row["target"]}
        if {end.partition(":")[0] for end in ends} <= PORTABLE:
            for end in ends & wanted:
                found[end.removeprefix("run:")].append(EdgeRecord(**row))
    return {
        id_: tuple(sorted(edges, key=lambda e: (e.source, e.relation, e.target)))
        for id_, edges in found.items()
    }


def of_models(connection: Connection, ids: Sequence[str]) -> list[ModelRecord]:
    """Return the records of logged models in the order of their ids, those that are there."""
    from sqlalchemy import select

    model, experiment = tables.logged_model, tables.experiment
    query = select(model, experiment.c.name.label("experiment"))
    query = query.join(experiment, experiment.c.id == model.c.experiment_id)
    found = {row.id: row for row in connection.execute(query.where(model.c.id.in_(ids)))}
    texts: dict[str, dict[str, dict[str, str]]] = {}
    for name, table in (("params", tables.logged_model_param), ("tags", tables.logged_model_tag)):
        of: dict[str, dict[str, str]] = defaultdict(dict)
        query = table.select().where(table.c.model_id.in_(ids)).order_by(table.c.key)
        for row in connection.execute(query):
            of[row.model_id][row.key] = row.value
        texts[name] = of
    metrics = _model_metrics(connection, ids)
    files = _tuples(connection, tables.logged_model_artifact, ArtifactRecord, ids, of="model_id")
    return [
        ModelRecord(
            **_row(found[id_], MODEL_COLUMNS),
            experiment=found[id_].experiment,
            params=texts["params"].get(id_, {}),
            tags=texts["tags"].get(id_, {}),
            metrics=tuple(metrics.get(id_, ())),
            artifacts=files.get(id_, ()),
        )
        for id_ in ids
        if id_ in found
    ]


def _model_metrics(connection: Connection, ids: Sequence[str]) -> dict[str, list[ModelMetric]]:
    table = tables.logged_model_metric
    found: dict[str, list[ModelMetric]] = defaultdict(list)
    query = table.select().where(table.c.model_id.in_(ids)).order_by(*table.primary_key)
    for row in connection.execute(query):
        point = ModelMetric(
            key=row.key, step=row.step, at=row.at, run_id=row.run_id,
            value=value_of(value(row.value, is_nan=row.is_nan)),
            dataset_name=row.dataset_name, dataset_digest=row.dataset_digest,
        )  # fmt: skip
        found[row.model_id].append(point)
    return found

"""Where each target's fields lie in the tables of the ledger, as expressions of SQL."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Table

PROMPT = "mlflow.prompt.is_prompt"
"""The tag of a model that is a prompt."""


class Attribute(NamedTuple):
    """An expression, and whether it may be null."""

    value: ColumnElement[Any]
    is_nullable: bool = False
    is_whole: bool = False  # whether an order compares all of its text: it is short, or a key


class Rows(NamedTuple):
    """The table that holds an entity's keys and values, and how its rows belong to the target."""

    table: Table
    owners: tuple[str, ...]  # its columns, in the order of the target's key
    key: str = "key"
    value: str = "value"


class Source(NamedTuple):
    """The table of a target, its key, its attributes and the tables beside it."""

    table: Table
    keys: tuple[str, ...]
    attributes: Mapping[str, Attribute]
    free: Mapping[str, Rows]
    derived_tags: Mapping[str, str] = {}  # tag -> the column that it follows from, if not stored

    def link(self, rows: Rows, table: Any) -> list[ColumnElement[bool]]:
        """Return the conditions that rows of a table beside it (or an alias) belong to it."""
        pairs = zip(rows.owners, self.keys, strict=True)
        return [table.c[owner] == self.table.c[key] for owner, key in pairs]


DERIVED_TAGS = {
    "mlflow.runName": "name",
    "mlflow.user": "owner",
    "mlflow.parentRunId": "parent_id",
    "mlflow.source.git.commit": "code_commit",
}
"""Tags that MLflow's clients expect of a run, and the columns that give them."""


def source(target: str, *, is_open: bool) -> Source:
    """Return the source of a target in one dialect."""
    return _SOURCES[target](is_open)


@functools.cache
def _runs(is_open: bool) -> Source:
    from sqlalchemy import Double, Text, case, cast, func, literal_column, select

    from assay.ledger import tables

    run, experiment = tables.run, tables.experiment
    name = select(experiment.c.name).where(experiment.c.id == run.c.experiment_id)
    seconds = (cast(run.c.end, Double) - run.c.start) / literal_column("1000.0")
    status = run.c.status if is_open else func.upper(run.c.status, type_=Text())
    alive = case((run.c.deleted.is_(None), "active"), else_="deleted")
    attributes = {
        "run_id": Attribute(run.c.id, is_whole=True),
        "run_name": Attribute(run.c.name),
        "status": Attribute(status, is_whole=True),
        "user_id": Attribute(run.c.owner, is_nullable=True),
        "artifact_uri": Attribute(_artifact_uri()),
        "start_time": Attribute(run.c.start),
        "end_time": Attribute(run.c.end, is_nullable=True),
        "duration": Attribute(seconds, is_nullable=True),
        "experiment": Attribute(name.correlate(run).scalar_subquery()),
        "experiment_id": Attribute(run.c.experiment_id),
        "kind": Attribute(run.c.kind, is_whole=True),
        "stage": Attribute(run.c.stage, is_nullable=True),
        "commit": Attribute(run.c.code_commit, is_nullable=True, is_whole=True),
        "branch": Attribute(run.c.code_branch, is_nullable=True),
        "command": Attribute(run.c.command, is_nullable=True),
        "parent": Attribute(run.c.parent_id, is_nullable=True, is_whole=True),
        "lifecycle": Attribute(alive, is_whole=True),
    }
    free = {
        "metric": Rows(tables.latest_metric, ("run_id",)),
        "param": Rows(tables.param, ("run_id",)),
        "tag": Rows(tables.tag, ("run_id",)),
    }
    return Source(run, ("id",), attributes, free, DERIVED_TAGS)


def _artifact_uri() -> ColumnElement[str]:
    """Return where a run's artifacts are: in the hub's own place, unless it says so."""
    from sqlalchemy import Text, cast, func, literal

    from assay.ledger.tables import run

    folder = literal("mlflow-artifacts:/") + cast(run.c.experiment_id, Text)
    return func.coalesce(run.c.artifact_uri, folder + "/" + run.c.id + "/artifacts")


@functools.cache
def _experiments(is_open: bool) -> Source:  # noqa: ARG001 -- one dialect has them
    from assay.ledger import tables

    table = tables.experiment
    attributes = {
        "name": Attribute(table.c.name),
        "experiment_id": Attribute(table.c.id),
        "creation_time": Attribute(table.c.created),
        "last_update_time": Attribute(table.c.updated),
    }
    free = {"tag": Rows(tables.experiment_tag, ("experiment_id",))}
    return Source(table, ("id",), attributes, free)


@functools.cache
def _models(is_open: bool) -> Source:  # noqa: ARG001 -- one dialect has them
    from assay.ledger import tables

    table = tables.model
    attributes = {
        "name": Attribute(table.c.name, is_whole=True),
        "last_updated": Attribute(table.c.updated),
    }
    return Source(table, ("name",), attributes, {"tag": Rows(tables.model_tag, ("model",))})


@functools.cache
def _versions(is_open: bool) -> Source:  # noqa: ARG001 -- one dialect has them
    from sqlalchemy import func

    from assay.ledger import tables

    table = tables.version
    attributes = {
        "name": Attribute(table.c.model, is_whole=True),
        "run_id": Attribute(func.coalesce(table.c.run_id, table.c.foreign_run), is_nullable=True),
        "source_path": Attribute(table.c.source, is_nullable=True),
        "version_number": Attribute(table.c.number),
        "created": Attribute(table.c.created),
        "last_updated": Attribute(table.c.updated),
    }
    free = {"tag": Rows(tables.version_tag, ("model", "version"))}
    return Source(table, ("model", "number"), attributes, free)


@functools.cache
def _logged_models(is_open: bool) -> Source:  # noqa: ARG001 -- one dialect has them
    from sqlalchemy import Text, cast, func

    from assay.ledger import tables

    table = tables.logged_model
    attributes = {
        "name": Attribute(table.c.name),
        "model_id": Attribute(table.c.id, is_whole=True),
        "model_type": Attribute(table.c.type, is_nullable=True),
        "status": Attribute(func.upper(table.c.status, type_=Text()), is_whole=True),
        "source_run_id": Attribute(table.c.run_id, is_nullable=True),
        "experiment_id": Attribute(cast(table.c.experiment_id, Text), is_whole=True),
        "creation_timestamp_ms": Attribute(table.c.created),
        "last_updated_timestamp_ms": Attribute(table.c.updated),
    }
    free = {
        "metric": Rows(tables.logged_model_metric, ("model_id",)),
        "param": Rows(tables.logged_model_param, ("model_id",)),
        "tag": Rows(tables.logged_model_tag, ("model_id",)),
    }
    return Source(table, ("id",), attributes, free)


_SOURCES: dict[str, Callable[[bool], Source]] = {
    "runs": _runs,
    "experiments": _experiments,
    "models": _models,
    "versions": _versions,
    "logged_models": _logged_models,
}

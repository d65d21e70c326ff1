"""What a run is told in MLflow's API: parameters, tags, and batches of everything.

A batch is kept as a whole or not at all. The same call twice is as good as once.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from assay.api.mlflow import claims, keys
from assay.api.mlflow.asks import Tag
from assay.api.mlflow.calls import write
from assay.api.mlflow.errors import invalid, missing
from assay.api.mlflow.metrics import Point, add_points, check_point
from assay.api.mlflow.runs import COMMIT, NAME, PARENT, USER
from assay.base.clock import now_ms
from assay.ledger import recording
from assay.ledger.recording import Change, Reused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from assay.api.hub import Hub
    from assay.ledger.recording import Claim

_IN_COLUMNS = frozenset({NAME, USER, PARENT, COMMIT})


class OneOfRun(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter or tag of a run."""

    run_id: str
    key: str
    value: str = ""


class NamedOfRun(msgspec.Struct, frozen=True, kw_only=True):
    """A tag of a run, by its key."""

    run_id: str
    key: str


class LogBatch(msgspec.Struct, frozen=True, kw_only=True):
    """What `runs/log-batch` asks."""

    run_id: str
    metrics: list[Point] = []
    params: list[Tag] = []
    tags: list[Tag] = []


@write("POST", "/mlflow/runs/log-parameter")
def log_parameter(_hub: Hub, ask: OneOfRun, connection: Connection) -> None:
    """Record a parameter."""
    keys.check(ask.key, what="Param key")
    run = claims.active_run(connection, ask.run_id)
    _put_params(connection, run, {ask.key: ask.value[: keys.LONGEST_PARAM]})


@write("POST", "/mlflow/runs/set-tag")
def set_tag(_hub: Hub, ask: OneOfRun, connection: Connection) -> None:
    """Set a tag."""
    keys.check(ask.key)
    run = claims.active_run(connection, ask.run_id)
    _put_tags(connection, run, {ask.key: ask.value[: keys.LONGEST_TAG]})


@write("POST", "/mlflow/runs/delete-tag")
def delete_tag(_hub: Hub, ask: NamedOfRun, connection: Connection) -> None:
    """Take a tag away."""
    run = claims.active_run(connection, ask.run_id)
    if not recording.remove_tag(connection, run.id, ask.key):
        raise missing(f"No tag with name: {ask.key[:250]} in run with id {run.id}")


@write("POST", "/mlflow/runs/log-batch")
def log_batch(_hub: Hub, ask: LogBatch, connection: Connection) -> None:
    """Record metrics, parameters and tags together."""
    for index, point in enumerate(ask.metrics):
        check_point(point, where=f"metrics[{index}].")
    for what, name, pairs in (("Param key", "params", ask.params), ("key", "tags", ask.tags)):
        for index, pair in enumerate(pairs):
            keys.check(pair.key, where=f"{name}[{index}].key", what=what)
    _check_counts(ask)
    run = claims.active_run(connection, ask.run_id)
    params = {one.key: one.value[: keys.LONGEST_PARAM] for one in ask.params}
    _put_params(connection, run, params)
    add_points(connection, run.id, ask.metrics)
    _put_tags(connection, run, {one.key: one.value[: keys.LONGEST_TAG] for one in ask.tags})


def _check_counts(ask: LogBatch) -> None:
    n_metrics, n_params, n_tags = len(ask.metrics), len(ask.params), len(ask.tags)
    keys.check_count("metrics", n_metrics, keys.MOST_METRICS)
    keys.check_count("params", n_params, keys.MOST_PARAMS)
    keys.check_count("tags", n_tags, keys.MOST_TAGS)
    n_all = n_metrics + n_params + n_tags
    keys.check_count("metrics, params, and tags", n_all, keys.MOST_ENTITIES)
    twice = [key for key, n in Counter(one.key for one in ask.params).items() if n > 1]
    if twice:
        raise invalid(
            f"Duplicate parameter keys have been submitted: {twice}. Please ensure the request "
            "contains only one param value per param key."
        )


def _put_params(connection: Connection, run: Claim, params: Mapping[str, str]) -> None:
    try:
        recording.put_params(connection, run.id, params)
    except Reused as error:
        raise invalid(
            f"Changing param values is not allowed. Param with key='{error.key}' was already "
            f"logged with value='{error.old}' for run ID='{run.id}'. Attempted logging new value "
            f"'{error.new}'."
        ) from None


def _put_tags(connection: Connection, run: Claim, tags: dict[str, str]) -> None:
    """Set tags, and the columns that stand for some of them."""
    if not tags:
        return
    at = now_ms()
    if not _IN_COLUMNS.isdisjoint(tags):
        if not tags.get(NAME, "named"):
            del tags[NAME]  # a run keeps its name, as in MLflow
        what = Change(
            name=tags.get(NAME),
            owner=tags.get(USER),
            parent=tags.get(PARENT),
            commit=tags.get(COMMIT),
        )
        recording.change(connection, run, what, at=at)
    recording.put_tags(connection, run.id, tags, at=at)

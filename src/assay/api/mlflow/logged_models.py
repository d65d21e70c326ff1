"""Logged models in MLflow's API. Source: MLflow REST API 2.0, message `LoggedModel` and others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from assay.api.mlflow import claims, keys
from assay.api.mlflow.asks import Id, Int64, Tag, number, pairs
from assay.api.mlflow.calls import call, write
from assay.api.mlflow.errors import Refused, invalid
from assay.base.clock import now_ms
from assay.base.errors import Error, Taken
from assay.ledger import logged, rows
from assay.ledger.logged import LoggedModel, LoggedStatus, ModelMetric
from assay.pipeline.experiments.names import free_name

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from assay.api.hub import Hub

_NAMES = ("LOGGED_MODEL_PENDING", "LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED")
Status = Annotated[
    Literal["LOGGED_MODEL_PENDING", "LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED"],
    msgspec.Meta(extra={"names": dict(enumerate(_NAMES, 1))}),
]
STATUS: dict[LoggedStatus, str] = {"pending": _NAMES[0], "ready": _NAMES[1], "failed": _NAMES[2]}
_STATUS = {name: status for status, name in STATUS.items()}
_HISTORY = "mlflow.log-model.history"
_HISTORY_FIELDS = ("run_id", "artifact_path", "utc_time_created", "model_uuid")


class CreateModel(msgspec.Struct, frozen=True, kw_only=True):
    """What POST `logged-models` asks."""

    experiment_id: Id
    name: str = ""
    model_type: str = ""
    source_run_id: str = ""
    params: list[Tag] = []
    tags: list[Tag] = []


class ModelById(msgspec.Struct, frozen=True, kw_only=True):
    """A logged model, asked for."""

    model_id: str
    allow_deleted: bool = False


class FinishModel(msgspec.Struct, frozen=True, kw_only=True):
    """What PATCH `logged-models/ID` asks."""

    model_id: str
    status: Status


class SetTags(msgspec.Struct, frozen=True, kw_only=True):
    """What PATCH `logged-models/ID/tags` asks."""

    model_id: str
    tags: list[Tag] = []


class DeleteTag(msgspec.Struct, frozen=True, kw_only=True):
    """What DELETE `logged-models/ID/tags/KEY` asks."""

    model_id: str
    tag_key: str


class LogParams(msgspec.Struct, frozen=True, kw_only=True):
    """What POST `logged-models/ID/params` asks."""

    model_id: str
    params: list[Tag] = []


class ModelOutput(msgspec.Struct, frozen=True, kw_only=True):
    """A logged model that a run made."""

    model_id: str
    step: Int64 = 0


class LogOutputs(msgspec.Struct, frozen=True, kw_only=True):
    """What `runs/outputs` asks."""

    run_id: str
    models: list[ModelOutput]


class LogModel(msgspec.Struct, frozen=True, kw_only=True):
    """What `runs/log-model` asks."""

    run_id: str
    model_json: str


def message(model: LoggedModel) -> dict[str, Any]:
    """Translate a logged model; what has no value is left out, as there."""
    info = {
        "model_id": model.id,
        "experiment_id": str(model.experiment_id),
        "name": model.name,
        "creation_timestamp_ms": model.created,
        "last_updated_timestamp_ms": model.updated,
        "artifact_uri": model.uri,
        "status": STATUS[model.status],
        "creator_id": model.owner,
        "model_type": model.type,
        "source_run_id": model.run,
        "status_message": model.status_message,
        "tags": pairs(model.tags),
        "registrations": [
            {"name": name, "version": str(version)} for name, version in model.versions
        ],
    }
    data = {
        "params": pairs(model.params),
        "metrics": [metric_message(metric) for metric in model.metrics],
    }
    return {"info": _there(info), "data": _there(data)}


def metric_message(metric: ModelMetric) -> dict[str, Any]:
    """Translate a point of a metric of a logged model."""
    found = {
        "key": metric.key,
        "value": number(metric.value),
        "timestamp": metric.at,
        "step": metric.step,
        "dataset_name": metric.dataset_name,
        "dataset_digest": metric.dataset_digest,
        "model_id": metric.model_id,
        "run_id": metric.run,
    }
    return {key: value for key, value in found.items() if value is not None}


@write("POST", "/mlflow/logged-models")
def create(_hub: Hub, ask: CreateModel, connection: Connection) -> dict[str, Any]:
    """Make a logged model that is pending."""
    keys.check_bound("params", len(ask.params))
    keys.check_bound("tags", len(ask.tags))
    experiment = claims.active_experiment(connection, ask.experiment_id)
    if ask.source_run_id:
        claims.run(connection, ask.source_run_id)
    try:
        id_ = logged.create(
            connection,
            experiment_id=experiment.id,
            name=ask.name or free_name(()),
            at=now_ms(),
            type_=ask.model_type,
            run=ask.source_run_id or None,
            params=[(one.key, one.value) for one in ask.params],
            tags=[(one.key, one.value) for one in ask.tags],
        )
    except Taken as error:
        raise Refused("BAD_REQUEST", error.what) from None
    return {"model": message(logged.get(connection, id_))}


@call("GET", "/mlflow/logged-models/{model_id}")
def get(hub: Hub, ask: ModelById) -> dict[str, Any]:
    """Answer a logged model."""
    with hub.ledger.read() as connection:
        found = logged.get(connection, ask.model_id, deleted=ask.allow_deleted)
    return {"model": message(found)}


@write("PATCH", "/mlflow/logged-models/{model_id}")
def finish(_hub: Hub, ask: FinishModel, connection: Connection) -> dict[str, Any]:
    """Record whether a logged model is whole."""
    logged.finish(connection, ask.model_id, _STATUS[ask.status], at=now_ms())
    return {"model": message(logged.get(connection, ask.model_id))}


@write("DELETE", "/mlflow/logged-models/{model_id}")
def delete(_hub: Hub, ask: ModelById, connection: Connection) -> None:
    """Delete a logged model."""
    logged.delete(connection, ask.model_id, at=now_ms())


@write("PATCH", "/mlflow/logged-models/{model_id}/tags")
def set_tags(_hub: Hub, ask: SetTags, connection: Connection) -> None:
    """Set tags of a logged model."""
    tags = [(one.key, one.value) for one in ask.tags]
    logged.set_tags(connection, ask.model_id, tags, at=now_ms())


@write("DELETE", "/mlflow/logged-models/{model_id}/tags/{tag_key:path}")
def delete_tag(_hub: Hub, ask: DeleteTag, connection: Connection) -> None:
    """Take a tag of a logged model away."""
    logged.delete_tag(connection, ask.model_id, ask.tag_key, at=now_ms())


@write("POST", "/mlflow/logged-models/{model_id}/params")
def log_params(_hub: Hub, ask: LogParams, connection: Connection) -> None:
    """Record parameters of a logged model; the same once more changes nothing."""
    params = [(one.key, one.value) for one in ask.params]
    try:
        logged.log_params(connection, ask.model_id, params, at=now_ms())
    except Taken as error:
        raise Refused("BAD_REQUEST", error.what) from None


@write("POST", "/mlflow/runs/outputs")
def log_outputs(_hub: Hub, ask: LogOutputs, connection: Connection) -> None:
    """Record which logged models a run made."""
    claims.active_run(connection, ask.run_id)
    models = [(one.model_id, one.step) for one in ask.models]
    logged.link(connection, ask.run_id, "output", models, at=now_ms())


@write("POST", "/mlflow/runs/log-model")
def log_model(_hub: Hub, ask: LogModel, connection: Connection) -> None:
    """Add a model to the tag in which clients of MLflow 2 keep them."""
    from assay.ledger import tables

    model = _mlmodel(ask.model_json)
    claims.active_run(connection, ask.run_id)
    tag = tables.tag
    query = tag.select().where(tag.c.run_id == ask.run_id, tag.c.key == _HISTORY)
    row = connection.execute(query).one_or_none()
    history = [] if row is None else _history(row.value)
    if model not in history:  # a client may send it again
        text = msgspec.json.encode([*history, model]).decode()
        rows.put_tags(connection, tag, {"run_id": ask.run_id}, {_HISTORY: text})


def _mlmodel(text: str) -> dict[str, Any]:
    """Return of a model's description what the tag keeps."""
    try:
        model = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError:
        shown = text if len(text) <= 200 else f"{text[:200]}..."
        raise invalid(f"Malformed model info. \n {shown} \n is not a valid JSON.") from None
    needed = ("artifact_path", "flavors", "utc_time_created", "run_id")
    lacking = [field for field in needed if field not in model]
    if lacking:
        raise invalid(f"Model json is missing mandatory fields: {', '.join(lacking)}")
    flavors = model["flavors"]
    if not isinstance(flavors, dict):
        raise invalid("Model json has 'flavors' that are no object")
    kept = {field: model[field] for field in _HISTORY_FIELDS if field in model}
    return kept | {"flavors": {name: _without_config(one) for name, one in flavors.items()}}


def _without_config(flavor: Any) -> Any:
    if not isinstance(flavor, dict):
        return flavor
    return {key: value for key, value in flavor.items() if key != "config"}


def _history(text: str) -> list[Any]:
    try:
        return msgspec.json.decode(text, type=list[Any])
    except msgspec.DecodeError as error:
        raise Error(f"the run's tag {_HISTORY!r} is no list of models: {error}") from None


def _there(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None and value != []}

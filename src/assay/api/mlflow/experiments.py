"""Experiments in MLflow's API. Source: MLflow REST API 2.0, messages `Experiment` and others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from assay.api.mlflow import bundles, claims, keys, paths
from assay.api.mlflow.asks import Id, Tag, pairs
from assay.api.mlflow.calls import call, write
from assay.api.mlflow.errors import Refused, exists, invalid, missing
from assay.base.clock import now_ms
from assay.base.errors import Taken
from assay.ledger import artifacts, experiments
from assay.ledger.experiments import Experiment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from assay.api.hub import Hub

_RUNS = "runs:"
_OF_OTHER_HOSTS = frozenset(
    ("ftp", "sftp", "hdfs", "viewfs", "http", "https", "r2", "b2", "abfss")
)
"""Schemes of places at a host that the client names. Source: MLflow's host_policy.py."""


class ExperimentMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """MLflow's `Experiment`."""

    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: str
    last_update_time: int
    creation_time: int
    tags: list[Tag] = []
    workspace: str  # "default", which is the only one


class ExperimentAnswer(msgspec.Struct, frozen=True):
    """An experiment, answered."""

    experiment: ExperimentMessage


class CreateExperiment(msgspec.Struct, frozen=True, kw_only=True):
    """What `experiments/create` asks."""

    name: str
    artifact_location: str | None = None
    tags: list[Tag] = []


class CreatedExperiment(msgspec.Struct, frozen=True):
    """What `experiments/create` answers."""

    experiment_id: str


class ByName(msgspec.Struct, frozen=True, kw_only=True):
    """What `experiments/get-by-name` asks."""

    experiment_name: str


class ById(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment, asked for."""

    experiment_id: Id


class UpdateExperiment(msgspec.Struct, frozen=True, kw_only=True):
    """What `experiments/update` asks."""

    experiment_id: Id
    new_name: str


class SetExperimentTag(msgspec.Struct, frozen=True, kw_only=True):
    """What `experiments/set-experiment-tag` asks."""

    experiment_id: Id
    key: str
    value: str = ""


class DeleteExperimentTag(msgspec.Struct, frozen=True, kw_only=True):
    """What `experiments/delete-experiment-tag` asks."""

    experiment_id: Id
    key: str


def message(experiment: Experiment) -> ExperimentMessage:
    """Translate an experiment."""
    return ExperimentMessage(
        experiment_id=str(experiment.id),
        name=experiment.name,
        artifact_location=location(experiment),
        lifecycle_stage="active" if experiment.deleted is None else "deleted",
        last_update_time=experiment.updated,
        creation_time=experiment.created,
        tags=pairs(experiment.tags),
        workspace="default",
    )


def location(experiment: Experiment) -> str:
    """Return below which URI the files of an experiment lie; the hub's own by default."""
    return experiment.artifact_location or f"mlflow-artifacts:/{experiment.id}"


@write("POST", "/mlflow/experiments/create")
def create(_hub: Hub, ask: CreateExperiment, connection: Connection) -> CreatedExperiment:
    """Make an experiment."""
    _check_name(ask.name)
    _check_location(ask.artifact_location)
    keys.check_once([tag.key for tag in ask.tags])
    tags = _checked(ask.tags)
    try:
        number = experiments.create(
            connection,
            ask.name,
            at=now_ms(),
            artifact_location=ask.artifact_location or None,
            tags=tags,
        )
    except Taken:
        raise _taken(ask.name) from None
    return CreatedExperiment(str(number))


@call("GET", "/mlflow/experiments/get-by-name")
def get_by_name(hub: Hub, ask: ByName) -> ExperimentAnswer:
    """Answer the experiment of a name, deleted or not."""
    with hub.ledger.read() as connection:
        found = experiments.find_by_name(connection, ask.experiment_name)
    if found is None:
        raise missing(f"Could not find experiment with name '{ask.experiment_name[:500]}'")
    return ExperimentAnswer(message(found))


@call("GET", "/mlflow/experiments/get")
def get(hub: Hub, ask: ById) -> ExperimentAnswer:
    """Answer an experiment, deleted or not."""
    with hub.ledger.read() as connection:
        return ExperimentAnswer(message(claims.experiment(connection, ask.experiment_id)))


@write("POST", "/mlflow/experiments/delete")
def delete(_hub: Hub, ask: ById, connection: Connection) -> None:
    """Delete an experiment with its runs."""
    number = keys.experiment_number(ask.experiment_id)
    if not experiments.delete(connection, number, at=now_ms()):
        raise claims.no_experiment(ask.experiment_id)


@write("POST", "/mlflow/experiments/restore")
def restore(_hub: Hub, ask: ById, connection: Connection) -> None:
    """Bring an experiment back with its runs."""
    number = keys.experiment_number(ask.experiment_id)
    if not experiments.restore(connection, number, at=now_ms()):
        raise claims.no_experiment(ask.experiment_id)


@write("POST", "/mlflow/experiments/update")
def update(_hub: Hub, ask: UpdateExperiment, connection: Connection) -> None:
    """Give an experiment another name."""
    _check_name(ask.new_name)
    found = claims.experiment(connection, ask.experiment_id)
    if found.deleted is not None:
        raise Refused("INVALID_STATE", "Cannot rename a non-active experiment.")
    try:
        experiments.rename(connection, found.id, ask.new_name, at=now_ms())
    except Taken:
        raise _taken(ask.new_name) from None


@write("POST", "/mlflow/experiments/set-experiment-tag")
def set_tag(_hub: Hub, ask: SetExperimentTag, connection: Connection) -> None:
    """Set a tag of an experiment."""
    tags = _checked([Tag(key=ask.key, value=ask.value)])
    found = claims.active_experiment(connection, ask.experiment_id)
    experiments.put_tags(connection, found.id, tags)


@write("POST", "/mlflow/experiments/delete-experiment-tag")
def delete_tag(_hub: Hub, ask: DeleteExperimentTag, connection: Connection) -> None:
    """Take a tag of an experiment away."""
    found = claims.active_experiment(connection, ask.experiment_id)
    if not experiments.remove_tag(connection, found.id, ask.key):
        raise missing(f"No tag with name: {ask.key} in experiment with id {ask.experiment_id}")


def _checked(tags: Iterable[Tag]) -> dict[str, str]:
    for tag in tags:
        keys.check(tag.key)
        if len(tag.value) > keys.LONGEST_EXPERIMENT_TAG:
            raise keys.too_long("value", keys.LONGEST_EXPERIMENT_TAG)
    return {tag.key: tag.value for tag in tags}


def _check_name(name: str) -> None:
    if not name.strip():
        raise invalid(f"Invalid experiment name: '{name}'")
    if len(name) > keys.LONGEST_EXPERIMENT_NAME:
        raise keys.too_long("name", keys.LONGEST_EXPERIMENT_NAME)


def _check_location(uri: str | None) -> None:
    """Refuse a place of artifacts that no client could use."""
    if not uri:
        return
    if len(uri) > keys.LONGEST_LOCATION:
        raise keys.too_long("artifact_location", keys.LONGEST_LOCATION)
    if uri.startswith(_RUNS):
        raise invalid(f"Artifact location cannot be a runs:/ URI. Given: '{uri}'")
    _, _, query = uri.partition("?")
    if "#" in uri or ";" in uri.rpartition("/")[2]:
        raise invalid("'artifact_location' URL can't include fragments or params.")
    if ".." in query:
        raise invalid("Invalid query string")
    scheme, colon, rest = uri.partition(":")
    scheme = scheme.lower()
    is_at_host = scheme in _OF_OTHER_HOSTS or (
        scheme == "mlflow-artifacts" and rest.startswith("//") and rest[2:3] not in {"", "/"}
    )
    if colon and is_at_host:
        raise invalid(
            f"'artifact_location' cannot use the '{scheme}' scheme: it names a host of its own. "
            "Leave it out, and the hub keeps the files"
        )
    if colon and scheme == "mlflow-artifacts":
        _check_in_tree(artifacts.root_of(uri) or "")


def _check_in_tree(bare: str) -> None:
    """Refuse a place in the hub's own tree that nothing can be read from."""
    if bare and bundles.is_in(paths.check(bare)):
        raise invalid(
            f"'artifact_location' cannot be below 'mlflow-artifacts:/{bundles.ROOT}', where the "
            "hub keeps the files of registered bundles. Leave it out, and the hub keeps the files"
        )


def _taken(name: str) -> Refused:
    return exists(f"Experiment(name={name}) already exists.")

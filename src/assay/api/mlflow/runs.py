"""Runs in MLflow's API. Source: MLflow REST API 2.0, messages `Run`, `RunInfo`, `RunData`.

What MLflow keeps in tags and the ledger in columns (name, owner, parent, commit) is kept in both
when a client sets it, and follows from the columns where no tag is stored.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import msgspec

from assay.api import looking
from assay.api.mlflow import claims, keys
from assay.api.mlflow.asks import Id, Int64, RunStatus, Tag, number, pairs
from assay.api.mlflow.calls import call, write
from assay.api.mlflow.errors import Refused, invalid
from assay.base.clock import now_ms
from assay.base.ids import uuid7
from assay.ledger import artifacts, found, recording
from assay.ledger.recording import Change, NewRun
from assay.ledger.writer import Data, Status
from assay.pipeline.experiments.names import free_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection

    from assay.api.hub import Hub
    from assay.ledger.found import FoundRun

NAME, USER, PARENT, COMMIT = (
    "mlflow.runName", "mlflow.user", "mlflow.parentRunId", "mlflow.source.git.commit",
)  # fmt: skip
CONTEXT = "mlflow.data.context"
STATUS: dict[str, str] = {
    "running": "RUNNING", "scheduled": "SCHEDULED", "finished": "FINISHED", "failed": "FAILED",
    "killed": "KILLED",
}  # fmt: skip
_STATUS: dict[str, Status] = {
    "RUNNING": "running", "SCHEDULED": "scheduled", "FINISHED": "finished", "FAILED": "failed",
    "KILLED": "killed",
}  # fmt: skip


class RunInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """MLflow's `RunInfo`."""

    run_uuid: str
    experiment_id: str
    run_name: str
    user_id: str
    status: str
    start_time: int
    end_time: int | None = None
    artifact_uri: str
    lifecycle_stage: str
    run_id: str


class MetricMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """MLflow's `Metric`; step 0 is answered, too."""

    key: str
    value: float | str
    timestamp: int
    step: int
    dataset_name: str | None = None
    dataset_digest: str | None = None
    model_id: str | None = None
    run_id: str | None = None


class RunData(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """MLflow's `RunData`."""

    metrics: list[MetricMessage] = []
    params: list[Tag] = []
    tags: list[Tag] = []


class Dataset(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """MLflow's `Dataset`."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None = None
    profile: str | None = None


class DatasetInput(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """MLflow's `DatasetInput`."""

    tags: list[Tag] = []
    dataset: Dataset


class ModelInput(msgspec.Struct, frozen=True, kw_only=True):
    """A logged model that a run read."""

    model_id: str


class ModelOutput(msgspec.Struct, frozen=True, kw_only=True):
    """A logged model that a run made."""

    model_id: str
    step: int


class RunInputs(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """MLflow's `RunInputs`."""

    dataset_inputs: list[DatasetInput] = []
    model_inputs: list[ModelInput] = []


class RunOutputs(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """MLflow's `RunOutputs`."""

    model_outputs: list[ModelOutput] = []


class RunMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """MLflow's `Run`; the inputs are answered where there are none, too."""

    info: RunInfo
    data: RunData
    inputs: RunInputs
    outputs: RunOutputs | None = None


class RunAnswer(msgspec.Struct, frozen=True):
    """A run, answered."""

    run: RunMessage


class InfoAnswer(msgspec.Struct, frozen=True):
    """What `runs/update` answers."""

    run_info: RunInfo


class CreateRun(msgspec.Struct, frozen=True, kw_only=True):
    """What `runs/create` asks."""

    experiment_id: Id | None = None
    user_id: str = ""
    run_name: str = ""
    start_time: Int64 | None = None
    tags: list[Tag] = []


class OfRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run, asked for."""

    run_id: str


class UpdateRun(msgspec.Struct, frozen=True, kw_only=True):
    """What `runs/update` asks."""

    run_id: str
    status: RunStatus | None = None
    end_time: Int64 | None = None
    run_name: str | None = None


def run_message(run: FoundRun) -> RunMessage:
    """Translate a run."""
    return RunMessage(
        info=_info(run),
        data=RunData(
            metrics=[
                MetricMessage(
                    key=one.key, value=number(one.value), timestamp=one.at, step=one.step
                )
                for one in run.metrics.values()
            ],
            params=pairs(run.params),
            tags=pairs(_with_columns(run)),
        ),
        inputs=RunInputs(
            dataset_inputs=[dataset_input(one) for one in run.datasets],
            model_inputs=[ModelInput(model_id=model) for model, _ in run.models_in],
        ),
        outputs=RunOutputs(
            model_outputs=[
                ModelOutput(model_id=model, step=step) for model, step in run.models_out
            ]
        ),
    )


def dataset_input(data: Data) -> DatasetInput:
    """Translate what a run read; a file of a project is a local dataset by its path and hash."""
    details: Mapping[str, Any] = data.details or {}
    tags = dict(details.get("tags") or {})
    if data.context is not None:
        tags[CONTEXT] = data.context
    source = details.get("source") or msgspec.json.encode({"uri": data.path}).decode()
    return DatasetInput(
        tags=pairs(tags),
        dataset=Dataset(
            name=data.path,
            digest=data.oid,
            source_type=details.get("source_type") or "local",
            source=source,
            schema=details.get("schema"),
            profile=details.get("profile"),
        ),
    )


def artifact_uri(experiment_id: int, run_id: str, stored: str | None) -> str:
    """Return where the files of a run lie; the hub's own place by default."""
    return stored or artifacts.run_uri(experiment_id, run_id)


@write("POST", "/mlflow/runs/create")
def create(_hub: Hub, ask: CreateRun, connection: Connection) -> RunAnswer:
    """Begin a run."""
    if not ask.experiment_id:
        raise Refused("BAD_REQUEST", "Missing value for required parameter 'experiment_id'.")
    keys.check_once([tag.key for tag in ask.tags])
    tags = cut_tags(ask.tags)
    experiment = claims.active_experiment(connection, ask.experiment_id)
    name = _name(ask.run_name, tags)
    run = uuid7().replace("-", "")
    start = now_ms() if ask.start_time is None else ask.start_time
    owner = ask.user_id or tags.get(USER)
    place = experiment.artifact_location
    new = NewRun(
        id=run,
        name=name,
        experiment_id=experiment.id,
        start=start,
        owner=owner,
        parent=tags.get(PARENT),
        commit=tags.get(COMMIT),
        artifact_uri=place and artifacts.run_uri(experiment.id, run, location=place),
    )
    recording.begin(connection, new)
    recording.put_tags(connection, run, tags | {NAME: name}, at=now_ms())
    info = RunInfo(
        run_uuid=run,
        experiment_id=str(experiment.id),
        run_name=name,
        user_id=owner or "",
        status="RUNNING",
        start_time=start,
        artifact_uri=artifact_uri(experiment.id, run, new.artifact_uri),
        lifecycle_stage="active",
        run_id=run,
    )
    data = RunData(tags=pairs(tags | {NAME: name}))
    return RunAnswer(RunMessage(info=info, data=data, inputs=RunInputs()))


@call("GET", "/mlflow/runs/get")
def get(hub: Hub, ask: OfRun) -> RunAnswer:
    """Answer a run, deleted or not."""
    looking.look(hub)
    with hub.ledger.read() as connection:
        return RunAnswer(run_message(_found(connection, ask.run_id)))


@write("POST", "/mlflow/runs/update")
def update(_hub: Hub, ask: UpdateRun, connection: Connection) -> InfoAnswer:
    """Change the status, the end or the name of a run."""
    run = claims.active_run(connection, ask.run_id)
    at = now_ms()
    name = ask.run_name or None
    status = None if ask.status is None else _STATUS[ask.status]
    what = Change(status=status, end=ask.end_time, name=name)
    recording.change(connection, run, what, at=at)
    if name is not None:
        recording.put_tags(connection, run.id, {NAME: name[: keys.LONGEST_TAG]}, at=at)
    [found_run] = found.load(connection, [run.id], parts=())
    return InfoAnswer(_info(found_run))


@write("POST", "/mlflow/runs/delete")
def delete(_hub: Hub, ask: OfRun, connection: Connection) -> None:
    """Delete a run; it can be restored."""
    claims.run(connection, ask.run_id)
    recording.delete(connection, ask.run_id, at=now_ms())


@write("POST", "/mlflow/runs/restore")
def restore(_hub: Hub, ask: OfRun, connection: Connection) -> None:
    """Bring a deleted run back."""
    claims.run(connection, ask.run_id)
    recording.restore(connection, ask.run_id, at=now_ms())


def cut_tags(tags: Iterable[Tag], *, where: str = "key") -> dict[str, str]:
    """Return tags of a run, each of a length that can be kept."""
    for tag in tags:
        keys.check(tag.key, where=where)
    return {tag.key: tag.value[: keys.LONGEST_TAG] for tag in tags}


def _name(given: str, tags: Mapping[str, str]) -> str:
    tagged = tags.get(NAME)
    if given and tagged and given != tagged:
        raise invalid(
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different "
            f"values (run_name='{given}', mlflow.runName='{tagged}')."
        )
    if given or tagged:
        return str(given or tagged)
    return f"{free_name(())}-{random.randint(0, 999)}"  # noqa: S311 -- a name, not a secret


def _found(connection: Connection, run_id: str) -> FoundRun:
    loaded = found.load(connection, [run_id])
    if not loaded:
        raise claims.no_run(run_id)
    return loaded[0]


def _info(run: FoundRun) -> RunInfo:
    return RunInfo(
        run_uuid=run.id,
        experiment_id=str(run.experiment_id),
        run_name=run.name,
        user_id=run.owner or "",
        status=STATUS[run.status],
        start_time=run.start,
        end_time=run.end,
        artifact_uri=artifact_uri(run.experiment_id, run.id, run.artifact_uri),
        lifecycle_stage="active" if run.deleted is None else "deleted",
        run_id=run.id,
    )


def _with_columns(run: FoundRun) -> dict[str, str]:
    columns = {NAME: run.name, USER: run.owner, PARENT: run.parent, COMMIT: run.commit}
    return {key: value for key, value in columns.items() if value is not None} | run.tags

"""Data sets as inputs of runs in MLflow's API. Source: message `DatasetInput` and others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from assay.api.mlflow import claims, keys
from assay.api.mlflow.asks import Id
from assay.api.mlflow.calls import call, write
from assay.api.mlflow.errors import invalid
from assay.api.mlflow.runs import DatasetInput, ModelInput
from assay.base.clock import now_ms
from assay.ledger import datasets, logged

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from assay.api.hub import Hub

_MOST_EXPERIMENTS = 20


class LogInputs(msgspec.Struct, frozen=True, kw_only=True):
    """What `runs/log-inputs` asks."""

    run_id: str
    datasets: list[DatasetInput] = []
    models: list[ModelInput] = []


class SearchDatasets(msgspec.Struct, frozen=True, kw_only=True):
    """What `experiments/search-datasets` asks."""

    experiment_ids: list[Id] = []


@write("POST", "/mlflow/runs/log-inputs")
def log_inputs(_hub: Hub, ask: LogInputs, connection: Connection) -> None:
    """Record which data sets and logged models a run reads."""
    claims.active_run(connection, ask.run_id)
    found = [_dataset(one) for one in ask.datasets]
    datasets.add(connection, ask.run_id, found, at=now_ms())
    models = [(one.model_id, 0) for one in ask.models]
    logged.link(connection, ask.run_id, "input", models, at=now_ms())


@call("POST", "/mlflow/experiments/search-datasets")
def search(hub: Hub, ask: SearchDatasets) -> dict[str, Any]:
    """Answer which data sets the runs of experiments read."""
    ids = [keys.experiment_number(one) for one in ask.experiment_ids]
    if not ids:
        raise invalid("SearchDatasets request must specify at least one experiment_id.")
    if len(ids) > _MOST_EXPERIMENTS:
        raise invalid(
            f"SearchDatasets request cannot specify more than {_MOST_EXPERIMENTS} experiment_ids. "
            f"Received {len(ids)} experiment_ids."
        )
    with hub.ledger.read() as connection:
        found = datasets.summaries(connection, ids)
    summaries = [_summary(one) for one in found]
    return {"dataset_summaries": summaries} if summaries else {}


def _dataset(one: DatasetInput) -> datasets.Dataset:
    of = one.dataset
    return datasets.Dataset(
        name=of.name,
        digest=of.digest,
        source_type=of.source_type,
        source=of.source,
        schema=of.schema,
        profile=of.profile,
        tags={tag.key: tag.value for tag in one.tags},
    )


def _summary(one: datasets.Summary) -> dict[str, str]:
    found = {"experiment_id": str(one.experiment_id), "name": one.name, "digest": one.digest}
    return found if one.context is None else found | {"context": one.context}

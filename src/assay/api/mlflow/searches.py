"""The searches of MLflow's API, each with the client's limits, filters, orders and pages.

Source: MLflow REST API 2.0, `searchRuns` and the others of that name; the grammar of filters is
in `assay.ledger.search`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from assay.api import looking
from assay.api.mlflow import keys
from assay.api.mlflow.asks import Id, Int32, Int64, ViewType
from assay.api.mlflow.calls import call
from assay.api.mlflow.errors import invalid
from assay.api.mlflow.experiments import ExperimentMessage
from assay.api.mlflow.experiments import message as experiment_message
from assay.api.mlflow.logged_models import message as logged_model_message
from assay.api.mlflow.registered import (
    ModelVersion,
    RegisteredModel,
    model_message,
    version_message,
)
from assay.api.mlflow.runs import RunMessage, run_message
from assay.ledger import experiments, found, logged, registered
from assay.ledger.search import others
from assay.ledger.search.others import Dataset, MetricOrder, Paging
from assay.ledger.search.runs import RunQuery, View, find
from assay.ledger.search.targets import MLFLOW_RUNS

if TYPE_CHECKING:
    from assay.api.hub import Hub

MOST_RUNS = MOST_EXPERIMENTS = 50_000
MOST_MODELS = 1_000
MOST_VERSIONS = 200_000
_AT_A_TIME = 1_000
_UNSAID = 100  # logged models, where the limit is 0
_VIEWS: dict[ViewType, View] = {"ACTIVE_ONLY": "active", "DELETED_ONLY": "deleted", "ALL": "all"}


class SearchRuns(msgspec.Struct, frozen=True, kw_only=True):
    """What `runs/search` asks."""

    experiment_ids: list[Id] = []
    filter: str = ""
    run_view_type: ViewType = "ACTIVE_ONLY"
    max_results: Int32 = 1000
    order_by: list[str] = []
    page_token: str | None = None


class FoundRuns(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `runs/search` answers."""

    runs: list[RunMessage] = []
    next_page_token: str | None = None


class SearchExperiments(msgspec.Struct, frozen=True, kw_only=True):
    """What `experiments/search` asks; it has no limit of its own."""

    max_results: Int64 = 0
    page_token: str | None = None
    filter: str = ""
    order_by: list[str] = []
    view_type: ViewType = "ACTIVE_ONLY"


class FoundExperiments(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `experiments/search` answers."""

    experiments: list[ExperimentMessage] = []
    next_page_token: str | None = None


class SearchModels(msgspec.Struct, frozen=True, kw_only=True):
    """What `registered-models/search` asks."""

    filter: str = ""
    max_results: Int64 = 100
    order_by: list[str] = []
    page_token: str | None = None


class FoundModels(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `registered-models/search` answers."""

    registered_models: list[RegisteredModel] = []
    next_page_token: str | None = None


class SearchVersions(msgspec.Struct, frozen=True, kw_only=True):
    """What `model-versions/search` asks."""

    filter: str = ""
    max_results: Int64 = MOST_VERSIONS
    order_by: list[str] = []
    page_token: str | None = None


class FoundVersions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `model-versions/search` answers."""

    model_versions: list[ModelVersion] = []
    next_page_token: str | None = None


class AskedDataset(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset on which a metric was measured."""

    dataset_name: str
    dataset_digest: str | None = None


class AskedOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A key of the order of logged models."""

    field_name: str
    ascending: bool = True
    dataset_name: str | None = None
    dataset_digest: str | None = None


class SearchLoggedModels(msgspec.Struct, frozen=True, kw_only=True):
    """What `logged-models/search` asks."""

    experiment_ids: list[Id]
    filter: str = ""
    datasets: list[AskedDataset] = []
    max_results: Int32 = 50
    order_by: list[AskedOrder] = []
    page_token: str | None = None


class FoundLoggedModels(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `logged-models/search` answers."""

    models: list[dict[str, Any]] = []
    next_page_token: str | None = None


@call("POST", "/mlflow/runs/search")
def search_runs(hub: Hub, ask: SearchRuns) -> FoundRuns:
    """Answer the runs of some experiments that fulfil a filter."""
    _check_limit(ask.max_results, most=MOST_RUNS)
    query = RunQuery(
        filter=ask.filter,
        order_by=tuple(ask.order_by),
        experiments=tuple(keys.experiment_number(one) for one in ask.experiment_ids),
        view=_VIEWS[ask.run_view_type],
    )
    looking.look(hub)
    with hub.ledger.read() as connection:
        page = find(
            connection, query, limit=ask.max_results, token=ask.page_token, target=MLFLOW_RUNS
        )
        rows = found.load(connection, page.ids)
    messages = [run_message(one) for one in rows]
    return FoundRuns(runs=messages, next_page_token=page.token)


@call("GET", "/mlflow/experiments/search")
@call("POST", "/mlflow/experiments/search")
def search_experiments(hub: Hub, ask: SearchExperiments) -> FoundExperiments:
    """Answer the experiments that fulfil a filter."""
    _check_limit(ask.max_results, most=MOST_EXPERIMENTS)
    paging = Paging(limit=ask.max_results, token=ask.page_token)
    with hub.ledger.read() as connection:
        rows = others.experiments(
            connection,
            filter_=ask.filter,
            order_by=ask.order_by,
            view=_VIEWS[ask.view_type],
            paging=paging,
        )
        ids, token = rows.cut([row.id for row in connection.execute(rows.query)])
        parts = [ids[at : at + _AT_A_TIME] for at in range(0, len(ids), _AT_A_TIME)]
        there = [one for part in parts for one in experiments.load(connection, part)]
    return FoundExperiments(
        experiments=[experiment_message(one) for one in there], next_page_token=token
    )


@call("GET", "/mlflow/registered-models/search")
def search_models(hub: Hub, ask: SearchModels) -> FoundModels:
    """Answer the registered models that fulfil a filter; prompts are none, unless asked for."""
    _check_limit(ask.max_results, most=MOST_MODELS)
    paging = Paging(limit=ask.max_results, token=ask.page_token)
    with hub.ledger.read() as connection:
        rows = others.models(connection, filter_=ask.filter, order_by=ask.order_by, paging=paging)
        models, token = rows.cut(registered.models(connection, rows.query))
        newest = registered.newest_by_stage(connection, [one.name for one in models])
    messages = [model_message(one, newest.get(one.name, ())) for one in models]
    return FoundModels(registered_models=messages, next_page_token=token)


@call("GET", "/mlflow/model-versions/search")
def search_versions(hub: Hub, ask: SearchVersions) -> FoundVersions:
    """Answer the versions of models that fulfil a filter."""
    _check_limit(ask.max_results, most=MOST_VERSIONS)
    paging = Paging(limit=ask.max_results, token=ask.page_token)
    with hub.ledger.read() as connection:
        rows = others.versions(
            connection, filter_=ask.filter, order_by=ask.order_by, paging=paging
        )
        versions, token = rows.cut(registered.versions(connection, rows.query))
    messages = [version_message(one) for one in versions]
    return FoundVersions(model_versions=messages, next_page_token=token)


@call("POST", "/mlflow/logged-models/search")
def search_logged_models(hub: Hub, ask: SearchLoggedModels) -> FoundLoggedModels:
    """Answer the logged models of some experiments that fulfil a filter."""
    limit = ask.max_results or _UNSAID
    _check_limit(limit, most=MOST_VERSIONS)
    with hub.ledger.read() as connection:
        rows = others.logged_models(
            connection,
            experiments=[keys.experiment_number(one) for one in ask.experiment_ids],
            filter_=ask.filter,
            datasets=[
                Dataset(name=one.dataset_name, digest=one.dataset_digest) for one in ask.datasets
            ],
            order_by=[_order(one) for one in ask.order_by],
            paging=Paging(limit=limit, token=ask.page_token),
        )
        ids, token = rows.cut([row.id for row in connection.execute(rows.query)])
        models = logged.load(connection, ids)
    return FoundLoggedModels(
        models=[logged_model_message(one) for one in models], next_page_token=token
    )


def _order(asked: AskedOrder) -> MetricOrder:
    return MetricOrder(
        field=asked.field_name,
        is_descending=not asked.ascending,
        dataset_name=asked.dataset_name,
        dataset_digest=asked.dataset_digest,
    )


def _check_limit(limit: int, *, most: int) -> None:
    if not 0 < limit <= most:
        raise invalid(
            f"Invalid value {limit} for parameter 'max_results' supplied: it must be a positive "
            f"integer, and at most {most}"
        )

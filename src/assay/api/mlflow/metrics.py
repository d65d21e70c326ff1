"""Metrics in MLflow's API: points one by one, and their histories.

Source: MLflow REST API 2.0. The infinities are kept as such and answered as `"Infinity"`, where
MLflow's own server makes them the largest double.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from assay.api.mlflow import claims, keys
from assay.api.mlflow.asks import Int32, Int64, number
from assay.api.mlflow.calls import call, write
from assay.api.mlflow.errors import invalid
from assay.api.mlflow.runs import MetricMessage
from assay.base.clock import now_ms
from assay.ledger import history, series
from assay.ledger.writer import Metric

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

    from assay.api.hub import Hub

MOST_RUNS, MOST_SAMPLED, MOST_BULK = 100, 2500, 25_000


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One point of a metric."""

    key: str
    value: float
    timestamp: Int64
    step: Int64 = 0
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class LogMetric(Point, frozen=True, kw_only=True):
    """What `runs/log-metric` asks."""

    run_id: str


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What `metrics/get-history` asks."""

    run_id: str
    metric_key: str
    page_token: str | None = None
    max_results: Int32 | None = None


class BulkInterval(msgspec.Struct, frozen=True, kw_only=True):
    """What `metrics/get-history-bulk-interval` asks."""

    run_ids: list[str]
    metric_key: str
    start_step: Int64 | None = None
    end_step: Int64 | None = None
    max_results: Int32 = MOST_SAMPLED


class Bulk(msgspec.Struct, frozen=True, kw_only=True):
    """What `metrics/get-history-bulk` asks."""

    run_id: list[str] = []
    metric_key: str
    max_results: Int64 = MOST_BULK


class HistoryAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Points of metrics, answered."""

    metrics: list[MetricMessage] = []
    next_page_token: str | None = None


class BulkAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a browser is answered: the list is there when it is empty, too."""

    metrics: list[MetricMessage]


@write("POST", "/mlflow/runs/log-metric")
def log_metric(_hub: Hub, ask: LogMetric, connection: Connection) -> None:
    """Record a point."""
    check_point(ask)
    claims.active_run(connection, ask.run_id)
    add_points(connection, ask.run_id, [ask])


@call("GET", "/mlflow/metrics/get-history")
def get_history(hub: Hub, ask: History) -> HistoryAnswer:
    """Answer all points of a metric, or a page of them."""
    if ask.max_results is not None and ask.max_results <= 0:
        raise invalid(
            f"Invalid value {ask.max_results} for parameter 'max_results' supplied. It must be a "
            "positive integer."
        )
    with hub.ledger.read() as connection:
        page = history.page(
            connection, ask.run_id, ask.metric_key, limit=ask.max_results, token=ask.page_token
        )
    return HistoryAnswer(metrics=_messages(page.points), next_page_token=page.next)


@call("GET", "/mlflow/metrics/get-history-bulk-interval")
def get_history_bulk_interval(hub: Hub, ask: BulkInterval) -> HistoryAnswer:
    """Answer evenly chosen points of a metric of several runs, with the first and the last."""
    start, end = ask.start_step, ask.end_step
    if not ask.run_ids:
        raise invalid("Missing value for required parameter 'run_ids'.")
    if len(ask.run_ids) > MOST_RUNS:
        raise invalid(
            f"GetMetricHistoryBulkInterval request must specify at most {MOST_RUNS} run_ids. "
            f"Received {len(ask.run_ids)} run_ids."
        )
    if not 1 <= ask.max_results <= MOST_SAMPLED:
        raise invalid(f"max_results must be between 1 and {MOST_SAMPLED}.")
    if (start is None) != (end is None):
        raise invalid(
            "If either start step or end step are specified, both must be specified."
        )  # fmt: skip
    if start is not None and end is not None and start > end:
        raise invalid(
            "end_step must be greater than start_step. "
            f"Found start_step={start} and end_step={end}."
        )
    found: list[MetricMessage] = []
    with hub.ledger.read() as connection:
        for run in ask.run_ids:
            points = history.sample(
                connection, run, ask.metric_key, most=ask.max_results, start=start, end=end
            )
            found += _messages(points, run_id=run)
    return HistoryAnswer(metrics=found)


@call("GET", "/mlflow/metrics/get-history-bulk")
def get_history_bulk(hub: Hub, ask: Bulk) -> BulkAnswer:
    """Answer the first points of a metric of several runs."""
    if not ask.run_id:
        raise invalid("GetMetricHistoryBulk request must specify at least one run_id.")
    if len(ask.run_id) > MOST_RUNS:
        raise invalid(
            f"GetMetricHistoryBulk request cannot specify more than {MOST_RUNS} run_ids. "
            f"Received {len(ask.run_id)} run_ids."
        )
    if ask.max_results < 1:
        raise invalid("max_results must be at least 1.")
    rest = min(ask.max_results, MOST_BULK)
    found: list[MetricMessage] = []
    with hub.ledger.read() as connection:
        for run in sorted(set(ask.run_id)):
            page = history.page(connection, run, ask.metric_key, limit=rest) if rest else None
            points = page.points if page else ()
            found += _messages(points, run_id=run)
            rest -= len(points)
    return BulkAnswer(metrics=found)


def check_point(point: Point, *, where: str = "") -> None:
    """Refuse a point that MLflow does not take."""
    keys.check(point.key, where=f"{where}name", what="Metric name")
    if point.timestamp < 0:
        raise invalid(
            f"Invalid value {point.timestamp} for parameter '{where}timestamp' supplied: metric "
            f"'{point.key}' (value={point.value}). Timestamp must be a nonnegative long (64-bit "
            "integer) "
        )


def add_points(connection: Connection, run_id: str, points: Sequence[Point]) -> None:
    """Record points of a run that was claimed; those of a logged model count there, too."""
    if not points:
        return
    series.add(
        connection,
        run_id,
        [Metric(key=p.key, value=p.value, step=p.step, at=p.timestamp) for p in points],
    )
    of_models = [point for point in points if point.model_id]
    if of_models:
        from assay.ledger import logged

        logged.add_metrics(
            connection,
            run_id,
            [
                logged.ModelMetric(
                    model_id=str(point.model_id),
                    key=point.key,
                    value=point.value,
                    step=point.step,
                    at=point.timestamp,
                    dataset_name=point.dataset_name,
                    dataset_digest=point.dataset_digest,
                )
                for point in of_models
            ],
            at=now_ms(),
        )


def _messages(points: Iterable[Metric], *, run_id: str | None = None) -> list[MetricMessage]:
    return [
        MetricMessage(
            key=one.key, value=number(one.value), timestamp=one.at, step=one.step, run_id=run_id
        )
        for one in points
    ]

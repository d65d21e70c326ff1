"""The points of all metrics of a run: what is compared, and what is copied to another ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assay.ledger.writer import Metric
from assay.pipeline.compare import Point

if TYPE_CHECKING:
    from assay.ledger.database import Ledger


def of_run(ledger: Ledger, run: str) -> list[Metric]:
    """Return all points of a run, metric by metric; the last one of each is its latest."""
    from sqlalchemy import select

    from assay.ledger import series
    from assay.ledger.tables import latest_metric, metric

    query = (
        select(latest_metric.c.key, metric)
        .join(metric, metric.c.series_id == latest_metric.c.id)
        .where(latest_metric.c.run_id == run)
        .order_by(latest_metric.c.key, metric.c.step, metric.c.at, metric.c.value, metric.c.is_nan)
    )
    with ledger.read() as connection:
        return [
            Metric(
                key=row.key,
                value=series.value(row.value, is_nan=row.is_nan),
                step=row.step,
                at=row.at,
            )
            for row in connection.execute(query)
        ]


def compared(ledger: Ledger, run: str) -> dict[str, tuple[Point, ...]]:
    """Return of a run what is to be the same again: steps and values by metric.

    What its machine was doing never is, and is left out.
    """
    from assay.ledger.system import SYSTEM

    found: dict[str, list[Point]] = {}
    for point in of_run(ledger, run):
        if not point.key.startswith(SYSTEM):
            found.setdefault(point.key, []).append((point.step, point.value))
    return {key: tuple(points) for key, points in found.items()}

"""MLflow's words in ours: a row of its store as a record. See `assay.workflows.mlflow`."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from assay.ledger.exchange.records import (
    DataRecord,
    EdgeRecord,
    ModelLink,
    ModelMetric,
    ModelRecord,
    Points,
    RunRecord,
    Value,
)
from assay.ledger.writer import Outcome

PARENT = "mlflow.parentRunId"
COMMIT = "mlflow.source.git.commit"
CONTEXT = "mlflow.data.context"

_OUTCOMES: dict[str, Outcome] = {"FINISHED": "finished", "FAILED": "failed", "KILLED": "killed"}
STATUSES = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
"""The numbers by which `mlruns` names statuses of runs."""
_MODEL_STATUSES = {1: "pending", 2: "ready", 3: "failed"}
_VERSION_STATUSES = {
    "READY": "ready", "PENDING_REGISTRATION": "pending", "FAILED_REGISTRATION": "failed"
}  # fmt: skip

Point = tuple[int, int, float]  # step, moment, value


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """A run as MLflow's row has it."""

    id: str
    experiment: str
    name: str | None
    status: str
    owner: str | None
    start: int | None
    end: int | None
    deleted: int | None


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """A data set that a run read."""

    name: str
    digest: str
    source_type: str | None
    source: str | None
    schema: str | None
    profile: str | None
    tags: Mapping[str, str]


def run(
    facts: Facts,
    *,
    params: Mapping[str, str],
    tags: Mapping[str, str],
    metrics: Mapping[str, Iterable[Point]],
    datasets: Iterable[Dataset] = (),
    models: Iterable[tuple[str, str, int]] = (),
) -> RunRecord:
    """Return the record of a run.

    One that had not ended counts as killed, until it is imported again after its end.

    Parameters
    ----------
    models : iterable of tuple
        The direction, id and step of logged models.
    """
    status = _OUTCOMES.get(facts.status)
    commit = tags.get(COMMIT) or None
    data = {(one.name, one.digest): one for one in datasets}
    links = {(direction, model): step for direction, model, step in models}
    edges = _edges(facts.id, commit, data, links, at=facts.start or 0)
    return RunRecord(
        id=facts.id,
        name=facts.name or tags.get("mlflow.runName") or facts.id[:8],
        kind="script",
        status=status or "killed",
        reason=None if status else "it had not ended when it was imported from MLflow",
        experiment=facts.experiment,
        start=facts.start or 0,
        end=facts.end if status else None,
        parent_id=tags.get(PARENT) or None,
        owner=facts.owner or tags.get("mlflow.user"),
        code_commit=commit,
        code_reason="it was imported from MLflow, which does not say which changes ran",
        deleted=facts.deleted,
        updated=facts.deleted,
        params={key: (value, "str") for key, value in params.items()},
        tags={key: (value, facts.end or facts.start or 0) for key, value in tags.items()},
        metrics={key: history(points) for key, points in sorted(metrics.items())},
        data=tuple(_data(data[key]) for key in sorted(data)),
        models=_links(links),
        edges=tuple(sorted(edges, key=lambda e: (e.source, e.relation, e.target))),
    )


def _links(links: Mapping[tuple[str, str], int]) -> tuple[ModelLink, ...]:
    return tuple(ModelLink(direction=d, model_id=m, step=links[d, m]) for d, m in sorted(links))


def _data(one: Dataset) -> DataRecord:
    details = msgspec.structs.asdict(one)
    return DataRecord(
        direction="input",
        path=details.pop("name"),
        oid=details.pop("digest"),
        kind="dataset",
        context=one.tags.get(CONTEXT),
        details=msgspec.json.encode(details, order="sorted").decode(),
    )


def _edges(
    run_id: str,
    commit: str | None,
    data: Iterable[tuple[str, str]],
    links: Iterable[tuple[str, str]],
    *,
    at: int,
) -> Iterable[EdgeRecord]:
    me = f"run:{run_id}"
    if commit is not None:
        yield EdgeRecord(source=f"commit:{commit}", relation="code_of", target=me, at=at)
    for digest in {digest for _, digest in data}:
        yield EdgeRecord(source=f"data:{digest}", relation="read_by", target=me, at=at)
    for direction, model in links:
        thing = f"logged_model:{model}"
        if direction == "output":
            yield EdgeRecord(source=me, relation="made", target=thing, at=at)
        else:
            yield EdgeRecord(source=thing, relation="read_by", target=me, at=at)


def history(points: Iterable[Point]) -> Points:
    """Return points as a record has them: each once, in order."""
    rows = {
        (step, at, 0.0 if math.isnan(value) else value, math.isnan(value))
        for step, at, value in points
    }
    ordered = sorted(rows)
    return Points(
        steps=[row[0] for row in ordered],
        ats=[row[1] for row in ordered],
        values=["nan" if row[3] else number(row[2]) for row in ordered],
    )


def number(value: float) -> Value:
    """Return a metric's value; MLflow's database has the greatest number for infinity.

    Examples
    --------
    >>> number(0.5), number(-1.7976931348623157e308), number(float("nan"))
    (0.5, '-inf', 'nan')
    """
    if math.isnan(value):
        return "nan"
    if abs(value) >= sys.float_info.max:
        return "inf" if value > 0 else "-inf"
    return value


def model(
    row: Mapping[str, Any],
    *,
    experiment: str,
    params: Mapping[str, str],
    tags: Mapping[str, str],
    metrics: Sequence[ModelMetric],
    deleted: bool,
) -> ModelRecord:
    """Return the record of a logged model."""
    updated = row["updated"] or row["created"] or 0
    return ModelRecord(
        id=row["id"],
        name=row["name"],
        experiment=experiment,
        status=_MODEL_STATUSES.get(row["status"], "pending"),
        status_message=row["status_message"],
        type=row["type"],
        run_id=row["run_id"],
        created=row["created"] or 0,
        updated=updated,
        deleted=updated if deleted else None,
        params=dict(params),
        tags=dict(tags),
        metrics=tuple(sorted(metrics, key=lambda m: (m.key, m.step, m.at, m.run_id))),
    )


def version_status(name: str | None) -> str:
    """Return our word for the status of a version."""
    return _VERSION_STATUSES.get(name or "", "ready")


def model_of(source: str | None) -> str | None:
    """Return the logged model that a version's source names.

    Examples
    --------
    >>> model_of("models:/m-5e"), model_of("models:/name/3"), model_of(None)
    ('m-5e', None, None)
    """
    rest = (source or "").removeprefix("models:/")
    return rest if rest.startswith("m-") and "/" not in rest and rest != source else None

"""Data sets that runs read, as MLflow's clients tell them: a name and a digest of their own.

Such a row is an input of kind "dataset": the name is its path, the digest its oid, the tag
`mlflow.data.context` its context; source, schema, profile and all tags are its details.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.errors import Error
from assay.ledger import lineage

if TYPE_CHECKING:
    from sqlalchemy import Connection

CONTEXT = "mlflow.data.context"
"""The tag that says what a data set was for."""

_LONGEST = {
    "name": 500, "digest": 36, "source": 65_535, "schema": 1_048_575, "profile": 16_777_215,
}  # fmt: skip
_LONGEST_KEY, _LONGEST_VALUE = 255, 500
_MOST = 1000


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """A data set as an input of a run."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None = None
    profile: str | None = None
    tags: Mapping[str, str] = {}


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """That runs of an experiment read a data set in some context."""

    experiment_id: int
    name: str
    digest: str
    context: str | None


def add(connection: Connection, run: str, datasets: Sequence[Dataset], *, at: int) -> None:
    """Record what a run reads, in a transaction of the caller that has claimed the run.

    Of one that the run has already, nothing changes, not even its tags; as in MLflow.
    """
    from assay.ledger import rows, tables

    found: dict[tuple[str, str], dict[str, Any]] = {}
    for one in datasets:
        _check(one)
        details = msgspec.structs.asdict(one)
        row = {
            "run_id": run, "direction": "input", "kind": "dataset",
            "path": details.pop("name"), "oid": details.pop("digest"),
            "context": one.tags.get(CONTEXT),
            "details": msgspec.json.encode(details, order="sorted").decode(),
        }  # fmt: skip
        found.setdefault((one.name, one.digest), row)
    if found:
        query = rows.insert(connection, tables.run_data).on_conflict_do_nothing()
        connection.execute(query, list(found.values()))
    things = dict.fromkeys(f"data:{digest}" for _, digest in found)
    edges = [
        lineage.Edge(source=thing, relation="read_by", target=f"run:{run}", at=at)
        for thing in things
    ]
    lineage.add(connection, edges)


def summaries(connection: Connection, experiments: Sequence[int]) -> list[Summary]:
    """Return which data sets the runs of experiments read, each once; 1,000 at most."""
    from sqlalchemy import select

    from assay.ledger.tables import run, run_data

    columns = (run.c.experiment_id, run_data.c.path, run_data.c.oid, run_data.c.context)
    query = (
        select(*columns)
        .join(run, run.c.id == run_data.c.run_id)
        .where(run.c.experiment_id.in_(list(experiments)), run_data.c.direction == "input")
        .distinct()
        .order_by(*columns)
        .limit(_MOST)
    )
    return [
        Summary(experiment_id=experiment, name=name, digest=digest, context=context)
        for experiment, name, digest, context in connection.execute(query)
    ]


def _check(one: Dataset) -> None:
    for field, most in _LONGEST.items():
        length = len(getattr(one, field) or "")
        if length > most:
            raise Error(
                f"'{field}' exceeds the maximum length of {most} characters: it has {length}",
                hint=f"it belongs to the dataset {one.name[:80]!r}",
            )
    for key, value in one.tags.items():
        if len(key) > _LONGEST_KEY or len(value) > _LONGEST_VALUE:
            raise Error(
                f"the tag {key[:80]!r} of the dataset {one.name[:80]!r} exceeds the maximum "
                f"length: {_LONGEST_KEY} characters for its key, {_LONGEST_VALUE} for its value"
            )

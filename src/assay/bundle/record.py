"""`record.json`, what the ledger knows of a bundle: which runs made it, and what it is called.

It travels beside an exported bundle and is no part of it: the id does not depend on it, and
nothing that opens a bundle reads it. Times are Unix milliseconds UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.errors import NotFound
from assay.bundle.index import plain

if TYPE_CHECKING:
    from assay.ledger.database import Ledger
    from assay.ledger.runs import Run

FORMAT = 1


class Maker(msgspec.Struct, frozen=True, kw_only=True):
    """A run that made the bundle.

    Attributes
    ----------
    pipeline : str or None
        The run that this one is a part of.
    reproducible : bool
        Whether the commit is all of its code; else `reason` says why not.
    metrics : dict
        Of the whole pipeline, where it is a part of one.
    """

    run: str
    name: str
    kind: str
    stage: str | None
    pipeline: str | None
    status: str
    start: int
    end: int | None
    commit: str | None
    branch: str | None
    reproducible: bool
    reason: str | None
    metrics: dict[str, Any]


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a model that is the bundle."""

    model: str
    number: int
    run: str | None
    description: str | None
    created: int
    aliases: tuple[str, ...]
    tags: dict[str, str]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What `record.json` says; runs and versions are in the order in which they came."""

    record: int = FORMAT
    bundle: str
    runs: tuple[Maker, ...]
    versions: tuple[Registered, ...]


def find(ledger: Ledger, bundle: str) -> Record | None:
    """Return what a ledger knows of a bundle, by its id; None where that is nothing."""
    runs = tuple(_makers(ledger, bundle))
    versions = tuple(_versions(ledger, bundle))
    if not runs and not versions:
        return None
    return Record(bundle=bundle, runs=runs, versions=versions)


def dump(record: Record) -> bytes:
    """Return the bytes of `record.json`, for people to read too."""
    return msgspec.json.format(msgspec.json.encode(record, order="sorted"), indent=2) + b"\n"


def _makers(ledger: Ledger, bundle: str) -> Iterator[Maker]:
    from assay.ledger import lineage, runs

    for edge in lineage.edges_to(ledger, f"bundle:{bundle}"):
        if edge.relation != "made":
            continue
        try:
            run = runs.get(ledger, edge.source.removeprefix("run:"))
        except NotFound:  # it was deleted
            continue
        yield Maker(
            run=run.id, name=run.name, kind=run.kind, stage=run.stage, pipeline=run.parent,
            status=run.status, start=run.start, end=run.end, commit=run.commit,
            branch=run.code.branch, reproducible=run.code.reproducible, reason=run.code.reason,
            metrics=_metrics(ledger, run),
        )  # fmt: skip


def _metrics(ledger: Ledger, run: Run) -> dict[str, Any]:
    """Return the metrics of a run, and of the pipeline that it is a part of."""
    from assay.ledger import runs

    parts = [run]
    if run.parent is not None:
        whole = runs.get(ledger, run.parent)
        parts = [*(runs.get(ledger, child) for child in whole.children), whole, run]
    return {key: plain(one.value) for part in parts for key, one in part.metrics.items()}


def _versions(ledger: Ledger, bundle: str) -> Iterator[Registered]:
    from assay.ledger import lineage, models

    for edge in lineage.edges_from(ledger, f"bundle:{bundle}"):
        if edge.relation != "registered_as":
            continue
        try:
            version = models.get_version(ledger, edge.target.removeprefix("version:"))
        except NotFound:  # it was deleted
            continue
        yield Registered(
            model=version.model, number=version.number, run=version.run,
            description=version.description, created=version.created, aliases=version.aliases,
            tags=version.tags,
        )  # fmt: skip

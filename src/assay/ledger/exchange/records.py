"""The record of a run as one document, which travels: to a remote, into a file, to another ledger.

A record names contents by their hashes, experiments by their names and everything else by ids
that no two ledgers give twice. Registered models, versions and aliases are no part of it: their
numbers and names are decisions of one ledger, and two ledgers may both have a `churn/1`.

What comes in from outside is checked before it is used: see `assay.ledger.exchange.record_checks`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import msgspec

from assay.ledger.writer import Kind, Outcome, Untracked

Value = float | str
"""A metric's number; JSON has no word for what is not finite: "nan", "inf", "-inf"."""

PORTABLE = frozenset(["run", "data", "commit", "bundle", "logged_model"])
"""The kinds of things in the lineage that have one name in all ledgers."""

_OURS = re.compile(r"sha256:[0-9a-f]{64}")


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """An object of our own that a record names.

    Attributes
    ----------
    oid : str
        Its SHA-256, hexadecimal.
    size : int
        Bytes, where the record says so; else 0.
    at : int
        When the run began that names it.
    is_bundle : bool
        It is the index of a bundle, which names further objects.
    """

    oid: str
    size: int
    at: int
    is_bundle: bool = False


class Points(msgspec.Struct, frozen=True, kw_only=True):
    """The history of a metric, column by column."""

    steps: list[int]
    ats: list[int]
    values: list[Value]


class DataRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a run read or wrote."""

    direction: str
    path: str
    oid: str
    kind: str
    size: int | None = None
    n_files: int | None = None
    profile: str | None = None
    details: str | None = None
    context: str | None = None


class ArtifactRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a run or a logged model keeps."""

    path: str
    oid: str
    size: int
    at: int


class ModelLink(msgspec.Struct, frozen=True, kw_only=True):
    """A logged model that a run read or made."""

    direction: str
    model_id: str
    step: int


class EdgeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How the run descends from something, or something from it."""

    source: str
    relation: str
    target: str
    at: int


class RunRecord(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="record", tag="run"
):
    """A run that has ended, with all that belongs to it; the first fields are columns of `run`."""

    id: str
    name: str
    kind: Kind
    status: Outcome
    experiment: str
    start: int
    parent_id: str | None = None
    stage: str | None = None
    command: str | None = None
    directory: str | None = None
    owner: str | None = None
    end: int | None = None
    exit_status: int | None = None
    peak_memory: int | None = None
    cpu_seconds: float | None = None
    log_tail: str | None = None
    reason: str | None = None
    host: str | None = None
    code_commit: str | None = None
    code_branch: str | None = None
    code_diff: str | None = None
    code_directory: str | None = None
    code_is_reproducible: bool = False
    code_reason: str | None = None
    environment_oid: str | None = None
    deleted: int | None = None
    artifact_uri: str | None = None
    updated: int | None = None
    untracked: tuple[Untracked, ...] = ()
    params: dict[str, tuple[str, str]] = {}  # text and type
    tags: dict[str, tuple[str, int]] = {}  # value, and when it was set
    metrics: dict[str, Points] = {}
    data: tuple[DataRecord, ...] = ()
    artifacts: tuple[ArtifactRecord, ...] = ()
    models: tuple[ModelLink, ...] = ()
    edges: tuple[EdgeRecord, ...] = ()

    @property
    def stamp(self) -> int:
        """When it last changed."""
        return stamp(self.start, self.end, self.updated)

    @property
    def n_points(self) -> int:
        """How many points of metrics it holds."""
        return sum(len(points.steps) for points in self.metrics.values())

    @property
    def files(self) -> list[Named]:
        """Our own objects that it names, without those that a bundle names."""
        found = [(self.code_diff, 0), *((one.oid, one.size) for one in self.untracked)]
        found += [(one.oid, one.size) for one in self.artifacts]
        for one in self.data:
            if one.kind != "dataset":  # of what was in memory only the hash is kept
                found.append((one.oid, one.size or 0))
            found.append((one.profile, 0))
        bundles = [end for edge in self.edges for end in (edge.source, edge.target)]
        made = [(end[7:], 0) for end in bundles if end.startswith("bundle:")]
        return [*_named_by(found, at=self.start), *_named_by(made, at=self.start, bundle=True)]


class EnvironmentRecord(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="record",
    tag="environment",
):
    """An environment that runs name by its hash."""

    oid: str
    content: str
    created: int


class ExperimentRecord(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="record",
    tag="experiment",
):
    """An experiment that runs name."""

    name: str
    created: int
    updated: int
    deleted: int | None = None
    tags: dict[str, str] = {}


class ModelMetric(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A point of a metric of a logged model, and the run that measured it."""

    key: str
    step: int
    at: int
    run_id: str
    value: Value
    dataset_name: str | None = None
    dataset_digest: str | None = None


class ModelRecord(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="record",
    tag="logged_model",
):
    """A logged model; the first fields are columns of `logged_model`."""

    id: str
    name: str
    experiment: str
    status: str
    created: int
    updated: int
    status_message: str | None = None
    type: str | None = None
    run_id: str | None = None
    owner: str | None = None
    artifact_uri: str | None = None
    deleted: int | None = None
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    metrics: tuple[ModelMetric, ...] = ()
    artifacts: tuple[ArtifactRecord, ...] = ()

    @property
    def files(self) -> list[Named]:
        """Our own objects that it names."""
        return _named_by([(one.oid, one.size) for one in self.artifacts], at=self.created)


class PurgedRecord(msgspec.Struct, frozen=True, kw_only=True, tag_field="record", tag="purged"):
    """A run, or a logged model, that is gone for good."""

    id: str
    at: int


Record = RunRecord | EnvironmentRecord | ExperimentRecord | ModelRecord | PurgedRecord


def stamp(start: int, end: int | None, updated: int | None) -> int:
    """Return when a run last changed, of the moments in its row."""
    return max(start, end or 0, updated or 0)


def _named_by(
    oids: Iterable[tuple[str | None, int]], *, at: int, bundle: bool = False
) -> list[Named]:
    return [
        Named(oid=oid[7:], size=size, at=at, is_bundle=bundle)
        for oid, size in oids
        if oid is not None and _OURS.fullmatch(oid)
    ]


def dump(record: Record) -> bytes:
    """Return a record as one line of JSON."""
    return msgspec.json.encode(record, order="sorted") + b"\n"


def number(value: Value) -> float:
    """Return the number that a record has for a metric.

    Examples
    --------
    >>> number(0.5), number("-inf")
    (0.5, -inf)
    """
    return float(value)


def value_of(number: float) -> Value:
    """Return what a record has for a metric's number.

    Examples
    --------
    >>> value_of(0.5), value_of(float("nan"))
    (0.5, 'nan')
    """
    return number if math.isfinite(number) else repr(number)

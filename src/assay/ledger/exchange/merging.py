"""Two records of one run, or of one logged model, as one: whatever the order, the same comes out.

What a run did is a set, and two of them are united: parameters, points of metrics, what it read,
wrote and kept. What a run *is* (its name, its status, whether it is deleted) comes as a whole
from the record that changed last, and of two values of a tag the one that was set last counts. So
a tag that was taken away in one clone stays in the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from assay.ledger.exchange.records import (
    ArtifactRecord,
    DataRecord,
    ModelRecord,
    Points,
    RunRecord,
    number,
    value_of,
)

T = TypeVar("T")
Key = Callable[[Any], Any]

_UNITED = frozenset(
    ["untracked", "params", "tags", "metrics", "data", "artifacts", "models", "edges"]
)


def of_runs(a: RunRecord, b: RunRecord) -> RunRecord:
    """Return what two records of one run say together."""
    if a == b:
        return a
    newer = max(a, b, key=lambda one: (one.stamp, *_order(one, without=_UNITED)))
    return msgspec.structs.replace(
        newer,
        untracked=_by_key(a.untracked, b.untracked, key=lambda one: one.path, order=_order),
        params=_texts(a.params, b.params, order=lambda value: value),
        tags=_texts(a.tags, b.tags, order=lambda value: value[::-1]),
        metrics=_metrics(a.metrics, b.metrics),
        data=_data(a.data, b.data),
        artifacts=_artifacts(a.artifacts, b.artifacts),
        models=_by_key(
            a.models, b.models, key=lambda m: (m.direction, m.model_id), order=lambda m: m.step
        ),
        edges=_by_key(  # the first moment of an edge stays
            a.edges, b.edges, key=lambda e: (e.source, e.relation, e.target), order=lambda e: -e.at
        ),
    )


def of_models(a: ModelRecord, b: ModelRecord) -> ModelRecord:
    """Return what two records of one logged model say together; tags are those of the newer."""
    if a == b:
        return a
    united = frozenset(["params", "metrics", "artifacts"])
    newer = max(a, b, key=lambda one: (one.updated, *_order(one, without=united)))
    return msgspec.structs.replace(
        newer,
        params=_texts(a.params, b.params, order=lambda value: value),
        metrics=_by_key(
            a.metrics, b.metrics, key=lambda m: (m.key, m.step, m.at, m.run_id), order=_order
        ),
        artifacts=_artifacts(a.artifacts, b.artifacts),
    )


def _order(one: msgspec.Struct, *, without: frozenset[str] = frozenset()) -> tuple[bytes, ...]:
    """Return what decides between two that are equally new: any order does, if it is the same."""
    fields = {k: v for k, v in msgspec.structs.asdict(one).items() if k not in without}
    return (msgspec.json.encode(fields, order="sorted"),)


def _by_key(a: Iterable[T], b: Iterable[T], *, key: Key, order: Key) -> tuple[T, ...]:
    found: dict[Any, T] = {}
    for one in (*a, *b):
        there = found.setdefault(key(one), one)
        if order(one) > order(there):
            found[key(one)] = one
    return tuple(found[name] for name in sorted(found))


def _texts(a: Mapping[str, T], b: Mapping[str, T], *, order: Key) -> dict[str, T]:
    pairs = _by_key(
        a.items(), b.items(), key=lambda pair: pair[0], order=lambda pair: order(pair[1])
    )
    return dict(pairs)


def _artifacts(
    a: Iterable[ArtifactRecord], b: Iterable[ArtifactRecord]
) -> tuple[ArtifactRecord, ...]:  # fmt: skip
    return _by_key(a, b, key=lambda one: one.path, order=lambda one: (one.at, *_order(one)))


def _data(a: Iterable[DataRecord], b: Iterable[DataRecord]) -> tuple[DataRecord, ...]:
    """Unite what was read and wrote; of each column what is known, of two values the greater.

    What was only seen to be opened, of kind "dep", stays the data set that it was logged as.
    """
    found: dict[tuple[str, str, str], DataRecord] = {}
    for one in (*a, *b):
        there = found.setdefault((one.direction, one.path, one.oid), one)
        if there != one:
            ours, theirs = (msgspec.structs.asdict(x) for x in (there, one))
            known = {k: [v for v in (ours[k], theirs[k]) if v is not None] for k in ours}
            best: dict[str, Any] = {k: max(some, default=None) for k, some in known.items()}
            best["kind"] = max(known["kind"], key=lambda kind: (kind != "dep", kind))
            found[one.direction, one.path, one.oid] = DataRecord(**best)
    return tuple(found[name] for name in sorted(found))


def _metrics(a: Mapping[str, Points], b: Mapping[str, Points]) -> dict[str, Points]:
    return {
        key: a[key] if a.get(key) == b.get(key) else _points(a.get(key), b.get(key))
        for key in sorted({*a, *b})
    }


def _points(a: Points | None, b: Points | None) -> Points:
    rows = {
        (step, at, is_nan, number(value) if not is_nan else 0.0)
        for points in (a, b)
        if points is not None
        for step, at, value in zip(points.steps, points.ats, points.values, strict=True)
        for is_nan in (value == "nan",)
    }
    ordered = sorted(rows, key=lambda row: (row[0], row[1], row[3], row[2]))
    return Points(
        steps=[row[0] for row in ordered],
        ats=[row[1] for row in ordered],
        values=["nan" if row[2] else value_of(row[3]) for row in ordered],
    )

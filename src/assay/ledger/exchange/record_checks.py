"""What comes in from outside is checked before it is used: records of runs, line by line."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import msgspec

from assay.base.errors import Error
from assay.ledger import environment, operation_checks, values
from assay.ledger.exchange.records import (
    PORTABLE,
    EnvironmentRecord,
    ExperimentRecord,
    ModelRecord,
    Points,
    PurgedRecord,
    Record,
    RunRecord,
    Value,
)
from assay.ledger.forms import CONTROL, ID, OID, is_inside

_LIMIT = 1 << 63  # of the integers that databases keep


def parse(line: bytes) -> Record:
    """Return the record that a line holds, checked.

    Raises
    ------
    Error
        If it is none, or holds what no run has: an id or a hash that is none, a path that leaves
        its folder, columns of different length, a text or a number that not every ledger keeps.
    """
    try:
        record: Record = _decoder().decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Error(f"this is no record: {error}") from error
    if isinstance(record, RunRecord) and "\0" in (record.log_tail or ""):  # a program printed it
        plain = values.plain(record.log_tail or "")
        record = msgspec.structs.replace(record, log_tail=plain)
    check(record)
    return record


def check(record: Record) -> None:
    """Raise if a record holds what no run has."""
    for problem in _problems(record):
        raise Error(f"{named(record)} is refused: {problem}")


@cache
def _decoder() -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(Record)


def named(record: Record) -> str:
    """Return what an error calls a record."""
    if isinstance(record, RunRecord | PurgedRecord):
        return f"the run {record.id!r}"
    if isinstance(record, ModelRecord):
        return f"the logged model {record.id!r}"
    name = record.name if isinstance(record, ExperimentRecord) else record.oid
    return (
        f"the {'experiment' if isinstance(record, ExperimentRecord) else 'environment'} {name!r}"
    )


def _problems(record: Record) -> Iterable[str]:
    if isinstance(record, RunRecord):
        yield from _of_run(record)
    elif isinstance(record, ModelRecord):
        ids = [record.id, *([record.run_id] if record.run_id else [])]
        yield from (f"{one!r} is no id" for one in ids if not ID.fullmatch(one))
        yield from operation_checks.of_files(record.artifacts)
        yield from _of_values(one.value for one in record.metrics)
    elif isinstance(record, EnvironmentRecord):
        if record.oid != f"sha256:{hashlib.sha256(record.content.encode()).hexdigest()}":
            yield "its content has another hash"
        elif not _is_environment(record.content):
            yield "its content is no description of an environment"
    elif isinstance(record, PurgedRecord) and not ID.fullmatch(record.id):
        yield "that is no id"
    elif isinstance(record, ExperimentRecord) and not record.name.strip():
        yield "its name is blank"
    yield from _of_contents(record)


def _of_contents(found: Any) -> Iterator[str]:
    """Yield what not every ledger keeps of what a record holds, and where in it that is."""
    if isinstance(found, str):
        if "\0" in found or not values.is_plain(found):
            yield f"{found[:80]!r} is no text that every ledger keeps"
    elif isinstance(found, int):
        if not -_LIMIT <= found < _LIMIT:
            yield "it is a number of more than 64 bits"
    elif isinstance(found, Points):
        for column in (found.steps, found.ats):
            yield from _of_contents([min(column, default=0), max(column, default=0)])
    elif isinstance(found, Mapping):
        for key, value in found.items():
            yield from _of_contents(key)
            yield from (f"{key[:80]!r}: {problem}" for problem in _of_contents(value))
    elif isinstance(found, list | tuple):
        for one in found:
            yield from _of_contents(one)
    elif isinstance(found, msgspec.Struct):
        for name in found.__struct_fields__:
            yield from (f"{name}: {problem}" for problem in _of_contents(getattr(found, name)))


def _of_run(run: RunRecord) -> Iterable[str]:
    ids = [run.id, *([run.parent_id] if run.parent_id else []), *(m.model_id for m in run.models)]
    yield from (f"{one!r} is no id" for one in ids if not ID.fullmatch(one))
    if run.parent_id == run.id:
        yield "it is a part of itself"
    if not run.name.strip() or not run.experiment.strip():
        yield "its name, or that of its experiment, is blank"
    yield from operation_checks.of_files((*run.artifacts, *run.untracked))
    for place in (run.directory, run.code_directory):
        if place not in {None, "", "."} and not is_inside(place or ""):
            yield f"the path {place!r} leaves the project"
    for oid in (run.code_diff, run.environment_oid):
        if oid is not None and not OID.fullmatch(oid):
            yield f"{oid!r} is no hash"
    for one in run.data:
        if CONTROL.search(one.path) or one.direction not in {"input", "output"}:
            yield f"{one.path!r} is nothing that a run reads or writes"
        if not _is_mapping(one.details):
            yield f"the details of {one.path!r} are no mapping in JSON"
    yield from _of_params(run.params)
    yield from _of_histories(run.metrics)
    me = f"run:{run.id}"
    for edge in run.edges:
        kinds = {edge.source.partition(":")[0], edge.target.partition(":")[0]}
        if me not in {edge.source, edge.target} or not kinds <= PORTABLE:
            yield f"{edge.source!r} -> {edge.target!r} is no descent of the run"


def _of_params(params: Mapping[str, tuple[str, str]]) -> Iterable[str]:
    for key, (text, kind) in params.items():
        try:
            values.load(text, kind)
        except (KeyError, ValueError, RecursionError):
            yield f"parameter {key!r} is {text[:80]!r}, which is no {kind[:20]!r}"


def _is_mapping(text: str | None) -> bool:
    try:
        msgspec.json.decode(text or "{}", type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        return False
    return True


def _is_environment(text: str) -> bool:
    try:
        environment.load(text)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return True


def _of_histories(metrics: Mapping[str, Points]) -> Iterable[str]:
    for key, points in metrics.items():
        if not len(points.steps) == len(points.ats) == len(points.values) > 0:
            yield f"the history of metric {key!r} is cut off"
        yield from _of_values(points.values)


def _of_values(values: Iterable[Value]) -> Iterable[str]:
    for value in values:
        if isinstance(value, str) and value not in {"nan", "inf", "-inf"}:
            yield f"{value!r} is no number"

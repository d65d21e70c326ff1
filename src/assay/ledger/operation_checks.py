"""What a run says of itself is checked before it is written: it may come from anywhere.

A hub takes operations from whoever can reach it, and gives files by the hashes and paths that
they name. What is refused here is refused as one operation; the others of its batch are written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from assay.base.errors import Error
from assay.ledger import values
from assay.ledger.exchange.records import ArtifactRecord
from assay.ledger.forms import CONTROL, ID, STORED, is_inside
from assay.ledger.operations import (
    AddArtifacts,
    AddEdges,
    AddInputs,
    LogMetrics,
    LogParams,
    Operation,
    ResumeRun,
    SetTags,
    StartRun,
)
from assay.ledger.writer import Artifact, Code, Data, Untracked

_LARGEST = 2**63


def check(operation: Operation) -> None:
    """Raise if an operation holds what no run has.

    Raises
    ------
    Error
        If it names a path that leaves its folder, a hash that is none, an id, a name or a number
        that no ledger keeps.
    """
    for problem in _problems(operation):
        raise Error(f"this is not recorded: {problem}")


def _problems(one: Operation) -> Iterator[str]:
    if not ID.fullmatch(one.run):
        yield f"{one.run[:80]!r} is no id of a run"
    match one:
        case StartRun():
            yield from _of_start(one)
        case ResumeRun():
            yield from _of_numbers("the process", one.process.pid)
        case LogMetrics():
            for key in {point.key for point in one.points}:
                values.check_key("metric", key)
        case LogParams():
            for key, (text, _) in one.params.items():
                values.check_text("parameter", values.check_key("parameter", key), text)
        case SetTags():
            for key, text in one.tags.items():
                values.check_text("tag", values.check_key("tag", key), text)
        case AddInputs():
            yield from _of_data(one.data)
        case AddArtifacts():
            yield from of_files(one.artifacts)
        case AddEdges():
            yield from _of_edges(one)
        case _:
            pass


def _of_start(one: StartRun) -> Iterator[str]:
    yield from _of_numbers("the process", one.process.pid)
    if one.parent is not None and (not ID.fullmatch(one.parent) or one.parent == one.run):
        yield f"{one.parent[:80]!r} is no run that this one can be a part of"
    yield from _of_folder(one.directory)
    if one.code is not None:
        yield from _of_code(one.code)


def _of_code(code: Code) -> Iterator[str]:
    yield from _of_folder(code.directory)
    if code.diff is not None and not STORED.fullmatch(code.diff):
        yield f"{code.diff[:80]!r} is no hash of a patch"
    yield from of_files(code.untracked)


def _of_folder(path: str | None) -> Iterator[str]:
    if path not in {None, "", "."} and not is_inside(path or ""):
        yield f"the path {(path or '')[:200]!r} leaves the project"


def of_files(files: Iterable[Artifact | ArtifactRecord | Untracked]) -> Iterator[str]:
    """Yield what is wrong with files that a run keeps."""
    for file in files:
        path = file.path[:200]
        if len(file.path) > values.LONGEST_PATH:
            yield f"the path {path!r}... has more than {values.LONGEST_PATH} characters"
        if not is_inside(file.path):
            yield f"the path {path!r} leaves its folder, or is git's own"
        if not values.is_plain(file.path):
            yield f"the path {path!r} is no text of UTF-8"
        if not STORED.fullmatch(file.oid):
            yield f"{file.oid[:80]!r}, of {path!r}, is no hash"
        if not 0 <= file.size < _LARGEST:
            yield f"{path!r} has no size"


def _of_data(data: Iterable[Data]) -> Iterator[str]:
    for one in data:
        if not one.path or "\0" in one.path or not values.is_plain(one.path):
            yield f"{one.path[:200]!r} is nothing that a run reads"
        if not one.oid or CONTROL.search(one.oid):
            yield f"{one.oid[:80]!r}, of {one.path[:200]!r}, is no hash"
        if one.kind == "params" and not STORED.fullmatch(one.oid):
            yield f"{one.oid[:80]!r}, of {one.path[:200]!r}, is no hash"
        yield from _of_numbers(one.path[:200], one.size, one.n_files)


def _of_edges(one: AddEdges) -> Iterator[str]:
    me = f"run:{one.run}"
    for source, relation, target in one.edges:
        if me not in {source, target} or any(map(CONTROL.search, (source, relation, target))):
            yield f"{source[:80]!r} -> {target[:80]!r} is no descent of the run"


def _of_numbers(what: str, *numbers: int | None) -> Iterator[str]:
    for number in numbers:
        if number is not None and not 0 <= number < _LARGEST:
            yield f"{what!r} has the number {number}, which no ledger keeps"

"""What a run says of itself, as values: they wait, travel and lie in a file before they are kept.

`apply` writes a batch of them in one transaction of the caller. A batch names its sender and has
a number, which counts up by one: a batch that comes twice is applied once. An operation that is
refused (a parameter that has another value already) leaves the others of its batch as they are.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import msgspec

from assay.base.errors import Error, NotFound
from assay.ledger import liveness, values
from assay.ledger.environment import Environment
from assay.ledger.process import Process
from assay.ledger.writer import Artifact, Code, Data, Kind, Metric, Outcome, Writer

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from assay.ledger.database import Ledger

Moment = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""In Unix milliseconds."""

_Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_NotFinite = Literal["NaN", "Infinity", "-Infinity"]
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

_REMEMBERED = 90 * 86_400_000  # milliseconds that a sender is known for after its last batch


class Point(msgspec.Struct, frozen=True, array_like=True):
    """One point of a metric; JSON has no number for some values: they are text."""

    key: str
    value: float | _NotFinite
    step: _Whole
    at: Moment


def point(key: str, value: float, *, step: int, at: int) -> Point:
    """Return a point of a metric.

    Examples
    --------
    >>> point("loss", float("nan"), step=1, at=2).value
    'NaN'
    """
    if math.isfinite(value):
        return Point(key, value, step, at)
    name: _NotFinite = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return Point(key, name, step, at)


class _Operation(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", omit_defaults=True):
    run: str


class StartRun(_Operation, frozen=True, kw_only=True, tag="start"):
    """A run begins."""

    name: str
    kind: Kind
    experiment: str
    at: Moment
    process: Process
    parent: str | None = None
    command: str | None = None
    directory: str | None = None
    owner: str | None = None
    code: Code | None = None
    environment: Environment | None = None


class ResumeRun(_Operation, frozen=True, kw_only=True, tag="resume"):
    """A run that has ended goes on in another process."""

    at: Moment
    process: Process


class LogParams(_Operation, frozen=True, kw_only=True, tag="params"):
    """Parameters, each as text and type (see `assay.ledger.values`): all or none."""

    params: dict[str, tuple[str, str]]


class LogMetrics(_Operation, frozen=True, kw_only=True, tag="metrics"):
    """Points of metrics."""

    points: tuple[Point, ...]


class SetTags(_Operation, frozen=True, kw_only=True, tag="tags"):
    """Tags, over those of the same name."""

    tags: dict[str, str]


class AddInputs(_Operation, frozen=True, kw_only=True, tag="inputs"):
    """What the run read."""

    data: tuple[Data, ...]
    at: Moment


class AddArtifacts(_Operation, frozen=True, kw_only=True, tag="artifacts"):
    """Files that the run keeps."""

    artifacts: tuple[Artifact, ...]
    at: Moment


class AddEdges(_Operation, frozen=True, kw_only=True, tag="edges"):
    """How things descend from each other: source, relation, target."""

    edges: tuple[tuple[str, str, str], ...]
    at: Moment


class FinishRun(_Operation, frozen=True, kw_only=True, tag="finish"):
    """The run ends."""

    status: Outcome
    at: Moment
    exit_status: _Whole | None = None
    peak_memory: _Whole | None = None
    cpu_seconds: float | None = None
    log_tail: str | None = None
    reason: str | None = None


class Beat(_Operation, frozen=True, kw_only=True, tag="beat"):
    """The run's process lives; its last lines, where they are others than before."""

    at: Moment
    log_tail: str | None = None


class SetEnvironment(_Operation, frozen=True, kw_only=True, tag="environment"):
    """What the run's process has, where another one began the run."""

    environment: Environment


Operation = (
    StartRun | ResumeRun | LogParams | LogMetrics | SetTags | AddInputs | AddArtifacts | AddEdges
    | FinishRun | Beat | SetEnvironment
)  # fmt: skip


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Operations that one sender sends together."""

    sender: str
    number: _Whole
    operations: tuple[Operation, ...]


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """An operation that was not applied, and why."""

    index: int
    run: str
    what: str
    where: str | None = None
    hint: str | None = None

    def error(self) -> Error:
        """Return the error that it was."""
        return Error(self.what, where=self.where, hint=self.hint)


def encode(batch: Batch) -> bytes:
    """Return a batch as one line of JSON, without its end."""
    return msgspec.json.encode(batch)


def decode(content: bytes, *, where: str) -> Batch:
    """Return the batch of some JSON.

    Raises
    ------
    Error
        If it is none; it says where.
    """
    try:
        return _decoder().decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Error(f"this is no batch of operations: {error}", where=where) from error


_decoders: list[msgspec.json.Decoder[Batch]] = []


def _decoder() -> msgspec.json.Decoder[Batch]:
    if not _decoders:
        _decoders.append(msgspec.json.Decoder(Batch))
    return _decoders[0]


def oids(operations: Iterable[Operation]) -> Iterator[str]:
    """Yield the hashes of the objects that operations name and `.assay/objects` holds."""
    for one in operations:
        if isinstance(one, AddArtifacts):
            found: Iterable[str | None] = (artifact.oid for artifact in one.artifacts)
        elif isinstance(one, AddInputs):
            found = (data.oid for data in one.data if data.kind == "params")
        elif isinstance(one, StartRun) and one.code is not None:
            found = (one.code.diff, *(file.oid for file in one.code.untracked))
        else:
            continue
        yield from (oid.removeprefix("sha256:") for oid in found if oid)


def apply(
    connection: Connection, batch: Batch, *, at: int, problems: Mapping[int, str] | None = None
) -> list[Refusal]:
    """Write a batch in a transaction of the caller, unless it was written before.

    The last batch of a sender may come again, since the answer to it was lost: it is told what it
    was refused, as far as that is known (see `assay.ledger.resent`).

    Parameters
    ----------
    problems : mapping of int to str, optional
        Which of its operations are refused, and why, as the caller knows.

    Raises
    ------
    NotFound
        If a run is not known; nothing is written then.
    """
    from assay.ledger import resent, tables

    table = tables.batch
    query = table.select().where(table.c.id == batch.sender).with_for_update()
    known = connection.execute(query).one_or_none()
    if known is not None and batch.number < known.number:
        return []
    if known is not None and batch.number == known.number:
        return resent.refused(connection, batch, problems)
    refused = apply_all(connection, batch.operations, problems=problems)
    row = {"number": batch.number, "at": at}
    if known is None:
        connection.execute(table.delete().where(table.c.at < at - _REMEMBERED))
        connection.execute(table.insert().values(row | {"id": batch.sender}))
    else:
        connection.execute(table.update().where(table.c.id == batch.sender).values(row))
    return refused


def apply_all(
    connection: Connection,
    operations: Sequence[Operation],
    *,
    problems: Mapping[int, str] | None = None,
) -> list[Refusal]:
    """Write operations in a transaction of the caller, each that is not refused."""
    writer = Writer(cast("Ledger", _Within(connection)))
    refusing = _refusing()
    if not problems:
        try:
            with connection.begin_nested():
                for one in operations:
                    _apply(writer, one)
        except NotFound:
            raise
        except refusing:
            pass
        else:
            return []
    return list(_one_by_one(connection, writer, operations, problems or {}))


def _one_by_one(
    connection: Connection,
    writer: Writer,
    operations: Sequence[Operation],
    problems: Mapping[int, str],
) -> Iterator[Refusal]:
    refusing = _refusing()
    for index, one in enumerate(operations):
        try:
            if index in problems:
                raise Error(f"this is not recorded: {problems[index]}")
            with connection.begin_nested():
                _apply(writer, one)
        except NotFound:
            raise
        except refusing as error:
            found = error if isinstance(error, Error) else _not_recorded(error)
            yield Refusal(
                index=index, run=one.run, what=found.what, where=found.where, hint=found.hint
            )


def _not_recorded(error: Exception) -> Error:
    """Return what to say of an error of the driver, without the statement."""
    said = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
    return Error(f"this is not recorded: {said.splitlines()[0]}")


def _refusing() -> tuple[type[Exception], ...]:
    """Return the errors that are of one operation: what is wrong is what it holds."""
    from sqlalchemy.exc import DataError

    return Error, ValueError, OverflowError, DataError


class _Within:
    """What a `Writer` needs of a ledger, where the transaction is another one's."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        yield self._connection


def _apply(writer: Writer, one: Operation) -> None:
    from assay.ledger import operation_checks, rows

    operation_checks.check(one)
    match one:
        case StartRun():
            _start(writer, one)
        case LogParams():
            found = {key: _param(key, *given) for key, given in one.params.items()}
            writer.log_params(one.run, found)
        case LogMetrics():
            writer.log_metrics(one.run, [_metric(each) for each in one.points])
        case SetTags():
            writer.set_tags(one.run, one.tags)
        case AddInputs():
            writer.add_inputs(one.run, one.data, at=one.at)
        case AddArtifacts():
            writer.add_artifacts(one.run, one.artifacts, at=one.at)
        case AddEdges():
            with writer.ledger.write() as connection:
                rows.claim_run(connection, one.run)  # which has changed by that
            for edge in one.edges:
                writer.add_edge(*edge, at=one.at)
        case FinishRun():
            given = msgspec.structs.asdict(one)
            writer.finish_run(given.pop("run"), **given)
        case ResumeRun():
            with writer.ledger.write() as connection:
                liveness.resume(connection, one.run, one.process, at=one.at)
        case Beat():
            with writer.ledger.write() as connection:
                liveness.beat(connection, one.run, at=one.at, log_tail=one.log_tail)
        case SetEnvironment():
            writer.set_environment(one.run, one.environment)


def _start(writer: Writer, one: StartRun) -> None:
    from assay.ledger.tables import purged

    with writer.ledger.write() as connection:
        if connection.execute(purged.select().where(purged.c.id == one.run)).first():
            raise Error(f"the run {one.run} was purged; it does not come back")
    given: dict[str, Any] = {
        name: getattr(one, name)
        for name in one.__struct_fields__
        if name not in {"run", "process"}
    }
    writer.start_run(id_=one.run, who=one.process, **given)


def _param(key: str, text: str, kind: str) -> Any:
    try:
        return values.load(text, kind)
    except (KeyError, ValueError, RecursionError) as error:
        raise Error(f"parameter {key!r} is {text[:80]!r}, which is no {kind[:20]!r}") from error


def _metric(one: Point) -> Metric:
    value = one.value if isinstance(one.value, float) else _NOT_FINITE[str(one.value)]
    return Metric(key=one.key, value=value, step=one.step, at=one.at)

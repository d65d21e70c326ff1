"""Read runs: one as a whole, a list, the history of a metric, what differs between two.

A run is named by its id, the unique beginning of one, or `latest`, `latest~1`, … for the newest
runs that are not a part of another.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from assay.base.errors import NotFound
from assay.ledger import environment as environments
from assay.ledger import values
from assay.ledger.askable import askable
from assay.ledger.environment import Environment
from assay.ledger.writer import Artifact, Code, Data, Kind, Metric, Status, Untracked

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row, Select, Table

    from assay.ledger.database import Ledger


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """A run as a list shows it."""

    id: str
    name: str
    kind: Kind
    status: Status
    experiment: str
    parent: str | None
    stage: str | None
    start: int
    end: int | None
    commit: str | None

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it runs."""
        return None if self.end is None else (self.end - self.start) / 1000


class Run(RunRow, frozen=True, kw_only=True):
    """All that the ledger holds of a run, but the history of its metrics."""

    experiment_id: int
    command: str | None
    directory: str | None
    owner: str | None
    host: str | None
    pid: int | None
    exit_status: int | None
    peak_memory: int | None  # bytes
    cpu_seconds: float | None
    log_tail: str | None
    reason: str | None
    code: Code
    environment: Environment | None
    environment_oid: str | None
    params: dict[str, Any]
    metrics: dict[str, Metric]  # the latest point of each
    tags: dict[str, str]
    inputs: tuple[Data, ...]
    outputs: tuple[Data, ...]
    artifacts: tuple[Artifact, ...]
    children: tuple[str, ...]  # oldest first


@askable
def get(ledger: Ledger, name: str, *, with_deleted: bool = False) -> Run:
    """Return the run of an id, the unique beginning of one, or `latest~N`.

    The latest runs are those that people began; reproductions of them do not count.

    Parameters
    ----------
    with_deleted : bool
        Whether it may be deleted, as the run of a registered version may be; `name` is its id.
    """
    from sqlalchemy import select

    from assay.ledger import tables

    run = tables.run
    with ledger.read() as connection:
        id_ = name if with_deleted else _resolve(connection, name)
        query = _rows(with_deleted=with_deleted).where(run.c.id == id_)
        row = connection.execute(query).one_or_none()
        if row is None:
            raise _missing(name)
        children = select(run.c.id).where(run.c.parent_id == row.id, run.c.deleted.is_(None))
        return Run(
            **_listed(row),
            **{name: row._mapping[name] for name in _AS_STORED},  # noqa: SLF001 -- its public way
            code=_code(connection, row),
            environment=_environment(connection, row.environment_oid),
            params={
                one.key: values.load(one.value, one.type)
                for one in _of(connection, tables.param, row.id)
            },
            metrics={
                one.key: _metric(one.key, one)
                for one in _of(connection, tables.latest_metric, row.id)
            },
            tags={one.key: one.value for one in _of(connection, tables.tag, row.id)},
            inputs=_data(connection, row.id, "input"),
            outputs=_data(connection, row.id, "output"),
            artifacts=tuple(
                Artifact(path=one.path, oid=one.oid, size=one.size)
                for one in _of(connection, tables.artifact, row.id)
            ),
            children=tuple(connection.execute(children.order_by(run.c.start, run.c.id)).scalars()),
        )


@askable
def list_(
    ledger: Ledger,
    *,
    experiment: str | None = None,
    kind: Kind | None = None,
    parent: str | None = None,
    status: Status | None = None,
    limit: int = 50,
    top_level: bool = True,
) -> list[RunRow]:
    """Return runs, newest first.

    Parameters
    ----------
    experiment, kind, parent, status : str, optional
        Only runs of these; `parent` is the full id of the run that they are a part of.
    limit : int
        How many at most.
    top_level : bool
        Leave out runs that are a part of another, unless `parent` asks for them.
    """
    from assay.ledger import tables

    run = tables.run
    query = _rows()
    for column, value in (
        (tables.experiment.c.name, experiment),
        (run.c.kind, kind),
        (run.c.parent_id, parent),
        (run.c.status, status),
    ):
        if value is not None:
            query = query.where(column == value)
    if top_level and parent is None:
        query = query.where(run.c.parent_id.is_(None))
    with ledger.read() as connection:
        return [RunRow(**_listed(row)) for row in connection.execute(query.limit(limit))]


def metrics_of_parts(ledger: Ledger, run: str) -> dict[str, dict[str, Metric]]:
    """Return the latest metrics of the parts of a run, by their ids, the oldest first."""
    from assay.ledger.tables import latest_metric
    from assay.ledger.tables import run as table

    query = (
        latest_metric.select()
        .join(table, table.c.id == latest_metric.c.run_id)
        .where(table.c.parent_id == run)
        .order_by(table.c.id, latest_metric.c.key)
    )
    found: dict[str, dict[str, Metric]] = {}
    with ledger.read() as connection:
        for row in connection.execute(query):
            found.setdefault(row.run_id, {})[row.key] = _metric(row.key, row)
    return found


@askable
def history(ledger: Ledger, run: str, key: str) -> list[Metric]:
    """Return all points of a metric by moment, then step, then value, as MLflow orders them."""
    from assay.ledger import history as histories

    with ledger.read() as connection:
        return list(histories.page(connection, run, key).points)


class Deleted(NotFound):
    """The run that was named is there, and deleted."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A value that two runs do not share; `only` says which one alone has it."""

    key: str
    a: Any = None
    b: Any = None
    only: Literal["a", "b"] | None = None

    @property
    def absolute(self) -> float | None:
        """`b - a` where both are numbers and the difference is one."""
        if any(type(value) not in {int, float} for value in (self.a, self.b)):
            return None
        change = self.b - self.a
        return change if math.isfinite(change) else None

    @property
    def relative(self) -> float | None:
        """The difference as a part of `a`; None where that is 0."""
        change = self.absolute
        return None if change is None or not self.a else float(change / abs(self.a))


class RunDiff(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between two runs, each sorted by key; what is equal is left out."""

    params: tuple[Change, ...]
    metrics: tuple[Change, ...]
    inputs: tuple[Change, ...]  # by path, with oids
    outputs: tuple[Change, ...]
    code: tuple[Change, ...]
    environment: tuple[str, ...]  # in words: that of `b`, "recorded" that of `a`


def diff(a: Run, b: Run) -> RunDiff:
    """Return what differs between two runs."""
    return RunDiff(
        params=changes(a.params, b.params),
        metrics=changes(_values(a), _values(b)),
        inputs=changes(_oids(a.inputs), _oids(b.inputs)),
        outputs=changes(_oids(a.outputs), _oids(b.outputs)),
        code=changes(code_facts(a.code), code_facts(b.code)),
        environment=_environment_words(a, b),
    )


def changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return what differs between two mappings, sorted by key."""
    found = []
    for key in sorted({*a, *b}):
        if key not in b:
            found.append(Change(key=key, a=a[key], only="a"))
        elif key not in a:
            found.append(Change(key=key, b=b[key], only="b"))
        elif not _equal(a[key], b[key]):
            found.append(Change(key=key, a=a[key], b=b[key]))
    return tuple(found)


def _equal(a: Any, b: Any) -> bool:
    """Tell whether two values are one; not-a-number is itself here, and true is not 1."""
    if isinstance(a, bool) is not isinstance(b, bool):
        return False
    return bool(a == b or (a != a and b != b))  # noqa: PLR0124 -- true for NaN alone


def _values(run: Run) -> dict[str, float]:
    """Return the metrics of a run, without those of the machine that it ran on."""
    from assay.ledger.system import SYSTEM

    found = run.metrics.items()
    return {key: metric.value for key, metric in found if not key.startswith(SYSTEM)}


def _oids(data: tuple[Data, ...]) -> dict[str, str]:
    return {item.path: item.oid for item in data}


def code_facts(code: Code) -> dict[str, str]:
    """Return what makes the code of a run what it is: commit, patch, folder, untracked files."""
    facts = {"commit": code.commit, "diff": code.diff, "directory": code.directory}
    known = {name: value for name, value in facts.items() if value is not None}
    return known | {f"untracked {one.path}": one.oid for one in code.untracked}


def _environment_words(a: Run, b: Run) -> tuple[str, ...]:
    if a.environment and b.environment:
        return tuple(environments.differences(b.environment, a.environment))
    return tuple(f"that of {run.id} was not recorded" for run in (a, b) if not run.environment)


_AS_STORED = (
    "experiment_id", "command", "directory", "owner", "host", "pid", "exit_status",
    "peak_memory", "cpu_seconds", "log_tail", "reason", "environment_oid",
)  # fmt: skip


def _rows(*, with_deleted: bool = False) -> Select[Any]:
    """Select runs, of which none is deleted, with their experiment's name, newest first."""
    from sqlalchemy import select

    from assay.ledger.tables import experiment, run

    query = select(run, experiment.c.name.label("experiment"))
    query = query.join(experiment, experiment.c.id == run.c.experiment_id)
    if not with_deleted:
        query = query.where(run.c.deleted.is_(None))
    return query.order_by(run.c.start.desc(), run.c.id.desc())


def _listed(row: Row[Any]) -> dict[str, Any]:
    names = ("id", "name", "kind", "status", "experiment", "stage", "start", "end")
    return {name: row._mapping[name] for name in names} | {  # noqa: SLF001 -- its public way
        "parent": row.parent_id,
        "commit": row.code_commit,
    }


def _resolve(connection: Connection, name: str) -> str:
    """Return the id that a name stands for."""
    from assay.ledger import rows
    from assay.ledger.tables import run

    if match := re.fullmatch(r"latest(?:~(\d{1,9}))?", name):
        back = int(match[1] or 0)
        own = run.c.parent_id.is_(None) & (run.c.kind != "reproduction")
        newest = _rows().where(own).offset(back).limit(1)
        found = connection.execute(newest).first()
        if found is None:
            raise NotFound(
                f"there is no run {name!r}", hint="'assay runs list' shows what there is"
            )
        return str(found.id)
    if not re.fullmatch(r"[0-9A-Za-z][\w-]{0,255}", name):
        raise _missing(name)
    query = _rows().where(run.c.id.startswith(name.lower(), autoescape=True)).limit(9)
    begin_so = connection.execute(query).all()
    if not begin_so:
        raise _deleted(connection, name) or _missing(name)
    return rows.pick(begin_so, name, kind="run")


def _deleted(connection: Connection, name: str) -> Deleted | None:
    """Return what to say where only deleted runs are named so; None where none is."""
    from assay.ledger.tables import run

    query = _rows(with_deleted=True).where(run.c.id.startswith(name.lower(), autoescape=True))
    found = connection.execute(query.limit(2)).all()
    if not found or len(name) < 4:  # a few letters are rather another name, mistyped
        return None
    if len(found) > 1:
        return Deleted(
            f"the runs that begin with {name!r} are deleted",
            hint="'assay runs list --deleted' shows them",
        )
    return Deleted(
        f"the run {found[0].id} ({found[0].name}) is deleted",
        hint=f"'assay runs restore {found[0].id[:13]}' brings it back",
    )


def _missing(name: str) -> NotFound:
    return NotFound(
        f"there is no run {name!r}",
        hint="'assay runs list' shows the runs; a name is an id, its beginning, or 'latest~1'",
    )


def _of(connection: Connection, table: Table, run: str) -> list[Row[Any]]:
    order = "key" if "key" in table.c else "path"
    query = table.select().where(table.c.run_id == run).order_by(table.c[order])
    return list(connection.execute(query))


def _metric(key: str, row: Row[Any]) -> Metric:
    from assay.ledger.series import value

    return Metric(key=key, value=value(row.value, is_nan=row.is_nan), step=row.step, at=row.at)


def _code(connection: Connection, row: Row[Any]) -> Code:
    from assay.ledger import tables

    return Code(
        commit=row.code_commit,
        branch=row.code_branch,
        diff=row.code_diff,
        untracked=tuple(
            Untracked(path=one.path, oid=one.oid, size=one.size, is_executable=one.is_executable)
            for one in _of(connection, tables.untracked, row.id)
        ),
        reproducible=row.code_is_reproducible,
        reason=row.code_reason,
        directory=row.code_directory,
    )


def _environment(connection: Connection, oid: str | None) -> Environment | None:
    from assay.ledger.tables import environment

    if oid is None:
        return None
    query = environment.select().where(environment.c.oid == oid)
    return environments.load(connection.execute(query).one().content)


def _data(connection: Connection, run: str, direction: str) -> tuple[Data, ...]:
    from assay.ledger import tables

    return tuple(
        Data(
            path=row.path,
            oid=row.oid,
            size=row.size,
            n_files=row.n_files,
            kind=row.kind,
            profile=row.profile,
            details=_details(row.details),
            context=row.context,
        )
        for row in _of(connection, tables.run_data, run)
        if row.direction == direction
    )


def _details(text: str | None) -> Mapping[str, Any] | None:
    return None if text is None else msgspec.json.decode(text, type=dict[str, Any])

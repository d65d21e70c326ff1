"""Delete runs and bring them back: a deleted run keeps its row until it is purged.

A run takes the runs that are a part of it along, and brings those back that went with it. An
experiment takes its runs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.clock import now_ms
from assay.base.errors import Error, NotFound, did_you_mean
from assay.ledger import experiments, recording, rows, runs, tables
from assay.ledger.askable import askable
from assay.ledger.found import within

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from assay.ledger.database import Ledger


DIGITS = 13
"""How much of the id of a run lists show."""


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """A deleted run, as a list shows it."""

    id: str
    name: str
    kind: str
    experiment: str
    start: int
    deleted: int


@askable
def delete(ledger: Ledger, names: Sequence[str], *, at: int | None = None) -> list[str]:
    """Delete runs with their parts, all or none; return the ids, without what was deleted before.

    Raises
    ------
    NotFound
        If there is no such run.
    Error
        If one goes on.
    """
    ids = [runs.get(ledger, name).id for name in names]
    moment = now_ms() if at is None else at
    with ledger.write() as connection:
        every = with_parts(connection, ids)
        run = tables.run
        query = run.select().where(
            within(connection, run.c.id, every), run.c.status.not_in(rows.ENDED)
        )
        if (row := connection.execute(query).first()) is not None:
            raise Error(
                f"the run {row.id} ({row.name}) goes on; nothing was deleted",
                hint="end it first, or wait for its end",
            )
        query = run.select().where(within(connection, run.c.id, every), run.c.deleted.is_(None))
        there = {row.id for row in connection.execute(query)}
        found = [id_ for id_ in every if id_ in there]
        for id_ in found:
            recording.delete(connection, id_, at=moment)
    return found


@askable
def restore(ledger: Ledger, names: Sequence[str], *, at: int | None = None) -> list[str]:
    """Bring deleted runs back with the parts that were deleted with them; return the ids.

    Raises
    ------
    NotFound
        If there is no such deleted run.
    Error
        If its experiment is deleted.
    """
    moment = now_ms() if at is None else at
    with ledger.write() as connection:
        every = _deleted_with(connection, [resolve(connection, name) for name in names])
        run, experiment = tables.run, tables.experiment
        query = experiment.select().join(run, run.c.experiment_id == experiment.c.id)
        query = query.where(within(connection, run.c.id, every), experiment.c.deleted.is_not(None))
        if (row := connection.execute(query).first()) is not None:
            raise Error(
                f"the experiment {row.name!r} of the run is deleted",
                hint=f"assay runs restore --experiment '{row.name}'",
            )
        for id_ in every:
            recording.restore(connection, id_, at=moment)
    return every


@askable
def mark_experiment(ledger: Ledger, name: str, *, deleted: bool, at: int | None = None) -> None:
    """Delete an experiment with its runs, or bring it back.

    Raises
    ------
    NotFound
        If there is none.
    Error
        If it is deleted already, or is not.
    """
    moment = now_ms() if at is None else at
    with ledger.write() as connection:
        found = experiments.find_by_name(connection, name)
        if found is None:
            known = connection.execute(tables.experiment.select()).all()
            raise NotFound(
                f"there is no experiment {name!r}",
                hint=did_you_mean(name, [row.name for row in known])
                or "'assay runs experiments' lists them",
            )
        mark = experiments.delete if deleted else experiments.restore
        if not mark(connection, found.id, at=moment):
            raise Error(f"the experiment {name!r} is {'' if deleted else 'not '}deleted")


@askable
def ways_back(ledger: Ledger, ids: Sequence[str]) -> list[str]:
    """Return how `restore` is told of runs: the beginnings of ids, of no part of another of them.

    It is all of an id where another deleted run begins alike.
    """
    from sqlalchemy import select

    run = tables.run.c
    found: list[str] = []
    with ledger.read() as connection:
        parents = {
            id_: parent
            for some in rows.chunks(ids)
            for id_, parent in connection.execute(
                select(run.id, run.parent_id).where(run.id.in_(some))
            )
        }
        for id_ in dict.fromkeys(ids):
            if parents.get(id_) in parents:
                continue
            begin = id_[:DIGITS]
            alike = select(run.id).where(run.deleted.is_not(None))
            alike = alike.where(run.id.startswith(begin, autoescape=True)).limit(2)
            is_alone = len(connection.execute(alike).all()) < 2
            found.append(begin if is_alone else id_)
    return found


@askable
def list_deleted(ledger: Ledger, *, limit: int | None = None) -> list[Deleted]:
    """Return the deleted runs, the last deleted one first."""
    with ledger.read() as connection:
        query = _deleted().order_by(tables.run.c.deleted.desc(), tables.run.c.id)
        return [as_deleted(row) for row in connection.execute(query.limit(limit))]


def as_deleted(row: Any) -> Deleted:
    """Return the row of a run with the name of its experiment as a list shows it."""
    return Deleted(
        id=row.id, name=row.name, kind=row.kind, experiment=row.experiment, start=row.start,
        deleted=row.deleted,
    )  # fmt: skip


def resolve(connection: Connection, name: str) -> str:
    """Return the id of a deleted run that is given, or begins with what is given."""
    begin = name.lower()
    found: Any = ()
    if re.fullmatch(r"[0-9a-z][\w-]{0,255}", begin):
        query = _deleted().where(tables.run.c.id.startswith(begin, autoescape=True))
        found = connection.execute(query.limit(9)).all()
    if not found:
        raise NotFound(
            f"there is no deleted run {name!r}", hint="'assay runs list --deleted' shows them"
        )
    return rows.pick(found, name, kind="deleted run")


def with_parts(connection: Connection, ids: Sequence[str]) -> list[str]:
    """Return runs with all that are a part of them, each after what it is a part of."""
    from sqlalchemy import select

    run = tables.run.c
    every = dict.fromkeys(ids)
    todo = list(every)
    while todo:
        found = [
            id_
            for some in rows.chunks(todo)
            for id_ in connection.execute(
                select(run.id).where(run.parent_id.in_(some)).order_by(run.id)
            ).scalars()
        ]
        todo = [id_ for id_ in found if id_ not in every]
        every |= dict.fromkeys(todo)
    return list(every)


def _deleted_with(connection: Connection, ids: Sequence[str]) -> list[str]:
    """Return deleted runs with the parts that went at the same moment, not by themselves."""
    from sqlalchemy import select

    run = tables.run.c
    every = with_parts(connection, ids)
    moments: dict[str, int | None] = {}
    parents: dict[str, str | None] = {}
    for some in rows.chunks(every):
        query = select(run.id, run.parent_id, run.deleted).where(run.id.in_(some))
        for id_, parent, deleted in connection.execute(query):
            parents[id_], moments[id_] = parent, deleted
    found = dict.fromkeys(ids)
    for id_ in every:
        parent = parents[id_]
        if parent is not None and parent in found and moments[id_] == moments[parent]:
            found[id_] = None
    return list(found)


def _deleted() -> Any:
    from sqlalchemy import select

    run, experiment = tables.run, tables.experiment
    query = select(run, experiment.c.name.label("experiment"))
    query = query.join(experiment, experiment.c.id == run.c.experiment_id)
    return query.where(run.c.deleted.is_not(None))

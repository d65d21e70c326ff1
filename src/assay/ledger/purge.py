"""Purge: deleted runs, logged models and experiments leave the ledger for good.

Rows, names and the claim on artifacts go; the objects themselves are the business of
`assay.workflows.purging`. What stays is the id of each, so that a pull does not bring it back. A
run that a registered version was made of stays, and so does the number of a deleted version.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from assay.base.errors import Error
from assay.ledger import deleting, rows, tables
from assay.ledger.deleting import Deleted
from assay.ledger.forms import STORED
from assay.ledger.found import within

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from assay.ledger.database import Ledger


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A deleted run that is not purged, and why."""

    id: str
    reason: str


class Claims(NamedTuple):
    """Objects by their SHA-256s: all, and those that lie under a path of a run or a model."""

    objects: set[str]
    artifacts: set[str]


class Purge(msgspec.Struct, frozen=True, kw_only=True):
    """What is to leave the ledger.

    Attributes
    ----------
    runs : tuple of Deleted
        Deleted runs, with deleted parts of them.
    models : tuple of str
        Logged models: deleted ones, and those that the runs made.
    experiments : tuple of str
        Names of deleted experiments that then have no run any more.
    kept : tuple of Kept
        Deleted runs that stay.
    """

    runs: tuple[Deleted, ...]
    models: tuple[str, ...]
    experiments: tuple[str, ...]
    kept: tuple[Kept, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.runs or self.models or self.experiments)


def find(
    ledger: Ledger, names: Sequence[str] = (), *, before: int | None = None
) -> Purge:  # fmt: skip
    """Return what can be purged; nothing is changed.

    Parameters
    ----------
    names : sequence of str
        Deleted runs, by id or the beginning of one; all of them where none is named.
    before : int, optional
        Only what was deleted before this moment, in Unix milliseconds.

    Raises
    ------
    NotFound
        If there is no such deleted run.
    Error
        If a run that is named has to stay.
    """
    with ledger.read() as connection:
        ids = [deleting.resolve(connection, name) for name in names]
        found = _runs(connection, deleting.with_parts(connection, ids) if names else None, before)
        needed = _needed(connection)
        kept = [Kept(id=id_, reason=needed[id_]) for id_ in found if id_ in needed]
        for one in kept:
            if one.id in ids:
                raise Error(
                    f"the run {one.id} stays: {one.reason}", hint="delete that version first"
                )
        for one in kept:
            found.pop(one.id)
        models = _models(connection, set(found), before, every=not names)
        return Purge(
            runs=tuple(found.values()),
            models=models,
            experiments=() if names else _experiments(connection, {*found, *models}, before),
            kept=tuple(kept),
        )


def named(ledger: Ledger, what: Purge) -> Claims:
    """Return the objects that the records of what is to go name.

    Profiles are left out: they belong to data, and `gc` knows which of these are still there.
    Histories of metrics are not read, and no select is asked for each run.
    """
    from sqlalchemy import select

    run, data, of_model = tables.run, tables.run_data, tables.logged_model_artifact
    runs, models = {one.id for one in what.runs}, {*what.models}
    with ledger.read() as connection:

        def oids(key: Any, oid: Any, ids: set[str]) -> set[str]:
            query = select(oid).distinct().where(oid.is_not(None), within(connection, key, ids))
            found = connection.execute(query).scalars()
            return {one[7:] for one in found if STORED.fullmatch(one)}

        kept = oids(tables.artifact.c.run_id, tables.artifact.c.oid, runs)
        kept |= oids(of_model.c.model_id, of_model.c.oid, models)
        every = kept | oids(run.c.id, run.c.code_diff, runs) | _bundles(connection, runs)
        every |= oids(tables.untracked.c.run_id, tables.untracked.c.oid, runs)
        every |= oids(data.c.run_id, data.c.oid, runs)
        return Claims(every - oids(data.c.run_id, data.c.profile, runs), kept)


def purge(ledger: Ledger, agreed: Purge, *, at: int) -> Purge:
    """Take runs, logged models and experiments out of the ledger, all or nothing.

    What is not as it was when it was found stays: a run that was restored since then, or is
    needed by now, an experiment that has a run again.

    Returns
    -------
    Purge
        What went.
    """
    with ledger.write() as connection:
        what = _still(connection, agreed)
        runs = [one.id for one in what.runs]
        _bury(connection, [*runs, *what.models], at=at)
        _cut_off_parts(connection, runs, at=at)
        for table, ids in ((tables.logged_model, what.models), (tables.run, runs)):
            for some in rows.chunks(ids):
                connection.execute(table.delete().where(table.c.id.in_(some)))
        for some in rows.chunks(runs):
            things = [f"run:{id_}" for id_ in some]
            for end in (tables.edge.c.source, tables.edge.c.target):
                connection.execute(tables.edge.delete().where(end.in_(things)))
        experiment = tables.experiment
        for some in rows.chunks(what.experiments):
            connection.execute(experiment.delete().where(experiment.c.name.in_(some)))
        _drop_environments(connection)
    return what


def _still(connection: Connection, agreed: Purge) -> Purge:
    """Return what of that which was agreed to is still to be purged."""
    found = _runs(connection, [one.id for one in agreed.runs], None)
    needed = _needed(connection)
    runs = tuple(
        one
        for one in agreed.runs
        if one.id in found and found[one.id].deleted == one.deleted and one.id not in needed
    )
    ids = {one.id for one in runs}
    models = {*agreed.models}.intersection(_models(connection, ids, None, every=True))
    names = {*_experiments(connection, ids | models, None)}
    return Purge(
        runs=runs,
        models=tuple(one for one in agreed.models if one in models),
        experiments=tuple(name for name in agreed.experiments if name in names),
        kept=agreed.kept,
    )


def _cut_off_parts(connection: Connection, runs: Sequence[str], *, at: int) -> None:
    """Make a run of its own of each part that stays where what it is a part of goes."""
    from sqlalchemy import select

    run = tables.run
    going = set(runs)
    for some in rows.chunks(runs):
        parts = connection.execute(select(run.c.id).where(run.c.parent_id.in_(some))).scalars()
        staying = [id_ for id_ in parts if id_ not in going]
        for few in rows.chunks(staying):
            alone = run.update().where(run.c.id.in_(few))
            connection.execute(alone.values(parent_id=None, updated=at))


def _bundles(connection: Connection, runs: set[str]) -> set[str]:
    """Return the bundles that runs descend from or made."""
    from sqlalchemy import select

    edge = tables.edge.c
    found: set[str] = set()
    things = [f"run:{id_}" for id_ in runs]
    for run, bundle in ((edge.source, edge.target), (edge.target, edge.source)):
        query = select(bundle).where(bundle.startswith("bundle:sha256:"))
        ends = connection.execute(query.where(within(connection, run, things))).scalars()
        found |= {end[7:] for end in ends}
    return {one[7:] for one in found if STORED.fullmatch(one)}


def shrink(ledger: Ledger) -> bool:
    """Give the space of what is gone back to the file system; say whether that was possible.

    A database server does so by itself.
    """
    if not ledger.is_sqlite:
        return True
    import contextlib
    import sqlite3

    with contextlib.closing(ledger.engine.raw_connection()) as connection:
        cursor: Any = connection.cursor()
        try:
            cursor.execute("VACUUM")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.OperationalError:  # another process reads or writes
            return False
    return True


def _runs(
    connection: Connection, ids: Sequence[str] | None, before: int | None
) -> dict[str, Deleted]:
    from sqlalchemy import select

    run, experiment = tables.run.c, tables.experiment.c
    columns = (run.id, run.name, run.kind, run.start, run.deleted)
    query = select(*columns, experiment.name.label("experiment"))
    query = query.join(tables.experiment, experiment.id == run.experiment_id)
    query = query.where(run.deleted.is_not(None)).order_by(run.deleted, run.id)
    if before is not None:
        query = query.where(run.deleted < before)
    if ids is not None:
        query = query.where(within(connection, run.id, ids))
    return {row.id: deleting.as_deleted(row) for row in connection.execute(query)}


def _needed(connection: Connection) -> dict[str, str]:
    """Return the runs that registered versions were made of, and which."""
    from sqlalchemy import select

    version = tables.version.c
    query = select(version.run_id, version.model, version.number)
    query = query.where(version.run_id.is_not(None), version.deleted.is_(None))
    return {
        row.run_id: f"the version {row.model}/{row.number} was made of it"
        for row in connection.execute(query)
    }


def _models(
    connection: Connection, runs: set[str], before: int | None, *, every: bool
) -> tuple[str, ...]:
    """Return the logged models that go: of purged runs, and deleted ones; no registered one."""
    from sqlalchemy import select

    model, version = tables.logged_model, tables.version
    registered = select(version.c.model_id).where(version.c.deleted.is_(None))
    of_version = set(
        connection.execute(registered.where(version.c.model_id.is_not(None))).scalars()
    )
    query = select(model.c.id, model.c.run_id, model.c.deleted).order_by(model.c.id)
    return tuple(
        row.id
        for row in connection.execute(query)
        if row.id not in of_version and (row.run_id in runs or (every and _is_old(row, before)))
    )


def _is_old(row: Any, before: int | None) -> bool:
    return row.deleted is not None and (before is None or row.deleted < before)


def _experiments(
    connection: Connection, gone: set[str], before: int | None
) -> tuple[str, ...]:  # fmt: skip
    """Return the names of deleted experiments without a run or logged model that stays."""
    from sqlalchemy import select

    experiment = tables.experiment
    query = experiment.select().where(experiment.c.deleted.is_not(None), experiment.c.id != 0)
    found = connection.execute(query.order_by(experiment.c.id))
    old = [row for row in found if _is_old(row, before)]
    in_use: set[int] = set()
    for some in rows.chunks([row.id for row in old]):
        for table in (tables.run, tables.logged_model):
            inside = select(table.c.id, table.c.experiment_id)
            for id_, number in connection.execute(inside.where(table.c.experiment_id.in_(some))):
                if id_ not in gone:
                    in_use.add(number)
    return tuple(row.name for row in old if row.id not in in_use)


def _bury(connection: Connection, ids: Sequence[str], *, at: int) -> None:
    found = [{"id": id_, "at": at} for id_ in ids]
    if found:
        connection.execute(rows.insert(connection, tables.purged).on_conflict_do_nothing(), found)


def _drop_environments(connection: Connection) -> None:
    from sqlalchemy import select

    environment, run = tables.environment, tables.run
    used = select(run.c.environment_oid).where(run.c.environment_oid.is_not(None))
    connection.execute(environment.delete().where(environment.c.oid.not_in(used)))

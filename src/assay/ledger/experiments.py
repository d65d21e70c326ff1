"""Experiments: named groups of runs. Those of a ledger begin with number 0, `Default`.

All functions work inside a transaction of the caller. A deleted experiment keeps its name and its
runs, which are deleted and restored with it.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.errors import Error, NotFound, Taken
from assay.ledger import rows, values

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Executable


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment with its tags."""

    id: int
    name: str
    artifact_location: str | None  # None: where the hub keeps files
    created: int
    updated: int
    deleted: int | None
    tags: dict[str, str]


class Place(msgspec.Struct, frozen=True):
    """What a new run has to know of its experiment."""

    id: int
    artifact_location: str | None
    deleted: int | None


def create(
    connection: Connection,
    name: str,
    *,
    at: int,
    artifact_location: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> int:
    """Make an experiment, and return its number.

    Raises
    ------
    Taken
        If one has this name, also a deleted one.
    """
    from sqlalchemy import select

    from assay.ledger.tables import experiment, experiment_tag

    row = {
        "name": values.key_text("experiment", name), "artifact_location": artifact_location,
        "created": at, "updated": at,
    }  # fmt: skip
    if not rows.add(connection, experiment, row):
        raise _taken(name)
    query = select(experiment.c.id).where(experiment.c.name == name)
    number = int(connection.execute(query).scalar_one())
    rows.put_tags(connection, experiment_tag, {"experiment_id": number}, tags or {})
    return number


def find(connection: Connection, experiment: int) -> Experiment | None:
    """Return the experiment of a number, deleted or not; None where there is none."""
    from assay.ledger import tables

    return next(iter(_where(connection, tables.experiment.c.id == experiment)), None)


def place(connection: Connection, experiment: int) -> Place | None:
    """Return what a new run has to know of its experiment; None where there is none."""
    row = connection.execute(_placing(), {"id": experiment}).one_or_none()
    return None if row is None else Place(*row)


def find_by_name(connection: Connection, name: str) -> Experiment | None:
    """Return the experiment of a name, deleted or not; None where there is none."""
    from assay.ledger import tables

    return next(iter(_where(connection, tables.experiment.c.name == name)), None)


def load(connection: Connection, ids: Sequence[int]) -> list[Experiment]:
    """Return experiments in the order of their numbers as given; unknown ones are left out."""
    from assay.ledger import tables

    found = {one.id: one for one in _where(connection, tables.experiment.c.id.in_(ids))}
    return [found[number] for number in ids if number in found]


def rename(connection: Connection, experiment: int, name: str, *, at: int) -> None:
    """Give an experiment another name.

    Raises
    ------
    NotFound
        If there is none.
    Taken
        If another one has the name.
    Error
        If it is deleted.
    """
    from assay.ledger import tables

    known = _claim(connection, experiment)
    if known.deleted is not None:
        raise Error(f"the experiment {known.name!r} is deleted", hint="restore it first")
    other = find_by_name(connection, values.key_text("experiment", name))
    if other is not None and other.id != experiment:
        raise _taken(name)
    table = tables.experiment
    query = table.update().where(table.c.id == experiment)
    connection.execute(query.values(name=name, updated=at))


def delete(connection: Connection, experiment: int, *, at: int) -> bool:
    """Mark an experiment and its runs as deleted; tell whether it was there to be deleted."""
    return _mark(connection, experiment, deleted=at, at=at)


def restore(connection: Connection, experiment: int, *, at: int) -> bool:
    """Bring a deleted experiment back with its runs; tell whether there was one."""
    return _mark(connection, experiment, deleted=None, at=at)


def put_tags(connection: Connection, experiment: int, tags: Mapping[str, str]) -> None:
    """Set tags, over those of the same name."""
    from assay.ledger.tables import experiment_tag

    rows.put_tags(connection, experiment_tag, {"experiment_id": experiment}, tags)


def remove_tag(connection: Connection, experiment: int, key: str) -> bool:
    """Take a tag away; tell whether it was there."""
    from assay.ledger.tables import experiment_tag as table

    query = table.delete().where(table.c.experiment_id == experiment, table.c.key == key)
    return connection.execute(query).rowcount == 1


def _where(connection: Connection, condition: ColumnElement[bool]) -> list[Experiment]:
    from assay.ledger.tables import experiment, experiment_tag

    found: list[Any] = list(connection.execute(experiment.select().where(condition)))
    tags: dict[int, dict[str, str]] = {}
    of_these = experiment_tag.c.experiment_id.in_([row.id for row in found])
    for row in connection.execute(experiment_tag.select().where(of_these)) if found else ():
        tags.setdefault(row.experiment_id, {})[row.key] = row.value
    return [
        Experiment(
            id=row.id,
            name=row.name,
            artifact_location=row.artifact_location,
            created=row.created,
            updated=row.updated,
            deleted=row.deleted,
            tags=dict(sorted(tags.get(row.id, {}).items())),
        )
        for row in found
    ]


def _claim(connection: Connection, experiment: int) -> Any:
    from assay.ledger import tables

    table = tables.experiment
    query = table.select().where(table.c.id == experiment).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"there is no experiment with the number {experiment}")
    return row


def _mark(connection: Connection, experiment: int, *, deleted: int | None, at: int) -> bool:
    from assay.ledger import tables

    table, run = tables.experiment, tables.run
    before = table.c.deleted.is_(None) if deleted is not None else table.c.deleted.is_not(None)
    query = table.update().where(table.c.id == experiment, before)
    if connection.execute(query.values(deleted=deleted, updated=at)).rowcount != 1:
        return False
    runs = run.update().where(run.c.experiment_id == experiment)
    runs = runs.where(
        run.c.deleted.is_(None) if deleted is not None else run.c.deleted.is_not(None)
    )
    connection.execute(runs.values(deleted=deleted, updated=at))
    return True


def _taken(name: str) -> Taken:
    return Taken(
        f"there is an experiment {name!r}", hint="name another one; a deleted one keeps its name"
    )


@functools.cache
def _placing() -> Executable:
    from sqlalchemy import bindparam, select

    from assay.ledger.tables import experiment as table

    columns = (table.c.id, table.c.artifact_location, table.c.deleted)
    return select(*columns).where(table.c.id == bindparam("id"))

"""What happens to a run, inside a transaction of the caller: begun, told, changed, deleted.

`assay.ledger.writer` does the same in transactions of its own for a run's own process; here many
writes go into one (`assay.ledger.committer`). The caller has claimed the run. Statements are made
once, since a hub runs them thousands of times a second.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.errors import Error
from assay.ledger import lineage, values

if TYPE_CHECKING:
    from sqlalchemy import Connection, Executable

    from assay.ledger.writer import Kind, Status

_MOST_ANCESTORS = 1000


class Claim(msgspec.Struct, frozen=True):
    """A run that no other writer changes before the transaction ends."""

    id: str
    experiment_id: int
    status: Status
    deleted: int | None


class NewRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that somebody else's process begins; nothing is known of that process."""

    id: str
    name: str
    kind: Kind = "script"
    experiment_id: int
    start: int
    owner: str | None = None
    parent: str | None = None
    commit: str | None = None
    artifact_uri: str | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a run; None leaves a thing as it is."""

    status: Status | None = None
    end: int | None = None
    name: str | None = None
    owner: str | None = None
    parent: str | None = None
    commit: str | None = None


class Reused(Error):
    """A parameter that is there with another value."""

    def __init__(self, key: str, *, old: str, new: str) -> None:
        super().__init__(
            f"parameter {key!r} of the run is {old!r} already; it cannot become {new!r}",
            hint="log it under another name, or begin a run of its own for it",
        )
        self.key, self.old, self.new = key, old, new


def claim(connection: Connection, run: str) -> Claim | None:
    """Return a run that is going to be written; None where there is none."""
    row = connection.execute(_claiming(), {"run": run}).one_or_none()
    return None if row is None else Claim(*row)


def begin(connection: Connection, new: NewRun) -> None:
    """Record that a run begins; a parent that is not there is left out."""
    from assay.ledger import tables

    parent = new.parent if new.parent is not None and _is_there(connection, new.parent) else None
    row = {
        "id": new.id, "name": values.key_text("run", new.name), "kind": new.kind,
        "status": "running", "experiment_id": new.experiment_id, "parent_id": parent,
        "owner": new.owner, "start": new.start, "code_commit": new.commit,
        "code_is_reproducible": False, "code_reason": _REASON, "artifact_uri": new.artifact_uri,
    }  # fmt: skip
    connection.execute(tables.run.insert(), row)
    if new.commit is not None:
        _came_of(connection, new.id, new.commit, at=new.start)


def change(connection: Connection, run: Claim, what: Change, *, at: int) -> None:
    """Change what is known of a run.

    One that runs again is no longer tied to the process that began it.
    """
    from assay.ledger import tables

    columns = {"status": what.status, "end": what.end, "name": what.name, "owner": what.owner}
    row: dict[str, Any] = {key: value for key, value in columns.items() if value is not None}
    if what.status == "running" and run.status != "running":
        row |= {"host": None, "boot": None, "pid": None, "process_start": None}
    if what.parent is not None and may_be_part_of(connection, run.id, what.parent):
        row["parent_id"] = what.parent
    if what.commit is not None:
        row["code_commit"] = what.commit
        _came_of(connection, run.id, what.commit, at=at)
    if row:
        connection.execute(tables.run.update().where(tables.run.c.id == run.id).values(row))


def touch(connection: Connection, run: str, *, at: int) -> None:
    """Say that the record of a run that has ended changed."""
    connection.execute(_touching(), {"run": run, "at": at})


def check_params(there: Mapping[str, str], params: Mapping[str, str]) -> None:
    """Refuse parameters of which one is there with another value.

    Raises
    ------
    Reused
        With the first such parameter.
    """
    for key, text in params.items():
        if there.get(key, text) != text:
            raise Reused(key, old=there[key], new=text)


def put_params(connection: Connection, run: str, params: Mapping[str, str]) -> None:
    """Record parameters that are text; one that is there with another value is refused.

    Raises
    ------
    Reused
        With the first such parameter; nothing may be kept then.
    """
    if not params:
        return
    insert, select_one, select_all = _param_statements()
    if len(params) == 1:
        [key] = params
        known = connection.execute(select_one, {"run": run, "key": key})
    else:
        known = connection.execute(select_all, {"run": run})
    there = {row[0]: row[1] for row in known}
    check_params(there, params)
    new = [
        {"run": run, "key": key, "value": params[key]}
        for key in sorted(params)
        if key not in there
    ]
    if new:
        connection.execute(insert, new)


def put_tags(connection: Connection, run: str, tags: Mapping[str, str], *, at: int) -> None:
    """Set tags, over those of the same name."""
    if tags:
        rows = [{"run": run, "key": key, "value": tags[key], "at": at} for key in sorted(tags)]
        connection.execute(_tagging(), rows)


def remove_tag(connection: Connection, run: str, key: str) -> bool:
    """Take a tag away; tell whether it was there."""
    from assay.ledger.tables import tag

    query = tag.delete().where(tag.c.run_id == run, tag.c.key == key)
    return connection.execute(query).rowcount == 1


def delete(connection: Connection, run: str, *, at: int) -> None:
    """Mark a run as deleted; one that is keeps its moment."""
    from assay.ledger.tables import run as table

    query = table.update().where(table.c.id == run, table.c.deleted.is_(None))
    connection.execute(query.values(deleted=at, updated=at))


def restore(connection: Connection, run: str, *, at: int) -> None:
    """Take the mark away."""
    from assay.ledger.tables import run as table

    query = table.update().where(table.c.id == run, table.c.deleted.is_not(None))
    connection.execute(query.values(deleted=None, updated=at))


_REASON = "it was recorded by a client that did not say which code ran"


def _is_there(connection: Connection, run: str) -> bool:
    return connection.execute(_parents(), {"run": run}).one_or_none() is not None


def may_be_part_of(connection: Connection, run: str, parent: str) -> bool:
    """Tell whether a run can have a parent: it is there, and no part of the run itself."""
    above: str | None = parent
    for _ in range(_MOST_ANCESTORS):
        if above is None:
            return True
        if above == run:
            return False
        row = connection.execute(_parents(), {"run": above}).one_or_none()
        if row is None:
            return False
        above = row[0]
    return False


def _came_of(connection: Connection, run: str, commit: str, *, at: int) -> None:
    edge = lineage.Edge(
        source=f"commit:{commit}", relation="code_of", target=f"run:{run}", at=at
    )  # fmt: skip
    lineage.add(connection, [edge])


@functools.cache
def _claiming() -> Executable:
    from sqlalchemy import bindparam, select

    from assay.ledger.tables import run

    columns = (run.c.id, run.c.experiment_id, run.c.status, run.c.deleted)
    return select(*columns).where(run.c.id == bindparam("run")).with_for_update()


@functools.cache
def _parents() -> Executable:
    from sqlalchemy import bindparam, select

    from assay.ledger.tables import run

    return select(run.c.parent_id).where(run.c.id == bindparam("run"))


@functools.cache
def _touching() -> Executable:
    from sqlalchemy import text

    return text("UPDATE run SET updated = :at WHERE id = :run AND coalesce(updated, -1) < :at")


@functools.cache
def _param_statements() -> tuple[Executable, Executable, Executable]:
    from sqlalchemy import text

    return (
        text(
            "INSERT INTO param (run_id, key, value, type) VALUES (:run, :key, :value, 'str') "
            "ON CONFLICT DO NOTHING"
        ),
        text("SELECT key, value FROM param WHERE run_id = :run AND key = :key"),
        text("SELECT key, value FROM param WHERE run_id = :run"),
    )


@functools.cache
def _tagging() -> Executable:
    from sqlalchemy import text

    return text(
        "INSERT INTO tag (run_id, key, value, at) VALUES (:run, :key, :value, :at) "
        "ON CONFLICT (run_id, key) DO UPDATE SET value = excluded.value, at = excluded.at"
    )

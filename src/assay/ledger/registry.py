"""Change registered models and versions in a transaction of the caller.

A name and a tag are taken as they are: who calls checks them (`assay.ledger.model_names`, or
MLflow's rules). A version that an endpoint answers with is never deleted, and the row of one that
ever did stays, since the record of deployments names it, as does that of one which a retraining
made. Of a model without such a version nothing stays, and its numbers begin anew; else they go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, select

from assay.base.errors import Error
from assay.ledger import lineage, registered, rows
from assay.ledger.model_names import ModelTaken
from assay.ledger.models import Model, VersionStatus
from assay.ledger.tables import (
    alias,
    decision,
    deployment,
    edge,
    model,
    model_tag,
    version,
    version_tag,
    window,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

# Those that every request needs, built once.
_IS_MODEL = (model.c.name == bindparam("of_name"), model.c.deleted.is_(None))
_IS_VERSION = (
    version.c.model == bindparam("of_model"),
    version.c.number == bindparam("of_number"),
    version.c.deleted.is_(None),
)
_TOUCH = model.update().where(*_IS_MODEL).values(updated=bindparam("at"))
_HELD_VERSION = select(version.c.number).where(*_IS_VERSION).with_for_update()
_HIGHEST = select(func.max(version.c.number)).where(version.c.model == bindparam("of_model"))


def create_model(
    connection: Connection,
    name: str,
    *,
    description: str | None = None,
    tags: Mapping[str, str] | None = None,
    at: int,
) -> Model:
    """Make a model of a new name, or raise `ModelTaken`."""
    row = {"name": name, "description": description, "created": at, "updated": at}
    if not rows.add(connection, model, row) and not _revive(connection, row):
        raise ModelTaken(name)
    rows.put_tags(connection, model_tag, {"model": name}, tags or {})
    return Model(
        name=name,
        description=description,
        created=at,
        updated=at,
        aliases={},
        tags=dict(sorted((tags or {}).items())),
        newest=None,
    )


def make_model(connection: Connection, name: str, *, at: int) -> None:
    """Make a model unless there is one of that name; keep others from changing it until the end.

    A model that is there counts as changed.
    """
    if not touch_model(connection, name, at=at):
        row = {"name": name, "description": None, "created": at, "updated": at}
        if not rows.add(connection, model, row) and not _revive(connection, row):
            touch_model(connection, name, at=at)


def touch_model(connection: Connection, name: str, *, at: int) -> bool:
    """Let a model count as changed; tell whether there is one."""
    return connection.execute(_TOUCH, {"of_name": name, "at": at}).rowcount == 1


def _revive(connection: Connection, row: Mapping[str, Any]) -> bool:
    """Let the row of a deleted model be that of a new one; tell whether there was one."""
    one = (model.c.name == row["name"], model.c.deleted.is_not(None))
    return connection.execute(model.update().where(*one).values(**row, deleted=None)).rowcount == 1


def describe_model(connection: Connection, name: str, *, description: str | None, at: int) -> None:
    """Say another thing of a model."""
    registered.check_model(connection, name)
    changed = {"description": description, "updated": at}
    connection.execute(model.update().where(model.c.name == name).values(changed))


def rename_model(connection: Connection, name: str, new_name: str, *, at: int) -> None:
    """Give a model another name, wherever the ledger names it or a version of it."""
    registered.check_model(connection, name)
    if name != new_name:
        taken = select(model.c.deleted).where(model.c.name == new_name)
        if (row := connection.execute(taken).first()) is not None:
            raise ModelTaken(new_name, hint=_still_taken(row.deleted))
    its = version.update().where(version.c.model == name, version.c.deleted.is_(None))
    connection.execute(its.values(updated=at))
    changed = {"name": new_name, "updated": at}
    connection.execute(model.update().where(model.c.name == name).values(changed))
    if name != new_name:
        numbers = _numbers(connection, new_name)
        _rename_things(connection, [(f"{name}/{n}", f"{new_name}/{n}") for n in numbers])


def _still_taken(deleted: int | None) -> str | None:
    if deleted is None:
        return None
    return (
        "it was deleted, but a version of it was deployed or made by a retraining, and the record "
        "of that keeps the name"
    )


def _rename_things(connection: Connection, names: Sequence[tuple[str, str]]) -> None:
    if not names:
        return
    _forget_things(connection, [f"version:{new}" for _, new in names])  # of who had the name once
    things = [{"was": f"version:{a}", "becomes": f"version:{b}"} for a, b in names]
    for column in (edge.c.source, edge.c.target):
        renamed = edge.update().where(column == bindparam("was"))
        connection.execute(renamed.values({column.name: bindparam("becomes")}), things)
    texts = [{"was": a, "becomes": b} for a, b in names]
    for table in (window, decision):
        renamed = table.update().where(table.c.version == bindparam("was"))
        connection.execute(renamed.values(version=bindparam("becomes")), texts)


def delete_model(connection: Connection, name: str, *, at: int) -> None:
    """Delete a model with its versions, tags and aliases.

    Raises
    ------
    NoModel
        If there is none.
    assay.Error
        If an endpoint answers with a version of it.
    """
    registered.check_model(connection, name)
    _check_not_live(connection, name)
    numbers = _numbers(connection, name)
    recorded = _recorded(connection, name, numbers)
    gone = [number for number in numbers if number not in recorded]
    _forget_things(connection, [f"version:{name}/{number}" for number in gone])
    if not recorded:
        connection.execute(model.delete().where(model.c.name == name))
        return
    connection.execute(alias.delete().where(alias.c.model == name))
    connection.execute(model_tag.delete().where(model_tag.c.model == name))
    its = version.c.model == name
    connection.execute(version.delete().where(its, version.c.number.not_in(recorded)))
    left = version.update().where(its, version.c.deleted.is_(None))
    connection.execute(left.values(deleted=at, updated=at))
    connection.execute(model.update().where(model.c.name == name).values(deleted=at, updated=at))


def _forget_things(connection: Connection, things: Sequence[str]) -> None:
    if things:
        keys = [{"thing": thing} for thing in things]
        for column in (edge.c.source, edge.c.target):
            connection.execute(edge.delete().where(column == bindparam("thing")), keys)


def _numbers(connection: Connection, name: str) -> list[int]:
    """Return the numbers of all versions of a model, deleted ones too."""
    query = select(version.c.number).where(version.c.model == name)
    return list(connection.execute(query).scalars())


def _recorded(connection: Connection, name: str, numbers: Sequence[int]) -> set[int]:
    """Return the numbers of versions that a deployment, a window or a retraining names."""
    were = select(deployment.c.version).where(deployment.c.model == name).distinct()
    found = set(connection.execute(were).scalars())
    names = {f"{name}/{number}": number for number in numbers}
    for table in (window, decision):
        for some in rows.chunks(list(names)):
            query = select(table.c.version).where(table.c.version.in_(some)).distinct()
            found |= {names[text] for text in connection.execute(query).scalars()}
    return found


def _check_not_live(connection: Connection, name: str, number: int | None = None) -> None:
    """Refuse to delete what an endpoint answers with: a version, or any of a model."""
    live = deployment.select().where(deployment.c.model == name, deployment.c.end.is_(None))
    if number is not None:
        live = live.where(deployment.c.version == number)
    if (row := connection.execute(live.limit(1)).first()) is not None:
        raise Error(
            f"the endpoint {row.endpoint!r} answers with {name}/{row.version}",
            hint="deploy another version there first",
        )


def set_model_tags(connection: Connection, name: str, tags: Mapping[str, str]) -> None:
    """Set tags of a model, over those of the same key."""
    registered.check_model(connection, name)
    rows.put_tags(connection, model_tag, {"model": name}, tags)


def delete_model_tags(connection: Connection, name: str, keys: Iterable[str]) -> None:
    """Take tags of a model away; they may be gone already."""
    registered.check_model(connection, name)
    these = (model_tag.c.model == name, model_tag.c.key.in_(list(keys)))
    connection.execute(model_tag.delete().where(*these))


def add_version(
    connection: Connection,
    name: str,
    *,
    bundle: str | None = None,
    source: str | None = None,
    run: str | None = None,
    description: str | None = None,
    status: VersionStatus = "ready",
    tags: Mapping[str, str] | None = None,
    owner: str | None = None,
    run_link: str | None = None,
    model_id: str | None = None,
    artifact_uri: str | None = None,
    foreign_run: str | None = None,
    at: int,
) -> int:
    """Add a version to a model, which `make_model` or `touch_model` holds, and return its number.

    It is one above the highest that was ever given. What it was made of is recorded with it:
    edges from its bundle and from its run.
    """
    if run is not None:
        rows.claim_run(connection, run)
    number = (connection.execute(_HIGHEST, {"of_model": name}).scalar() or 0) + 1
    row = {
        "model": name, "number": number, "bundle": bundle, "source": source, "run_id": run,
        "description": description, "status": status, "created": at, "updated": at,
        "owner": owner, "run_link": run_link, "model_id": model_id, "artifact_uri": artifact_uri,
        "foreign_run": foreign_run,
    }  # fmt: skip
    connection.execute(version.insert(), row)
    owned = {"model": name, "version": number}
    rows.put_tags(connection, version_tag, owned, tags or {})
    made_of = (
        f"{kind}:{given}"
        for kind, given in (("bundle", bundle), ("run", run))
        if given is not None
    )
    target = f"version:{name}/{number}"
    edges = [
        lineage.Edge(source=thing, relation="registered_as", target=target, at=at)
        for thing in made_of
    ]
    lineage.add(connection, edges)
    return number


def describe_version(
    connection: Connection, name: str, number: int, *, description: str | None, at: int
) -> None:
    """Say another thing of a version, or nothing."""
    _change_version(connection, name, number, description=description, updated=at)


def move_version(
    connection: Connection,
    name: str,
    number: int,
    *,
    stage: str,
    archive_others: bool = False,
    at: int,
) -> None:
    """Bring a version to one of `STAGES`; with `archive_others`, it is alone there."""
    _change_version(connection, name, number, stage=stage, updated=at)
    if archive_others:
        others = version.update().where(
            version.c.model == name, version.c.stage == stage, version.c.number != number,
            version.c.deleted.is_(None),
        )  # fmt: skip
        connection.execute(others.values(stage="Archived", updated=at))
    touch_model(connection, name, at=at)


def delete_version(connection: Connection, name: str, number: int, *, at: int) -> None:
    """Delete a version; its aliases become free, its number is not given again."""
    registered.check_model(connection, name)
    _check_not_live(connection, name, number)
    _change_version(connection, name, number, deleted=at, updated=at)
    connection.execute(alias.delete().where(alias.c.model == name, alias.c.version == number))
    touch_model(connection, name, at=at)


def set_version_tags(
    connection: Connection, name: str, number: int, tags: Mapping[str, str]
) -> None:
    """Set tags of a version, over those of the same key."""
    check_version(connection, name, number)
    rows.put_tags(connection, version_tag, {"model": name, "version": number}, tags)


def delete_version_tags(
    connection: Connection, name: str, number: int, keys: Iterable[str]
) -> None:
    """Take tags of a version away; they may be gone already."""
    check_version(connection, name, number)
    its = (version_tag.c.model == name, version_tag.c.version == number)
    connection.execute(version_tag.delete().where(*its, version_tag.c.key.in_(list(keys))))


def set_alias(connection: Connection, name: str, alias_name: str, number: int, *, at: int) -> None:
    """Let an alias name a version, whichever it named before."""
    check_version(connection, name, number)
    row = {"model": name, "name": alias_name, "version": number, "at": at}
    rows.put(connection, alias, [row])


def delete_alias(connection: Connection, name: str, alias_name: str) -> None:
    """Take an alias of a model away; it may be gone already."""
    registered.check_model(connection, name)
    connection.execute(alias.delete().where(alias.c.model == name, alias.c.name == alias_name))


def check_version(connection: Connection, name: str, number: int) -> None:
    """Raise `NoVersion` or `NoModel`, or keep others from changing a version until the end."""
    values = {"of_model": name, "of_number": number}
    if connection.execute(_HELD_VERSION, values).first() is None:
        registered.get_version(connection, name, number)


def _change_version(connection: Connection, name: str, number: int, **changed: Any) -> None:
    values = {"of_model": name, "of_number": number}
    query = version.update().where(*_IS_VERSION).values(changed)
    if connection.execute(query, values).rowcount == 0:
        registered.get_version(connection, name, number)

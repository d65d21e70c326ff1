"""Registered models, their numbered versions, and the aliases that move over them.

A version is named `MODEL/3`, `MODEL@ALIAS`, or `MODEL` for the newest. A number is never given
twice, not even after its version was deleted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from assay.base.clock import now_ms
from assay.base.errors import Error, NotFound, did_you_mean

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Row

    from assay.ledger.database import Ledger

VersionStatus = Literal["pending", "ready", "failed"]


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A registered name."""

    name: str
    description: str | None
    created: int
    updated: int
    aliases: dict[str, int]
    tags: dict[str, str]
    newest: int | None  # the highest number of a version that is there


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A numbered bundle under a registered name."""

    model: str
    number: int
    bundle: str | None  # the oid of its bundle.json
    source: str | None  # where it came from, as a URI
    run: str | None
    description: str | None
    status: VersionStatus
    status_message: str | None
    created: int
    updated: int
    aliases: tuple[str, ...]
    tags: dict[str, str]

    @property
    def thing(self) -> str:
        """Its name in the lineage."""
        return f"version:{self.model}/{self.number}"


def register(
    ledger: Ledger,
    model: str,
    *,
    bundle: str | None = None,
    source: str | None = None,
    run: str | None = None,
    description: str | None = None,
    status: VersionStatus = "ready",
    tags: Mapping[str, str] | None = None,
    at: int | None = None,
) -> Version:
    """Add a version to a model, which is made where it is new, and return it.

    Its number is one above the highest that was ever given. The edges bundle → version and,
    where `run` is given, run → version are written with it.
    """
    from sqlalchemy import func, select

    from assay.ledger import lineage, rows, tables

    moment = now_ms() if at is None else at
    with ledger.write() as connection:
        _make_model(connection, model, at=moment)
        if run is not None:
            rows.claim_run(connection, run)
        of_model = tables.version.c.model == model
        highest = connection.execute(select(func.max(tables.version.c.number)).where(of_model))
        number = (highest.scalar() or 0) + 1
        row = {
            "model": model, "number": number, "bundle": bundle, "source": source, "run_id": run,
            "description": description, "status": status, "created": moment, "updated": moment,
        }  # fmt: skip
        connection.execute(tables.version.insert().values(row))
        owner = {"model": model, "version": number}
        rows.put_tags(connection, tables.version_tag, owner, tags or {})
        made_of = ((bundle, f"bundle:{bundle}"), (run, f"run:{run}"))
        target = f"version:{model}/{number}"
        edges = [
            lineage.Edge(source=thing, relation="registered_as", target=target, at=moment)
            for given, thing in made_of
            if given is not None
        ]
        lineage.add(connection, edges)
        return _version(connection, model, tables.version.c.number == number)


def get_model(ledger: Ledger, name: str) -> Model:
    """Return a registered model."""
    with ledger.read() as connection:
        return _model(connection, _model_row(connection, name))


def list_models(ledger: Ledger) -> list[Model]:
    """Return all registered models by name."""
    from assay.ledger.tables import model

    with ledger.read() as connection:
        rows = connection.execute(model.select().order_by(model.c.name)).all()
        return [_model(connection, row) for row in rows]


def get_version(ledger: Ledger, name: str) -> Version:
    """Return the version that `MODEL/3`, `MODEL@ALIAS` or `MODEL` names."""
    from assay.ledger.tables import version

    with ledger.read() as connection:
        model, number = resolve(connection, name)
        return _version(connection, model, version.c.number == number)


def list_versions(ledger: Ledger, model: str) -> list[Version]:
    """Return the versions of a model, newest first."""
    from assay.ledger.tables import version

    with ledger.read() as connection:
        _model_row(connection, model)
        query = version.select().where(version.c.model == model, version.c.deleted.is_(None))
        rows = connection.execute(query.order_by(version.c.number.desc())).all()
        return [_as_version(connection, row) for row in rows]


def delete_version(ledger: Ledger, name: str, *, at: int | None = None) -> None:
    """Delete a version; its aliases become free, its number is not given again."""
    from assay.ledger.tables import alias, deployment, version

    with ledger.write() as connection:
        model, number = resolve(connection, name)
        live = deployment.select().where(
            deployment.c.model == model, deployment.c.version == number, deployment.c.end.is_(None)
        )
        if (row := connection.execute(live).first()) is not None:
            raise Error(
                f"the endpoint {row.endpoint!r} answers with {model}/{number}",
                hint="deploy another version there first",
            )
        one = (alias.c.model == model, alias.c.version == number)
        connection.execute(alias.delete().where(*one))
        query = version.update().where(version.c.model == model, version.c.number == number)
        connection.execute(query.values(deleted=now_ms() if at is None else at))


def describe_version(
    ledger: Ledger,
    version: Version,
    *,
    description: str | None = None,
    tags: Mapping[str, str] | None = None,
    at: int | None = None,
) -> None:
    """Change what a version says of itself; what is not given stays."""
    from assay.ledger import rows, tables

    tags = tags or {}
    if description is None and tags.items() <= version.tags.items():
        return
    changed: dict[str, Any] = {"updated": now_ms() if at is None else at}
    if description is not None:
        changed["description"] = description
    table = tables.version
    one = (table.c.model == version.model, table.c.number == version.number)
    owner = {"model": version.model, "version": version.number}
    with ledger.write() as connection:
        rows.put_tags(connection, tables.version_tag, owner, tags)
        connection.execute(table.update().where(*one).values(changed))


def set_alias(
    ledger: Ledger, model: str, alias: str, *, version: int, at: int | None = None
) -> None:
    """Let an alias name a version, whichever it named before."""
    from assay.ledger import rows, tables

    if not re.fullmatch(r"[\w-]{1,255}", alias) or re.fullmatch(r"(?i)latest|v?\d+", alias):
        raise Error(
            f"{alias!r} cannot be an alias",
            hint="use letters, digits, '-' and '_', such as 'production'; 'latest' and numbers "
            "such as 'v3' stand for versions already",
        )
    with ledger.write() as connection:
        _version(connection, model, tables.version.c.number == version)
        row = {"model": model, "name": alias, "version": version}
        rows.put(connection, tables.alias, [row | {"at": now_ms() if at is None else at}])


def delete_alias(ledger: Ledger, model: str, alias: str) -> None:
    """Take an alias away; it may be gone already."""
    from assay.ledger import tables

    one = (tables.alias.c.model == model, tables.alias.c.name == alias)
    with ledger.write() as connection:
        connection.execute(tables.alias.delete().where(*one))


def _make_model(connection: Connection, name: str, *, at: int) -> None:
    from assay.ledger import rows, tables

    if not name.strip() or name in {".", ".."} or re.search(r"[/:@]", name):
        raise Error(
            f"{name!r} cannot be the name of a model",
            hint="use a name that is not blank and has no '/', ':' or '@'",
        )
    row = {"name": name, "created": at, "updated": at}
    statement = rows.insert(connection, tables.model)
    changed = {"updated": at}
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=changed), row)


def _model_row(connection: Connection, name: str) -> Row[Any]:
    from sqlalchemy import select

    from assay.ledger.tables import model

    row = connection.execute(model.select().where(model.c.name == name)).one_or_none()
    if row is None:
        known = connection.execute(select(model.c.name)).scalars()
        hint = did_you_mean(name, known) or "'assay model list' shows the models of this ledger"
        raise NotFound(f"there is no model {name!r}", hint=hint)
    return row


def _model(connection: Connection, row: Row[Any]) -> Model:
    from sqlalchemy import func, select

    from assay.ledger.tables import alias, model_tag, version

    there = (version.c.model == row.name, version.c.deleted.is_(None))
    aliases = alias.select().where(alias.c.model == row.name).order_by(alias.c.name)
    tags = model_tag.select().where(model_tag.c.model == row.name).order_by(model_tag.c.key)
    return Model(
        name=row.name,
        description=row.description,
        created=row.created,
        updated=row.updated,
        aliases={one.name: one.version for one in connection.execute(aliases)},
        tags={one.key: one.value for one in connection.execute(tags)},
        newest=connection.execute(select(func.max(version.c.number)).where(*there)).scalar(),
    )


def resolve(connection: Connection, name: str) -> tuple[str, int]:
    """Return the model and the number that `MODEL/3`, `MODEL@ALIAS` or `MODEL` stands for."""
    from assay.ledger.tables import version

    match = re.fullmatch(r"([^/:@]+)(?:/(\d{1,9})|@([\w-]+))?", name)
    if match is None:
        raise Error(
            f"{name!r} names no version of a model", hint="write MODEL/3, MODEL@ALIAS or MODEL"
        )
    model = _model(connection, _model_row(connection, match[1]))
    if match[3] is not None:
        if match[3] not in model.aliases:
            hint = did_you_mean(match[3], model.aliases) or f"it has {_listed(model.aliases)}"
            raise NotFound(f"the model {match[1]!r} has no alias {match[3]!r}", hint=hint)
        return model.name, model.aliases[match[3]]
    number = model.newest if match[2] is None else int(match[2])
    if number is None:
        raise NotFound(f"the model {match[1]!r} has no version")
    return model.name, _version(connection, model.name, version.c.number == number).number


def _listed(names: Mapping[str, int]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "none"


def _version(connection: Connection, model: str, one: ColumnElement[bool]) -> Version:
    from assay.ledger.tables import version

    query = version.select().where(version.c.model == model, one, version.c.deleted.is_(None))
    row = connection.execute(query).one_or_none()
    if row is None:
        newest = _model(connection, _model_row(connection, model)).newest
        raise NotFound(
            f"the model {model!r} has no such version", hint=f"its newest one is {newest}"
        )
    return _as_version(connection, row)


def _as_version(connection: Connection, row: Row[Any]) -> Version:
    from assay.ledger.tables import alias, version_tag

    one = (alias.c.model == row.model, alias.c.version == row.number)
    tagged = (version_tag.c.model == row.model, version_tag.c.version == row.number)
    aliases = connection.execute(alias.select().where(*one).order_by(alias.c.name))
    tags = connection.execute(version_tag.select().where(*tagged).order_by(version_tag.c.key))
    return Version(
        model=row.model, number=row.number, bundle=row.bundle, source=row.source, run=row.run_id,
        description=row.description, status=row.status, status_message=row.status_message,
        created=row.created, updated=row.updated,
        aliases=tuple(found.name for found in aliases),
        tags={found.key: found.value for found in tags},
    )  # fmt: skip

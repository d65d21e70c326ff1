"""Read registered models and versions in a transaction of the caller: one select a table.

However many there are, models take four selects and versions three. A deleted model or version
is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, select, tuple_

from assay.base.errors import Error, did_you_mean
from assay.ledger.found import within
from assay.ledger.model_names import Meaning, NoAlias, NoModel, NoVersion, meanings
from assay.ledger.models import Model, Version
from assay.ledger.tables import alias, model, model_tag, version, version_tag

if TYPE_CHECKING:
    from sqlalchemy import Column, ColumnElement, Connection, Row, Select

_MOST_KEYS = 5_000  # SQLite takes 32,766 values in a statement
_IS_THERE = model.c.deleted.is_(None)

# Those that every request needs, built once: of one model, and of many.
_MODEL = model.select().where(model.c.name == bindparam("name"), _IS_THERE)
_VERSION = version.select().where(
    version.c.model == bindparam("name"),
    version.c.number == bindparam("number"),
    version.c.deleted.is_(None),
)
_HELD_MODEL = _MODEL.with_for_update()
_ALIASES = select(alias.c.model, alias.c.name, alias.c.version).order_by(alias.c.name)
_TAGS = select(model_tag.c.model, model_tag.c.key, model_tag.c.value).order_by(model_tag.c.key)
_NEWEST = (
    select(version.c.model, func.max(version.c.number))
    .where(version.c.deleted.is_(None))
    .group_by(version.c.model)
)
_VERSION_TAGS = select(
    version_tag.c.model, version_tag.c.version, version_tag.c.key, version_tag.c.value
).order_by(version_tag.c.key)
_ALIASES_OF_ONE = _ALIASES.where(alias.c.model == bindparam("name"))
_TAGS_OF_ONE = _TAGS.where(model_tag.c.model == bindparam("name"))
_NEWEST_OF_ONE = _NEWEST.where(version.c.model == bindparam("name"))
_TAGS_OF_ONE_VERSION = _VERSION_TAGS.where(
    version_tag.c.model == bindparam("name"), version_tag.c.version == bindparam("number")
)


def models(
    connection: Connection, query: Select[Any], values: Mapping[str, Any] | None = None
) -> list[Model]:
    """Return the models that a select of whole rows of `model` gives, in its order.

    The query leaves deleted ones out: `model.c.deleted.is_(None)`.
    """
    rows = connection.execute(query, values).all()
    names = [row.name for row in rows]
    aliases: dict[str, dict[str, int]] = {}
    for name, key, number in _of(connection, names, alias.c.model, _ALIASES_OF_ONE, _ALIASES):
        aliases.setdefault(name, {})[key] = number
    tags: dict[str, dict[str, str]] = {}
    for name, key, value in _of(connection, names, model_tag.c.model, _TAGS_OF_ONE, _TAGS):
        tags.setdefault(name, {})[key] = value
    highest = _of(connection, names, version.c.model, _NEWEST_OF_ONE, _NEWEST)
    newest = {row[0]: row[1] for row in highest}
    return [
        Model(
            name=row.name,
            description=row.description,
            created=row.created,
            updated=row.updated,
            aliases=aliases.get(row.name, {}),
            tags=tags.get(row.name, {}),
            newest=newest.get(row.name),
        )
        for row in rows
    ]


def _of(
    connection: Connection,
    names: Sequence[str],
    column: Column[Any],
    of_one: Select[Any],
    of_all: Select[Any],
) -> Iterable[Any]:
    """Return the rows of a table that are of some models."""
    if len(names) == 1:
        return connection.execute(of_one, {"name": names[0]}).all()
    if not names:
        return ()
    return connection.execute(of_all.where(within(connection, column, names))).all()


def versions(
    connection: Connection,
    query: Select[Any],
    values: Mapping[str, Any] | None = None,
    *,
    with_aliases: bool = True,
) -> list[Version]:
    """Return the versions that a select of whole rows of `version` gives, in its order.

    The query leaves deleted ones out: `version.c.deleted.is_(None)`.
    """
    rows = connection.execute(query, values).all()
    keys = [(row.model, row.number) for row in rows]
    aliases: dict[tuple[str, int], list[str]] = {}
    names = list(dict.fromkeys(name for name, _ in keys)) if with_aliases else []
    for name, one, number in _of(connection, names, alias.c.model, _ALIASES_OF_ONE, _ALIASES):
        aliases.setdefault((name, number), []).append(one)
    tags = _tags(connection, keys)
    return [
        _as_version(row, aliases=aliases.get(key, []), tags=tags.get(key, {}))
        for key, row in zip(keys, rows, strict=True)
    ]


def _tags(
    connection: Connection, keys: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], dict[str, str]]:
    found: dict[tuple[str, int], dict[str, str]] = {}
    if len(keys) == 1:
        name, number = keys[0]
        values = {"name": name, "number": number}
        rows = connection.execute(_TAGS_OF_ONE_VERSION, values).all()
        return {keys[0]: {key: value for _, _, key, value in rows}}
    key_of = tuple_(version_tag.c.model, version_tag.c.version)
    for some in _in_parts(keys):
        for name, number, key, value in connection.execute(_VERSION_TAGS.where(key_of.in_(some))):
            found.setdefault((name, number), {})[key] = value
    return found


def _in_parts(keys: Sequence[tuple[str, int]]) -> Iterable[Sequence[tuple[str, int]]]:
    return (keys[at : at + _MOST_KEYS] for at in range(0, len(keys), _MOST_KEYS))


def _as_version(row: Row[Any], *, aliases: Sequence[str], tags: dict[str, str]) -> Version:
    return Version(
        model=row.model, number=row.number, bundle=row.bundle, source=row.source, run=row.run_id,
        description=row.description, status=row.status, status_message=row.status_message,
        created=row.created, updated=row.updated, aliases=tuple(aliases), tags=tags,
        stage=row.stage or "None", owner=row.owner, run_link=row.run_link, model_id=row.model_id,
        artifact_uri=row.artifact_uri, foreign_run=row.foreign_run,
    )  # fmt: skip


def get_model(connection: Connection, name: str) -> Model:
    """Return a model, or raise `NoModel`."""
    found = models(connection, _MODEL, {"name": name})
    if not found:
        raise no_model(connection, name)
    return found[0]


def check_model(connection: Connection, name: str) -> None:
    """Raise `NoModel` where there is no such model; keep others from changing it until the end."""
    if connection.execute(_HELD_MODEL, {"name": name}).first() is None:
        raise no_model(connection, name)


def no_model(connection: Connection, name: str) -> NoModel:
    """Return the error of a model that is not there, with the name that is near."""
    known = connection.execute(select(model.c.name).where(_IS_THERE)).scalars()
    hint = did_you_mean(name, known) or "'assay model list' shows the models of this ledger"
    return NoModel(name, hint=hint)


def get_version(connection: Connection, name: str, number: int) -> Version:
    """Return a version of a model, or raise `NoVersion`, or `NoModel`."""
    found = versions(connection, _VERSION, {"name": name, "number": number})
    if not found:
        newest = get_model(connection, name).newest
        raise NoVersion(name, number, newest=newest)
    return found[0]


def get_by_alias(connection: Connection, name: str, alias_name: str) -> Version:
    """Return the version that an alias of a model names, or raise `NoAlias`, or `NoModel`."""
    query = version.select().join(
        alias, (alias.c.model == version.c.model) & (alias.c.version == version.c.number)
    )
    one = (alias.c.model == name, alias.c.name == alias_name, version.c.deleted.is_(None))
    found = versions(connection, query.where(*one))
    if not found:
        aliases = get_model(connection, name).aliases
        hint = did_you_mean(alias_name, aliases) or f"it has {_listed(aliases)}"
        raise NoAlias(name, alias_name, hint=hint)
    return found[0]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "none"


def newest_by_stage(
    connection: Connection, names: Sequence[str], *, with_aliases: bool = False
) -> dict[str, list[Version]]:
    """Return the newest version of each of MLflow's stages of models, by model and number."""
    found: dict[str, list[Version]] = {}
    if len(names) == 1:
        query, values = _NEWEST_BY_STAGE_OF_ONE, {"name": names[0]}
    elif names:
        query, values = _newest_by_stage(within(connection, version.c.model, names)), {}
    else:
        return found
    for one in versions(connection, query, values, with_aliases=with_aliases):
        found.setdefault(one.model, []).append(one)
    return found


def _newest_by_stage(these: ColumnElement[bool]) -> Select[Any]:
    stage = func.coalesce(version.c.stage, "None")
    highest = select(version.c.model, func.max(version.c.number).label("number"))
    highest = highest.where(these, version.c.deleted.is_(None))
    newest = highest.group_by(version.c.model, stage).subquery()
    is_newest = (newest.c.model == version.c.model) & (newest.c.number == version.c.number)
    query = version.select().join(newest, is_newest)
    return query.order_by(version.c.model, version.c.number)


_NEWEST_BY_STAGE_OF_ONE = _newest_by_stage(version.c.model == bindparam("name"))


def resolve(connection: Connection, name: str) -> tuple[str, int | None]:
    """Return the model and the number that a name means; no number for a model alone.

    `MODEL/3`, `MODEL@3` and `MODEL@v3` are a version, `MODEL@ALIAS` is what the alias names.

    Raises
    ------
    NotFound
        If there is no such model, version or alias.
    Error
        If it can be read in two ways, each of which names something.
    """
    ways = meanings(name)
    if not ways:
        raise Error(
            f"{name!r} names no version of a model", hint="write MODEL/3, MODEL@ALIAS or MODEL"
        )
    names = list(dict.fromkeys(one.model for one in ways))
    query = model.select().where(model.c.name.in_(names), _IS_THERE)
    there = {one.name: one for one in models(connection, query)}
    found: dict[tuple[str, int | None], Meaning] = {}
    for way in ways:
        if way.model in there and (what := _meant(connection, there[way.model], way)):
            found.setdefault(what, way)
    if len(found) > 1:
        raise _two_ways(name, list(found))
    if not found:
        raise _means_nothing(connection, ways, there)
    return next(iter(found))


def _meant(connection: Connection, found: Model, way: Meaning) -> tuple[str, int | None] | None:
    """Return what one way of reading a name means; None where it means nothing."""
    if way.alias is not None:
        number = found.aliases.get(way.alias)
        return None if number is None else (found.name, number)
    if way.number is None:
        return found.name, None
    row = connection.execute(_VERSION, {"name": found.name, "number": way.number}).first()
    return None if row is None else (found.name, way.number)


def _two_ways(name: str, found: Sequence[tuple[str, int | None]]) -> Error:
    shown = [f"the model {one!r}" if n is None else f"{one}/{n}" for one, n in found]
    exact = [f"{one}/{'N' if n is None else n}" for one, n in found]
    return Error(
        f"{name!r} can mean {' or '.join(shown)}", hint=f"write {' or '.join(exact)}"
    )  # fmt: skip


def _means_nothing(
    connection: Connection, ways: Sequence[Meaning], there: dict[str, Model]
) -> Error:
    """Return the error of a name of which no way to read it means something."""
    way = next((one for one in reversed(ways) if one.model in there), ways[-1])
    if way.model not in there:
        return no_model(connection, way.model)
    if way.alias is None:
        return NoVersion(way.model, way.number, newest=there[way.model].newest)
    aliases = there[way.model].aliases
    hint = did_you_mean(way.alias, aliases) or f"it has {_listed(aliases)}"
    return NoAlias(way.model, way.alias, hint=hint)

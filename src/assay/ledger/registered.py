"""Read registered models and versions in a transaction of the caller: one select a table.

However many there are, models take four selects and versions three. A deleted model or version
is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, tuple_

from assay.base.errors import Error, did_you_mean
from assay.ledger.found import within
from assay.ledger.model_names import Meaning, NoAlias, NoModel, NoVersion, meanings
from assay.ledger.models import Model, Version
from assay.ledger.tables import alias, model, model_tag, version, version_tag

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row, Select

_MOST_KEYS = 5_000  # SQLite takes 32,766 values in a statement


def models(connection: Connection, query: Select[Any]) -> list[Model]:
    """Return the models that a select of whole rows of `model` gives, in its order.

    The query leaves deleted ones out: `model.c.deleted.is_(None)`.
    """
    rows = connection.execute(query).all()
    names = [row.name for row in rows]
    aliases: dict[str, dict[str, int]] = {}
    tags: dict[str, dict[str, str]] = {}
    newest: dict[str, int] = {}
    if names:
        these = within(connection, alias.c.model, names)
        of_aliases = select(alias.c.model, alias.c.name, alias.c.version).where(these)
        for name, key, number in connection.execute(of_aliases.order_by(alias.c.name)):
            aliases.setdefault(name, {})[key] = number
        these = within(connection, model_tag.c.model, names)
        of_tags = select(model_tag.c.model, model_tag.c.key, model_tag.c.value).where(these)
        for name, key, value in connection.execute(of_tags.order_by(model_tag.c.key)):
            tags.setdefault(name, {})[key] = value
        there = (within(connection, version.c.model, names), version.c.deleted.is_(None))
        highest = select(version.c.model, func.max(version.c.number)).where(*there)
        by_model = highest.group_by(version.c.model)
        newest = {row[0]: row[1] for row in connection.execute(by_model)}
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


def versions(connection: Connection, query: Select[Any]) -> list[Version]:
    """Return the versions that a select of whole rows of `version` gives, in its order.

    The query leaves deleted ones out: `version.c.deleted.is_(None)`.
    """
    rows = connection.execute(query).all()
    keys = [(row.model, row.number) for row in rows]
    aliases = _aliases(connection, keys)
    tags = _tags(connection, keys)
    return [
        _as_version(row, aliases=aliases.get(key, []), tags=tags.get(key, {}))
        for key, row in zip(keys, rows, strict=True)
    ]


def _aliases(
    connection: Connection, keys: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], list[str]]:
    found: dict[tuple[str, int], list[str]] = {}
    names = dict.fromkeys(name for name, _ in keys)
    if names:
        query = select(alias.c.model, alias.c.version, alias.c.name)
        query = query.where(within(connection, alias.c.model, names)).order_by(alias.c.name)
        for name, number, one in connection.execute(query):
            found.setdefault((name, number), []).append(one)
    return found


def _tags(
    connection: Connection, keys: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], dict[str, str]]:
    found: dict[tuple[str, int], dict[str, str]] = {}
    table = version_tag
    query = select(table.c.model, table.c.version, table.c.key, table.c.value)
    for some in _in_parts(keys):
        these = query.where(tuple_(table.c.model, table.c.version).in_(some))
        for name, number, key, value in connection.execute(these.order_by(table.c.key)):
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
    found = models(connection, model.select().where(model.c.name == name, _is_there()))
    if not found:
        raise no_model(connection, name)
    return found[0]


def check_model(connection: Connection, name: str) -> None:
    """Raise `NoModel` where there is no such model; keep others from changing it until the end."""
    query = select(model.c.name).where(model.c.name == name, _is_there()).with_for_update()
    if connection.execute(query).first() is None:
        raise no_model(connection, name)


def no_model(connection: Connection, name: str) -> NoModel:
    """Return the error of a model that is not there, with the name that is near."""
    known = connection.execute(select(model.c.name).where(_is_there())).scalars()
    hint = did_you_mean(name, known) or "'assay model list' shows the models of this ledger"
    return NoModel(name, hint=hint)


def _is_there() -> Any:
    return model.c.deleted.is_(None)


def get_version(connection: Connection, name: str, number: int) -> Version:
    """Return a version of a model, or raise `NoVersion`, or `NoModel`."""
    one = (version.c.model == name, version.c.number == number, version.c.deleted.is_(None))
    found = versions(connection, version.select().where(*one))
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


def newest_by_stage(connection: Connection, names: Sequence[str]) -> dict[str, list[Version]]:
    """Return the newest version of each of MLflow's stages of models, by model and number."""
    if not names:
        return {}
    stage = func.coalesce(version.c.stage, "None")
    there = (within(connection, version.c.model, names), version.c.deleted.is_(None))
    highest = select(version.c.model, func.max(version.c.number).label("number")).where(*there)
    newest = highest.group_by(version.c.model, stage).subquery()
    is_newest = (newest.c.model == version.c.model) & (newest.c.number == version.c.number)
    query = version.select().join(newest, is_newest)
    found: dict[str, list[Version]] = {}
    for one in versions(connection, query.order_by(version.c.model, version.c.number)):
        found.setdefault(one.model, []).append(one)
    return found


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
    query = model.select().where(model.c.name.in_(names), _is_there())
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
    one = (version.c.model == found.name, version.c.number == way.number)
    query = select(version.c.number).where(*one, version.c.deleted.is_(None))
    return None if connection.execute(query).first() is None else (found.name, way.number)


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

"""Registered models, their numbered versions, and the aliases that move over them.

A version is named `MODEL/3` or `MODEL@3`, `MODEL@ALIAS`, or `MODEL` for the newest. A number is
never given twice as long as the model is there, not even after its version was deleted.

Each function here is a transaction of its own; those that join several are in
`assay.ledger.registered`, which reads, and `assay.ledger.registry`, which changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from assay.base.clock import now_ms
from assay.ledger import model_names
from assay.ledger.askable import askable
from assay.ledger.model_names import NoVersion

if TYPE_CHECKING:
    from sqlalchemy import Connection

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
    """A numbered bundle under a registered name, or a model that another tool made.

    Attributes
    ----------
    bundle : str or None
        The oid of its bundle.json.
    source : str or None
        Where it came from, as a URI.
    stage : str
        MLflow's: None, Staging, Production or Archived.
    model_id : str or None
        The logged model that it was made of.
    artifact_uri : str or None
        Where its files are, if `source` does not say.
    foreign_run : str or None
        The id of its run where that is not in this ledger.
    """

    model: str
    number: int
    bundle: str | None
    source: str | None
    run: str | None
    description: str | None
    status: VersionStatus
    status_message: str | None
    created: int
    updated: int
    aliases: tuple[str, ...]
    tags: dict[str, str]
    stage: str = "None"
    owner: str | None = None
    run_link: str | None = None
    model_id: str | None = None
    artifact_uri: str | None = None
    foreign_run: str | None = None

    @property
    def name(self) -> str:
        """How people write it: MODEL/3."""
        return f"{self.model}/{self.number}"

    @property
    def thing(self) -> str:
        """Its name in the lineage."""
        return f"version:{self.name}"


@askable
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
    owner: str | None = None,
    model_id: str | None = None,
    at: int | None = None,
) -> Version:
    """Add a version to a model, which is made where it is new, and return it.

    Its number is one above the highest that was ever given. The edges bundle → version and,
    where `run` is given, run → version are written with it.
    """
    from assay.ledger import registered, registry

    moment = now_ms() if at is None else at
    with ledger.write() as connection:
        is_new = not registry.touch_model(connection, model, at=moment)
        if is_new:
            model_names.check_model(model)
            registry.make_model(connection, model, at=moment)
        number = registry.add_version(
            connection, model, bundle=bundle, source=source, run=run, description=description,
            status=status, tags=tags, owner=owner, model_id=model_id, at=moment,
        )  # fmt: skip
        return registered.get_version(connection, model, number)


@askable
def get_model(ledger: Ledger, name: str) -> Model:
    """Return a registered model."""
    from assay.ledger import registered

    with ledger.read() as connection:
        return registered.get_model(connection, name)


@askable
def list_models(ledger: Ledger) -> list[Model]:
    """Return all registered models by name."""
    from assay.ledger import registered
    from assay.ledger.tables import model

    with ledger.read() as connection:
        query = model.select().where(model.c.deleted.is_(None))
        return registered.models(connection, query.order_by(model.c.name))


@askable
def get_version(ledger: Ledger, name: str) -> Version:
    """Return the version that `MODEL/3`, `MODEL@ALIAS` or `MODEL` names."""
    from assay.ledger import registered

    with ledger.read() as connection:
        return registered.get_version(connection, *resolve(connection, name))


def find_named(ledger: Ledger, name: str) -> Model | Version:
    """Return what a name means: a model, if no version of it is named."""
    model, number = meaning(ledger, name)
    return get_model(ledger, model) if number is None else get_version(ledger, f"{model}/{number}")


@askable
def meaning(ledger: Ledger, name: str) -> tuple[str, int | None]:
    """Return the model and the number that a name means; None where it means the model."""
    from assay.ledger import registered

    with ledger.read() as connection:
        return registered.resolve(connection, name)


@askable
def list_versions(ledger: Ledger, model: str) -> list[Version]:
    """Return the versions of a model, newest first."""
    from assay.ledger import registered
    from assay.ledger.tables import version

    with ledger.read() as connection:
        query = version.select().where(version.c.model == model, version.c.deleted.is_(None))
        found = registered.versions(connection, query.order_by(version.c.number.desc()))
        if not found:
            registered.get_model(connection, model)  # or raise
        return found


@askable
def find_versions(ledger: Ledger, *, bundle: str | None = None) -> list[Version]:
    """Return the versions of all models, by model and number: those of a bundle, or all."""
    from assay.ledger import registered
    from assay.ledger.tables import version

    query = version.select().where(version.c.deleted.is_(None))
    if bundle is not None:
        query = query.where(version.c.bundle == bundle)
    with ledger.read() as connection:
        return registered.versions(connection, query.order_by(version.c.model, version.c.number))


@askable
def delete_version(ledger: Ledger, name: str, *, at: int | None = None) -> None:
    """Delete a version; its aliases become free, its number is not given again."""
    from assay.ledger import registry

    with ledger.write() as connection:
        model, number = resolve(connection, name)
        registry.delete_version(connection, model, number, at=now_ms() if at is None else at)


@askable
def delete_model(ledger: Ledger, name: str, *, at: int | None = None) -> None:
    """Delete a model with its versions; one that an endpoint answers with is an error."""
    from assay.ledger import registry

    with ledger.write() as connection:
        registry.delete_model(connection, name, at=now_ms() if at is None else at)


def rename_model(ledger: Ledger, name: str, new_name: str, *, at: int | None = None) -> None:
    """Give a model another name, wherever the ledger names it or a version of it."""
    from assay.ledger import registry

    model_names.check_model(new_name)
    with ledger.write() as connection:
        registry.rename_model(connection, name, new_name, at=now_ms() if at is None else at)


@askable
def describe_version(
    ledger: Ledger,
    version: Version,
    *,
    description: str | None = None,
    tags: Mapping[str, str] | None = None,
    at: int | None = None,
) -> None:
    """Change what a version says of itself; what is not given stays."""
    from assay.ledger import registry

    tags = tags or {}
    if description is None and tags.items() <= version.tags.items():
        return
    text = version.description if description is None else description
    moment = now_ms() if at is None else at
    with ledger.write() as connection:
        registry.describe_version(
            connection, version.model, version.number, description=text, at=moment
        )
        registry.set_version_tags(connection, version.model, version.number, tags)


@askable
def change_tags(
    ledger: Ledger,
    name: str,
    *,
    tags: Mapping[str, str] | None = None,
    remove: Sequence[str] = (),
) -> None:
    """Set tags of a model or a version, and take others away, all or nothing."""
    from assay.ledger import registered, registry

    with ledger.write() as connection:
        model, number = registered.resolve(connection, name)
        if number is None:
            registry.delete_model_tags(connection, model, remove)
            registry.set_model_tags(connection, model, tags or {})
        else:
            registry.delete_version_tags(connection, model, number, remove)
            registry.set_version_tags(connection, model, number, tags or {})


@askable
def set_alias(
    ledger: Ledger, model: str, alias: str, *, version: int, at: int | None = None
) -> None:
    """Let an alias name a version, whichever it named before."""
    from assay.ledger import registry

    model_names.check_alias(alias)
    with ledger.write() as connection:
        registry.set_alias(connection, model, alias, version, at=now_ms() if at is None else at)


@askable
def get_alias(ledger: Ledger, model: str, alias: str) -> Version:
    """Return the version that an alias of a model names."""
    from assay.ledger import registered

    with ledger.read() as connection:
        return registered.get_by_alias(connection, model, alias)


@askable
def delete_alias(ledger: Ledger, model: str, alias: str) -> None:
    """Take an alias away; it may be gone already."""
    from assay.ledger import registry

    with ledger.write() as connection:
        registry.delete_alias(connection, model, alias)


def resolve(connection: Connection, name: str) -> tuple[str, int]:
    """Return the model and the number that `MODEL/3`, `MODEL@ALIAS` or `MODEL` stands for."""
    from assay.ledger import registered

    model, number = registered.resolve(connection, name)
    if number is None:
        number = registered.get_model(connection, model).newest
    if number is None:
        raise NoVersion(model, None)
    return model, number

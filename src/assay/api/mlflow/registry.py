"""Registered models: create, change, delete, name versions by aliases.

Source: MLflow REST API 2.0, `registered-models/*`; `assay.api.mlflow.versions` has
`model-versions/*`, `assay.api.mlflow.searches` the searches of both.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from assay.api.hub import Hub
from assay.api.mlflow import keys, model_names, versions
from assay.api.mlflow.asks import Tag, needs
from assay.api.mlflow.calls import call, write
from assay.api.mlflow.errors import Refused, exists, invalid, missing
from assay.api.mlflow.registered import RegisteredModel, model_message, version_message
from assay.api.mlflow.sources import IS_PROMPT
from assay.base.clock import now_ms
from assay.ledger import registered, registry
from assay.ledger.model_names import STAGES, ModelTaken, NoAlias, NoModel

if TYPE_CHECKING:
    from sqlalchemy import Connection

Answer = dict[str, Any]


class CreateModel(msgspec.Struct, frozen=True, kw_only=True):
    """What `registered-models/create` asks."""

    name: str
    tags: list[Tag] = []
    description: str = ""


class Name(msgspec.Struct, frozen=True, kw_only=True):
    """A model."""

    name: str


class DescribeModel(Name, frozen=True, kw_only=True):
    """What `registered-models/update` asks; no description is an empty one."""

    description: str = ""


class RenameModel(Name, frozen=True, kw_only=True):
    """What `registered-models/rename` asks."""

    new_name: str


class SetTag(Name, frozen=True, kw_only=True):
    """What `registered-models/set-tag` asks."""

    key: str
    value: str = ""


class DeleteTag(Name, frozen=True, kw_only=True):
    """What `registered-models/delete-tag` asks."""

    key: str


class AliasName(Name, frozen=True, kw_only=True):
    """What asks for the version that an alias names, or for its end."""

    alias: str


class SetAlias(AliasName, frozen=True, kw_only=True):
    """What `registered-models/alias` asks by POST."""

    version: str


class LatestVersions(Name, frozen=True, kw_only=True):
    """What `registered-models/get-latest-versions` asks."""

    stages: list[str] = []


@contextlib.contextmanager
def in_words_of_mlflow() -> Iterator[None]:
    """Let the ledger's errors say what MLflow's users know."""
    try:
        yield
    except NoModel as error:
        raise missing(f"Registered Model with name={error.model} not found") from None
    except NoAlias as error:
        raise invalid(f"Registered model alias {error.alias} not found.") from None


@write("POST", "/mlflow/registered-models/create")
def create(_: Hub, ask: CreateModel, connection: Connection) -> Answer:
    """Make a model."""
    needs(ask, "name")
    model_names.check_model(ask.name)
    tags = model_names.check_tags(ask.tags)
    try:
        made = registry.create_model(
            connection, ask.name, description=ask.description, tags=tags, at=now_ms()
        )
    except ModelTaken:
        there = registered.get_model(connection, ask.name)
        raise _taken(ask.name, is_prompt(tags), is_prompt(there.tags)) from None
    return {"registered_model": model_message(made, ())}


def is_prompt(tags: dict[str, str]) -> bool:
    """Tell whether the tags of a model say that it is a prompt."""
    return tags.get(IS_PROMPT, "").lower() == "true"


def _taken(name: str, is_new_prompt: bool, is_old_prompt: bool) -> Refused:
    new, old = ("Prompt" if one else "Registered Model" for one in (is_new_prompt, is_old_prompt))
    if new == old:
        return exists(f"{new} (name={name}) already exists.")
    return exists(
        f"Tried to create a {new.lower()} with name {name!r}, but the name is already taken by a "
        f"{old.lower()}. MLflow does not allow creating a model and a prompt with the same name."
    )


@call("GET", "/mlflow/registered-models/get")
def get(hub: Hub, ask: Name) -> Answer:
    """Return a model with its tags, its aliases, and the newest version of each stage."""
    needs(ask, "name")
    model_names.check_model(ask.name)
    with hub.ledger.read() as connection:
        return _answer(connection, ask.name)


def _answer(connection: Connection, name: str) -> Answer:
    return {"registered_model": _message(connection, name)}


def _message(connection: Connection, name: str) -> RegisteredModel:
    with in_words_of_mlflow():
        model = registered.get_model(connection, name)
    latest = registered.newest_by_stage(connection, [name]) if model.newest else {}
    return model_message(model, latest.get(name, ()))


@write("PATCH", "/mlflow/registered-models/update")
def update(_: Hub, ask: DescribeModel, connection: Connection) -> Answer:
    """Say another thing of a model."""
    needs(ask, "name")
    model_names.check_model(ask.name)
    with in_words_of_mlflow():
        registry.describe_model(connection, ask.name, description=ask.description, at=now_ms())
    return _answer(connection, ask.name)


@write("POST", "/mlflow/registered-models/rename")
def rename(_: Hub, ask: RenameModel, connection: Connection) -> Answer:
    """Give a model another name; its versions, tags, aliases and deployments go with it."""
    needs(ask, "name", "new_name")
    model_names.check_model(ask.new_name, parameter="new_name")
    model_names.check_model(ask.name)
    try:
        with in_words_of_mlflow():
            registry.rename_model(connection, ask.name, ask.new_name, at=now_ms())
    except ModelTaken as error:
        why = f" {error.hint}." if error.hint else ""
        raise exists(f"Registered Model (name={ask.new_name}) already exists.{why}") from None
    return _answer(connection, ask.new_name)


@write("DELETE", "/mlflow/registered-models/delete")
def delete(_: Hub, ask: Name, connection: Connection) -> None:
    """Delete a model with its versions; not one that an endpoint answers with."""
    needs(ask, "name")
    model_names.check_model(ask.name)
    with in_words_of_mlflow():
        registry.delete_model(connection, ask.name, at=now_ms())


@write("POST", "/mlflow/registered-models/set-tag")
def set_tag(_: Hub, ask: SetTag, connection: Connection) -> None:
    """Set a tag of a model."""
    needs(ask, "name", "key")
    model_names.check_model(ask.name)
    tags = model_names.check_tags([Tag(key=ask.key, value=ask.value)])
    with in_words_of_mlflow():
        registry.set_model_tags(connection, ask.name, tags)


@write("DELETE", "/mlflow/registered-models/delete-tag")
def delete_tag(_: Hub, ask: DeleteTag, connection: Connection) -> None:
    """Take a tag of a model away; it may be gone already."""
    needs(ask, "name", "key")
    model_names.check_model(ask.name)
    keys.check(ask.key)
    with in_words_of_mlflow():
        registry.delete_model_tags(connection, ask.name, [ask.key])


@write("POST", "/mlflow/registered-models/alias")
def set_alias(_: Hub, ask: SetAlias, connection: Connection) -> None:
    """Let an alias name a version, whichever it named before."""
    needs(ask, "name", "alias", "version")
    model_names.check_model(ask.name)
    model_names.check_new_alias(ask.alias)
    number = model_names.check_number(ask.version)
    with versions.in_words_of_mlflow(ask.name, ask.version):
        registry.set_alias(connection, ask.name, ask.alias, number, at=now_ms())


@write("DELETE", "/mlflow/registered-models/alias")
def delete_alias(_: Hub, ask: AliasName, connection: Connection) -> None:
    """Take an alias away; it may be gone already."""
    needs(ask, "name", "alias")
    model_names.check_model(ask.name)
    model_names.check_alias(ask.alias)
    with in_words_of_mlflow():
        registry.delete_alias(connection, ask.name, ask.alias)


@call("GET", "/mlflow/registered-models/alias")
def get_by_alias(hub: Hub, ask: AliasName) -> Answer:
    """Return the version that an alias names; 'latest' names the one of the highest number."""
    needs(ask, "name", "alias")
    model_names.check_model(ask.name)
    model_names.check_alias(ask.alias)
    with hub.ledger.read() as connection, in_words_of_mlflow():
        if ask.alias.lower() != "latest":
            found = registered.get_by_alias(connection, ask.name, ask.alias)
            return {"model_version": version_message(found)}
        newest = registered.get_model(connection, ask.name).newest
        if newest is None:
            raise missing(f"Latest version not found for model {ask.name}.")
        found = registered.get_version(connection, ask.name, newest)
        return {"model_version": version_message(found)}


@call("GET", "/mlflow/registered-models/get-latest-versions")
def get_latest_versions(hub: Hub, ask: LatestVersions) -> Answer:
    """Return the newest version of each stage, or of those that are asked for."""
    needs(ask, "name")
    model_names.check_model(ask.name)
    with hub.ledger.read() as connection, in_words_of_mlflow():
        registered.get_model(connection, ask.name)
        stages: Sequence[str] = [model_names.check_stage(one) for one in ask.stages] or STAGES
        newest = registered.newest_by_stage(connection, [ask.name], with_aliases=True)
        found = newest.get(ask.name, [])
    shown = [version_message(one) for one in found if one.stage in stages]
    return {"model_versions": shown} if shown else {}


@call("POST", "/mlflow/registered-models/get-latest-versions")
def post_latest_versions(hub: Hub, ask: LatestVersions) -> Answer:
    """Answer as `get_latest_versions` does."""
    return get_latest_versions(hub, ask)

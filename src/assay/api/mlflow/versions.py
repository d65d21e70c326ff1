"""Versions of registered models: create, change, delete, and where their files are.

Source: MLflow REST API 2.0, `model-versions/*`. MLflow's server keeps a version whose logged model
it then does not find, and answers 500 to what never heals; here nothing is kept, and it is a 4xx.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from assay.api.hub import Hub
from assay.api.mlflow import keys, model_names, sources
from assay.api.mlflow.asks import Tag, needs
from assay.api.mlflow.calls import call, write
from assay.api.mlflow.errors import invalid, missing
from assay.api.mlflow.registered import download_uri, version_message
from assay.base.clock import now_ms
from assay.ledger import registered, registry, rows
from assay.ledger.model_names import NoModel, NoVersion

if TYPE_CHECKING:
    from sqlalchemy import Connection

Answer = dict[str, Any]
_OF_LOGGED_MODEL = "mlflow.modelVersions"


class CreateVersion(msgspec.Struct, frozen=True, kw_only=True):
    """What `model-versions/create` asks."""

    name: str
    source: str
    run_id: str | None = None
    tags: list[Tag] = []
    run_link: str = ""
    description: str = ""
    model_id: str | None = None


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a model."""

    name: str
    version: str


class MaybeNamed(msgspec.Struct, frozen=True, kw_only=True):
    """What `model-versions/get-download-uri` asks, where MLflow names no field required."""

    name: str = ""
    version: str = ""


class Describe(Named, frozen=True, kw_only=True):
    """What `model-versions/update` asks; no description takes away what was said."""

    description: str | None = None


class Move(Named, frozen=True, kw_only=True):
    """What `model-versions/transition-stage` asks."""

    stage: str
    archive_existing_versions: bool = False


class SetTag(Named, frozen=True, kw_only=True):
    """What `model-versions/set-tag` asks."""

    key: str
    value: str = ""


class DeleteTag(Named, frozen=True, kw_only=True):
    """What `model-versions/delete-tag` asks."""

    key: str


@contextlib.contextmanager
def in_words_of_mlflow(name: str, version: str) -> Iterator[None]:
    """Let the ledger's errors of a version say what MLflow's users know."""
    try:
        yield
    except (NoModel, NoVersion):
        number = int(version)
        raise missing(f"Model Version (name={name}, version={number}) not found") from None


def _checked(ask: Named, *fields: str) -> int:
    """Return the number of the version that is asked for."""
    needs(ask, "name", "version", *fields)
    model_names.check_model(ask.name)
    return model_names.check_number(ask.version)


@write("POST", "/mlflow/model-versions/create")
def create(_: Hub, ask: CreateVersion, connection: Connection) -> Answer:
    """Add a version to a model."""
    needs(ask, "name", "source")
    tags = {tag.key: tag.value for tag in ask.tags}
    is_prompt = tags.get(sources.IS_PROMPT, "").lower() == "true"
    origin = sources.origin(
        connection, ask.source, run=ask.run_id, model_id=ask.model_id, is_prompt=is_prompt
    )
    model_names.check_model(ask.name)
    model_names.check_tags(ask.tags)
    moment = now_ms()
    if not registry.touch_model(connection, ask.name, at=moment):
        raise missing(f"Registered Model with name={ask.name} not found")
    is_here = _has_run(connection, origin.run)
    number = registry.add_version(
        connection,
        ask.name,
        source=origin.source,
        run=origin.run if is_here else None,
        foreign_run=None if is_here or not origin.run else origin.run,
        description=ask.description,
        tags=tags,
        run_link=ask.run_link,
        model_id=origin.model_id or None,
        artifact_uri=origin.artifact_uri,
        at=moment,
    )
    if origin.model_id:
        _tell_logged_model(connection, origin.model_id, ask.name, number)
    made = registered.get_version(connection, ask.name, number)
    return {"model_version": version_message(made)}


def _has_run(connection: Connection, run: str) -> bool:
    from sqlalchemy import select

    from assay.ledger.tables import run as table

    query = select(table.c.id).where(table.c.id == run)
    return bool(run) and connection.execute(query).first() is not None


def _tell_logged_model(connection: Connection, model_id: str, name: str, number: int) -> None:
    """Add a version to the tag of a logged model that lists them."""
    from sqlalchemy import select

    from assay.ledger.tables import logged_model_tag as table

    key = (table.c.model_id == model_id, table.c.key == _OF_LOGGED_MODEL)
    text = connection.execute(select(table.c.value).where(*key)).scalar()
    with contextlib.suppress(ValueError):
        known = json.loads(text or "[]")
        if isinstance(known, list):
            listed = json.dumps([*known, {"name": name, "version": number}])
            owner = {"model_id": model_id}
            rows.put_tags(connection, table, owner, {_OF_LOGGED_MODEL: listed})


@call("GET", "/mlflow/model-versions/get")
def get(hub: Hub, ask: Named) -> Answer:
    """Return a version."""
    number = _checked(ask)
    with hub.ledger.read() as connection:
        return _answer(connection, ask, number)


def _answer(connection: Connection, ask: Named, number: int) -> Answer:
    with in_words_of_mlflow(ask.name, ask.version):
        found = registered.get_version(connection, ask.name, number)
    return {"model_version": version_message(found)}


@write("PATCH", "/mlflow/model-versions/update")
def update(_: Hub, ask: Describe, connection: Connection) -> Answer:
    """Say another thing of a version."""
    number = _checked(ask)
    with in_words_of_mlflow(ask.name, ask.version):
        registry.describe_version(
            connection, ask.name, number, description=ask.description, at=now_ms()
        )
    return _answer(connection, ask, number)


@write("POST", "/mlflow/model-versions/transition-stage")
def transition_stage(_: Hub, ask: Move, connection: Connection) -> Answer:
    """Bring a version to a stage."""
    number = _checked(ask, "stage")
    stage = model_names.check_stage(ask.stage)
    if ask.archive_existing_versions and stage not in {"Staging", "Production"}:
        raise invalid(
            "Model version transition cannot archive existing model versions because "
            f"'{ask.stage}' is not an Active stage. Valid stages are ['Staging', 'Production']"
        )
    with in_words_of_mlflow(ask.name, ask.version):
        registry.move_version(
            connection,
            ask.name,
            number,
            stage=stage,
            archive_others=ask.archive_existing_versions,
            at=now_ms(),
        )
    return _answer(connection, ask, number)


@write("DELETE", "/mlflow/model-versions/delete")
def delete(_: Hub, ask: Named, connection: Connection) -> None:
    """Delete a version; not one that an endpoint answers with."""
    number = _checked(ask)
    with in_words_of_mlflow(ask.name, ask.version):
        registry.delete_version(connection, ask.name, number, at=now_ms())


@call("GET", "/mlflow/model-versions/get-download-uri")
def get_download_uri(hub: Hub, ask: MaybeNamed) -> Answer:
    """Return where the files of a version are."""
    model_names.check_model(ask.name)
    number = model_names.check_number(ask.version)
    with hub.ledger.read() as connection, in_words_of_mlflow(ask.name, ask.version):
        uri = download_uri(registered.get_version(connection, ask.name, number))
    return {} if uri is None else {"artifact_uri": uri}


@write("POST", "/mlflow/model-versions/set-tag")
def set_tag(_: Hub, ask: SetTag, connection: Connection) -> None:
    """Set a tag of a version."""
    number = _checked(ask, "key")
    tags = model_names.check_tags([Tag(key=ask.key, value=ask.value)])
    with in_words_of_mlflow(ask.name, ask.version):
        registry.set_version_tags(connection, ask.name, number, tags)


@write("DELETE", "/mlflow/model-versions/delete-tag")
def delete_tag(_: Hub, ask: DeleteTag, connection: Connection) -> None:
    """Take a tag of a version away; it may be gone already."""
    number = _checked(ask, "key")
    keys.check(ask.key)
    with in_words_of_mlflow(ask.name, ask.version):
        registry.delete_version_tags(connection, ask.name, number, [ask.key])

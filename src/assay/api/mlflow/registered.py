"""Registered models and versions in MLflow's JSON.

Source: MLflow's messages `RegisteredModel` and `ModelVersion`, as its server 3.17 answers them:
`user_id`, `model_id`, `model_params` and `model_metrics` of a version are declared there, and not
sent. What a search gives has its aliases here, which MLflow's leaves out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from assay.api.mlflow.asks import Tag, pairs

if TYPE_CHECKING:
    from assay.ledger.models import Model, Version

STATUS = {"pending": "PENDING_REGISTRATION", "failed": "FAILED_REGISTRATION", "ready": "READY"}


class Alias(msgspec.Struct, frozen=True, kw_only=True):
    """A name of a version."""

    alias: str
    version: str


class ModelVersion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A version as MLflow's clients read it."""

    name: str
    version: str
    creation_timestamp: int
    last_updated_timestamp: int
    current_stage: str
    description: str | None = None
    source: str | None = None
    run_id: str
    status: str
    status_message: str | None = None
    tags: list[Tag] = []
    run_link: str
    aliases: list[str] = []


class RegisteredModel(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model as MLflow's clients read it; the newest version of each stage comes with it."""

    name: str
    creation_timestamp: int
    last_updated_timestamp: int
    description: str | None = None
    latest_versions: list[ModelVersion] = []
    tags: list[Tag] = []
    aliases: list[Alias] = []


def version_message(version: Version, *, with_aliases: bool = True) -> ModelVersion:
    """Translate a version."""
    return ModelVersion(
        name=version.model,
        version=str(version.number),
        creation_timestamp=version.created,
        last_updated_timestamp=version.updated,
        current_stage=version.stage,
        description=version.description,
        source=version.source or download_uri(version),
        run_id=version.run or version.foreign_run or "",
        status=STATUS[version.status],
        status_message=version.status_message,
        tags=pairs(version.tags),
        run_link=version.run_link or "",
        aliases=[*version.aliases] if with_aliases else [],
    )


def model_message(model: Model, latest: Sequence[Version]) -> RegisteredModel:
    """Translate a model, with the newest version of each stage."""
    return RegisteredModel(
        name=model.name,
        creation_timestamp=model.created,
        last_updated_timestamp=model.updated,
        description=model.description or None,
        latest_versions=[version_message(one, with_aliases=False) for one in latest],
        tags=pairs(model.tags),
        aliases=[Alias(alias=name, version=str(one)) for name, one in model.aliases.items()],
    )


def download_uri(version: Version) -> str | None:
    """Return where the files of a version are.

    A bundle's are below `bundles/` in the tree of the hub, by its id: see `bundle_uri`.
    """
    if version.artifact_uri or version.source:
        return version.artifact_uri or version.source
    return None if version.bundle is None else bundle_uri(version.bundle)


def bundle_uri(bundle: str) -> str:
    """Return the URI of a bundle's files in the tree of the hub.

    Examples
    --------
    >>> bundle_uri("sha256:5e")
    'mlflow-artifacts:/bundles/5e'
    """
    return f"mlflow-artifacts:/bundles/{bundle.removeprefix('sha256:')}"

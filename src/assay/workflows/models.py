"""What `assay model show/alias/delete`, `deploy` and `rollback` do.

`assay.deploy.registry` makes a bundle a version of a model, `assay.workflows.model_tags` changes
tags, `assay.workflows.version_diff` says what differs between two.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.errors import Negative, NotFound, Usage, did_you_mean
from assay.base.progress import counted
from assay.deploy import deploy as deploying
from assay.deploy import verdicts
from assay.deploy.deploy import ALIAS, Deployed
from assay.deploy.verdicts import VERDICT
from assay.ledger import model_names, models
from assay.ledger.models import Model, Version
from assay.project import declaration
from assay.project.settings import has_ledger, ledger_where
from assay.project.workspace import Project
from assay.workflows.model_tags import metrics_of

if TYPE_CHECKING:
    from assay.deploy.registry import Registered
    from assay.ledger.database import Ledger


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A version with what its tags say, and where it answers.

    Attributes
    ----------
    metrics : dict
        As they were when it was registered.
    gate, comparison : str or None
        The oids of what the gate wrote.
    endpoints : tuple of str
        Where it is deployed now.
    """

    version: Version
    metrics: dict[str, Any]
    verdict: str | None
    gate: str | None
    comparison: str | None
    endpoints: tuple[str, ...]


def open_ledger(project: Project, *, create: bool = False) -> Ledger:
    """Open the ledger of a project, or in a stage that of its run."""
    from assay.ledger import database

    where = os.environ.get("ASSAY_LEDGER") or ledger_where(project)
    return database.open_ledger(where, create=create)


def get(ledger: Ledger, ref: str) -> Version:
    """Return the version that `MODEL@3`, `MODEL/3`, `MODEL@ALIAS` or `MODEL` names."""
    return models.get_version(ledger, ref)


def find_version(ledger: Ledger, name: str) -> Version | None:
    """Return the version that a name means; None where it means a model."""
    found = models.find_named(ledger, name)
    return found if isinstance(found, Version) else None


def is_prompt(model: Model) -> bool:
    """Tell whether a client of MLflow keeps a prompt under this name."""
    return model.tags.get("mlflow.prompt.is_prompt", "").lower() == "true"


def show(ledger: Ledger, version: Version) -> Shown:
    """Return a version with its metrics, verdict and endpoints."""
    return _shown([version], ledger)[0]


def show_model(ledger: Ledger, name: str) -> tuple[Model, list[Shown]]:
    """Return a model with its versions, newest first."""
    model = models.get_model(ledger, name)
    return model, _shown(models.list_versions(ledger, name), ledger)


def _shown(versions: Sequence[Version], ledger: Ledger) -> list[Shown]:
    from assay.ledger import deployments

    endpoints_of: dict[tuple[str, int], list[str]] = {}
    for one in deployments.list_deployments(ledger, live=True):
        endpoints_of.setdefault((one.model, one.version), []).append(one.endpoint)
    return [
        Shown(
            version=version,
            metrics=metrics_of(version) or {},
            verdict=version.tags.get(VERDICT),
            gate=version.tags.get("gate"),
            comparison=version.tags.get("comparison"),
            endpoints=tuple(sorted(endpoints_of.get((version.model, version.number), ()))),
        )
        for version in versions
    ]


def register(
    project: Project,
    ref: str,
    *,
    name: str | None = None,
    alias: str | None = None,
    description: str | None = None,
) -> Registered:
    """Make a bundle a version of a model: of the project's, or of the hub's that it records to."""
    from assay.deploy import registry
    from assay.ledger.sdk import places
    from assay.workflows import hub_records

    place = places.find(project)
    if place.is_hub:
        hub_records.send(project, place)
    return registry.register(
        project, ref, name=name, alias=alias, description=description, place=place
    )


def set_alias(ledger: Ledger, model: str, alias: str, *, version: str | None) -> Version:
    """Let an alias name a version, given as `3`, `v3`, `MODEL@3` or another alias of it.

    Without a version `model` names one: `MODEL@3`.
    """
    if version is None:
        named = find_version(ledger, model)
        if named is None:
            raise Usage(
                f"it is not said which version '{alias}' is to name",
                hint=f"assay model alias {model} {alias} VERSION",
            )
        model, version = named.model, str(named.number)
    ref = version if re.search(r"[/@]", version) else f"{model}@{version}"
    found = get(ledger, ref)
    if found.model != model:
        raise Usage(
            f"'{version}' is a version of '{found.model}', not of '{model}'",
            hint="name a version of the same model",
        )
    models.set_alias(ledger, model, alias, version=found.number)
    return get(ledger, found.name)


def delete_alias(ledger: Ledger, model: str, alias: str) -> Version:
    """Take an alias away, and return the version that it named."""
    found = models.get_alias(ledger, model, alias)
    models.delete_alias(ledger, model, alias)
    return get(ledger, found.name)


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """What was deleted: a version, or a model with all of its versions."""

    name: str
    is_version: bool
    versions: tuple[int, ...]
    aliases: tuple[str, ...]  # that are free now


def delete(ledger: Ledger, name: str, *, force: bool = False) -> Deleted:
    """Delete a model or a version.

    Raises
    ------
    Negative
        If an endpoint answers with it; or, unless it is forced, if it has an alias, was deployed
        once, or is a model with versions.
    """
    found = models.find_named(ledger, name)
    if isinstance(found, Version):
        versions, aliases = [found.number], [*found.aliases]
    else:
        versions = [one.number for one in models.list_versions(ledger, found.name)]
        aliases = [*found.aliases]
    why = _why_not(ledger, found, versions, aliases)
    if why and not force:
        raise Negative(
            f"{found.name} is not deleted: {why}", hint="to delete it all the same: --force"
        )
    if isinstance(found, Version):
        models.delete_version(ledger, found.name)
    else:
        models.delete_model(ledger, found.name)
    return Deleted(
        name=found.name,
        is_version=isinstance(found, Version),
        versions=tuple(versions),
        aliases=tuple(aliases),
    )


def _why_not(
    ledger: Ledger, found: Model | Version, versions: Sequence[int], aliases: Sequence[str]
) -> str:
    """Return why something is deleted only by force; refuse it where it is live."""
    from assay.ledger import deployments

    model = found.model if isinstance(found, Version) else found.name
    rows = [
        one
        for one in deployments.list_deployments(ledger)
        if one.model == model and one.version in versions
    ]
    for one in rows:
        if one.end is None:
            raise Negative(
                f"the endpoint '{one.endpoint}' answers with {one.model}/{one.version}",
                hint="deploy another version there first; nothing was deleted",
            )
    reasons = []
    if isinstance(found, Model) and versions:
        reasons.append(f"it has {counted(len(versions), 'version')}")
    if aliases:
        reasons.append(f"{', '.join(aliases)} {'names' if len(aliases) == 1 else 'name'} it")
    if rows:
        were = ", ".join(f"'{name}'" for name in sorted({one.endpoint for one in rows}))
        reasons.append(f"{were} answered with it")
    return "; ".join(reasons)


def deploy(
    project: Project,
    ref: str,
    *,
    to: str | None = None,
    reason: str | None = None,
    force: bool = False,
    timeout: float = deploying.TIMEOUT,
    say: Callable[[str], object] = lambda _: None,
) -> Deployed:
    """Let an endpoint answer with a version.

    Parameters
    ----------
    ref : str
        `MODEL@3`, `MODEL/3` or `MODEL@ALIAS`.
    to : str, optional
        By default the declared endpoint.
    say : callable
        Is told where the gate has not let the version pass.

    Raises
    ------
    Usage
        If no version is named.
    NotFound
        If there is no such model.
    """
    endpoint, alias = target(project, to)
    if not _has_ledger(project):
        _check_names_version([], ref)
    with open_ledger(project) as ledger:
        _check_names_version(models.list_models(ledger), ref)
        if (caution := verdicts.caution(get(ledger, ref))) is not None:
            say(caution)
        return deploying.deploy(
            ledger,
            endpoint,
            version=ref,
            objects=project.objects,
            alias=alias,
            reason=reason,
            force=force,
            timeout=timeout,
        )


def _check_names_version(known: Sequence[Model], ref: str) -> None:
    """Refuse what is no registered model, and a model without a version."""
    found = {model.name: model for model in known}
    ways = [way for way in model_names.meanings(ref) if way.model in found]
    if not ways:
        name = re.split("[@/]", ref, maxsplit=1)[0]
        bundle = shlex.quote(ref) if Path(ref).exists() else "BUNDLE"
        register = f"a bundle is registered first: assay model register {bundle}"
        hint = did_you_mean(name, found) or register
        raise NotFound(f"there is no model '{name}'", hint=hint)
    name = ref
    if any(way.model != ref for way in ways) or "/" in ref:
        return
    number = found[name].newest
    aliases = [alias for alias, version in found[name].aliases.items() if version == number]
    named = f" ({', '.join(aliases)})" if aliases else ""
    newest = "it has none yet" if number is None else f"the newest is {name}@{number}{named}"
    raise Usage(
        f"it is not said which version of '{name}' is meant",
        hint=f"write {name}@VERSION; {newest}",
    )


def _has_ledger(project: Project) -> bool:
    return "ASSAY_LEDGER" in os.environ or has_ledger(project)


def rollback(
    project: Project,
    endpoint: str | None = None,
    *,
    reason: str | None = None,
    timeout: float = deploying.TIMEOUT,
) -> Deployed:
    """Let an endpoint answer with what it answered with before."""
    name, alias = target(project, endpoint)
    if not _has_ledger(project):
        raise Negative(
            f"nothing was ever deployed to '{name}'",
            hint="deploy a version: assay deploy NAME@VERSION",
        )
    with open_ledger(project) as ledger:
        return deploying.rollback(
            ledger, name, objects=project.objects, alias=alias, reason=reason, timeout=timeout
        )


def target(project: Project, endpoint: str | None) -> tuple[str, str | None]:
    """Return the endpoint that is meant, and the alias that names what it answers with.

    The alias belongs to the endpoint that the declaration names: another one, such as `staging`
    beside it, moves none.
    """
    declared = declaration.read(project).deploy
    if endpoint is None:
        if declared is None:
            raise Usage(
                "it is not said which endpoint is meant",
                hint="name it, or write 'deploy: {endpoint: NAME}' into assay.yaml",
            )
        return declared.endpoint, declared.alias
    if declared is None:
        return endpoint, ALIAS
    return endpoint, declared.alias if endpoint == declared.endpoint else None

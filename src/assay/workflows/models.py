"""What `assay model show/alias`, `deploy` and `rollback` do.

`assay.deploy.registry` makes a bundle a version of a model.
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
from assay.deploy import deploy as deploying
from assay.deploy import endpoints, verdicts
from assay.deploy.deploy import ALIAS, Deployed
from assay.deploy.verdicts import VERDICT
from assay.ledger import models
from assay.ledger.models import Model, Version
from assay.project import declaration
from assay.project.settings import has_ledger, ledger_where
from assay.project.workspace import Project

if TYPE_CHECKING:
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
    return models.get_version(ledger, reference(ref))


def reference(ref: str) -> str:
    """Return a version's name as the ledger takes it.

    Examples
    --------
    >>> reference("bikes@3"), reference("bikes@v3"), reference("bikes@production")
    ('bikes/3', 'bikes/3', 'bikes@production')
    """
    match = re.fullmatch(r"(.+)@v?(\d{1,9})", ref)
    return f"{match[1]}/{match[2]}" if match else ref


def show(ledger: Ledger, version: Version) -> Shown:
    """Return a version with its metrics, verdict and endpoints."""
    from assay.ledger import deployments

    tags = version.tags
    here = deployments.list_deployments(ledger, live=True)
    return Shown(
        version=version,
        metrics=msgspec.json.decode(tags["metrics"]) if "metrics" in tags else {},
        verdict=tags.get(VERDICT),
        gate=tags.get("gate"),
        comparison=tags.get("comparison"),
        endpoints=tuple(
            sorted(
                one.endpoint
                for one in here
                if (one.model, one.version) == (version.model, version.number)
            )
        ),
    )


def show_model(ledger: Ledger, name: str) -> tuple[Model, list[Shown]]:
    """Return a model with its versions, newest first."""
    model = models.get_model(ledger, name)
    return model, [show(ledger, one) for one in models.list_versions(ledger, name)]


def set_alias(ledger: Ledger, model: str, alias: str, *, version: str) -> Version:
    """Let an alias name a version, given as `3`, `v3`, `MODEL@3` or another alias of it."""
    ref = version if re.search(r"[/@]", version) else f"{model}@{version}"
    found = get(ledger, ref)
    if found.model != model:
        raise Usage(
            f"'{version}' is a version of '{found.model}', not of '{model}'",
            hint="name a version of the same model",
        )
    models.set_alias(ledger, model, alias, version=found.number)
    return get(ledger, f"{model}/{found.number}")


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
            version=reference(ref),
            objects=project.objects,
            alias=alias,
            reason=reason,
            force=force,
            timeout=timeout,
        )


def _check_names_version(known: Sequence[Model], ref: str) -> None:
    """Refuse what is no registered model, and a model without a version."""
    name = re.split("[@/]", ref, maxsplit=1)[0]
    found = {model.name: model for model in known}
    if name not in found:
        bundle = shlex.quote(ref) if Path(ref).exists() else "BUNDLE"
        register = f"a bundle is registered first: assay model register {bundle}"
        hint = did_you_mean(name, found) or register
        raise NotFound(f"there is no model '{name}'", hint=hint)
    if name != ref:
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


def deployed_endpoints(project: Project) -> list[str]:
    """Return the endpoints that something was ever deployed to."""
    with open_ledger(project) as ledger:
        return endpoints.endpoints(ledger)

"""`model register/list/show/alias`, `deploy`, `rollback`, `deployments list`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from assay.base.clock import iso
from assay.cli.output import did, json_option, note, show
from assay.project import workspace

if TYPE_CHECKING:
    from assay.deploy.deploy import Deployed
    from assay.ledger.deployments import Deployment
    from assay.ledger.models import Model
    from assay.workflows.models import Shown

timeout_option = click.option(
    "--timeout",
    default=60.0,
    show_default=True,
    metavar="S",
    type=click.FloatRange(min=0),
    help="Seconds in which the servers have to be ready.",
)
reason_option = click.option("--reason", metavar="TEXT", help="Why, for the history.")


@click.group("model")
def model_group() -> None:
    """Register bundles as versions of a model, and name them."""


@model_group.command("register")
@click.argument("ref")
@click.option("--name", help="The model; by default that of assay.yaml, or of the bundle.")
@click.option("--alias", metavar="NAME", help="A name for the version, such as 'candidate'.")
@click.option("--description", metavar="TEXT", help="What is to be said of the version.")
@json_option
def register_command(
    ref: str, name: str | None, alias: str | None, description: str | None, as_json: bool
) -> int:
    """Make a bundle a version of a model.

    REF is a bundle's folder, its id or the beginning of it, or a run that made it. The same
    bundle again is the same version. The data and outputs of its run are kept apart from DVC's
    cache, so that 'dvc gc' cannot take them.
    """
    from assay.deploy import registry

    done = registry.register(
        workspace.find(), ref, name=name, alias=alias, description=description
    )  # fmt: skip
    what = "registered" if done.is_new else "was registered before"
    version = done.version
    text = f"{version.model}/{version.number} {what}: {version.bundle}"
    did(done, as_json=as_json, text=text)
    return 0


@model_group.command("list")
@json_option
def list_command(as_json: bool) -> int:
    """List the models of this ledger."""
    from assay.ledger import models as registry
    from assay.project.settings import has_ledger
    from assay.render.tables import text_table
    from assay.workflows import models

    project = workspace.find()
    found: list[Model] = []
    if has_ledger(project):
        with models.open_ledger(project) as ledger:
            found = registry.list_models(ledger)
    rows = [
        [one.name, str(one.newest or "-"), _aliases(one.aliases), iso(one.updated)]
        for one in found
    ]
    none = "No models yet; 'assay model register REF' makes a bundle one."
    header = ["model", "newest", "aliases", "changed"]
    show(found, as_json=as_json, text=text_table(header, rows) if rows else none)
    return 0


@model_group.command("show")
@click.argument("name", metavar="NAME[@VERSION]")
@json_option
def show_command(name: str, as_json: bool) -> int:
    """Show a model with its versions, or one of them.

    NAME@3, NAME/3 and NAME@ALIAS are one version; NAME alone is the model.
    """
    from assay.workflows import models

    with models.open_ledger(workspace.find()) as ledger:
        if "@" in name or "/" in name:
            shown = models.show(ledger, models.get(ledger, name))
            show(shown, as_json=as_json, text=_version_text(shown))
            return 0
        model, versions = models.show_model(ledger, name)
    document = {"model": model, "versions": versions}
    show(document, as_json=as_json, text=_model_text(model, versions))
    return 0


@model_group.command("alias")
@click.argument("model", metavar="NAME")
@click.argument("alias")
@click.argument("version")
@json_option
def alias_command(model: str, alias: str, version: str, as_json: bool) -> int:
    """Let ALIAS name a version, whichever it named before.

    VERSION is a number, or another alias of the model NAME.
    """
    from assay.workflows import models

    with models.open_ledger(workspace.find()) as ledger:
        found = models.set_alias(ledger, model, alias, version=version)
    did(found, as_json=as_json, text=f"{model}@{alias} is {model}/{found.number}")
    return 0


@click.command("deploy")
@click.argument("version", metavar="NAME@VERSION")
@click.option("--to", metavar="ENDPOINT", help="By default the endpoint of assay.yaml.")
@reason_option
@click.option("--force", is_flag=True, help="Deploy what the gate refused; needs a reason.")
@timeout_option
@json_option
def deploy_command(
    version: str, to: str | None, reason: str | None, force: bool, timeout: float, as_json: bool
) -> int:
    """Let an endpoint answer with a version of a model.

    Its bundle is proved first. Then every running server of the endpoint loads it, proves it
    again, and switches. If one cannot, all stay with what was there. Exits with 1 if the gate
    refused the version; one that it never judged, or could not judge, is deployed with a note.
    Where the endpoint goes to the version already, nothing is changed.
    """
    from assay.workflows import models

    done = models.deploy(
        workspace.find(),
        version,
        to=to,
        reason=reason,
        force=force,
        timeout=timeout,
        say=note,
    )
    _say(done, as_json=as_json)
    return 0


@click.command("rollback")
@click.argument("endpoint", required=False)
@reason_option
@timeout_option
@json_option
def rollback_command(
    endpoint: str | None, reason: str | None, timeout: float, as_json: bool
) -> int:
    """Let ENDPOINT answer with what it answered with before; again goes further back.

    By default it is the endpoint of assay.yaml. Exits with 1 if nothing came before, or nothing
    was ever deployed to it.
    """
    from assay.workflows import models

    done = models.rollback(workspace.find(), endpoint, reason=reason, timeout=timeout)
    _say(done, as_json=as_json)
    return 0


@click.group("deployments")
def deployments_group() -> None:
    """Show what endpoints answer with, and answered with before."""


@deployments_group.command("list")
@click.argument("endpoint", required=False)
@json_option
def deployments_list(endpoint: str | None, as_json: bool) -> int:
    """List deployments with their reasons, newest first: of ENDPOINT, or of all."""
    from assay.ledger import deployments
    from assay.project.settings import has_ledger
    from assay.render.tables import text_table
    from assay.workflows import models

    project = workspace.find()
    found: list[Deployment] = []
    if has_ledger(project):
        with models.open_ledger(project) as ledger:
            found = deployments.list_deployments(ledger, endpoint)
    rows = [
        [
            one.endpoint,
            f"{one.model}/{one.version}",
            iso(one.start),
            "now" if one.end is None else iso(one.end),
            one.owner or "-",
            "; ".join(part for part in (one.reason, _ended(one)) if part) or "-",
        ]
        for one in found
    ]
    header = ["endpoint", "version", "from", "to", "by", "why"]
    none = f"Nothing was ever deployed{f' to {endpoint!r}' if endpoint else ''}."
    show(found, as_json=as_json, text=text_table(header, rows) if rows else none)
    return 0


def _ended(one: Deployment) -> str | None:
    """Return why a deployment ended, where that is more than that another one came."""
    reason = one.end_reason
    return None if reason is None or reason.endswith(" came") else reason


def _say(done: Deployed, *, as_json: bool) -> None:
    from assay.deploy import deploy

    document: dict[str, Any] = {
        "deployment": done.deployment,
        "version": done.version,
        "servers": done.servers,
        "before": done.before,
        "alias": done.alias,
        "is_new": done.is_new,
    }
    did(document, as_json=as_json, text=deploy.sentence(done))
    if not done.servers and not as_json:
        note(f"start one with 'assay serve {done.deployment.endpoint}'")


def _aliases(aliases: dict[str, int]) -> str:
    return ", ".join(f"{name}={number}" for name, number in aliases.items()) or "-"


def _model_text(model: Model, versions: list[Shown]) -> str:
    from assay.render.tables import text_table

    rows = [
        [
            str(shown.version.number),
            ", ".join(shown.version.aliases) or "-",
            shown.verdict or "-",
            ", ".join(shown.endpoints) or "-",
            iso(shown.version.created),
            (shown.version.bundle or shown.version.source or "-")[:19],
            (shown.version.run or "-")[:13],
        ]
        for shown in versions
    ]
    header = ["version", "aliases", "gate", "deployed", "registered", "bundle", "run"]
    head = model.name if model.description is None else f"{model.name}: {model.description}"
    return f"{head}\n\n{text_table(header, rows)}"


def _version_text(shown: Shown) -> str:
    from assay.render.tables import format_number, text_table

    version = shown.version
    facts = [
        ("version", f"{version.model}/{version.number}"),
        ("description", version.description),
        ("aliases", ", ".join(version.aliases)),
        ("bundle", version.bundle),
        ("source", version.source),
        ("run", version.run),
        ("registered", iso(version.created)),
        ("gate", shown.verdict),
        ("comparison", shown.comparison),
        ("deployed", ", ".join(shown.endpoints)),
    ]
    known = [(key, value) for key, value in facts if value]
    width = max(len(key) for key, _ in known)
    text = "\n".join(f"{key:<{width}}  {value}" for key, value in known)
    if not shown.metrics:
        return text
    rows = [[key, format_number(value)] for key, value in shown.metrics.items()]
    return f"{text}\n\n{text_table(['metric', 'value'], rows)}"

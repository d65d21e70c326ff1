"""`deploy`, `rollback`, `deployments list`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from assay.base.clock import iso
from assay.cli.output import did, json_option, note, show
from assay.project import workspace

if TYPE_CHECKING:
    from assay.deploy.deploy import Deployed
    from assay.ledger.deployments import Deployment

timeout_option = click.option(
    "--timeout",
    default=60.0,
    show_default=True,
    metavar="S",
    type=click.FloatRange(min=0),
    help="Seconds in which the servers have to be ready.",
)
reason_option = click.option("--reason", metavar="TEXT", help="Why, for the history.")


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

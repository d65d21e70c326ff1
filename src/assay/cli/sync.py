"""`runs sync`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from assay.base.progress import counted
from assay.cli.output import json_option, show

if TYPE_CHECKING:
    from assay.ledger.sdk.places import Place
    from assay.ledger.sdk.replay import Report
    from assay.project.workspace import Project


@click.command("sync")
@json_option
def sync_command(as_json: bool) -> int:
    """Send what runs could not record while their ledger or hub was away.

    It waits in .assay/spool. The next run sends it by itself; this sends it now. What a process
    still writes to is left to that process. Where 'hub.url' is set, the hub also gets the runs of
    this project's own ledger that it lacks. Exit 1 if something is left or was refused.
    """
    from assay.ledger.sdk import places
    from assay.ledger.sdk.sync import sync, waiting

    project = places.find_project()
    place = places.find(project)
    report = sync(place)
    left = waiting(place)
    n_own = 0
    if project is not None and place.is_hub:
        n_own, report = _send_own(project, place, report)
    facts = {
        "sent": report.sent,
        "own": n_own,
        "refused": report.refused,
        "waiting": left,
        "problems": report.problems,
    }
    show(facts, as_json=as_json, text=_text(report, left, n_own=n_own))
    return 1 if left or report.refused or report.problems else 0


def _send_own(project: Project, place: Place, report: Report) -> tuple[int, Report]:
    """Send runs of the project's own ledger; return how many went, and what there is to say."""
    import msgspec

    from assay.base.errors import Error
    from assay.workflows import hub_records

    try:
        sent = hub_records.send(project, place)
    except Error as error:
        problems = dict.fromkeys((*report.problems, str(error)))
        return 0, msgspec.structs.replace(report, problems=tuple(problems))
    return sent.runs, msgspec.structs.replace(
        report, problems=(*report.problems, *sent.complaints)
    )


def _text(report: Report, left: list[str], *, n_own: int) -> str:
    lines = []
    if report.sent:
        lines.append(f"Sent what waited of {counted(len(set(report.sent)), 'run')}.")
    if n_own:
        lines.append(f"Sent {counted(n_own, 'run')} of this project's own ledger.")
    if not lines and not left and not report.problems:
        lines = ["Nothing waits."]
    for one in report.refused:
        lines.append(f"Refused: {one.error()}")
    if report.refused:
        lines.append("What was refused is kept in .assay/spool/refused.json-lines.")
    lines += [f"Waits: {name}" for name in left]
    lines += list(dict.fromkeys(report.problems))
    return "\n".join(lines)

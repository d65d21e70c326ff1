"""`runs sync`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from assay.base.progress import counted
from assay.cli.output import json_option, show

if TYPE_CHECKING:
    from assay.ledger.replay import Report


@click.command("sync")
@json_option
def sync_command(as_json: bool) -> int:
    """Send what runs could not record while their ledger or hub was away.

    It waits in .assay/spool. The next run sends it by itself; this sends it now. What a process
    still writes to is left to that process. Exit 1 if something is left or was refused.
    """
    from assay.ledger import places
    from assay.ledger.sync import sync, waiting

    place = places.find(places.find_project())
    report = sync(place)
    left = waiting(place)
    facts = {
        "sent": report.sent,
        "refused": report.refused,
        "waiting": left,
        "problems": report.problems,
    }
    show(facts, as_json=as_json, text=_text(report, left))
    return 1 if left or report.refused or report.problems else 0


def _text(report: Report, left: list[str]) -> str:
    lines = [f"Sent what waited of {counted(len(set(report.sent)), 'run')}."]
    if not report.sent and not left and not report.problems:
        lines = ["Nothing waits."]
    for one in report.refused:
        lines.append(f"Refused: {one.error()}")
    if report.refused:
        lines.append("What was refused is kept in .assay/spool/refused.json-lines.")
    lines += [f"Waits: {name}" for name in left]
    lines += list(dict.fromkeys(report.problems))
    return "\n".join(lines)

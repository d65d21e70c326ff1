"""`audit`."""

from __future__ import annotations

import click

from assay.base.errors import Usage
from assay.cli.output import json_option, show
from assay.project import workspace


@click.command("audit")
@click.argument("endpoint", required=False)
@click.option("--md", "as_markdown", is_flag=True, help="Print Markdown, as for a README.")
@click.option("--min", "least", type=click.IntRange(0, 12), metavar="N",
              help="Exit with 1 where fewer than N factors hold.")  # fmt: skip
@json_option
def audit_command(
    endpoint: str | None, as_markdown: bool, least: int | None, as_json: bool
) -> int:
    """Show which of the twelve factors hold for what ENDPOINT answers with.

    Each verdict comes from what is on record: 'yes', 'NO' where the record speaks against it, and
    '?' where it does not tell. Below stands what to type next. ENDPOINT is by default the
    declared one.
    """
    from assay.audit import report
    from assay.audit.audit import audit
    from assay.base.clock import now_ms

    if as_json and as_markdown:
        raise Usage("'--json' and '--md' go not together", hint="choose one of them")
    found = audit(workspace.find(), endpoint=endpoint, now_ms=now_ms())
    show(
        found, as_json=as_json, text=report.markdown(found) if as_markdown else report.text(found)
    )
    return 1 if least is not None and found.n_holds < least else 0

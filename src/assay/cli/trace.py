"""`trace`."""

from __future__ import annotations

from pathlib import Path

import click

from assay.cli.output import json_option, show
from assay.project import workspace


@click.command("trace")
@click.argument("thing")
@click.option("--mermaid", is_flag=True, help="Print a Mermaid flowchart.")
@click.option("--all", "every", is_flag=True, help="Of many things, follow all of them.")
@json_option
def trace_command(thing: str, mermaid: bool, every: bool, as_json: bool) -> int:
    """Show what THING came from, and what came from it.

    THING is a file (PATH, or PATH@REVISION), a run (its id, or 'latest'), a metric (NAME of the
    latest run that has it, RUN:NAME, or FILE:KEY), a MODEL@VERSION, a bundle (sha256:...), a
    model that MLflow logged (m-...), or the id of a prediction, an alert or a decision. Every
    edge is followed by a stored hash; one that is not on record says 'unknown'. A version's trace
    says why it answers: which decision deployed it, and which alert triggered that. A
    prediction's has its truth, once that has come.
    """
    import tempfile

    from assay.base.clock import now_ms
    from assay.ledger import liveness
    from assay.ledger.database import open_ledger
    from assay.project import settings
    from assay.trace import drawing, naming, nodes, tree

    project = workspace.find()
    with tempfile.TemporaryDirectory() as empty:
        # where no run was recorded yet, an empty ledger answers; none is made in the project
        is_there = settings.has_ledger(project)
        ledger = open_ledger(
            settings.ledger_where(project) if is_there else Path(empty) / "ledger.db"
        )
        liveness.look(ledger, at=now_ms())
        named = naming.find(project, ledger, thing, cwd=Path.cwd())
        found = tree.trace(project, ledger, named, most=None if every else nodes.MOST)
        ledger.close()
    show(found, as_json=as_json, text=drawing.mermaid(found) if mermaid else drawing.text(found))
    return 0

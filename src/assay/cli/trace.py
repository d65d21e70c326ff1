"""`trace`."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from assay.cli.forms import one_form
from assay.cli.output import json_option, show
from assay.cli.run_places import directory_option, has_runs, open_place
from assay.project import workspace

if TYPE_CHECKING:
    from assay.ledger.database import Ledger


@click.command("trace")
@click.argument("thing")
@click.option("--mermaid", is_flag=True, help="Print a Mermaid flowchart.")
@click.option("--all", "every", is_flag=True, help="Of many things, follow all of them.")
@directory_option
@json_option
def trace_command(
    thing: str, mermaid: bool, every: bool, directory: Path | None, as_json: bool
) -> int:
    """Show what THING came from, and what came from it.

    THING is a file (PATH, or PATH@REVISION), a run (its id, or 'latest'), a metric (NAME of the
    latest run that has it, RUN:NAME, or FILE:KEY), a MODEL@VERSION, a bundle (sha256:...), a
    model that MLflow logged (m-...), or the id of a prediction, an alert or a decision. Every
    edge is followed by a stored hash; one that is not on record says 'unknown'. A version's trace
    says why it answers: which decision deployed it, and which alert triggered that. A
    prediction's has its truth, once that has come.
    """
    from assay.base.clock import now_ms
    from assay.ledger import liveness
    from assay.trace import drawing, naming, nodes, tree

    one_form(mermaid=mermaid, json=as_json)
    project = workspace.find()
    with _opened(directory) as ledger:
        liveness.look(ledger, at=now_ms())
        named = naming.find(project, ledger, thing, cwd=Path.cwd())
        found = tree.trace(project, ledger, named, most=None if every else nodes.MOST)
    show(found, as_json=as_json, text=drawing.mermaid(found) if mermaid else drawing.text(found))
    return 0


@contextlib.contextmanager
def _opened(directory: Path | None) -> Iterator[Ledger]:
    """Open the ledger; where nothing was recorded yet an empty one, which the project has not."""
    from assay.ledger.database import open_ledger

    if not has_runs(directory):
        with (
            tempfile.TemporaryDirectory() as empty,
            open_ledger(Path(empty) / "ledger.db") as ledger,
        ):
            yield ledger
        return
    with open_place(directory) as ledger:
        yield ledger

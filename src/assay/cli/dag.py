"""`dag`: the graph of the stages as boxes, as lines, as Mermaid, as DOT."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from assay.base.errors import Usage
from assay.cli.forms import one_form
from assay.cli.options import targets_argument
from assay.cli.output import json_option, show
from assay.project import workspace


@click.command("dag")
@targets_argument
@click.option("--mermaid", is_flag=True, help="Print a Mermaid flowchart.")
@click.option("--md", is_flag=True, help="The same in a fence for Markdown.")
@click.option("--dot", is_flag=True, help="Print the language of Graphviz.")
@click.option("--ascii", "as_boxes", is_flag=True, help="Draw boxes, as on a terminal.")
@click.option("-o", "--outs", is_flag=True, help="Show outputs and not stages.")
@click.option("--full", is_flag=True, help="Show all that hangs together with the targets.")
@click.option(
    "--collapse-foreach-matrix", "collapse", is_flag=True, help="Show a foreach or matrix as one."
)
@json_option
def dag_command(
    targets: tuple[str, ...],
    mermaid: bool,
    md: bool,
    dot: bool,
    as_boxes: bool,
    outs: bool,
    full: bool,
    collapse: bool,
    as_json: bool,
) -> int:
    """Show the graph: each stage with what it needs, or that of TARGETS and what they need.

    On a terminal it is drawn with boxes; elsewhere each stage is a line.
    """
    from assay.pipeline import diagram, drawing
    from assay.workflows import diagrams

    one_form(mermaid=mermaid, md=md, dot=dot, ascii=as_boxes, json=as_json)
    if outs and collapse:
        raise Usage("'--outs' shows no stages that '--collapse-foreach-matrix' could collapse")
    project, cwd = workspace.find(), Path.cwd()
    shown_from = None if as_json else cwd
    if outs:
        found = diagrams.outs(project, targets, cwd=cwd, full=full, shown_from=shown_from)
    else:
        found = diagrams.stages(
            project, targets, cwd=cwd, full=full, collapse=collapse, shown_from=shown_from
        )
    if mermaid:
        text = diagram.mermaid(found)
    elif md:
        text = f"```mermaid\n{diagram.mermaid(found)}\n```"
    elif dot:
        text = diagram.dot(found)
    elif as_boxes or sys.stdout.isatty():
        text = drawing.draw(found)
    else:
        text = diagram.lines(found)
    document = {"outs" if outs else "stages": found.nodes, "edges": sorted(found.edges)}
    show(document, as_json=as_json, text=text)
    return 0

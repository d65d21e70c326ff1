"""`stage`: the stages of all dvc.yaml files."""

from __future__ import annotations

import click

from assay.cli.output import json_option, show
from assay.project import workspace


@click.group("stage")
def stage_group() -> None:
    """List stages."""


@stage_group.command("list")
@click.option("--name-only", is_flag=True, help="Print names alone.")
@json_option
def stage_list(name_only: bool, as_json: bool) -> int:
    """List the stages of all dvc.yaml files."""
    from assay.workflows import pipeline

    project = workspace.find()
    document, rows = pipeline.stages(project)
    width = max((len(name) for name, _ in rows), default=0)
    lines = [name if name_only else f"{name:<{width}}  {text}" for name, text in rows]
    show(document, as_json=as_json, text="\n".join(lines))
    return 0

"""`repro`, `dag`, `stage list`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from assay.base.clock import duration
from assay.base.progress import counted
from assay.cli.options import targets_argument
from assay.cli.output import did, is_quiet, json_option, note, show, suggest_git_add
from assay.project import workspace

if TYPE_CHECKING:
    from assay.pipeline.repro import Outcome
    from assay.project.workspace import Project


@click.command("repro")
@targets_argument
@click.option("-f", "--force", is_flag=True, help="Run every stage, whatever changed.")
@click.option("-s", "--single-item", "single", is_flag=True, help="Only the targets themselves.")
@click.option("--dry", is_flag=True, help="Say what would run, and run nothing.")
@click.option("--no-run-cache", is_flag=True, help="Do not take outputs from the run cache.")
@click.option("--no-profile", is_flag=True, help="Make no statistics of tables.")
@json_option
def repro_command(
    targets: tuple[str, ...],
    force: bool,
    single: bool,
    dry: bool,
    no_run_cache: bool,
    no_profile: bool,
    as_json: bool,
) -> int:
    """Run the stages that changed, and those that depend on them.

    TARGETS are stages or outputs; without them, the stages of the dvc.yaml in this folder, or of
    the whole project where it has none.
    """
    from assay.pipeline import repro
    from assay.workflows import pipeline

    project = workspace.find()
    if dry:
        outcome = repro.dry(
            project,
            targets,
            cwd=Path.cwd(),
            force=force,
            single=single,
            use_run_cache=not no_run_cache,
        )
        show(_document(outcome), as_json=as_json, text=_plan_lines(outcome))
        return 0
    outcome, complaints = pipeline.repro(
        project,
        targets,
        cwd=Path.cwd(),
        events=_events(as_json=as_json),
        force=force,
        single=single,
        use_run_cache=not no_run_cache,
        profile=not no_profile,
    )
    did(_document(outcome), as_json=as_json, text=_outcome_lines(outcome))
    for complaint in complaints:
        note(f"  {complaint}")
    if not as_json:
        _next_steps(project, outcome)
    return 0


def _events(*, as_json: bool) -> Any:
    from assay.pipeline.repro import Events

    stream = sys.stderr if as_json else sys.stdout
    if is_quiet():
        return Events(lambda _line: None, lambda _content: None)

    def echo(content: bytes) -> None:
        stream.write(content.decode(errors="replace"))
        stream.flush()

    def say(line: str) -> None:
        stream.write(line + "\n")
        stream.flush()

    return Events(say, echo)


def _document(outcome: Outcome) -> dict[str, Any]:
    return {
        "run": outcome.run,
        "stages": outcome.stages,
        "killed_runs": outcome.killed,
        "n_hashed": outcome.n_hashed,
    }


def _plan_lines(outcome: Outcome) -> str:
    width = max((len(done.stage) for done in outcome.stages), default=0)
    return "\n".join(
        f"{done.stage:<{width}}  {done.state}{f': {done.why}' if done.why else ''}"
        for done in outcome.stages
    )


def _outcome_lines(outcome: Outcome) -> str:
    ran = [done for done in outcome.stages if done.state == "ran"]
    lines = []
    if outcome.killed:
        lines.append(
            f"{counted(len(outcome.killed), 'run')} that had been cut off: marked as killed."
        )
    if all(done.state == "unchanged" for done in outcome.stages):
        lines.append("Data and pipelines are up to date.")
    elif ran:
        seconds = sum(done.seconds for done in ran)
        names = ", ".join(done.stage for done in ran)
        lines.append(f"Ran {names} in {duration(seconds)}. Recorded as run {outcome.run}.")
    else:
        lines.append("Nothing had to run.")
    return "\n".join(lines)


def _next_steps(project: Project, outcome: Outcome) -> None:
    suggest_git_add(project, outcome.files)
    if outcome.run:
        note("Use 'assay push' to share the outputs.")


@click.command("dag")
@targets_argument
@click.option("--mermaid", is_flag=True, help="Print a Mermaid flowchart.")
@click.option("--md", is_flag=True, help="The same in a fence for Markdown.")
@json_option
def dag_command(targets: tuple[str, ...], mermaid: bool, md: bool, as_json: bool) -> int:
    """Show the graph: each stage with what it needs, or a Mermaid flowchart."""
    from assay.pipeline import graph as graphs
    from assay.workflows import pipeline

    graph = pipeline.graph(workspace.find(), targets, cwd=Path.cwd())
    if mermaid or md:
        text = graphs.mermaid(graph)
        text = f"```mermaid\n{text}\n```" if md else text
    else:
        text = "\n".join(
            f"{address}  <- {', '.join(needs)}" if needs else address
            for address, needs in pipeline.in_order(graph)
        )
    document = {"stages": list(graph.stages), "edges": graph.edges}
    show(document, as_json=as_json, text=text)
    return 0


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

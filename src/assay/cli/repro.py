"""`repro`: bring stages up to date."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from assay.base.clock import duration
from assay.base.errors import Error, Usage
from assay.base.progress import counted
from assay.cli.options import targets_argument, with_options
from assay.cli.output import (
    did,
    is_quiet,
    json_option,
    note,
    show,
    suggest_git_add,
    write_on,
)
from assay.project import workspace

if TYPE_CHECKING:
    from assay.pipeline.plan import Done
    from assay.pipeline.repro import Events, Outcome
    from assay.project.workspace import Project

_choice_options = with_options(
    click.option("-s", "--single-item", "single", is_flag=True, help="Only the targets."),
    click.option("-p", "--pipeline", is_flag=True, help="All that hangs together with them."),
    click.option("-P", "--all-pipelines", is_flag=True, help="All stages of the project."),
    click.option("-R", "--recursive", is_flag=True, help="A folder names the stages in it."),
    click.option("--glob", is_flag=True, help="The targets are patterns of stage names."),
    click.option("--downstream", is_flag=True, help="The targets and what depends on them."),
)
_run_options = with_options(
    click.option("-f", "--force", is_flag=True, help="Run every stage, whatever changed."),
    click.option("--force-downstream", is_flag=True, help="Run what follows on a run, too."),
    click.option("-j", "--jobs", type=click.IntRange(min=1), default=1, metavar="N",
                 help="Stages that run at a time."),
    click.option("-k", "--keep-going", is_flag=True, help="Run what a failure does not touch."),
    click.option("--ignore-errors", is_flag=True, help="Run everything, whatever fails."),
    click.option("-i", "--interactive", is_flag=True, help="Ask before each stage that runs."),
    click.option("--strict", is_flag=True,
                 help="A stage that reads or writes undeclared files fails (Linux)."),
)  # fmt: skip
_data_options = with_options(
    click.option("--pull", is_flag=True, help="Get missing data from the remote."),
    click.option("--allow-missing", is_flag=True, help="What is only missing is no change."),
    click.option("--no-commit", is_flag=True, help="Do not put outputs into the cache."),
    click.option("--no-run-cache", is_flag=True, help="Do not take outputs from the run cache."),
    click.option("--no-profile", is_flag=True, help="Make no statistics of tables."),
)


@click.command("repro")
@targets_argument
@_choice_options
@_run_options
@_data_options
@click.option("--dry", is_flag=True, help="Say what would run, and run nothing.")
@json_option
def repro_command(
    targets: tuple[str, ...],
    no_profile: bool,
    pull: bool,
    dry: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Run the stages that changed, and those that depend on them.

    TARGETS are stages or outputs; without them, the stages of the dvc.yaml in this folder, or of
    the whole project where it has none. With '-j' independent stages run at the same time; each
    line that they print begins with the stage's name, and the lock is the same.
    """
    from assay.workflows import pipeline

    project = workspace.find()
    options["use_run_cache"] = not options.pop("no_run_cache")
    options["commit"] = not options.pop("no_commit")
    if options.pop("interactive") or project.config.flag("core", "interactive"):
        options["confirm"] = confirm
    if dry:
        outcome = pipeline.dry(project, targets, cwd=Path.cwd(), pull=pull, **options)
        show(_document(outcome), as_json=as_json, text=_plan_lines(outcome))
        return 0
    try:
        outcome, complaints = pipeline.repro(
            project,
            targets,
            cwd=Path.cwd(),
            events=make_events(as_json=as_json),
            profile=not no_profile,
            pull=pull,
            **options,
        )
    except Error as error:
        failed = getattr(error, "outcome", None)  # of one that let the others go on
        if as_json and failed is not None:
            show(_document(failed), as_json=True, text="")
        raise
    did(_document(outcome), as_json=as_json, text=_outcome_lines(outcome))
    for complaint in complaints:
        note(f"  {complaint}")
    if not as_json:
        _next_steps(project, outcome)
    return 0


def confirm(address: str) -> bool:
    """Ask a person whether a stage is to run."""
    try:
        return click.confirm(f"Run stage '{address}'?", err=True)
    except click.Abort:
        raise Usage(
            f"nobody answers whether stage '{address}' is to run",
            hint="leave '--interactive' away where no person is at the terminal",
        ) from None


def make_events(*, as_json: bool) -> Events:
    """Return where a `repro` says what it does; stdout is for the document where one is asked."""
    from assay.pipeline.repro import Events

    stream = sys.stderr if as_json else sys.stdout
    if is_quiet():
        return Events(_errors_alone, lambda _content: None)

    def echo(content: bytes) -> None:
        write_on(stream, content.decode(errors="replace"))

    def say(line: str) -> None:
        write_on(stream, line + "\n")

    return Events(say, echo)


def _errors_alone(line: str) -> None:
    if line.startswith("error"):
        write_on(sys.stderr, line + "\n")


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
    lines = []
    if outcome.killed:
        lines.append(
            f"{counted(len(outcome.killed), 'run')} that had been cut off: marked as killed."
        )
    ran = [done for done in outcome.stages if done.state == "ran"]
    failed = [done for done in outcome.stages if done.state == "failed"]
    if all(done.state in {"unchanged", "frozen"} for done in outcome.stages):
        frozen = [done for done in outcome.stages if done.state == "frozen"]
        but = f", but for what is frozen: {_names(frozen)}" if frozen else ""
        lines.append(f"Data and pipelines are up to date{but}.")
    elif ran:
        seconds = sum(done.seconds for done in ran)
        lines.append(f"Ran {_names(ran)} in {duration(seconds)}. Recorded as run {outcome.run}.")
    elif not failed:
        lines.append("Nothing had to run.")
    if failed:
        lines.append(f"Failed, and ignored: {_names(failed)}.")
    return "\n".join(lines)


def _names(done: list[Done]) -> str:
    return ", ".join(one.stage for one in done)


def _next_steps(project: Project, outcome: Outcome) -> None:
    suggest_git_add(project, outcome.files)
    if outcome.run:
        note("Use 'assay push' to share the outputs.")

"""`reproduce`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from assay.base.clock import duration
from assay.base.progress import counted
from assay.cli.output import json_option, show
from assay.project import workspace
from assay.render.tables import visible

if TYPE_CHECKING:
    from assay.pipeline.compare import Compared
    from assay.pipeline.reproduce import StageVerdict, Verdict


@click.command("reproduce")
@click.argument("run", metavar="RUN|MODEL", default="latest")
@click.option(
    "--rtol",
    default=0.0,
    type=click.FloatRange(min=0),
    help="Let numbers differ by this share; 0 asks for identity.",
)
@click.option("--twice", is_flag=True, help="Run each stage twice: is it deterministic?")
@click.option("--why", is_flag=True, help="Look for the cause also where a run takes minutes.")
@click.option("--stage", metavar="NAME", help="Only this stage, on what it read then.")
@click.option(
    "--environment",
    type=click.Choice(["current", "recorded"]),
    help="What commands run in; by default the recorded one where the current differs.",
)
@click.option("--keep", is_flag=True, help="Leave the work tree behind, to look at.")
@json_option
def reproduce_command(
    run: str,
    rtol: float,
    twice: bool,
    why: bool,
    stage: str | None,
    environment: str | None,
    keep: bool,
    as_json: bool,
) -> int:
    """Run a recorded RUN again from its record alone, and compare.

    RUN is a run of 'assay repro' or of a script with assay.run(): its id, the beginning of it, or
    'latest'; or the MODEL that came of it: NAME, NAME@ALIAS, NAME@3, sha256:...

    Its commit, uncommitted changes, data versions and parameters are put into a work tree of
    their own; packages that differ are installed into an environment of their own; every command
    runs; each output and metric is compared. The first stage that differs, or the script, is run
    a second time to find out why, and a third time if need be; one that took more than a minute
    only with --why. Exit 1 if it differs.
    """
    from assay.pipeline import reproduce
    from assay.pipeline.outcome import Events
    from assay.workflows import hub_records

    stream = sys.stderr if as_json else sys.stdout

    def show_line(line: str) -> None:
        stream.write(line + "\n")
        stream.flush()

    options = reproduce.Options(
        rtol=rtol,
        keep=keep,
        environment=environment,  # type: ignore[arg-type] # click has checked it
        twice=twice,
        why=why,
        stage=stage,
    )
    events = Events(
        lambda text: show_line("\n".join(visible(line) for line in text.split("\n"))),
        lambda content: show_line(content.decode(errors="replace").rstrip("\n")),
    )
    project = workspace.find()
    name = hub_records.bring(project, run, say=events.say)
    try:
        verdict = reproduce.reproduce(project, name, events=events, options=options)
    finally:  # one that failed is on record, too
        hub_records.at_end(project, events.say)
    show(verdict, as_json=as_json, text=_verdict_text(verdict))
    return 0 if verdict.is_match else 1


def _verdict_text(verdict: Verdict) -> str:
    kind = "script" if verdict.kind == "script" else "stage"
    words = {
        "identical": "identical to the bit",
        "close": f"the same within a relative tolerance of {verdict.rtol:g}",
        "differs": f"DIFFERENT from {kind} '{verdict.parted}' on",
    }
    count = sum(len(stage.outputs) for stage in verdict.stages)
    measured = sum(len(stage.metrics) for stage in verdict.stages)
    lines = [""]
    for stage in verdict.stages:
        lines.append(f"{stage.stage}: {_stage_words(stage)} ({duration(stage.seconds)})")
        lines += [
            f"  {one.name}: {one.sameness}{_at_step(one)}, "
            f"recorded {one.recorded}, now {one.found}"
            for one in (*stage.outputs, *stage.metrics)
            if one.sameness != "identical"
        ]
    lines.append("")
    named = f" of {verdict.named}" if verdict.named else ""
    lines.append(
        f"Run {verdict.run}{named}: {words[verdict.sameness]} "
        f"({counted(count, 'output')} and {counted(measured, 'metric')} of "
        f"{counted(len(verdict.stages), kind)})."
    )
    lines += _why(verdict)
    return "\n".join(visible(line) for line in lines)


def _at_step(one: Compared) -> str:
    """Say from which step on a metric parts; a metric of one step needs no word."""
    if one.step is None:
        return ""
    return f" {'from' if one.sameness == 'differs' else 'at'} step {one.step}"


def _stage_words(stage: StageVerdict) -> str:
    words = {None: "", True: ", deterministic", False: ", NOT deterministic"}
    return f"{stage.sameness}{words[stage.deterministic]}"


def _why(verdict: Verdict) -> list[str]:
    lines = [f"{'Cause' if one.is_shown else 'Perhaps'}: {one.text}." for one in verdict.causes]
    if not verdict.is_cause_sought:
        kind = "the script" if verdict.kind == "script" else f"stage '{verdict.parted}'"
        lines.append(
            f"The cause was not looked for, since {kind} takes more than a minute and would be "
            "run again, up to twice: '--why' does that."
        )
    if verdict.notes:
        lines.append("The recorded environment was used:")
        lines += [f"  {note}" for note in verdict.notes]
    elif verdict.same_software:
        lines.append(
            "Interpreter and packages are those of the record: the present ones were used."
        )
    if verdict.environment:
        lines.append("What is different about the environment:")
        lines += [f"  {line}" for line in verdict.environment]
    if verdict.unrecorded:
        names = ", ".join(f"'{name}'" for name in verdict.unrecorded)
        lines.append(f"Installed from a folder, so that its code is not on record: {names}.")
    lines += [f"Damaged in the cache: {name}" for name in verdict.damaged]
    if verdict.lost:
        lines.append(f"Neither here nor on a remote: {', '.join(verdict.lost)}")
    return lines

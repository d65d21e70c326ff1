"""`check`, `evaluate`, `compare`, `gate`, `report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from assay.cli.output import json_option, note, show, write_json
from assay.project import workspace

if TYPE_CHECKING:
    from assay.evaluate.judging import Judged
    from assay.project.workspace import Project

_base = click.option(
    "--base", metavar="REF", help="Compare with this bundle; by default that in production."
)
_candidate = click.argument("candidate", required=False)


@click.command("check")
@json_option
def check_command(as_json: bool) -> int:
    """Check assay.yaml, and that what it names is there."""
    from assay.workflows import checking

    found = checking.check(workspace.find())
    lines = [f"{one.severity}: {one.where}: {one.what}" for one in found.problems]
    lines.append(found.in_words())
    show(found, as_json=as_json, text="\n".join(lines))
    return 1 if found.failed else 0


@click.command("evaluate")
@_candidate
@click.option(
    "-o", "--out", metavar="FILE", help="Write the values as JSON to FILE, too: a file of metrics."
)
@json_option
def evaluate_command(candidate: str | None, out: str | None, as_json: bool) -> int:
    """Measure CANDIDATE on the declared rows, in slices, beside the baselines.

    CANDIDATE is a bundle: a folder, an id, a run, or MODEL@VERSION. Without it, it is that of the
    newest run that made a bundle and finished.

    FILE is for 'metrics:' of a stage: {"mae": 1.2, "slice.NAME.mae": 2.1}. What is undefined, and
    slices with too few rows, are left out.
    """
    from assay.evaluate import judging

    project = workspace.find()
    judged = judging.judge(project, _named(project, candidate), gate=False, alone=True)
    if out is not None:
        write_json(Path(out), judging.values(judged))
    show(judged, as_json=as_json, text=_text(judged))
    return 0


@click.command("compare")
@click.argument("base")
@_candidate
@json_option
def compare_command(base: str, candidate: str | None, as_json: bool) -> int:
    """Compare two bundles on the same rows.

    Each is a folder, an id, a run, or MODEL@VERSION. Without CANDIDATE, it is that of the newest
    run that made a bundle and finished.
    """
    from assay.evaluate import judging

    project = workspace.find()
    judged = judging.judge(project, _named(project, candidate), base=base, gate=False)
    show(judged, as_json=as_json, text=_text(judged))
    return 0


@click.command("gate")
@_candidate
@_base
@json_option
def gate_command(candidate: str | None, base: str | None, as_json: bool) -> int:
    """Say whether CANDIDATE may replace the base: exit 0 pass, 1 fail, 3 inconclusive.

    CANDIDATE is a bundle: a folder, an id, a run, or MODEL@VERSION. Without it, it is that of the
    newest run that made a bundle and finished.

    The verdict goes into the ledger, with the candidate's run and its registered versions.
    """
    from assay.evaluate import judging

    project = workspace.find()
    judged = judging.judge(project, _named(project, candidate), base=base, gate=True)
    judging.record(project, judged)
    show(judged, as_json=as_json, text=_text(judged))
    return judged.verdict.exit_code if judged.verdict else 0


@click.command("report")
@_candidate
@_base
@click.option("-o", "--out", default="report", show_default=True, help="The folder to write.")
@click.option("--no-gate", is_flag=True, help="Without the gate's verdict.")
@json_option
def report_command(
    candidate: str | None, base: str | None, out: str, no_gate: bool, as_json: bool
) -> int:  # fmt: skip
    """Write a report on CANDIDATE as Markdown, as a page, and as JSON.

    CANDIDATE is a bundle: a folder, an id, a run, or MODEL@VERSION. Without it, it is that of the
    newest run that made a bundle and finished.
    """
    from assay.evaluate import judging

    project = workspace.find()
    judged = judging.judge(project, _named(project, candidate), base=base, gate=not no_gate)
    files = judging.write_reports(judged, Path(out))
    text = "\n".join(f"file://{file.resolve()}" for file in files if file.suffix == ".html")
    show({"files": files}, as_json=as_json, text=text)
    if not as_json:
        note(f"  beside it: {', '.join(f.name for f in files if f.suffix != '.html')}")
    return 0


def _named(project: Project, candidate: str | None) -> str:
    """Return the candidate that was named, else the newest run that made a bundle."""
    if candidate is not None:
        return candidate
    from assay.bundle import find

    run = find.newest(project)
    note(f"judging the bundle of run {run}, the newest that made one and finished")
    return run


def _text(judged: Judged) -> str:
    from assay.evaluate import report as reports
    from assay.render.tables import text_table

    report = judged.report
    beside = f" beside {judged.base_name}" if judged.base_name else ", without a base"
    parts = [f"{judged.candidate[:19]}{beside}, on {report.evaluation.n_rows:,} rows"]
    parts.append(text_table(reports.HEADER, reports.metric_rows(report)))
    slices = reports.slice_rows(report)
    if slices:
        parts.append(text_table(reports.SLICE_HEADER, slices))
    baselines = reports.baseline_rows(report)
    if baselines:
        parts.append(text_table(reports.BASELINE_HEADER, baselines))
    why = reports.reasons(report)
    if why:
        parts.append("\n".join(f"  {line}" for line in why))
    if report.verdict is not None:
        parts.append(f"gate: {report.verdict.answer}: {report.verdict.reason}")
    return "\n\n".join(parts)

"""`check`, `evaluate`, `compare`, `gate`, `report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from assay.cli.output import json_option, note, show
from assay.project import workspace

if TYPE_CHECKING:
    from assay.evaluate.judging import Judged

_base = click.option(
    "--base", metavar="REF", help="Compare with this bundle; by default that in production."
)
_candidate = click.argument("candidate", default="latest")


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
@json_option
def evaluate_command(candidate: str, as_json: bool) -> int:
    """Measure CANDIDATE on the declared rows, in slices, beside the baselines.

    CANDIDATE is a bundle: a folder, an id, a run ('latest'), or MODEL@VERSION.
    """
    from assay.evaluate import judging

    judged = judging.judge(workspace.find(), candidate, gate=False, alone=True)
    show(judged, as_json=as_json, text=_text(judged))
    return 0


@click.command("compare")
@click.argument("base")
@_candidate
@json_option
def compare_command(base: str, candidate: str, as_json: bool) -> int:
    """Compare two bundles on the same rows."""
    from assay.evaluate import judging

    judged = judging.judge(workspace.find(), candidate, base=base, gate=False)
    show(judged, as_json=as_json, text=_text(judged))
    return 0


@click.command("gate")
@_candidate
@_base
@json_option
def gate_command(candidate: str, base: str | None, as_json: bool) -> int:
    """Say whether CANDIDATE may replace the base: exit 0 pass, 1 fail, 3 inconclusive.

    The verdict goes into the ledger, with the candidate's run and its registered versions.
    """
    from assay.evaluate import judging

    project = workspace.find()
    judged = judging.judge(project, candidate, base=base, gate=True)
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
    candidate: str, base: str | None, out: str, no_gate: bool, as_json: bool
) -> int:  # fmt: skip
    """Write a report on CANDIDATE as Markdown, as a page, and as JSON."""
    from assay.evaluate import judging

    judged = judging.judge(workspace.find(), candidate, base=base, gate=not no_gate)
    files = judging.write_reports(judged, Path(out))
    text = "\n".join(f"file://{file.resolve()}" for file in files if file.suffix == ".html")
    show({"files": files}, as_json=as_json, text=text)
    if not as_json:
        note(f"  beside it: {', '.join(f.name for f in files if f.suffix != '.html')}")
    return 0


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

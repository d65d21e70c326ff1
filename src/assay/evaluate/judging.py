"""Judge bundles on the declared evaluation rows: evaluate, compare, gate, report.

Every model answers the same rows, by its own bundle: nothing is compared that was computed on
other rows, or by another program.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.errors import Error, NotFound, Usage
from assay.evaluate.evaluation import Evaluation
from assay.evaluate.gate import Verdict
from assay.evaluate.report import Report
from assay.project import declaration, git, settings
from assay.project.declaration import Gate, Model
from assay.project.workspace import Project

if TYPE_CHECKING:
    from assay.bundle.load import Bundle
    from assay.data.read import Table
    from assay.evaluate.figures import Figures
    from assay.evaluate.rows import Mask, Rows

CANDIDATE = "candidate"
BASE = "base"
GATE = "assay/gate.json"
"""The artifact of a run that holds the verdict on the bundle that it made."""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What was found about a candidate.

    Attributes
    ----------
    candidate, base : str or None
        Ids of the bundles; no base is None.
    base_name : str
        How the base was named: `bikes@production`, say.
    report : Report
        The evaluation, the gate's verdict where one was asked for, and the baselines.
    """

    candidate: str
    base: str | None
    base_name: str
    report: Report

    @property
    def verdict(self) -> Verdict | None:
        """The gate's verdict, where one was asked for."""
        return self.report.verdict


def judge(
    project: Project, candidate: str, *, base: str | None = None, gate: bool, alone: bool = False
) -> Judged:
    """Evaluate a candidate, beside a base where there is one, on the declared rows.

    Parameters
    ----------
    candidate, base : str
        Bundles: a folder, an id, a run, or `MODEL@VERSION`. Without `base`, the version that the
        declared alias names is the base.
    gate : bool
        Whether to apply the declared gate.
    alone : bool
        Evaluate the candidate without any base.

    Raises
    ------
    Error
        If `assay.yaml` does not say what to evaluate on, or a bundle does not fit the rows.
    """
    from assay.bundle.load import open_bundle

    job = _job(project, gate=gate)
    opened = open_bundle(candidate, project=project)
    base_name = base or ("" if alone else _production(job))
    other = open_bundle(base_name, project=project) if base_name else None
    with _open(job) as table:
        rows = _rows(table, job)
        masks = _masks(table, job)
        rows = _answer(rows, table, CANDIDATE, opened)
        if other is not None:
            rows = _answer(rows, table, BASE, other)
        compared = _evaluate(rows, job, masks, base=BASE if other else None, run=opened.id)
        others = _beside_baselines(rows, table, job, masks, run=opened.id)
    report = Report(
        evaluation=compared,
        verdict=_verdict(compared, others, job, same=other is not None and other.id == opened.id),
        figures=_figures(rows, job, with_base=other is not None),
        others=tuple(others.values()),
        title=job.model.name,
        key=job.model.name,
        sha=git.head(project.git_root) or "",
        facts=_facts(job, opened, base_name),
        reproduce=f"assay gate {candidate}" + (f" --base {base_name}" if base_name else ""),
    )
    return Judged(
        candidate=opened.id,
        base=None if other is None else other.id,
        base_name=base_name,
        report=report,
    )


class _Job(msgspec.Struct, frozen=True, kw_only=True):
    """What is declared of a judgement, all of it there."""

    project: Project
    model: Model
    evaluation: declaration.Evaluation
    table: declaration.Table
    gate: Gate | None
    alias: str


def _job(project: Project, *, gate: bool) -> _Job:
    declared = declaration.read(project)
    if declared.model is None:
        raise _undeclared("model")
    if declared.evaluation is None:
        raise _undeclared("evaluation")
    if gate and declared.gate is None:
        raise _undeclared("gate")
    return _Job(
        project=project,
        model=declared.model,
        evaluation=declared.evaluation,
        table=declaration.table(declared, declared.evaluation.table),
        gate=declared.gate if gate else None,
        alias=declared.deploy.alias if declared.deploy else "production",
    )


def _undeclared(section: str) -> Usage:
    return Usage(
        f"'{section}' is not declared",
        where=declaration.FILE,
        hint=f"add '{section}:' to it; 'assay config schema' says what goes in",
    )


def _production(job: _Job) -> str:
    """Return the name of the version in production, or '' where there is none."""
    from assay.ledger import models
    from assay.ledger.database import open_ledger

    if not settings.has_ledger(job.project):
        return ""
    name = f"{job.model.name}@{job.alias}"
    with open_ledger(settings.ledger_where(job.project)) as ledger:
        try:
            models.get_version(ledger, name)
        except NotFound:
            return ""
    return name


def _open(job: _Job) -> Table:
    from assay.data.files import table_files
    from assay.data.read import open_table

    files = table_files(job.project.root / job.table.path)
    if files is None:
        raise NotFound(
            f"the evaluation table '{job.table.path}' is not there, or is no table",
            where=f"{declaration.FILE}: data.tables.{job.evaluation.table}",
            hint="make it with 'assay repro', or get it with 'assay checkout'",
        )
    return open_table(files)


def _rows(table: Table, job: _Job) -> Rows:
    from assay.evaluate import table as tables

    return tables.read(
        table,
        task=job.model.task,
        target=job.model.target,
        classes=job.model.classes,
        key=job.table.key,
        time=job.table.time,
        where=job.table.path,
    )


def _masks(table: Table, job: _Job) -> Mapping[str, Mask]:
    from assay.evaluate import slices

    return slices.masks(table, job.evaluation.slices) if job.evaluation.slices else {}


def _answer(rows: Rows, table: Table, name: str, bundle: Bundle) -> Rows:
    """Let a bundle answer every row."""
    from assay.evaluate.answers import features, probabilities

    _check_task(rows, bundle)
    answers = bundle.answers(features(table, bundle))
    return rows.with_model(
        name,
        answers["predict"],
        probabilities=probabilities(answers, bundle, rows.classes),
    )


def _check_task(rows: Rows, bundle: Bundle) -> None:
    """Refuse a bundle that answers another kind of question than the declared one."""
    wanted = "regression" if rows.task == "regression" else "classification"
    output = bundle.signature.output
    if bundle.signature.task != wanted:
        raise Error(
            f"the model is for {bundle.signature.task}; declared is '{rows.task}'",
            where=bundle.id[:19],
            hint=f"correct 'model: task' in {declaration.FILE}, or judge another model",
        )
    if len(output.shape) > 1:
        raise Error(
            f"the model gives {output.shape[1]} numbers a row; expected is one",
            where=bundle.id[:19],
            hint="freeze one model for each target",
        )


def _evaluate(
    rows: Rows,
    job: _Job,
    masks: Mapping[str, Mask],
    *,
    base: str | None,
    run: str,
    note: str = "",
) -> Evaluation:
    from assay.evaluate import evaluation as evaluations

    return evaluations.evaluate(
        rows,
        job.evaluation.metrics,
        candidate=CANDIDATE,
        base=base,
        slices=masks,
        block_seconds=evaluations.block_seconds(job.evaluation, timed=rows.time is not None),
        min_n=job.evaluation.min_n,
        run=run,
        note=note,
    )


def _beside_baselines(
    rows: Rows, table: Table, job: _Job, masks: Mapping[str, Mask], *, run: str
) -> dict[str, Evaluation]:
    """Evaluate the candidate beside each declared baseline, on the rows that it answers."""
    from assay.evaluate import baselines
    from assay.evaluate import table as tables

    found: dict[str, Evaluation] = {}
    for name, baseline in job.evaluation.baselines.items():
        series = tables.series(table, job.table.key, time=job.table.time)
        answers = baselines.guess(name, baseline, rows, table=table, series=series)
        kept, present = baselines.add(rows, name, answers)
        left_out = rows.n_rows - kept.n_rows
        found[name] = _evaluate(
            kept,
            job,
            {slice_: mask[present] for slice_, mask in masks.items()},
            base=name,
            run=run,
            note=f"{left_out:,} rows without an answer of the baseline" if left_out else "",
        )
    return found


def _figures(rows: Rows, job: _Job, *, with_base: bool) -> Figures:
    from assay.evaluate import evaluation as evaluations
    from assay.evaluate.figures import figures

    blocks = evaluations.block_seconds(job.evaluation, timed=rows.time is not None)
    models = [BASE, CANDIDATE] if with_base else [CANDIDATE]
    return figures(rows, models, block_seconds=blocks)


def _verdict(
    compared: Evaluation, others: Mapping[str, Evaluation], job: _Job, *, same: bool
) -> Verdict | None:  # fmt: skip
    from assay.evaluate import gate as gates

    if job.gate is None:
        return None
    if same:
        return Verdict(answer="pass", reason="the candidate is the base itself", rulings=())
    named = job.gate.baseline or next(iter(others), None)
    baseline = None if named is None else others.get(named)
    return gates.judge(compared, job.gate, baseline=baseline)


def _facts(job: _Job, bundle: Bundle, base_name: str) -> dict[str, str]:
    from assay.objects import scan

    project = job.project
    content = scan.scan(project.root / job.table.path, project.index, skip=project.ignore)
    return {
        "candidate": bundle.id,
        "base": base_name,
        "evaluation rows": f"md5:{content.oid}",
    }


def write_reports(judged: Judged, folder: Path) -> list[Path]:
    """Write the report as Markdown, HTML and JSON into a folder."""
    from assay.base.files import explain, write_atomic
    from assay.evaluate import page, report

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, folder) from error
    files = {
        "report.md": report.markdown(judged.report).encode(),
        "report.html": page.html(judged.report).encode(),
        "report.json": msgspec.json.format(dump(judged), indent=2) + b"\n",
    }
    for name, content in files.items():
        write_atomic(folder / name, content)
    return [folder / name for name in files]


def values(judged: Judged) -> dict[str, float]:
    """Return what was measured of the candidate, flat, as a file of metrics of a pipeline has it.

    A metric of a slice is `slice.NAME.METRIC`. What is undefined is not in it, and neither is a
    slice with too few rows: nothing is to be concluded from it.
    """
    return {
        result.metric if result.slice is None else f"slice.{result.slice}.{result.metric}": value
        for result in judged.report.evaluation.results
        if not result.too_few and math.isfinite(value := float(result.candidate.value))
    }


def dump(judged: Judged) -> bytes:
    """Return all results as JSON with sorted keys; the verdict stands at the top, too."""
    document: dict[str, Any] = msgspec.to_builtins(judged)
    if judged.verdict is not None:
        document["verdict"] = judged.verdict.answer
    return msgspec.json.encode(document, order="sorted")


def record(project: Project, judged: Judged) -> str:
    """Keep a verdict: with the run that made the candidate, and its registered versions.

    Returns the oid of the report, as JSON in the object store.
    """
    from assay.ledger import lineage, models
    from assay.ledger.database import open_ledger
    from assay.ledger.writer import Writer

    content = dump(judged)
    oid = f"sha256:{project.objects.add(content)}"
    if judged.verdict is None:
        return oid
    answer = judged.verdict.answer
    with open_ledger(settings.ledger_where(project)) as ledger:
        writer = Writer(ledger)
        for edge in lineage.edges_to(ledger, f"bundle:{judged.candidate}"):
            if edge.relation == "made":
                run = edge.source.removeprefix("run:")
                writer.add_artifact(run, GATE, oid, len(content))
                writer.set_tags(run, {"gate": answer})
        for version in models.find_versions(ledger, bundle=judged.candidate):
            models.describe_version(ledger, version, tags={"verdict": answer, "comparison": oid})
    return oid

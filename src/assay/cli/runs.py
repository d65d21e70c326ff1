"""`runs list/show/diff`; `run_records` deletes, exports and imports them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from assay.base.clock import duration, iso
from assay.base.errors import Usage
from assay.base.progress import counted, human_size
from assay.cli.output import json_option, show, spelled
from assay.cli.run_details import artifacts_command, experiments_command, metric_command
from assay.cli.run_places import directory_option, has_runs, open_runs
from assay.cli.run_records import (
    delete_command,
    export_command,
    import_command,
    purge_command,
    restore_command,
)
from assay.cli.run_table import SYSTEM
from assay.cli.search import search_command
from assay.cli.sync import sync_command

if TYPE_CHECKING:
    from assay.ledger.logged import LoggedModel
    from assay.ledger.runs import Change, Run, RunDiff, RunRow
    from assay.ledger.writer import Data

_SAID = frozenset(["mlflow.runName", "mlflow.user", "mlflow.parentRunId"])
"""Tags of MLflow's clients that say what other lines say."""
_WIDEST = 32
"""Characters of the longest name that the column of names is as wide as."""
_STEERING = re.compile(r"(\x1b\[[0-9;]*m)|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@click.group("runs")
def runs_group() -> None:
    """List, find, show and compare recorded runs; delete, purge, export and import them."""


runs_group.add_command(search_command)
runs_group.add_command(sync_command)
runs_group.add_command(artifacts_command)
runs_group.add_command(metric_command)
runs_group.add_command(experiments_command)


for _command in (
    delete_command, restore_command, purge_command, export_command, import_command
):  # fmt: skip
    runs_group.add_command(_command)


@runs_group.command("list")
@click.option(
    "-n",
    "--limit",
    default=20,
    show_default=True,
    type=click.IntRange(min=1),
    help="At most so many.",
)
@click.option("--all", "every", is_flag=True, help="The runs of single stages too.")
@click.option(
    "--status",
    type=click.Choice(["running", "scheduled", "finished", "failed", "killed"]),
    help="Only runs with this status.",
)
@click.option("--experiment", metavar="NAME", help="Only runs of this experiment.")
@click.option("--deleted", is_flag=True, help="The deleted runs, and nothing else.")
@directory_option
@json_option
def runs_list(
    limit: int,
    every: bool,
    status: str | None,
    experiment: str | None,
    deleted: bool,
    directory: Path | None,
    as_json: bool,
) -> int:
    """List runs, newest first."""
    from assay.ledger import listing, runs
    from assay.render.tables import text_table

    if not has_runs(directory):
        show([], as_json=as_json, text="No runs yet.")
        return 0
    if deleted:
        return _list_deleted(limit, directory, as_json=as_json)
    with open_runs(directory) as ledger:
        found = runs.list_(
            ledger,
            limit=limit,
            top_level=not every,
            status=status,  # type: ignore[arg-type]
            experiment=experiment,
        )
        if experiment is not None and not found:
            listing.check_experiment(ledger, experiment)
    rows = [_list_row(run) for run in found]
    header = ["run", "name", "kind", "status", "started", "took", "commit"]
    none = "No run is like that." if status or experiment else "No runs yet."
    show(found, as_json=as_json, text=text_table(header, rows) if rows else none)
    return 0


def _list_deleted(limit: int, directory: Path | None, *, as_json: bool) -> int:
    from assay.ledger import deleting
    from assay.render.tables import text_table

    with open_runs(directory) as ledger:
        found = deleting.list_deleted(ledger, limit=limit)
    rows = [
        [one.id[:13], one.name, one.kind, one.experiment, iso(one.start), iso(one.deleted)]
        for one in found
    ]
    header = ["run", "name", "kind", "experiment", "started", "deleted"]
    text = text_table(header, rows) if rows else "No run is deleted."
    show(found, as_json=as_json, text=text)
    return 0


def _list_row(run: RunRow) -> list[str]:
    took = "-" if run.seconds is None else duration(run.seconds)
    commit = (run.commit or "-")[:7]
    return [run.id[:13], run.name, run.kind, run.status, iso(run.start), took, commit]


@runs_group.command("show")
@click.argument("run", default="latest")
@directory_option
@json_option
def runs_show(run: str, directory: Path | None, as_json: bool) -> int:
    """Show all that is recorded of RUN: its id, the beginning of it, or 'latest'."""
    from assay.ledger import listing, runs

    with open_runs(directory) as ledger:
        found = runs.get(ledger, run)
        children = [runs.get(ledger, child) for child in found.children]
        models = listing.logged_models(ledger, found.id)
    document = {"run": found, "children": children, "logged_models": models}
    show(spelled(document), as_json=as_json, text=_shown(found, children, models))
    return 0


def _shown(run: Run, children: list[Run], models: list[LoggedModel]) -> str:
    from assay.render.tables import visible

    facts = [
        ("run", run.id),
        ("name", f"{visible(run.name)} ({run.kind})"),
        ("part of", run.parent or ""),
        ("status", run.status + (f": {visible(run.reason)}" if run.reason else "")),
        ("started", _started(run)),
        ("took", "-" if run.seconds is None else duration(run.seconds)),
        ("command", (run.command or "").replace("\n", "; ")),
        ("code", _code(run)),
        *_resources(run),
        *(
            (f"tag {visible(key)}", visible(value) or '""')
            for key, value in run.tags.items()
            if key not in _SAID
        ),
    ]
    if run.environment is not None:
        software, host = run.environment.software, run.environment.host
        facts.append(
            (
                "environment",
                f"{software.implementation} {software.python}, "  # noqa: ISC004 -- one text
                f"{len(software.packages)} packages, {host.cores} cores of {host.cpu}",
            )
        )
    width = max(len(name) for name, value in facts if value and len(name) <= _WIDEST)
    parts = ["\n".join(f"{name:<{width}}  {value}" for name, value in facts if value)]
    parts += _blocks(run)
    if models:
        lines = [f"{visible(one.name)}  {one.id}  {one.status}" for one in models]
        parts.append(f"logged models:\n{_indented(lines)}")
    parts += [_child(child) for child in children]
    for one in (run, *children):
        if one.status != "finished" and one.log_tail:
            parts.append(f"last lines of {visible(one.name)}:\n" + _indented(_last(one.log_tail)))
    return _harmless("\n\n".join(parts))


def _harmless(text: str) -> str:
    """Return a text that cannot steer the terminal, but for colours: records come from others."""
    return _STEERING.sub(lambda match: match[1] or repr(match[0])[1:-1], text)


def _started(run: Run) -> str:
    who = f" by {run.owner}" if run.owner else ""
    where = f" on {run.host}" if run.host else ""
    return f"{iso(run.start)}{who}{where}"


def _last(log: str) -> list[str]:
    return log.splitlines()[-15:]


def _code(run: Run) -> str:
    code = run.code
    if code.commit is None:
        return ""
    parts = [code.commit[:12], f"on {code.branch}" if code.branch else "detached"]
    if code.diff:
        parts.append("with uncommitted changes (kept)")
    if code.untracked:
        parts.append(f"and {counted(len(code.untracked), 'untracked file')} (kept)")
    if not code.reproducible:
        parts.append(f"- not reproducible: {code.reason}")
    return " ".join(parts)


def _resources(run: Run) -> list[tuple[str, str]]:
    parts = []
    if run.exit_status is not None:
        parts.append(f"exit status {run.exit_status}")
    if run.peak_memory is not None:
        parts.append(f"peak memory {human_size(run.peak_memory)}")
    if run.cpu_seconds is not None:
        parts.append(f"{duration(run.cpu_seconds)} of CPU")
    return [("resources", ", ".join(parts))] if parts else []


def _blocks(run: Run) -> list[str]:
    from assay.ledger.values import folded
    from assay.render.tables import format_number, visible

    blocks = {
        "params": [f"{key} = {value}" for key, value in folded(run.params).items()],
        "metrics": [f"{key} = {format_number(m.value)}" for key, m in run.metrics.items()],
        "inputs": [f"{d.path}  {_oid(d.oid)}{_for(d)}" for d in run.inputs],
        "outputs": [f"{d.path}  {_oid(d.oid)}" for d in run.outputs],
        "artifacts": [f"{a.path}  {human_size(a.size)}" for a in run.artifacts],
    }
    return [
        f"{title}:\n{_indented([visible(line) for line in lines])}"
        for title, lines in blocks.items()
        if lines
    ]


def _for(data: Data) -> str:
    """Return what a dataset of MLflow's kind is for."""
    if data.kind != "dataset":
        return ""
    return f"  (dataset, {data.context})" if data.context else "  (dataset)"


def _oid(oid: str) -> str:
    if ":" not in oid:  # a digest of MLflow's
        return oid
    algorithm, _, digest = oid.partition(":")
    return f"{algorithm}:{digest[:12]}{'.dir' if digest.endswith('.dir') else ''}"


def _indented(lines: list[str]) -> str:
    return "\n".join(f"  {line}" for line in lines)


def _child(run: Run) -> str:
    from assay.render.tables import format_number, visible

    took = "" if run.seconds is None else f" in {duration(run.seconds)}"
    resources = "".join(f", {text}" for _, text in _resources(run))
    what = f"stage {run.stage}" if run.stage else f"{run.kind} {run.name}"
    inner = f", {counted(len(run.children), 'part')}" if run.children else ""
    lines = [f"{visible(what)} ({run.id[:13]}): {run.status}{took}{resources}{inner}"]
    lines += [f"  {visible(run.reason)}"] if run.reason else []
    values = [
        f"{key} = {format_number(one.value)}"
        for key, one in run.metrics.items()
        if not key.startswith(SYSTEM)
    ]
    if values:
        more = f", and {len(values) - 6} more" if len(values) > 6 else ""
        lines.append(f"  {visible(', '.join(values[:6]))}{more}")
    return "\n".join(lines)


@runs_group.command("diff")
@click.argument("base", required=False)
@click.argument("candidate", default="latest")
@directory_option
@json_option
def runs_diff(base: str | None, candidate: str, directory: Path | None, as_json: bool) -> int:
    """Show what differs between two runs: by default the last two."""
    from assay.ledger import runs

    if base in {"latest", "latest~0"} and candidate == "latest":
        raise Usage(
            "these are one run",
            hint="'assay runs diff' compares the last two, 'assay runs diff A B' others",
        )
    with open_runs(directory) as ledger:
        first, second = runs.get(ledger, base or "latest~1"), runs.get(ledger, candidate)
    found = runs.diff(first, second)
    document = {"base": first.id, "candidate": second.id, "diff": found}
    show(spelled(document), as_json=as_json, text=_diff_text(first, second, found))
    return 0


def _diff_text(base: Run, candidate: Run, found: RunDiff) -> str:
    from assay.render.tables import format_change, text_table

    parts = []
    header = ["", f"base {base.id[:13]}", f"candidate {candidate.id[:13]}", "change"]
    for title, changes in (("params", found.params), ("metrics", found.metrics)):
        rows = [
            [
                c.key,
                "-" if c.only == "b" else _cell(c.a),
                "-" if c.only == "a" else _cell(c.b),
                "" if c.absolute is None else format_change(c.a, c.b),
            ]
            for c in changes
        ]
        if rows:
            parts.append(text_table([title, *header[1:]], rows))
    for title, changes in (("inputs", found.inputs), ("outputs", found.outputs)):
        if changes:
            parts.append(f"{title}:\n" + _indented([_moved(c) for c in changes]))
    if found.code:
        parts.append("code:\n" + _indented([_moved(c) for c in found.code]))
    if found.environment:
        parts.append("environment:\n" + _indented(list(found.environment)))
    return "\n\n".join(parts) or "The two runs are the same in all that is recorded."


def _cell(value: Any) -> str:
    from assay.render.tables import format_number

    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return format_number(value) if is_number else str(value)


def _moved(change: Change) -> str:
    shown = [_short(value) for value in (change.a, change.b)]
    return f"{change.key}: {shown[0]} -> {shown[1]}"


def _short(value: Any) -> str:
    if value is None:
        return "-"
    text = str(value)
    return _oid(text) if text.startswith(("md5:", "sha256:")) else text[:12]

"""`push`, `fetch`, `pull`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from assay.base.progress import counted
from assay.base.signals import interrupts_on_terminate
from assay.cli.data import change_lines, change_rows, note_missing, summary
from assay.cli.options import artifacts_option, request_of, transfer_options
from assay.cli.output import did, json_option, note, suggest_git_add
from assay.project import workspace

if TYPE_CHECKING:
    from assay.project.workspace import Project
    from assay.workflows.transfers import Synced


@click.command("push")
@transfer_options
@json_option
def push_command(as_json: bool, **options: Any) -> int:
    """Copy the data that the project records to a remote.

    Records of runs go along, with the artifacts that they name.

    TARGETS are files, folders, parts of tracked folders, .dvc files or stages.
    """
    from assay.workflows import transfers

    project = workspace.find()
    with interrupts_on_terminate():
        synced = transfers.push(project, request_of(options))
    _show(synced, "pushed", as_json=as_json)
    if synced.files and not as_json:
        suggest_git_add(project, synced.files)
    return 0


@click.command("fetch")
@transfer_options
@click.option(
    "--max-size", type=click.IntRange(min=1), metavar="BYTES", help="Only what is smaller."
)
@click.option(
    "--type",
    "kinds",
    type=click.Choice(["metrics", "plots"]),
    multiple=True,
    help="Only metrics, or plots.",
)
@artifacts_option
@json_option
def fetch_command(as_json: bool, **options: Any) -> int:
    """Copy the data that the project records from a remote into the cache.

    Records of runs come too. 'assay pull' does the same, and checks the data out.
    """
    from assay.workflows import transfers

    with interrupts_on_terminate():
        synced = transfers.fetch(workspace.find(), request_of(options))
    _show(synced, "fetched", as_json=as_json)
    return 0


@click.command("pull")
@transfer_options
@click.option("-f", "--force", is_flag=True, help="Overwrite data that is not in the cache.")
@click.option("--allow-missing", is_flag=True, help="Go on without what the remote has not.")
@artifacts_option
@json_option
def pull_command(force: bool, allow_missing: bool, as_json: bool, **options: Any) -> int:
    """Copy the data that the project records from a remote, and check it out.

    Records of runs come too.
    """
    from assay.workflows import transfers

    project = workspace.find()
    try:
        with interrupts_on_terminate():
            synced = transfers.pull(
                project, request_of(options), force=force, allow_missing=allow_missing
            )
    except transfers.Incomplete as error:
        if error.synced.changes:
            _show_pulled(project, error.synced, as_json=as_json)
        raise
    _show_pulled(project, synced, as_json=as_json)
    return 0


def _show_pulled(project: Project, synced: Synced, *, as_json: bool) -> None:
    document = _document(synced) | {"changes": change_rows(project, synced.changes)}
    moved = _count(synced)
    counts = summary(synced.changes, fetched=moved)
    came = [f"{text} fetched" for text in _records(synced)]
    counts = ", ".join([*([counts] if counts else []), *came]) or "Everything is up to date."
    lines = [change_lines(project, synced.changes), counts]
    did(document, as_json=as_json, text="\n".join(line for line in lines if line))
    _complain(synced)
    note_missing(project, synced.changes)


def _show(synced: Synced, verb: str, *, as_json: bool) -> None:
    moved = " and ".join([*_files(synced), *_records(synced)])
    text = f"{moved} {verb}" if moved else "Everything is up to date."
    did(_document(synced), as_json=as_json, text=text)
    _complain(synced)


def _count(synced: Synced) -> int:
    return synced.data.moved + synced.n_runs + synced.n_imported


def _files(synced: Synced) -> list[str]:
    return [counted(count, "file")] if (count := _count(synced)) else []


def _records(synced: Synced) -> list[str]:
    """Return how many runs were moved, or only artifacts of them."""
    if synced.n_records:
        return [counted(synced.n_records, "run")]
    return [counted(synced.n_artifacts, "artifact")] if synced.n_artifacts else []


def _document(synced: Synced) -> dict[str, Any]:
    return {
        "remote": synced.remote,
        "data": synced.data,
        "runs": synced.n_runs,
        "imported": synced.n_imported,
        "records": synced.n_records,
        "artifacts": synced.n_artifacts,
        "changes": [],
        "complaints": synced.complaints,
    }


def _complain(synced: Synced) -> None:
    for line in synced.notes:
        note(f"  {line}")
    for complaint in synced.complaints:
        note(f"  warning: {complaint}; left out")

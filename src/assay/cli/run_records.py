"""`runs delete/restore/purge/export/import`: what becomes of the records of runs."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from assay.base.clock import iso, now_ms
from assay.base.errors import Negative, Usage
from assay.base.progress import counted, human_size
from assay.cli.output import did, json_option, note, show
from assay.project import workspace

if TYPE_CHECKING:
    from assay.ledger.database import Ledger
    from assay.workflows.purging import Freed
    from assay.workflows.record_places import Place
    from assay.workflows.run_files import Imported

_SHOWN = 10
_DIGITS = 13  # of an id, as lists show it
_UNITS = {"h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
_of_experiment = click.option(
    "--experiment", metavar="NAME", help="The experiment of this name, with all its runs."
)


_of_hub = click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The folder of a hub, instead of this project.",
)


def _place(directory: Path | None, *, create: bool = False) -> Place:
    from assay.workflows import record_places

    if directory is not None:
        return record_places.of_hub(directory, create=create)
    return record_places.of_project(workspace.find())


def _open(directory: Path | None) -> Ledger:
    from assay.ledger.database import open_ledger

    return open_ledger(_place(directory).ledger, create=False)


@click.command("delete")
@click.argument("runs", nargs=-1)
@_of_experiment
@_of_hub
@json_option
def delete_command(
    runs: tuple[str, ...], experiment: str | None, directory: Path | None, as_json: bool
) -> int:
    """Delete RUNS with their parts.

    What is deleted stays in the ledger until 'assay runs purge'; 'assay runs restore' brings it
    back.
    """
    from assay.ledger import deleting

    _check_named(runs, experiment)
    with _open(directory) as ledger:
        if experiment is not None:
            deleting.mark_experiment(ledger, experiment, deleted=True)
        ids = deleting.delete(ledger, runs) if runs else []
    named = [f"the experiment '{experiment}'"] if experiment is not None else []
    named += [counted(len(ids), "run")] if ids else []
    chosen = [id_[:_DIGITS] for id_ in ids[: len(runs)]]  # its parts come after them
    back = f"--experiment '{experiment}'" if experiment is not None else " ".join(chosen)
    them = "it" if len(ids) < 2 else "them"
    text = f"Deleted {' and '.join(named)}; 'assay runs restore {back}' brings {them} back."
    did({"runs": ids, "experiment": experiment}, as_json=as_json, text=text)
    return 0


@click.command("restore")
@click.argument("runs", nargs=-1)
@_of_experiment
@_of_hub
@json_option
def restore_command(
    runs: tuple[str, ...], experiment: str | None, directory: Path | None, as_json: bool
) -> int:
    """Bring deleted RUNS back, with their parts."""
    from assay.ledger import deleting

    _check_named(runs, experiment)
    with _open(directory) as ledger:
        if experiment is not None:
            deleting.mark_experiment(ledger, experiment, deleted=False)
        ids = deleting.restore(ledger, runs) if runs else []
    named = [f"the experiment '{experiment}'"] if experiment is not None else []
    named += [counted(len(ids), "run")] if ids else []
    text = f"Restored {' and '.join(named)}."
    did({"runs": ids, "experiment": experiment}, as_json=as_json, text=text)
    return 0


def _check_named(runs: tuple[str, ...], experiment: str | None) -> None:
    if not runs and experiment is None:
        raise Usage(
            "say which runs: give their ids, or an experiment",
            hint="'assay runs list' shows ids; '--experiment NAME' means all runs of one",
        )


@click.command("purge")
@click.argument("runs", nargs=-1)
@click.option(
    "--older-than", metavar="AGE", help="Only what was deleted so long ago: 12h, 30d, 8w."
)  # fmt: skip
@click.option("--dry", is_flag=True, help="Say what would be freed, and free nothing.")
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@_of_hub
@json_option
def purge_command(
    runs: tuple[str, ...],
    older_than: str | None,
    dry: bool,
    force: bool,
    directory: Path | None,
    as_json: bool,
) -> int:
    """Remove deleted runs for good.

    Rows, names, and artifacts that nothing else names go. RUNS are deleted runs; without any,
    all that is deleted goes: runs, logged models, and experiments that are left without a run. A
    purged run does not come back with 'assay pull'; the number of a model's version is never
    given again.
    """
    from assay.workflows import purging

    place = _place(directory)
    before = None if older_than is None else now_ms() - _milliseconds(older_than)
    found = purging.find(place, runs, before=before)
    if dry or not found.what:
        show(_purge_document(found), as_json=as_json, text=_dry_text(found))
        return 0
    _ask(found, force=force)
    freed = purging.free(place, found)
    did(_purge_document(freed), as_json=as_json, text=f"Purged {_in_words(freed, freed='freed')}.")
    if not freed.is_shrunk:
        note("  the ledger's file keeps its size: another process works on it; purge again later")
    return 0


def _milliseconds(age: str) -> int:
    match = re.fullmatch(r"(\d{1,6})([hdw])", age.strip())
    if match is None:
        raise Usage(f"{age!r} is no age", hint="write 12h, 30d or 8w")
    return int(match[1]) * _UNITS[match[2]]


def _in_words(found: Freed, *, freed: str) -> str:
    counts = {
        "run": len(found.what.runs),
        "logged model": len(found.what.models),
        "experiment": len(found.what.experiments),
    }
    named = [counted(n, what) for what, n in counts.items() if n]
    files = f" and {freed} {counted(found.objects, 'artifact')} ({human_size(found.size)})"
    last = f" and {named[-1]}" if len(named) > 1 else named[-1]
    return ", ".join(named[:-1]) + last + (files if found.objects else "")


def _dry_text(found: Freed) -> str:
    if not found.what:
        kept = "".join(f"\n  {one.id} stays: {one.reason}" for one in found.what.kept)
        return f"Nothing to purge.{kept}"
    return "\n".join([*_lines(found, most=None), f"Would purge {_in_words(found, freed='free')}."])


def _lines(found: Freed, *, most: int | None) -> list[str]:
    from assay.render.tables import text_table

    shown = found.what.runs[:most]
    rows = [[one.id, one.name, one.experiment, iso(one.deleted)] for one in shown]
    lines = [text_table(["run", "name", "experiment", "deleted"], rows)] if rows else []
    if len(shown) < len(found.what.runs):
        lines.append(f"and {len(found.what.runs) - len(shown):,} more; --dry lists them all")
    lines += [f"logged model {one}" for one in found.what.models[:most]]
    lines += [f"experiment '{name}'" for name in found.what.experiments]
    lines += [f"{one.id} stays: {one.reason}" for one in found.what.kept]
    return lines


def _ask(found: Freed, *, force: bool) -> None:
    if force:
        return
    lines = [*_lines(found, most=_SHOWN), f"This purges {_in_words(found, freed='frees')}."]
    sys.stderr.write("\n".join(lines) + "\n")
    if not sys.stdin.isatty():
        raise Negative(
            "nobody can be asked here whether to purge this; nothing was removed",
            hint="agree to it with '--force'",
        )
    if not click.confirm("Purge?", err=True):
        raise Negative("nothing was removed")


def _purge_document(found: Freed) -> dict[str, Any]:
    return {
        "runs": found.what.runs,
        "logged_models": found.what.models,
        "experiments": found.what.experiments,
        "kept": found.what.kept,
        "n_artifacts": found.objects,
        "size": found.size,
    }


@click.command("export")
@click.argument("runs", nargs=-1)
@_of_experiment
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), metavar="FILE", help="The file to write."
)
@click.option("--no-artifacts", is_flag=True, help="Only the records.")
@click.option("-f", "--force", is_flag=True, help="Write over a file that is there.")
@_of_hub
@json_option
def export_command(
    runs: tuple[str, ...],
    experiment: str | None,
    out: Path | None,
    no_artifacts: bool,
    force: bool,
    directory: Path | None,
    as_json: bool,
) -> int:
    """Write RUNS to one file.

    'assay runs import' reads it: records, parts, artifacts, as a ZIP archive. Without RUNS and
    --experiment it is the latest run.
    """
    from assay.workflows import run_files

    done = run_files.write(
        _place(directory),
        runs or (() if experiment is not None else ("latest",)),
        experiment=experiment,
        out=out,
        artifacts=not no_artifacts,
        overwrite=force,
    )
    text = (
        f"Wrote {counted(done.runs, 'run')} and {counted(done.objects, 'artifact')} to "
        f"{done.path} ({human_size(done.size)})."
    )
    did(done, as_json=as_json, text=text)
    if done.missing:
        note(
            f"  {counted(done.missing, 'artifact')} left out: not here; "
            "'assay fetch --artifacts' may bring them"
        )
    return 0


@click.command("import")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--mlflow", metavar="STORE", help="A folder 'mlruns', or an 'mlflow.db', of MLflow instead."
)
@click.option(
    "--artifacts-from",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Where MLflow's artifacts lie now, if they were moved.",
)
@click.option("--no-artifacts", is_flag=True, help="Only the records.")
@_of_hub
@json_option
def import_command(
    file: Path | None,
    mlflow: str | None,
    artifacts_from: Path | None,
    no_artifacts: bool,
    directory: Path | None,
    as_json: bool,
) -> int:
    """Read runs from a FILE, or from MLflow.

    'assay runs export' writes such a file. A store of MLflow is only read: experiments, runs
    with their histories, artifacts, logged models, registered models with versions and aliases
    come. What is here already stays or is merged, so that importing again brings what is new.
    """
    if (file is None) is (mlflow is None):
        raise Usage(
            "say where the runs come from: a FILE, or '--mlflow STORE'",
            hint="assay runs import runs.zip; assay runs import --mlflow mlruns",
        )
    place = _place(directory, create=True)
    if file is not None:
        from assay.workflows import run_files

        done = run_files.read(place, file, artifacts=not no_artifacts)
    else:
        from assay.workflows.mlflow import importing

        done = importing.read(
            place, mlflow or "", artifacts=not no_artifacts, artifacts_from=artifacts_from
        )
    did(done, as_json=as_json, text=_imported(done))
    for line in done.complaints[:_SHOWN]:
        note(f"  warning: {line}")
    if len(done.complaints) > _SHOWN:
        note(f"  and {len(done.complaints) - _SHOWN:,} warnings more; --json lists them all")
    return 0


def _imported(done: Imported) -> str:
    counts = {
        "new run": done.new,
        "new logged model": done.models,
        "changed run": done.changed,
        "registered version": done.versions,
        "artifact": done.objects,
    }
    named = [counted(n, what) for what, n in counts.items() if n]
    return f"Imported {', '.join(named)}." if named else "All of it is here already."

"""`runs delete/restore/purge/export/import`: what becomes of the records of runs."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from assay.base.clock import iso, now_ms
from assay.base.errors import Negative, Usage
from assay.base.progress import counted, human_size
from assay.cli.output import did, json_option, note, show
from assay.cli.run_places import directory_option, open_runs, own_place, say_whose

if TYPE_CHECKING:
    from assay.workflows.purging import Freed
    from assay.workflows.run_files import Imported

_SHOWN = 10
_HOW_TO_LOAD = """\
  registered versions of MLflow's are no bundles: MLflow loads them from 'assay hub{}', as
  mlflow.pyfunc.load_model("models:/NAME/VERSION"); assay.load("models:/NAME/VERSION") returns the
  folder of their files"""
_UNITS = {"h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
_of_experiment = click.option(
    "--experiment", metavar="NAME", help="The experiment of this name, with all its runs."
)


@click.command("delete")
@click.argument("runs", nargs=-1)
@_of_experiment
@directory_option
@json_option
def delete_command(
    runs: tuple[str, ...], experiment: str | None, directory: Path | None, as_json: bool
) -> int:
    """Delete RUNS with their parts.

    What is deleted stays in the ledger until 'assay runs purge'; 'assay runs restore' brings it
    back.
    """
    from assay.ledger import deleting
    from assay.render.tables import visible

    _check_named(runs, experiment)
    with open_runs(directory) as ledger:
        if experiment is not None:
            deleting.mark_experiment(ledger, experiment, deleted=True)
            ids, back = [], f"--experiment {shlex.quote(experiment)}"
        else:
            ids = deleting.delete(ledger, runs)
            back = " ".join(deleting.ways_back(ledger, ids))
    if directory is not None:
        back += f" --directory {shlex.quote(str(directory))}"
    them = "it" if len(ids) < 2 else "them"
    restore = visible(f"assay runs restore {back}")
    text = f"Deleted {_in_short(ids, experiment)}; '{restore}' brings {them} back."
    did({"runs": ids, "experiment": experiment}, as_json=as_json, text=text)
    return 0


@click.command("restore")
@click.argument("runs", nargs=-1)
@_of_experiment
@directory_option
@json_option
def restore_command(
    runs: tuple[str, ...], experiment: str | None, directory: Path | None, as_json: bool
) -> int:
    """Bring deleted RUNS back, with their parts."""
    from assay.ledger import deleting

    _check_named(runs, experiment)
    with open_runs(directory) as ledger:
        if experiment is not None:
            deleting.mark_experiment(ledger, experiment, deleted=False)
        ids = deleting.restore(ledger, runs) if runs else []
    text = f"Restored {_in_short(ids, experiment)}."
    did({"runs": ids, "experiment": experiment}, as_json=as_json, text=text)
    return 0


def _in_short(ids: list[str], experiment: str | None) -> str:
    from assay.render.tables import visible

    return counted(len(ids), "run") if ids else f"the experiment '{visible(experiment or '')}'"


def _check_named(runs: tuple[str, ...], experiment: str | None) -> None:
    if not runs and experiment is None:
        raise Usage(
            "say which runs: give their ids, or an experiment",
            hint="'assay runs list' shows ids; '--experiment NAME' means all runs of one",
        )
    if runs and experiment is not None:
        raise Usage(
            "RUNS and '--experiment' exclude each other",
            hint="an experiment takes all of its runs along; do one after the other",
        )


@click.command("purge")
@click.argument("runs", nargs=-1)
@click.option(
    "--older-than", metavar="AGE", help="Only what was deleted so long ago: 12h, 30d, 8w."
)  # fmt: skip
@click.option("--dry", is_flag=True, help="Say what would be freed, and free nothing.")
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@directory_option
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
    purged run does not come back with 'assay pull'; from a remote, the next 'assay push' takes
    its record away, and 'assay gc --cloud' after that its artifacts. The number of a deleted
    version of a model is not given again as long as there is the model.
    """
    from assay.workflows import purging

    say_whose(directory)
    place = own_place(directory)
    before = None if older_than is None else now_ms() - _milliseconds(older_than)
    found = purging.find(place, runs, before=before)
    if dry or not found:
        show(_purge_document(found), as_json=as_json, text=_dry_text(found))
        return 0
    _ask(found, force=force)
    freed = purging.free(place, found)
    text = f"Purged {_in_words(freed, freed='freed')}." if freed else "Nothing was purged."
    did(_purge_document(freed), as_json=as_json, text=text)
    if changed := _n_rows(found) - _n_rows(freed):
        note(f"  {changed} of what was found is not as it was, and stays: it was restored, say")
    if freed.n_young:
        note(f"  {_young(freed)}")
    if not freed.is_shrunk:
        note("  the ledger's file keeps its size: another process works on it; purge again later")
    return 0


def _n_rows(found: Freed) -> int:
    return len(found.what.runs) + len(found.what.models) + len(found.what.experiments)


def _young(found: Freed) -> str:
    """Say what stays though nothing names it: what a client has just sent has no record yet."""
    objects = counted(found.n_young, "object")
    stay, them = ("stays: it was", "it") if found.n_young == 1 else ("stay: they were", "them")
    return f"{objects} {stay} written less than an hour ago; a run may be about to name {them}"


def _milliseconds(age: str) -> int:
    match = re.fullmatch(r"(\d{1,6})([hdw])", age.strip())
    if match is None:
        raise Usage(f"{age!r} is no age", hint="write 12h, 30d or 8w")
    return int(match[1]) * _UNITS[match[2]]


def _in_words(found: Freed, *, freed: str) -> str:
    from assay.workflows.record_objects import in_words

    counts = {
        "run": len(found.what.runs),
        "logged model": len(found.what.models),
        "experiment": len(found.what.experiments),
    }
    named = [counted(n, what) for what, n in counts.items() if n]
    objects = f"{in_words(found.artifacts, found.others)} ({human_size(found.size)})"
    if not named:  # in a hub's folder, where an earlier purge was too early for them
        return f"{objects} that nothing names"
    files = f" and {freed} {objects}"
    last = f" and {named[-1]}" if len(named) > 1 else named[-1]
    return ", ".join(named[:-1]) + last + (files if found.artifacts or found.others else "")


def _dry_text(found: Freed) -> str:
    if not found:
        from assay.render.tables import visible

        kept = "".join(f"\n  {one.id} stays: {visible(one.reason)}" for one in found.what.kept)
        return f"Nothing to purge.{kept}"
    young = [f"{_young(found)}."] if found.n_young else []
    would = f"Would purge {_in_words(found, freed='free')}."
    return "\n".join([*_lines(found, most=None), would, *young])


def _lines(found: Freed, *, most: int | None) -> list[str]:
    from assay.render.tables import text_table, visible

    shown = found.what.runs[:most]
    rows = [[one.id, one.name, one.experiment, iso(one.deleted)] for one in shown]
    lines = [text_table(["run", "name", "experiment", "deleted"], rows)] if rows else []
    if len(shown) < len(found.what.runs):
        lines.append(f"and {len(found.what.runs) - len(shown):,} more; --dry lists them all")
    lines += [f"logged model {one}" for one in found.what.models[:most]]
    lines += [f"experiment '{visible(name)}'" for name in found.what.experiments]
    lines += [f"{one.id} stays: {visible(one.reason)}" for one in found.what.kept]
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
        "n_artifacts": found.artifacts,
        "n_others": found.others,
        "size": found.size,
        "n_young": found.n_young,
    }


@click.command("export")
@click.argument("runs", nargs=-1)
@_of_experiment
@click.option("--all", "every", is_flag=True, help="All runs, but for those that go on.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), metavar="FILE", help="The file to write."
)
@click.option("--no-artifacts", is_flag=True, help="Only the records.")
@click.option("-f", "--force", is_flag=True, help="Write over a file that is there.")
@directory_option
@json_option
def export_command(
    runs: tuple[str, ...],
    experiment: str | None,
    every: bool,
    out: Path | None,
    no_artifacts: bool,
    force: bool,
    directory: Path | None,
    as_json: bool,
) -> int:
    """Write RUNS to one file.

    'assay runs import' reads it: records, parts, artifacts, as a ZIP archive. Without RUNS,
    --experiment and --all it is the latest run.
    """
    from assay.workflows import run_files

    is_latest = not (runs or every or experiment is not None)
    if every and (runs or experiment is not None):
        raise Usage(
            "'--all' means all runs: it takes neither RUNS nor '--experiment'",
            hint="leave '--all' out, or the others",
        )
    say_whose(directory)
    done = run_files.write(
        own_place(directory),
        ("latest",) if is_latest else runs,
        experiment=experiment,
        every=every,
        out=out,
        artifacts=not no_artifacts,
        overwrite=force,
    )
    held = "" if no_artifacts else f" and {counted(done.artifacts, 'artifact')}"
    text = f"Wrote {counted(done.runs, 'run')}{held} to {done.path} ({human_size(done.size)})."
    did(done, as_json=as_json, text=text)
    if is_latest:
        note("  this is the latest run alone, with its parts; '--all' takes all runs")
    if done.running:
        go, are = (
            ("goes on and is", "it has") if done.running == 1 else ("go on and are", "they have")
        )
        note(f"  {counted(done.running, 'run')} {go} left out; export again when {are} ended")
    if done.missing or done.others_missing:
        from assay.workflows.record_objects import in_words

        note(
            f"  {in_words(done.missing, done.others_missing)} left out: not here; "
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
@directory_option
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
    say_whose(directory)
    place = own_place(directory, create=True)
    if file is not None:
        from assay.workflows import run_files

        done = run_files.read(place, file, artifacts=not no_artifacts)
    else:
        from assay.workflows.mlflow import importing

        done = importing.read(
            place, mlflow or "", artifacts=not no_artifacts, artifacts_from=artifacts_from
        )
    did(done, as_json=as_json, text=_imported(done))
    if done.versions:
        note(_HOW_TO_LOAD.format(" --directory DIR" if directory is not None else ""))
    _warn(done.complaints)
    return 0


def _warn(complaints: list[str]) -> None:
    from assay.render.tables import visible

    for line in complaints[:_SHOWN]:
        note(f"  warning: {visible(line)}")
    if len(complaints) > _SHOWN:
        note(f"  and {len(complaints) - _SHOWN:,} warnings more; --json lists them all")


def _imported(done: Imported) -> str:
    counts = {
        "new run": done.new,
        "new logged model": done.models,
        "changed run": done.changed,
        "registered version": done.versions,
        "artifact": done.artifacts,
    }
    if not any(counts.values()):  # they come with a record, and are told of where nothing else is
        counts["other file"] = done.others
    named = [counted(n, what) for what, n in counts.items() if n]
    return f"Imported {', '.join(named)}." if named else "All of it is here already."

"""`runs artifacts`, `runs metric` and `runs experiments`: files, points of a metric, names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from assay.base.clock import iso
from assay.base.errors import Error, NotFound, did_you_mean
from assay.base.progress import counted, human_size
from assay.cli.forms import csv_option, csv_table, one_form
from assay.cli.output import did, json_option, show, spelled
from assay.cli.run_places import bring, directory_option, has_runs, open_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from assay.ledger.runs import Run
    from assay.ledger.writer import Artifact


@click.command("artifacts")
@click.argument("run", default="latest")
@click.argument("path", default="")
@click.option("-o", "--out", metavar="DIR", help="Copy them into this folder.")
@directory_option
@json_option
def artifacts_command(
    run: str, path: str, out: str | None, directory: Path | None, as_json: bool
) -> int:
    """List the files that RUN keeps, those at PATH or below it, or copy them by --out."""
    from assay.ledger import runs
    from assay.render.tables import text_table

    with open_runs(directory) as ledger:
        found = runs.get(ledger, run)
    kept = _at(found, path.strip("/"))
    if out is not None:
        copied, problems = _copy(kept, Path(out), directory)
        did(copied, as_json=as_json, text=f"{counted(len(copied), 'file')} copied to {out}")
        _all_copied(problems)
        return 0
    rows = [[one.path, human_size(one.size), one.oid.removeprefix("sha256:")[:8]] for one in kept]
    none = f"The run {found.id} keeps no files."
    show(
        kept, as_json=as_json, text=text_table(["path", "size", "sha256"], rows) if rows else none
    )
    return 0


def _all_copied(problems: list[Error]) -> None:
    """Say what could not be copied."""
    if len(problems) == 1:
        raise problems[0]
    if problems:
        said = "; ".join(f"{one.where}: {one.what}" if one.where else one.what for one in problems)
        raise Error(f"{len(problems):,} files were not copied: {said}", hint=problems[0].hint)


def _at(run: Run, path: str) -> tuple[Artifact, ...]:
    """Return the file of a run at a path, or the files of the folder."""
    if not path:
        return run.artifacts
    found = tuple(
        one for one in run.artifacts if one.path == path or one.path.startswith(f"{path}/")
    )
    if not found:
        raise NotFound(
            f"the run {run.id} keeps nothing at {path!r}",
            hint=did_you_mean(path, [one.path for one in run.artifacts])
            or f"'assay runs artifacts {run.id[:13]}' lists what it keeps",
        )
    return found


def _copy(
    kept: Sequence[Artifact], folder: Path, directory: Path | None
) -> tuple[list[Artifact], list[Error]]:
    """Copy files, and return those that were, and why the others were not.

    Where one is not here, or there is another one already, nothing is written.
    """
    from assay.ledger.sdk import downloads

    oids = [one.oid.removeprefix("sha256:") for one in kept]
    objects = bring(directory, oids)
    missing = [one.path for one, oid in zip(kept, oids, strict=True) if not objects.has(oid)]
    if missing:
        raise NotFound(
            f"the content of {missing[0]!r} is not here", hint="'assay pull --artifacts' brings it"
        )
    for one in kept:
        target = folder / one.path
        if os.path.isfile(target):  # noqa: PTH113 -- false where a name is too long, too
            raise Error("there is a file already", where=target, hint="name another folder")
    copied, problems = [], []
    for one, oid in zip(kept, oids, strict=True):
        try:
            downloads.copy_one(objects, oid, one.path, folder)
            copied.append(one)
        except Error as error:
            problems.append(error)
    return copied, problems


@click.command("metric")
@click.argument("run")
@click.argument("key")
@directory_option
@json_option
@csv_option
def metric_command(run: str, key: str, directory: Path | None, as_json: bool, as_csv: bool) -> int:
    """Show all points that RUN logged of the metric KEY, in the order of their moments."""
    from assay.ledger import runs
    from assay.render.tables import format_number, text_table

    one_form(json=as_json, csv=as_csv)
    with open_runs(directory) as ledger:
        found = runs.get(ledger, run)
        points = runs.history(ledger, found.id, key)
    if not points:
        hint = did_you_mean(key, found.metrics) or f"it has: {', '.join(found.metrics) or 'none'}"
        raise NotFound(f"the run {found.id} has no metric {key!r}", hint=hint)
    if as_csv:
        lines = [[point.step, point.at, point.value] for point in points]
        show([], as_json=False, text=csv_table(["step", "at", "value"], lines))
        return 0
    rows = [[str(one.step), iso(one.at), format_number(one.value)] for one in points]
    show(spelled(points), as_json=as_json, text=text_table(["step", "at", "value"], rows))
    return 0


@click.command("experiments")
@directory_option
@json_option
def experiments_command(directory: Path | None, as_json: bool) -> int:
    """List the experiments: how many runs each has, and when the last one began.

    Runs that are a part of another do not count. The one with the newest run comes first.
    """
    from assay.ledger import listing
    from assay.render.tables import text_table

    if not has_runs(directory):
        show([], as_json=as_json, text="No runs yet.")
        return 0
    with open_runs(directory) as ledger:
        found = listing.experiments(ledger)
    rows = [
        [one.name, f"{one.n_runs:,}", "-" if one.last is None else iso(one.last)] for one in found
    ]
    show(found, as_json=as_json, text=text_table(["experiment", "runs", "last run"], rows))
    return 0

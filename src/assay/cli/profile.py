"""`profile`."""

from __future__ import annotations

from pathlib import Path

import click

from assay.base.files import write_atomic
from assay.cli.output import json_option, note
from assay.project import workspace


@click.command("profile")
@click.argument("table")
@click.option(
    "--edges",
    metavar="PROFILE",
    help="Count on the cells of this profile (a .json file, or another table).",
)
@click.option("-o", "--out", metavar="FILE", help="Write the profile as JSON to FILE.")
@json_option
def profile_command(table: str, edges: str | None, out: str | None, as_json: bool) -> int:
    """Show statistics of TABLE: a CSV or Parquet file, or a folder of them.

    Tracked tables are profiled when they are added or produced; this shows what is there.
    """
    from assay.data import profile, summary
    from assay.render.tables import text_table
    from assay.workflows import profiles

    project = workspace.find()
    path = project.resolve(table)
    if edges is None:
        found = profiles.of(project, path)
    else:
        given = Path(edges)
        reference = (
            profile.load(given.read_bytes(), where=edges)
            if given.suffix == ".json"
            else profiles.of(project, project.resolve(edges))
        )
        found = profiles.on_edges(project, path, reference)
    if out is not None:
        write_atomic(Path(out), profile.dump(found))
        note(f"wrote {out}")
    if as_json:
        click.echo(profile.dump(found).decode(), nl=False)
    elif out is None:
        header, rows = summary.summary(found)
        click.echo(text_table(header, rows))
        repeated = f", {found.n_duplicates:,} repeated" if found.n_duplicates else ""
        click.echo(f"\n{found.source}: {found.n_rows:,} rows{repeated}, {len(rows)} columns")
    return 0

"""`add`, `commit`, `checkout`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from assay.base.errors import Usage
from assay.base.progress import counted
from assay.cli.options import (
    glob_option,
    recursive_option,
    targets_argument,
    targets_of,
    with_deps_option,
)
from assay.cli.output import did, json_option, note, suggest_git_add
from assay.objects.checkout import Change
from assay.objects.legacy import named
from assay.project import workspace
from assay.project.tracking import Added
from assay.project.workspace import Project

_no_profile = click.option(
    "--no-profile", is_flag=True, help="Make no statistics of tables."
)  # fmt: skip


_no_relink = click.option(
    "--no-relink", is_flag=True, help="Leave files as they are, whatever cache.type says."
)


@click.command("add")
@click.argument("paths", nargs=-1, required=True)
@glob_option
@_no_relink
@click.option("--no-commit", is_flag=True, help="Only record; put nothing into the cache.")
@click.option("-o", "--out", metavar="PATH", help="Copy the data to PATH, and track that.")
@click.option("--to-remote", is_flag=True, help="Send the data to a remote, and keep none here.")
@click.option("-r", "--remote", metavar="NAME", help="The remote for --to-remote.")
@click.option("-j", "--remote-jobs", type=click.IntRange(min=1), help="Objects sent at a time.")
@click.option("-f", "--force", is_flag=True, help="Overwrite what lies at --out.")
@_no_profile
@json_option
def add_command(
    paths: tuple[str, ...], no_profile: bool, as_json: bool, **options: Any
) -> int:  # fmt: skip
    """Put files and folders under version control.

    The content goes to the cache, a small PATH.dvc file says which content it was, and git is told
    to ignore the data itself. Commit the .dvc file: that is a version of the data.

    A path inside a tracked folder records that part of the folder.
    """
    from assay.workflows import adding, data

    project = workspace.find()
    elsewhere = adding.check(paths, adding.Elsewhere(
        out=options["out"],
        to_remote=options["to_remote"],
        remote=options["remote"],
        jobs=options["remote_jobs"],
        force=options["force"],
    ), glob=options["glob"], keep=not options["no_commit"])  # fmt: skip
    if elsewhere is not None:
        if options["no_relink"]:
            raise Usage("'--no-relink' cannot be used with '--out' or '--to-remote'")
        added = [adding.add(project, paths[0], elsewhere, cwd=Path.cwd())]
        complaints = data.profiled(project, added, profile=not no_profile)
    else:
        added, complaints = data.add(
            project,
            paths,
            cwd=Path.cwd(),
            profile=not no_profile,
            glob=options["glob"],
            keep=not options["no_commit"],
            relink=not options["no_relink"],
        )
    _show_recorded(project, added, complaints, as_json=as_json)
    return 0


@click.command("commit")
@targets_argument
@click.option("-f", "--force", is_flag=True, help="Also stages: what they read and made.")
@with_deps_option
@recursive_option
@_no_relink
@_no_profile
@json_option
def commit_command(
    force: bool, no_profile: bool, no_relink: bool, as_json: bool, **options: Any
) -> int:
    """Record the present content of tracked data (all of it without TARGETS).

    With --force also of stages, as if their commands had run on what lies here.
    """
    from assay.workflows import data

    project = workspace.find()
    recorded, complaints = data.commit(
        project,
        targets_of(options),
        force=force,
        profile=not no_profile,
        relink=not no_relink,
    )
    _show_recorded(project, recorded, complaints, as_json=as_json)
    return 0


def _short(oid: str) -> str:
    kind, _, name = named(oid).partition(":")
    return f"{kind}:{name[:8]}"


def _show_recorded(
    project: Project, added: list[Added], complaints: list[str], *, as_json: bool
) -> None:
    from assay.base.progress import human_size

    rows = [
        {
            "path": project.relative(one.path),
            "oid": named(one.content.oid),
            "size": one.content.size,
            "n_files": one.content.n_files,
            "changed": one.changed,
        }
        for one in added
    ]
    lines = []
    for one in added:
        count = "" if one.content.n_files is None else f"{counted(one.content.n_files, 'file')}, "
        state = "" if one.changed else "  (unchanged)"
        lines.append(
            f"{project.shown(one.path)}  {count}{human_size(one.content.size)}"
            f"  {_short(one.content.oid)}{state}"
        )
    did(rows, as_json=as_json, text="\n".join(lines))
    for complaint in complaints:
        note(f"  {complaint}")
    if not as_json:
        suggest_git_add(project, [f for one in added if one.changed for f in one.files])


@click.command("checkout")
@targets_argument
@click.option("-f", "--force", is_flag=True, help="Overwrite data that is not in the cache.")
@click.option("--relink", is_flag=True, help="Link all files anew, as cache.type says.")
@click.option("--allow-missing", is_flag=True, help="Go on without what the cache has not.")
@click.option("--summary", "in_short", is_flag=True, help="Print only how many files changed.")
@with_deps_option
@recursive_option
@json_option
def checkout_command(
    force: bool,
    relink: bool,
    allow_missing: bool,
    in_short: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Bring data to what is recorded, as after 'git checkout'."""
    from assay.workflows import data

    project = workspace.find()
    changes = data.checkout(
        project, targets_of(options), force=force, relink=relink, allow_missing=allow_missing
    )
    short = summary(changes) or "No changes."
    lines = [short if in_short else change_lines(project, changes)]
    lines += ["Relinked successfully"] if relink else []
    text = "\n".join(line for line in lines if line)
    did(change_rows(project, changes), as_json=as_json, text=text)
    note_missing(project, changes)
    return 0


def change_rows(project: Project, changes: Sequence[Change]) -> list[dict[str, str]]:
    """Return the changes of a checkout as a document."""
    return [{"path": project.relative(c.path), "state": c.state} for c in changes]


def change_lines(project: Project, changes: Sequence[Change]) -> str:
    """Return a line for each change: modified, then added, then deleted."""
    order = {"modified": 0, "added": 1, "deleted": 2}
    done = [change for change in changes if change.state in order]
    return "\n".join(
        f"{c.state[0].upper()}\t{project.shown(c.path)}{'/' if c.path.is_dir() else ''}"
        for c in sorted(done, key=lambda c: (order[c.state], str(c.path)))
    )


def summary(changes: Sequence[Change], *, fetched: int = 0) -> str:
    """Return how many files were fetched, modified, added and deleted; "" if none was."""
    done = [change for change in changes if change.state != "missing"]
    added, deleted = sum(c.n_added for c in done), sum(c.n_deleted for c in done)
    counts = {
        "fetched": fetched,
        "modified": sum(c.n_files for c in done) - added - deleted,
        "added": added,
        "deleted": deleted,
    }
    parts = [f"{counted(count, 'file')} {verb}" for verb, count in counts.items() if count]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def note_missing(project: Project, changes: Sequence[Change]) -> None:
    """Say what a checkout left out."""
    for change in changes:
        if change.state == "missing":
            lacking = counted(change.n_files, "object")
            note(f"  left out: {lacking} of '{project.shown(change.path)}' not in the cache")

"""`add`, `commit`, `checkout`, `push`, `pull`, `data status`, `diff`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from assay.cli.output import did, json_option, note, show, suggest_git_add
from assay.objects.checkout import Change
from assay.project import workspace
from assay.project.tracking import Added
from assay.project.workspace import Project

_targets = click.argument("targets", nargs=-1)
_no_profile = click.option(
    "--no-profile", is_flag=True, help="Make no statistics of tables."
)  # fmt: skip


@click.command("add")
@click.argument("paths", nargs=-1, required=True)
@_no_profile
@json_option
def add_command(paths: tuple[str, ...], no_profile: bool, as_json: bool) -> int:
    """Put files and folders under version control.

    The content goes to the cache, a small PATH.dvc file says which content it was, and git is told
    to ignore the data itself. Commit the .dvc file: that is a version of the data.
    """
    from assay.workflows import data

    project = workspace.find()
    added, complaints = data.add(project, paths, cwd=Path.cwd(), profile=not no_profile)
    _show_recorded(project, added, complaints, as_json=as_json)
    return 0


@click.command("commit")
@_targets
@click.option("-f", "--force", is_flag=True, help="Also outputs of stages.")
@_no_profile
@json_option
def commit_command(targets: tuple[str, ...], force: bool, no_profile: bool, as_json: bool) -> int:
    """Record the present content of tracked data (all of it without TARGETS)."""
    from assay.workflows import data

    project = workspace.find()
    recorded, complaints = data.commit(
        project, targets, cwd=Path.cwd(), force=force, profile=not no_profile
    )
    _show_recorded(project, recorded, complaints, as_json=as_json)
    return 0


def _show_recorded(
    project: Project, added: list[Added], complaints: list[str], *, as_json: bool
) -> None:
    from assay.base.progress import human_size

    rows = [
        {
            "path": project.relative(one.path),
            "oid": f"md5:{one.content.oid}",
            "size": one.content.size,
            "n_files": one.content.n_files,
            "changed": one.changed,
        }
        for one in added
    ]
    lines = []
    for one in added:
        count = "" if one.content.n_files is None else f"{one.content.n_files:,} files, "
        state = "" if one.changed else "  (unchanged)"
        lines.append(
            f"{project.shown(one.path)}  {count}{human_size(one.content.size)}"
            f"  md5:{one.content.oid[:8]}{state}"
        )
    did(rows, as_json=as_json, text="\n".join(lines))
    for complaint in complaints:
        note(f"  {complaint}")
    if not as_json:
        suggest_git_add(project, [f for one in added if one.changed for f in one.files])


@click.command("checkout")
@_targets
@click.option("-f", "--force", is_flag=True, help="Overwrite data that is not in the cache.")
@json_option
def checkout_command(targets: tuple[str, ...], force: bool, as_json: bool) -> int:
    """Bring data to what is recorded, as after 'git checkout'."""
    from assay.workflows import data

    project = workspace.find()
    changes = data.checkout(project, targets, cwd=Path.cwd(), force=force)
    did(_change_rows(project, changes), as_json=as_json, text=_change_lines(project, changes))
    return 0


def _change_rows(project: Project, changes: list[Change]) -> list[dict[str, str]]:
    return [{"path": project.relative(c.path), "state": c.state} for c in changes]


def _change_lines(project: Project, changes: list[Change]) -> str:
    order = {"modified": 0, "added": 1, "deleted": 2}
    return "\n".join(
        f"{c.state[0].upper()}\t{project.shown(c.path)}{'/' if c.path.is_dir() else ''}"
        for c in sorted(changes, key=lambda c: (order[c.state], str(c.path)))
    )


_remote = click.option("-r", "--remote", metavar="NAME", help="Another remote than the default.")


@click.command("push")
@_targets
@_remote
@json_option
def push_command(targets: tuple[str, ...], remote: str | None, as_json: bool) -> int:
    """Copy the data that the project records to a remote."""
    from assay.workflows import data

    synced = data.push(workspace.find(), targets, cwd=Path.cwd(), remote=remote)
    did(synced, as_json=as_json, text=_moved(synced.data.moved, "pushed"))
    return 0


@click.command("pull")
@_targets
@_remote
@click.option("-f", "--force", is_flag=True, help="Overwrite data that is not in the cache.")
@json_option
def pull_command(targets: tuple[str, ...], remote: str | None, force: bool, as_json: bool) -> int:
    """Copy the data that the project records from a remote, and check it out."""
    from assay.workflows import data

    project = workspace.find()
    synced = data.pull(project, targets, cwd=Path.cwd(), remote=remote, force=force)
    lines = [_change_lines(project, synced.changes), _moved(synced.data.moved, "fetched")]
    document = {
        "remote": synced.remote,
        "data": synced.data,
        "changes": _change_rows(project, synced.changes),
    }
    did(document, as_json=as_json, text="\n".join(line for line in lines if line))
    return 0


def _moved(count: int, verb: str) -> str:
    if not count:
        return "Everything is up to date."
    return f"{count} file{'' if count == 1 else 's'} {verb}"


@click.group("data")
def data_group() -> None:
    """Show the state of tracked data."""


@data_group.command("status")
@click.option("--granular", is_flag=True, help="List the files inside tracked folders too.")
@click.option("--unchanged", is_flag=True, help="List unchanged data too.")
@json_option
def data_status(granular: bool, unchanged: bool, as_json: bool) -> int:
    """Show what differs between the last commit, the records, the cache and the workspace."""
    from assay.project import changes

    status = changes.status(workspace.find(), granular=granular)
    blocks: list[tuple[str, list[str], list[str]]] = [
        (
            "Not in cache:",
            ['(use "assay pull <file>..." to get files from a remote)'],
            status.not_in_cache,
        ),
        (
            "Committed changes:",
            ["(git commit the corresponding dvc files to update the repo)"],
            _difference_lines(status.committed),
        ),
        (
            "Uncommitted changes:",
            [
                '(use "assay commit <file>..." to track changes)',
                '(use "assay checkout <file>..." to discard changes)',
            ],
            _difference_lines(status.uncommitted),
        ),
        ("Unchanged files:", [], status.unchanged if unchanged else []),
    ]
    parts = []
    for title, hints, items in blocks:
        if items:
            parts.append("\n".join([title, *(f"  {h}" for h in hints),
                                    *(f"        {item}" for item in items)]))  # fmt: skip
    if not parts:
        parts = ["No changes."]
    if status.git_dirty:
        other = "other " if parts != ["No changes."] else ""
        parts[-1] += f'\n(there are {other}changes not tracked as data, use "git status" to see)'
    show(status, as_json=as_json, text="\n\n".join(parts))
    return 0


def _difference_lines(difference: Any) -> list[str]:
    return [
        *(f"modified: {path}" for path in difference.modified),
        *(f"added: {path}" for path in difference.added),
        *(f"renamed: {r.old} -> {r.new}" for r in difference.renamed),
        *(f"deleted: {path}" for path in difference.deleted),
    ]


@click.command("diff")
@click.argument("before", default="HEAD")
@click.argument("after", required=False)
@click.option("--show-hash", is_flag=True, help="Show the hashes.")
@json_option
def diff_command(before: str, after: str | None, show_hash: bool, as_json: bool) -> int:
    """Show what data changed from BEFORE (HEAD) to AFTER (the workspace)."""
    from assay.project import changes

    difference, old, new = changes.diff(workspace.find(), before, after)

    def line(path: str) -> str:
        first, second = old.get(path), new.get(path)
        if not show_hash:
            return f"    {path}"
        shown = [oid[:8] for oid in dict.fromkeys((first, second)) if oid]
        return f"    {'..'.join(shown)}  {path}"

    parts = []
    for title, paths in (
        ("Added", difference.added),
        ("Deleted", difference.deleted),
        ("Modified", difference.modified),
    ):
        if paths:
            parts.append("\n".join([f"{title}:", *map(line, paths)]))
    if difference.renamed:
        renamed = [f"    {r.old} -> {r.new}" for r in difference.renamed]
        parts.insert(min(2, len(parts)), "\n".join(["Renamed:", *renamed]))
    if parts:
        counts = [
            f"{len(files)} {word}"
            for word, paths in (
                ("added", difference.added),
                ("deleted", difference.deleted),
                ("renamed", [r.new for r in difference.renamed]),
                ("modified", difference.modified),
            )
            if (files := [p for p in paths if not p.endswith("/")])
        ]
        parts.append(f"files summary: {', '.join(counts)}" if counts else "")
    document = {
        "added": [{"path": p, "hash": new[p]} for p in difference.added],
        "deleted": [{"path": p, "hash": old[p]} for p in difference.deleted],
        "modified": [
            {"path": p, "hash": {"old": old[p], "new": new[p]}} for p in difference.modified
        ],
        "renamed": [
            {"path": {"old": r.old, "new": r.new}, "hash": new[r.new]} for r in difference.renamed
        ],
    }
    show(document if difference else {}, as_json=as_json, text="\n\n".join(p for p in parts if p))
    if not difference and not as_json:
        note("no data changed")
    return 0

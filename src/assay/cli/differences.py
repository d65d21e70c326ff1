"""`data status` and `diff`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from assay.cli.options import greedy, remote_option, targets_argument
from assay.cli.output import json_option, note, show
from assay.objects.legacy import plain
from assay.project import workspace

if TYPE_CHECKING:
    from assay.project.changes import DataStatus, Diff, Difference, Finder
    from assay.project.workspace import Project

_HINTS: dict[str, tuple[str, ...]] = {
    "Not in remote": ('use "assay push <file>..." to upload files',),
    "Not in cache": ('use "assay pull <file>..." to get files from a remote',),
    "Committed changes": ("git commit the corresponding dvc files to update the repo",),
    "Uncommitted changes": (
        'use "assay commit <file>..." to track changes',
        'use "assay checkout <file>..." to discard changes',
    ),
    "Untracked files": (
        'use "git add <file>..." or "assay add <file>..." to commit to git or to the cache',
    ),
    "Unchanged files": (),
}


@click.group("data")
def data_group() -> None:
    """Show the state of tracked data."""


@data_group.command("status")
@targets_argument
@click.option("--granular", is_flag=True, help="List the files inside tracked folders too.")
@click.option("--unchanged", is_flag=True, help="List unchanged data too.")
@click.option(
    "--untracked-files",
    type=click.Choice(["no", "all"]),
    default="no",
    is_flag=False,
    flag_value="all",
    help="List files that nobody tracks, too ('all').",
)
@click.option("--not-in-remote", is_flag=True, help="List what the remote has not, too.")
@click.option(
    "--no-remote-refresh", is_flag=True, help="Say of the remote what it had when last asked."
)
@remote_option
@json_option
def data_status(
    targets: tuple[str, ...],
    granular: bool,
    unchanged: bool,
    untracked_files: str,
    not_in_remote: bool,
    no_remote_refresh: bool,
    remote: str | None,
    as_json: bool,
) -> int:
    """Show what differs between the last commit, the records, the cache and the workspace."""
    from assay.project import changes

    project = workspace.find()
    store = None
    if not_in_remote:
        store = _remotes(project, remote, refresh=not no_remote_refresh)
    status = changes.status(
        project,
        granular=granular,
        targets=targets,
        cwd=Path.cwd(),
        remote=store,
        untracked=untracked_files == "all",
    )
    document = _status_document(status, unchanged=unchanged)
    show(document, as_json=as_json, text=_status_text(status, unchanged=unchanged))
    return 0


def _remotes(
    project: Project, chosen: str | None, *, refresh: bool
) -> Callable[[str | None], Finder]:
    """Return how a remote is found by its name; `chosen` is in the default one's place."""
    from assay.project.remembered import Remembered

    if chosen is not None:
        project.config.remote(chosen)  # raises where there is none, whatever is tracked

    def opened(name: str | None) -> Finder:
        return Remembered(project, project.config.remote(name or chosen), refresh=refresh)

    return opened


def _status_document(status: DataStatus, *, unchanged: bool) -> dict[str, Any]:
    """Return the form that `dvc data status --json` has: what is empty is left out."""
    rows: dict[str, Any] = {
        "not_in_remote": status.not_in_remote,
        "not_in_cache": status.not_in_cache,
        "committed": _filled(msgspec.to_builtins(status.committed)),
        "uncommitted": _filled(msgspec.to_builtins(status.uncommitted)),
        "untracked": status.untracked,
        "unchanged": status.unchanged if unchanged else [],
    }
    return _filled(rows)


def _filled(rows: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in rows.items() if value}


def _status_text(status: DataStatus, *, unchanged: bool) -> str:
    blocks: dict[str, Sequence[str]] = {
        "Not in remote": status.not_in_remote,
        "Not in cache": status.not_in_cache,
        "Committed changes": _difference_lines(status.committed),
        "Uncommitted changes": _difference_lines(status.uncommitted),
        "Untracked files": status.untracked,
        "Unchanged files": status.unchanged if unchanged else [],
    }
    parts = []
    for title, items in blocks.items():
        if items:
            hints = [f"  ({hint})" for hint in _HINTS[title]]
            parts.append("\n".join([f"{title}:", *hints, *(f"        {i}" for i in items)]))
    if not parts:
        parts = ["No changes."]
    if status.git_dirty:
        other = "other " if parts != ["No changes."] else ""
        parts[-1] += f'\n(there are {other}changes not tracked as data, use "git status" to see)'
    return "\n\n".join(parts)


def _difference_lines(difference: Difference) -> list[str]:
    return [
        *(f"modified: {path}" for path in difference.modified),
        *(f"added: {path}" for path in difference.added),
        *(f"renamed: {r.old} -> {r.new}" for r in difference.renamed),
        *(f"deleted: {path}" for path in difference.deleted),
    ]


@click.command("diff", cls=greedy("--targets"))
@click.argument("before", default="HEAD")
@click.argument("after", required=False)
@click.option("--targets", multiple=True, metavar="PATH...", help="Only these paths.")
@click.option("--show-hash", is_flag=True, help="Show the hashes.")
@click.option("--hide-missing", is_flag=True, help="Leave out what is not in the cache.")
@click.option("--md", is_flag=True, help="Print a table in Markdown.")
@json_option
def diff_command(
    before: str,
    after: str | None,
    targets: tuple[str, ...],
    show_hash: bool,
    hide_missing: bool,
    md: bool,
    as_json: bool,
) -> int:
    """Show what data changed from BEFORE (HEAD) to AFTER (the workspace)."""
    from assay.project import changes

    found = changes.diff(workspace.find(), before, after, targets=targets, cwd=Path.cwd())
    with_missing = after is None and not hide_missing
    rows = _rows(found, with_missing=with_missing)
    filled = any(rows.values())
    document = {state: [_row(one, show_hash=show_hash) for one in rows[state]] for state in rows}
    text = _table(rows, show_hash=show_hash) if md else _text(rows, show_hash=show_hash)
    show(document if filled else {}, as_json=as_json, text=text)
    if not filled and not as_json:
        note("no data changed")
    return 0


class _Line(msgspec.Struct, frozen=True):
    """A row of a diff: one path or two, and the hashes before and after."""

    old: str
    new: str
    before: str | None
    after: str | None

    @property
    def path(self) -> str:
        return self.new if self.old == self.new else f"{self.old} -> {self.new}"

    @property
    def hash(self) -> str:
        return "..".join(plain(oid)[:8] for oid in dict.fromkeys((self.before, self.after)) if oid)


def _rows(found: Diff, *, with_missing: bool) -> dict[str, list[_Line]]:
    """Return the rows of each state, in DVC's order of states."""
    old, new, difference = found.before, found.after, found.difference

    def lines(paths: Iterable[str]) -> list[_Line]:
        return [_Line(path, path, old.get(path), new.get(path)) for path in paths]

    rows = {
        "added": lines(difference.added),
        "deleted": lines(difference.deleted),
        "modified": lines(difference.modified),
        "renamed": [_Line(r.old, r.new, None, new[r.new]) for r in difference.renamed],
    }
    if with_missing:
        rows["not in cache"] = [_Line(path, path, old[path], None) for path in found.not_in_cache]
    return rows


def _row(line: _Line, *, show_hash: bool) -> dict[str, Any]:
    path = line.new if line.old == line.new else {"old": line.old, "new": line.new}
    if not show_hash:
        return {"path": path}
    both = line.before is not None and line.after is not None
    before, after = (None if oid is None else plain(oid) for oid in (line.before, line.after))
    hashes = {"old": before, "new": after} if both else before or after
    return {"path": path, "hash": hashes}


_ORDER = ("added", "deleted", "renamed", "modified", "not in cache")


def _text(rows: dict[str, list[_Line]], *, show_hash: bool) -> str:
    parts = []
    for state in _ORDER:
        lines = rows.get(state)
        if lines:
            shown = [f"    {one.hash}  {one.path}" if show_hash else f"    {one.path}"
                     for one in lines]  # fmt: skip
            parts.append("\n".join([f"{state.capitalize()}:", *shown]))
    counts = {s: sum(not one.path.endswith("/") for one in rows.get(s, ())) for s in _ORDER}
    if any(counts.values()):
        summary = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
        parts.append(f"files summary: {summary}")
    return "\n\n".join(parts)


def _table(rows: dict[str, list[_Line]], *, show_hash: bool) -> str:
    head = ["Status", "Hash", "Path"] if show_hash else ["Status", "Path"]
    body = [
        [state, one.hash, one.path] if show_hash else [state, one.path]
        for state in _ORDER
        for one in rows.get(state, ())
    ]
    widths = [
        max(len(title) + 2, *(len(row[at]) for row in body)) if body else len(title) + 2
        for at, title in enumerate(head)
    ]

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(f'{c:<{w}}' for c, w in zip(cells, widths, strict=True))} |"

    rule = f"|{'|'.join('-' * (width + 2) for width in widths)}|"
    return "\n".join([line(head), rule, *map(line, body), "\n"])

"""`metrics show`, `metrics diff`, `params diff`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from assay.base.errors import Error
from assay.cli.forms import csv_option, csv_table, md_option, one_form
from assay.cli.options import (
    all_branches_option,
    all_commits_option,
    all_tags_option,
    greedy,
    scope_of,
    with_options,
)
from assay.cli.output import json_option, note, show
from assay.project import git, workspace
from assay.project.workspace import Project

if TYPE_CHECKING:
    from assay.workflows.results import Changed, Values
    from assay.workflows.views import View

_precision = click.option(
    "--precision",
    type=click.IntRange(min=0),
    metavar="N",
    help="Round to N digits after the point (5).",
)
# DVC's; folders are gone through always
_recursive = click.option("-R", "--recursive", is_flag=True, hidden=True, expose_value=False)
_diff_options = with_options(
    click.argument("base", default="HEAD"),
    click.argument("candidate", default="workspace"),
    click.option(
        "--targets", multiple=True, metavar="FILES", help="Only these files, declared or not."
    ),
    click.option("--all", "unchanged", is_flag=True, help="Show what did not change, too."),
    click.option("--no-path", is_flag=True, help="Do not name the files."),
    md_option,
    csv_option,
    json_option,
)


@click.group("metrics")
def metrics_group() -> None:
    """Show and compare metrics."""


@metrics_group.command("show")
@click.argument("targets", nargs=-1)
@all_branches_option
@all_tags_option
@all_commits_option
@_recursive
@_precision
@md_option
@csv_option
@json_option
def metrics_show(
    targets: tuple[str, ...],
    precision: int | None,
    as_markdown: bool,
    as_csv: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Show metrics: all that are declared, or those in the files and folders TARGETS."""
    from assay.workflows import result_tables, results, revised
    from assay.workflows.views import View

    one_form(json=as_json, md=as_markdown, csv=as_csv)
    project, cwd, scope = workspace.find(), Path.cwd(), scope_of(options)
    with git.reading(project.git_root):
        if scope:
            found = list(revised.read(project, scope, cwd=cwd))
        else:
            found = [revised.Revision(name="", view=View(project, cwd=cwd))]
        views = [one.view for one in found if one.view is not None]
        paths = results.metric_targets(views, targets) if targets else []
        values = {one.name: results.metrics(one.view, paths) for one in found if one.view}
    document = {
        one.name: results.failed_document(one.error or Error(""))
        if one.view is None
        else results.show_document(one.view, values[one.name])
        for one in found
    }
    if scope:
        revised.without_workspace(project, document)
    shown = [(o.name, o.view, values[o.name]) for o in found if o.view and o.name in document]
    header, rows = result_tables.metrics_table(shown, revised=bool(scope))
    digits = _digits(precision)
    text = _text(header, rows, digits=digits, as_markdown=as_markdown, as_csv=as_csv)
    show(document, as_json=as_json, text=text)
    warn(one.error for one in found if one.name in document)
    warn(one.error for _, _, found_there in shown for one in found_there)
    if not any(values.values()) and not any(one.error for one in found):
        note("no metrics are declared\n  hint: name their files under 'metrics:' in dvc.yaml")
    return 0


@metrics_group.command("diff", cls=greedy("--targets"))
@_diff_options
@_recursive
@_precision
def metrics_diff(precision: int | None, **options: Any) -> int:
    """Show which metrics changed from BASE (HEAD) to CANDIDATE (the workspace)."""
    from assay.workflows import results

    def read(views: Sequence[View], targets: Sequence[str]) -> list[list[Values]]:
        paths = results.metric_targets(views, targets)
        return [results.metrics(view, paths) for view in views]

    columns = ("Metric", "Change")
    return _diff(read, what="metric", columns=columns, digits=_digits(precision), **options)


@click.group("params")
def params_group() -> None:
    """Compare parameters."""


@params_group.command("diff", cls=greedy("--targets"))
@_diff_options
@click.option("--deps", "only_of_stages", is_flag=True, help="Only what stages depend on.")
def params_diff(only_of_stages: bool, **options: Any) -> int:
    """Show which parameters changed from BASE (HEAD) to CANDIDATE (the workspace)."""
    from assay.workflows import results

    def read(views: Sequence[View], targets: Sequence[str]) -> list[list[Values]]:
        paths = results.param_targets(views, targets)
        return [results.params(view, paths, only_of_stages=only_of_stages) for view in views]

    return _diff(read, what="parameter", columns=("Param",), digits=None, **options)


def _diff(
    read: Callable[[Sequence[View], Sequence[str]], list[list[Values]]],
    *,
    what: str,
    columns: tuple[str, ...],
    base: str,
    candidate: str,
    targets: tuple[str, ...],
    unchanged: bool,
    no_path: bool,
    digits: int | None,
    as_markdown: bool,
    as_csv: bool,
    as_json: bool,
) -> int:
    """Compare two revisions and print what changed; `columns` name the key and the difference."""
    from assay.workflows import result_tables, results

    one_form(json=as_json, md=as_markdown, csv=as_csv)
    project = workspace.find()
    with git.reading(project.git_root):
        views = views_of(project, (base, candidate))
        sides = read(views, targets)
    changes: list[Changed] = []
    if len(sides) == 2:
        changes = results.compare(*sides, unchanged=unchanged)
    header, rows = result_tables.changes_table(
        views[-1],
        changes,
        header=[columns[0], base, candidate, *columns[1:]],
        with_path=not no_path,
    )
    text = _text(
        header,
        rows,
        digits=digits,
        as_markdown=as_markdown,
        as_csv=as_csv,
        signed=len(header) - 1 if len(columns) > 1 else None,
    )
    show(results.diff_document(views[-1], changes), as_json=as_json, text=text)
    if len(views) == 1:
        note("there is no commit yet to compare with\n  hint: make one with 'git commit'")
    elif not changes and not as_json:
        note(f"no {what} changed")
    warn(one.error for values in sides for one in values)
    return 0


def views_of(project: Project, revisions: Sequence[str]) -> list[View]:
    """Return a view for each revision; without HEAD before the first commit."""
    from assay.workflows.views import View

    if "HEAD" in revisions and git.head(project.git_root) is None:
        revisions = ["workspace"]
    return [View(project, revision, cwd=Path.cwd()) for revision in revisions]


def _digits(precision: int | None) -> int:
    from assay.workflows import result_tables

    return result_tables.DIGITS if precision is None else precision


def _text(
    header: list[str],
    rows: list[list[Any]],
    *,
    digits: int | None,
    as_markdown: bool,
    as_csv: bool,
    signed: int | None = None,
) -> str:
    if as_csv:
        return csv_table(header, rows)
    if not rows:
        return ""
    from assay.render.markdown import markdown_table
    from assay.render.tables import text_table
    from assay.workflows import result_tables

    cells = result_tables.texts(rows, digits=digits, signed=signed)
    return markdown_table(header, cells) if as_markdown else text_table(header, cells)


def warn(errors: Iterable[Error | None]) -> None:
    """Say which files or revisions could not be read."""
    for error in errors:
        if error is not None:
            note(f"warning: {error}")

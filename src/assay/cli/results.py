"""`metrics show`, `metrics diff`, `params diff`, `plots show`, `plots diff`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from assay.base.errors import Error, Usage
from assay.cli.output import json_option, note, show
from assay.project import git, workspace
from assay.project.workspace import Project

if TYPE_CHECKING:
    from assay.workflows.plots import Plots
    from assay.workflows.results import Changed, Values
    from assay.workflows.views import View

_md = click.option("--md", "as_markdown", is_flag=True, help="Print a Markdown table.")
_base = click.argument("base", default="HEAD")
_candidate = click.argument("candidate", default="workspace")
_out = click.option(
    "-o", "--out", "folder", metavar="FOLDER", help="Write to this folder (dvc_plots)."
)


@click.group("metrics")
def metrics_group() -> None:
    """Show and compare metrics."""


@metrics_group.command("show")
@click.argument("targets", nargs=-1)
@_md
@json_option
def metrics_show(targets: tuple[str, ...], as_markdown: bool, as_json: bool) -> int:
    """Show metrics: all that are declared, or those in the files and folders TARGETS."""
    from assay.workflows import results
    from assay.workflows.views import View

    _refuse_both(as_json=as_json, as_markdown=as_markdown)
    view = View(workspace.find(), cwd=Path.cwd())
    values = results.metrics(view, targets)
    text = _metrics_table(view, values, as_markdown=as_markdown)
    show(results.show_document(view, values), as_json=as_json, text=text)
    _warn(one.error for one in values)
    if not values:
        note("no metrics are declared\n  hint: name their files under 'metrics:' in dvc.yaml")
    return 0


def _metrics_table(view: View, values: Sequence[Values], *, as_markdown: bool) -> str:
    from assay.project.params import flatten
    from assay.render.tables import format_number

    rows = [
        (one.path, flatten(one.data) if isinstance(one.data, dict) else {"": one.data})
        for one in values
        if one.error is None
    ]
    keys = sorted({key for _, flat in rows for key in flat})
    cells = [
        [view.project.shown(path, cwd=view.cwd), *(format_number(flat.get(key)) for key in keys)]
        for path, flat in rows
    ]
    return _table(["Path", *keys], cells, as_markdown=as_markdown)


@metrics_group.command("diff")
@_base
@_candidate
@click.option("--all", "unchanged", is_flag=True, help="Show unchanged metrics too.")
@_md
@json_option
def metrics_diff(
    base: str, candidate: str, unchanged: bool, as_markdown: bool, as_json: bool
) -> int:
    """Show which metrics changed from BASE (HEAD) to CANDIDATE (the workspace)."""
    from assay.render.tables import format_change, format_number
    from assay.workflows import results

    _refuse_both(as_json=as_json, as_markdown=as_markdown)
    views = _views(workspace.find(), (base, candidate))
    sides = [results.metrics(view) for view in views]
    changes = results.compare(*sides, unchanged=unchanged) if len(sides) == 2 else []
    rows = [
        [
            views[-1].project.shown(one.path, cwd=views[-1].cwd),
            one.key,
            format_number(one.old),
            format_number(one.new),
            format_change(one.old, one.new),
        ]
        for one in changes
    ]
    header = ["Path", "Metric", base, candidate, "Change"]
    text = _table(header, rows, as_markdown=as_markdown)
    _show_changes(views, changes, text=text, as_json=as_json, what="metric")
    _warn(one.error for values in sides for one in values)
    return 0


@click.group("params")
def params_group() -> None:
    """Compare parameters."""


@params_group.command("diff")
@_base
@_candidate
@click.option("--all", "unchanged", is_flag=True, help="Show unchanged parameters too.")
@_md
@json_option
def params_diff(
    base: str, candidate: str, unchanged: bool, as_markdown: bool, as_json: bool
) -> int:
    """Show which parameters changed from BASE (HEAD) to CANDIDATE (the workspace)."""
    from assay.workflows import results

    _refuse_both(as_json=as_json, as_markdown=as_markdown)
    views = _views(workspace.find(), (base, candidate))
    sides = [results.params(view) for view in views]
    changes = results.compare(*sides, unchanged=unchanged) if len(sides) == 2 else []
    rows = [
        [
            views[-1].project.shown(one.path, cwd=views[-1].cwd),
            one.key,
            *("-" if value is None else str(value) for value in (one.old, one.new)),
        ]
        for one in changes
    ]
    header = ["Path", "Param", base, candidate]
    text = _table(header, rows, as_markdown=as_markdown)
    _show_changes(views, changes, text=text, as_json=as_json, what="parameter")
    _warn(one.error for values in sides for one in values)
    return 0


def _show_changes(
    views: Sequence[View], changes: Sequence[Changed], *, text: str, as_json: bool, what: str
) -> None:
    from assay.workflows import results

    show(results.diff_document(views[-1], changes), as_json=as_json, text=text)
    if len(views) == 1:
        note("there is no commit yet to compare with\n  hint: make one with 'git commit'")
    elif not changes and not as_json:
        note(f"no {what} changed")


def _views(project: Project, revisions: Sequence[str]) -> list[View]:
    """Return a view for each revision; without HEAD before the first commit."""
    from assay.workflows.views import View

    if "HEAD" in revisions and git.head(project.git_root) is None:
        revisions = ["workspace"]
    return [View(project, revision, cwd=Path.cwd()) for revision in revisions]


@click.group("plots")
def plots_group() -> None:
    """Draw plots as a page."""


@plots_group.command("show")
@click.argument("targets", nargs=-1)
@_out
@json_option
def plots_show(targets: tuple[str, ...], folder: str | None, as_json: bool) -> int:
    """Draw plots: all that are declared, or those that TARGETS name.

    They are written to one HTML page that needs no network; its address is printed.
    """
    from assay.workflows import plots

    views = _views(workspace.find(), ["workspace"])
    return _show_plots(plots.draw(views, targets), views, folder=folder, as_json=as_json)


@plots_group.command("diff")
@click.argument("revisions", metavar="[REVISIONS]...", nargs=-1)
@_out
@json_option
def plots_diff(revisions: tuple[str, ...], folder: str | None, as_json: bool) -> int:
    """Draw the plots of several revisions over one another.

    Without REVISIONS these are HEAD and the workspace; one revision is compared with the
    workspace.
    """
    from assay.workflows import plots

    asked = revisions or ("HEAD",)
    if len(asked) == 1:
        asked = (*asked, "workspace")
    views = _views(workspace.find(), list(dict.fromkeys(asked)))
    return _show_plots(plots.draw(views), views, folder=folder, as_json=as_json)


def _show_plots(drawn: Plots, views: Sequence[View], *, folder: str | None, as_json: bool) -> int:
    from assay.workflows import plots

    _warn(one.error for one in drawn.failed)
    if as_json:
        show(plots.document(drawn, views[-1]), as_json=True, text="")
        return 0
    configured = views[-1].project.config.get("plots", "out_dir")
    target = Path.cwd() / (folder or configured or plots.FOLDER)
    path = plots.write_page(drawn, views, folder=target)
    show(None, as_json=False, text=path.as_uri())
    return 0


def _refuse_both(*, as_json: bool, as_markdown: bool) -> None:
    if as_json and as_markdown:
        raise Usage("'--json' and '--md' are two forms: choose one")


def _table(header: list[str], rows: list[list[str]], *, as_markdown: bool) -> str:
    if not rows:
        return ""
    from assay.render.markdown import markdown_table
    from assay.render.tables import text_table

    return markdown_table(header, rows) if as_markdown else text_table(header, rows)


def _warn(errors: Iterable[Error | None]) -> None:
    for error in errors:
        if error is not None:
            note(f"warning: {error}")

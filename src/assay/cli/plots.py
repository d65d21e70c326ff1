"""`plots show`, `plots diff`, `plots templates`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from assay.base.errors import Usage
from assay.cli.forms import one_form
from assay.cli.options import greedy, with_options
from assay.cli.output import json_option, note, show
from assay.cli.results import views_of, warn
from assay.project import git, workspace

if TYPE_CHECKING:
    from assay.workflows.plots import Plots
    from assay.workflows.views import View

_properties = with_options(
    click.option("-t", "--template", metavar="NAME", help="Draw with this template, or file."),
    click.option("-x", metavar="COLUMN", help="What lies on the x axis."),
    click.option("-y", metavar="COLUMN", help="What lies on the y axis."),
    click.option("--no-header", is_flag=True, help="CSV and TSV have no line of names."),
    click.option("--title", metavar="TEXT", help="What stands above the plot."),
    click.option("--x-label", metavar="TEXT", help="What stands beside the x axis."),
    click.option("--y-label", metavar="TEXT", help="What stands beside the y axis."),
)
_forms = with_options(
    click.option(
        "-o", "--out", "folder", metavar="FOLDER", help="Write to this folder (dvc_plots)."
    ),
    click.option(
        "--format",
        "kind",
        type=click.Choice(["html", "png", "svg"]),
        default="html",
        help="Write a page, or a picture for each plot.",
    ),
    click.option("--html-template", metavar="FILE", help="Put the plots into this page."),
    click.option("--open", "opens", is_flag=True, help="Show the page in the browser."),
    click.option("--show-vega", is_flag=True, help="Print the Vega-Lite of one plot."),
    click.option("--split", is_flag=True, help="With --json, give data apart from its plot."),
    json_option,
)


@click.group("plots")
def plots_group() -> None:
    """Draw plots as a page or as pictures."""


@plots_group.command("show")
@click.argument("targets", nargs=-1)
@_properties
@_forms
def plots_show(targets: tuple[str, ...], **options: Any) -> int:
    """Draw plots: all that are declared, or those that TARGETS name.

    They are written to one HTML page that needs no network; its address is printed.
    """
    return _draw(["workspace"], targets, options)


@plots_group.command("diff", cls=greedy("--targets"))
@click.argument("revisions", metavar="[REVISIONS]...", nargs=-1)
@click.option("--targets", multiple=True, metavar="NAMES", help="Only these plots or files.")
@_properties
@_forms
def plots_diff(revisions: tuple[str, ...], targets: tuple[str, ...], **options: Any) -> int:
    """Draw the plots of several revisions over one another.

    Without REVISIONS these are HEAD and the workspace; one revision is compared with the
    workspace.
    """
    asked = revisions or ("HEAD",)
    if len(asked) == 1:
        asked = (*asked, "workspace")
    return _draw(list(dict.fromkeys(asked)), targets, options)


@plots_group.command("templates")
@click.argument("name", required=False)
def plots_templates(name: str | None) -> int:
    """List the templates, or print one to begin an own one with in .dvc/plots."""
    from assay.render.plot_starters import starter
    from assay.render.plot_templates import TEMPLATES

    if name is None:
        show(None, as_json=False, text="\n".join(TEMPLATES))
    else:
        show(starter(name), as_json=True, text="")
    return 0


def _draw(revisions: Sequence[str], targets: tuple[str, ...], options: dict[str, Any]) -> int:
    from assay.workflows import plots
    from assay.workflows.plot_definitions import Properties

    as_json, show_vega = options["as_json"], options["show_vega"]
    one_form(json=as_json, show_vega=show_vega, format=options["kind"] != "html")
    if show_vega and len(targets) != 1:
        raise Usage(f"'--show-vega' shows one plot, {len(targets)} were named")
    if options["split"] and not as_json:
        raise Usage("'--split' is a form of '--json'", hint="give both")
    project = workspace.find()
    names = ("x", "y", "title", "template", "x_label", "y_label")
    properties = Properties(
        **{name: options[name] for name in names}, header=False if options["no_header"] else None
    )
    with git.reading(project.git_root):
        views = views_of(project, revisions)
        drawn = plots.draw(views, targets, properties=properties)
    warn(one.error for one in drawn.failed)
    if as_json or show_vega:
        return _print(drawn, views, show_vega=show_vega, split=options["split"])
    return _write(drawn, views, options)


def _print(drawn: Plots, views: Sequence[View], *, show_vega: bool, split: bool) -> int:
    from assay.workflows import plot_pages

    if not show_vega:
        show(plot_pages.document(drawn, views[-1], split=split), as_json=True, text="")
        return 0
    specs = [one.spec for one in drawn.drawn if one.spec is not None]
    if not specs:
        note("there is no plot to show: it is a picture, or could not be drawn")
        return 1
    show(specs[0], as_json=True, text="")
    return 0


def _write(drawn: Plots, views: Sequence[View], options: dict[str, Any]) -> int:
    from assay.workflows import plot_pages

    config = views[-1].project.config
    folder = Path.cwd() / (
        options["folder"] or config.get("plots", "out_dir") or plot_pages.FOLDER
    )
    if options["kind"] != "html":
        paths, failed = plot_pages.write_pictures(
            drawn, views, folder=folder, kind=options["kind"]
        )
        warn(one.error for one in failed)
        show(None, as_json=False, text="\n".join(str(path) for path in paths))
        return 0
    template = config.path("plots", "html_template")
    if options["html_template"]:
        template = Path.cwd() / options["html_template"]
    path = plot_pages.write_page(drawn, views, folder=folder, template=template)
    show(None, as_json=False, text=path.as_uri())
    if options["opens"] or config.flag("plots", "auto_open"):
        import webbrowser

        webbrowser.open(path.as_uri())
    return 0

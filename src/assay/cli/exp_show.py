"""`exp show`, `exp list`, `exp diff`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from assay.base.errors import Usage
from assay.cli.forms import csv_option, csv_table, md_option, one_form
from assay.cli.options import (
    all_branches_option,
    all_commits_option,
    all_tags_option,
    scope_of,
    with_options,
)
from assay.cli.output import json_option, note, show
from assay.project import workspace

_rev_options = with_options(
    click.option("--rev", multiple=True, metavar="REVISION", help="Those of these baselines."),
    click.option("-n", "--num", type=int, metavar="N", help="Of so many commits of each."),
)
_scope_options = with_options(
    all_branches_option, all_tags_option, all_commits_option, _rev_options
)  # fmt: skip


@click.command("show")
@_scope_options
@click.option("--only-changed", is_flag=True, help="Only columns of values that differ.")
@click.option("--drop", multiple=True, metavar="PATTERN", help="Leave columns out.")
@click.option("--keep", multiple=True, metavar="PATTERN", help="Keep columns in any case.")
@click.option("--param-deps", is_flag=True, help="Only parameters that a stage depends on.")
@click.option("--sort-by", metavar="NAME", help="Sort by a metric or parameter.")
@click.option("--sort-order", type=click.Choice(["asc", "desc"]), default="asc",
              help="From the smallest (asc) or the largest.")  # fmt: skip
@click.option("--sha", is_flag=True, help="Commits instead of names of branches and tags.")
@click.option("--hide-workspace", is_flag=True, help="Leave the workspace out.")
@click.option("--hide-queued", is_flag=True, help="Leave out what waits.")
@click.option("--hide-failed", is_flag=True, help="Leave out what failed.")
@click.option("--precision", type=click.IntRange(min=1), metavar="N", help="Digits (5).")
@click.option("-f", "--force", "again", is_flag=True, help="Read commits again.")
@click.option("--no-pager", is_flag=True, hidden=True)
@click.option("--no-fetch", is_flag=True, hidden=True)
@json_option
@csv_option
@md_option
def show_command(as_json: bool, as_csv: bool, as_markdown: bool, **given: Any) -> int:
    """Show experiments as a table.

    The workspace, its last commit, and the experiments on it.
    """
    from assay.workflows import experiment_records
    from assay.workflows.experiment_records import Shown

    one_form(json=as_json, csv=as_csv, md=as_markdown)
    scope = _scope(given)
    names = ("hide_workspace", "hide_queued", "hide_failed", "sha", "param_deps", "again")
    shown = Shown(scope=scope, **{name: given[name] for name in names})
    documents = experiment_records.collect(workspace.find(), shown)
    if as_json:
        show(documents, as_json=True, text="")
    else:
        text = _text(documents, given, as_csv=as_csv, as_markdown=as_markdown)
        show(None, as_json=False, text=text)
    if not documents:
        note("there is no commit yet\n  hint: make one with 'git commit'")
    return 0


def _scope(given: dict[str, Any]) -> Any:
    """Return which baselines are meant; `--num` counts from HEAD where nothing is named."""
    n = given["num"]
    if n is not None and n < 1:
        raise Usage(f"'--num' is {n}, expected 1 or more", hint="for all: '--all-commits'")
    if n is not None and not given["rev"] and not given.get("all_branches"):
        given["rev"] = ("HEAD",)
    return scope_of(given)


def _text(
    documents: list[dict[str, Any]], given: dict[str, Any], *, as_csv: bool, as_markdown: bool
) -> str:
    from assay.render.markdown import markdown_table
    from assay.render.tables import format_number, text_table
    from assay.workflows import experiment_table
    from assay.workflows.experiment_table import Look

    digits = given["precision"]

    def write(value: Any) -> str:
        return str(value) if as_csv and digits is None else format_number(value, digits or 5)

    look = Look(
        only_changed=given["only_changed"],
        drop=given["drop"],
        keep=given["keep"],
        sort_by=given["sort_by"],
        descending=given["sort_order"] == "desc",
    )
    table = experiment_table.table(
        documents, look, write=write, absent="" if as_csv else "-", as_csv=as_csv
    )
    if not table.rows:
        return ""
    if as_csv:
        return csv_table(table.header, table.rows)
    draw = markdown_table if as_markdown else text_table
    return draw(table.header, table.rows)


@click.command("list")
@click.argument("remote", metavar="[GIT_REMOTE]", required=False)
@all_commits_option
@_rev_options
@click.option("--name-only", "--names-only", "name_only", is_flag=True, help="Only names.")
@click.option("--sha-only", "--shas-only", "sha_only", is_flag=True, help="Only commits.")
@json_option
def list_command(
    remote: str | None, name_only: bool, sha_only: bool, as_json: bool, **given: Any
) -> int:
    """List experiments.

    Those on the last commit, here or in another git repository.
    """
    from assay.workflows import kept_experiments

    one_form(name_only=name_only, sha_only=sha_only, json=as_json)
    if sha_only and remote is not None:
        raise Usage("'--sha-only' is for experiments that are here")
    scope = _scope(given)
    groups = kept_experiments.list_(workspace.find(), scope, remote=remote)
    lines = []
    for group in groups:
        lines += [] if name_only or sha_only else [f"{group.name}:"]
        for one in group.experiments:
            long = f"\t{one.name}" if remote else f"\t{one.commit[:7]} [{one.name}]"
            lines.append(one.name if name_only else one.commit if sha_only else long)
    show(groups, as_json=as_json, text="\n".join(lines))
    if not groups and not as_json:
        note(_none_listed(remote, every=scope.commits))
    return 0


def _none_listed(remote: str | None, *, every: bool) -> str:
    from assay.project import clones

    shown = None if remote is None else clones.shown(remote)
    where = "here" if shown is None else f"in '{shown}'"
    if every:
        return f"there are no experiments {where}"
    listing = " ".join(["assay exp list", *([shown] if shown else []), "--all-commits"])
    return f"there are no experiments {where}\n  hint: see '{listing}'"


@click.command("diff")
@click.argument("old", required=False)
@click.argument("new", required=False)
@click.option("--all", "unchanged", is_flag=True, help="Show unchanged values too.")
@click.option("--param-deps", is_flag=True, help="Only parameters that a stage depends on.")
@click.option("--no-path", is_flag=True, help="Leave the names of files out.")
@click.option("--precision", type=click.IntRange(min=1), metavar="N", help="Digits (5).")
@json_option
@md_option
def diff_command(
    old: str | None, new: str | None, as_json: bool, as_markdown: bool, **given: Any
) -> int:
    """Show how metrics and parameters differ.

    From OLD (HEAD) to NEW (the workspace): experiments, or what git takes for a commit.
    """
    from assay.workflows import experiment_diff

    one_form(json=as_json, md=as_markdown)
    found = experiment_diff.diff(
        workspace.find(), old or "HEAD", new, cwd=Path.cwd(),
        unchanged=given["unchanged"], param_deps=given["param_deps"],
    )  # fmt: skip
    texts = [
        _diff_table(found[part], title, old, new, given, as_markdown=as_markdown)
        for part, title in (("metrics", "Metric"), ("params", "Param"))
    ]
    show(found, as_json=as_json, text="\n\n".join(filter(None, texts)))
    if not any(found.values()) and not as_json:
        note("no metric or parameter differs")
    return 0


def _diff_table(
    part: dict[str, dict[str, Any]],
    title: str,
    old: str | None,
    new: str | None,
    given: dict[str, Any],
    *,
    as_markdown: bool,
) -> str:
    from assay.render.markdown import markdown_table
    from assay.render.tables import format_change, format_number, text_table

    digits = given["precision"] or 5
    rows = [
        [
            *([] if given["no_path"] else [path]),
            key,
            format_number(one["old"], digits),
            format_number(one["new"], digits),
            format_change(one["old"], one["new"], digits),
        ]
        for path, values in part.items()
        for key, one in values.items()
    ]
    path = [] if given["no_path"] else ["Path"]
    header = [*path, title, old or "HEAD", new or "workspace", "Change"]
    draw = markdown_table if as_markdown else text_table
    return draw(header, rows) if rows else ""

"""`runs search`, `log`."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from assay.base.progress import counted
from assay.cli.forms import csv_option, csv_table, md_option, one_form
from assay.cli.options import with_options
from assay.cli.output import json_option, note, show, spelled
from assay.cli.run_places import directory_option, has_runs, open_runs

if TYPE_CHECKING:
    from assay.ledger.found import FoundRun
    from assay.ledger.search.columns import Column
    from assay.ledger.search.runs import RunQuery

_forms = with_options(directory_option, json_option, csv_option, md_option)
_columns_option = click.option(
    "--columns", metavar="NAMES", help="These columns only, such as run_id,metrics.rmse."
)


_HELP = """Find runs by QUERY, the newest first.

\b
assay runs search "metrics.rmse < 0.5 AND (params.model = 'tree' OR params.depth > 3)"
assay runs search "status = 'failed' AND start > '2026-11-01'" --columns run_id,stage

Fields are metrics.NAME, params.NAME, tags.NAME, dataset.name, dataset.digest, dataset.context,
and run_id, run_name, status, experiment, kind, stage, owner, start, end, duration (seconds),
commit, branch, command, parent, lifecycle. There are = != < <= > >= LIKE ILIKE IN BETWEEN,
IS NULL, IS NAN, NOT, AND, OR and parentheses. Names with other characters stand in backticks. A
parameter that is compared with a number is compared as one.
"""


@click.command("search", help=_HELP)
@click.argument("query", default="")
@click.option(
    "--order-by", "order_by", multiple=True, metavar="KEY",
    help="Such as 'metrics.rmse DESC'; may be given again.",
)  # fmt: skip
@_columns_option
@click.option("--count", "counts", is_flag=True, help="Print only how many there are.")
@click.option(
    "-n", "--limit", default=100, show_default=True, type=click.IntRange(min=1),
    help="At most so many.",
)  # fmt: skip
@click.option("--all", "every", is_flag=True, help="All, however many there are.")
@click.option("--children", is_flag=True, help="The runs that what was found is a part of.")
@_forms
def search_command(
    query: str,
    order_by: tuple[str, ...],
    columns: str | None,
    counts: bool,
    limit: int,
    every: bool,
    children: bool,
    directory: Path | None,
    as_json: bool,
    as_csv: bool,
    as_markdown: bool,
) -> int:
    """Find runs by a query, the newest first."""
    from assay.ledger.search.runs import RunQuery

    one_form(json=as_json, csv=as_csv, md=as_markdown)
    asked = RunQuery(filter=query, order_by=order_by, of_children=children)
    if counts:
        return _show_count(asked, directory, as_json=as_json)
    runs, is_cut = _found(asked, directory, limit=None if every else limit)
    chosen = _chosen(columns, runs)
    show_runs = _printer(as_json=as_json, as_csv=as_csv, as_markdown=as_markdown)
    show_runs(runs, chosen, "No run is like that.")
    if is_cut:
        note(f"There are more: the first {limit} are shown; see --limit and --all.")
    return 0


@click.command("log")
@click.option(
    "-n", "--last", default=20, show_default=True, type=click.IntRange(min=1),
    help="The newest runs, so many.",
)  # fmt: skip
@click.option("--sort", metavar="KEY", help="By a column, such as metrics.rmse or 'rmse DESC'.")
@_columns_option
@click.option("--experiment", metavar="NAME", help="Only runs of this experiment.")
@click.option("--all", "every", is_flag=True, help="The runs of single stages too.")
@_forms
def log_command(
    last: int,
    sort: str | None,
    columns: str | None,
    experiment: str | None,
    every: bool,
    directory: Path | None,
    as_json: bool,
    as_csv: bool,
    as_markdown: bool,
) -> int:
    """Show the last runs with parameters and metrics, the newest first.

    A column in which all runs have the same is left out, and named below. The parameters and
    metrics of stages count as those of their run.
    """
    from assay.ledger.search.runs import RunQuery

    one_form(json=as_json, csv=as_csv, md=as_markdown)
    name = None if experiment is None else _quoted(experiment)
    query = RunQuery(filter="" if name is None else f"experiment = {name}", top_level=not every)
    runs, _ = _found(query, directory, limit=last, merges=not every)
    if experiment is not None and not runs and has_runs(directory):
        from assay.ledger import listing

        with open_runs(directory) as ledger:
            listing.check_experiment(ledger, experiment)
    if sort is not None:
        runs = _sorted(runs, sort)
    chosen = _chosen(columns, runs)
    show_runs = _printer(as_json=as_json, as_csv=as_csv, as_markdown=as_markdown)
    none = "No runs yet." if experiment is None else f"No runs of experiment {experiment!r}."
    show_runs(runs, chosen, none)
    return 0


def _quoted(text: str) -> str:
    from assay.base.errors import Usage

    quote = "'" if "'" not in text else '"'
    if quote in text:
        raise Usage(f"there is no way to write {text!r}, which has both quotes")
    return f"{quote}{text}{quote}"


def _chosen(names: str | None, runs: Sequence[FoundRun]) -> list[Column] | None:
    """Return the columns of names, which may be those that head the table."""
    from assay.ledger.search.columns import named

    if names is None:
        return None
    given = [name.strip() for name in names.split(",") if name.strip()]
    return named([_whole_name(name, runs) for name in given])


def _whole_name(name: str, runs: Sequence[FoundRun]) -> str:
    """Return a key of a metric or parameter with its entity, a short heading as its attribute."""
    from assay.cli.run_table import PARAMS_FILE, SHORT

    for attribute, heading in SHORT.items():
        if name == heading:
            return attribute
    if any(name in run.metrics for run in runs):
        return f"metrics.{_ticked(name)}"
    for key in (name, f"{PARAMS_FILE}{name}"):
        if any(key in run.params for run in runs):
            return f"params.{_ticked(key)}"
    return name


def _ticked(key: str) -> str:
    """Return a key in backticks, as a query names it."""
    return "`" + key.replace("`", "``") + "`"


def _show_count(query: RunQuery, directory: Path | None, *, as_json: bool) -> int:
    from assay.ledger import listing
    from assay.ledger.search.parser import parse
    from assay.ledger.search.targets import RUNS

    parse(query.filter, RUNS)  # a query is wrong where there is no run, too
    found = 0
    if has_runs(directory):
        with open_runs(directory) as ledger:
            found = listing.count_runs(ledger, query)
    show({"count": found}, as_json=as_json, text=str(found))
    return 0


def _found(
    query: RunQuery, directory: Path | None, *, limit: int | None, merges: bool = False
) -> tuple[list[FoundRun], bool]:
    """Return the runs of a query, and whether there are more."""
    from assay.cli.run_table import with_parts
    from assay.ledger import listing
    from assay.ledger.search.ordering import parse_orders
    from assay.ledger.search.parser import parse
    from assay.ledger.search.targets import RUNS

    parse(query.filter, RUNS)
    parse_orders(query.order_by, RUNS)
    if not has_runs(directory):
        return [], False
    with open_runs(directory) as ledger:
        runs, is_cut = listing.find_runs(ledger, query, limit=limit)
        if merges:
            stages = listing.stages_of(ledger, [run.id for run in runs])
            runs = [with_parts(run, stages.get(run.id, ())) for run in runs]
    return runs, is_cut


def _sorted(runs: list[FoundRun], text: str) -> list[FoundRun]:
    """Return runs by a key, maybe that of a metric or parameter alone; missing ones last."""
    from assay.ledger.search.columns import Column, named
    from assay.ledger.search.parser import parse_order
    from assay.ledger.search.targets import RUNS

    key, space, direction = text.partition(" ")
    order = parse_order(_whole_name(key, runs) + space + direction, RUNS)
    column = Column(entity=order.entity, key=order.key)
    if order.entity == "attribute":
        named([order.key])
    there = [run for run in runs if not _is_missing(column.of(run))]
    there.sort(key=lambda run: _rank(column.of(run)), reverse=order.is_descending)
    return [*there, *(run for run in runs if _is_missing(column.of(run)))]


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _rank(value: Any) -> tuple[int, float, str]:
    """Return what a value is sorted by: numbers first, also those that are written as text."""
    try:
        return (0, float(value), "")
    except ValueError:
        return (1, 0.0, str(value))


def _printer(
    *, as_json: bool, as_csv: bool, as_markdown: bool
) -> Callable[[Sequence[FoundRun], list[Column] | None, str], None]:
    """Return what prints runs in the form that was asked for."""
    from assay.ledger.search.columns import Columns

    def show_them(runs: Sequence[FoundRun], chosen: list[Column] | None, none: str) -> None:
        if as_json or as_csv:
            columns = Columns.of(runs, chosen)
            rows = spelled(list(columns.rows()))
            text = csv_table(list(columns), [list(row.values()) for row in columns.rows()])
            show(rows, as_json=as_json, text=text)
        elif not runs:
            show([], as_json=False, text=none)
        else:
            show([], as_json=False, text=_text(runs, chosen, as_markdown=as_markdown))

    return show_them


def _text(runs: Sequence[FoundRun], chosen: list[Column] | None, *, as_markdown: bool) -> str:
    from assay.base.clock import now_ms
    from assay.cli import run_table
    from assay.render.markdown import markdown_table
    from assay.render.tables import text_table

    width = None
    if sys.stdout.isatty() and not as_markdown:
        width = shutil.get_terminal_size().columns
    table = run_table.table(
        runs,
        run_table.columns_of(runs) if chosen is None else chosen,
        now=now_ms(),
        keeps_all=chosen is not None,
        width=width,
    )
    if as_markdown:
        return markdown_table(table.header, table.rows)
    lines = [text_table(table.header, table.rows)]
    if table.same:
        same = ", ".join(f"{name}={value}" for name, value in table.same.items())
        lines += ["", f"The same in all: {same}"]
    if table.left_out:
        names = ", ".join(table.left_out)
        lines += ["", f"No room for {counted(len(table.left_out), 'column')}: {names}"]
    return "\n".join(lines)

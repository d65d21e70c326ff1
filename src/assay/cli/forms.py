"""The forms in which facts can be asked for: `--json`, `--md`, `--csv` and others, one of them."""

from __future__ import annotations

from collections.abc import Sequence

import click

from assay.base.errors import Usage

md_option = click.option("--md", "as_markdown", is_flag=True, help="Print a Markdown table.")
csv_option = click.option("--csv", "as_csv", is_flag=True, help="Print CSV, nothing rounded.")


def one_form(**given: bool) -> None:
    """Refuse more than one form of the answer; the names are those of the options.

    Raises
    ------
    Usage
        With the first two that were given.
    """
    asked = [f"--{name.replace('_', '-')}" for name, is_given in given.items() if is_given]
    if len(asked) > 1:
        raise Usage(f"'{asked[0]}' and '{asked[1]}' are two forms: choose one")


def csv_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return header and rows as CSV; None is an empty cell."""
    import csv
    import io

    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()

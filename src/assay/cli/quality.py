"""`schema`, `validate`, `split` and `drift`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from assay.base.errors import Usage
from assay.cli.output import json_option, note, show, write_json
from assay.project import declaration, workspace

if TYPE_CHECKING:
    from assay.data.anomalies import Anomaly
    from assay.data.drift.compare import ColumnDrift, Drift
    from assay.data.split import Header
    from assay.data.validate import Validation

_EXIT = {"drifted": 1, "too few rows": 3, "no drift": 0, "not compared": 3}


@click.group("schema")
def schema_group() -> None:
    """Say what is expected of a table."""


@schema_group.command("infer")
@click.argument("table")
@click.option("--write", is_flag=True, help="Put it into assay.yaml; what you reviewed stays.")
@json_option
def infer_command(table: str, write: bool, as_json: bool) -> int:
    """Print a schema that TABLE fits: a name of assay.yaml, or a path.

    Columns are marked 'inferred: true'. Remove that when you have looked at one: until then its
    range and uniqueness only warn, and the next 'infer' may change it.
    """
    from assay.data import schema
    from assay.project import emit
    from assay.workflows import quality

    project = workspace.find()
    declared = declaration.read(project)
    place = quality.find(project, declared, table)
    inferred = quality.infer_schema(project, place)
    if write:
        changed = quality.write_schema(project, declared, place, inferred)
        note(f"{'wrote' if changed else 'no change in'} {declaration.FILE}: schema.{place.name}")
    document = {"schema": {place.name or place.path.stem: schema.plain(inferred)}}
    if as_json or not write:
        show(document, as_json=as_json, text=emit.dump(document))
    return 0


@schema_group.command("show")
@click.argument("table")
@json_option
def show_command(table: str, as_json: bool) -> int:
    """Print the schema that assay.yaml has for TABLE."""
    from assay.data import schema
    from assay.project import emit
    from assay.workflows import quality

    project = workspace.find()
    declared = declaration.read(project)
    place = quality.find(project, declared, table)
    document = {"schema": {place.name: schema.plain(quality.declared_schema(declared, place))}}
    show(document, as_json=as_json, text=emit.dump(document))
    return 0


@click.command("validate")
@click.argument("tables", nargs=-1, metavar="[TABLE]...")
@click.option("--now", metavar="TIME", help="Rows must be fresh at this moment, not at present.")
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings too.")
@click.option("-o", "--out", metavar="FILE", help="Write the result as JSON to FILE, too.")
@json_option
def validate_command(
    tables: tuple[str, ...], now: str | None, strict: bool, out: str | None, as_json: bool
) -> int:
    """Check tables against their schemas in assay.yaml (all that have one without TABLE).

    Exits with 1 where data are not valid, so it can be a stage of a pipeline. Limits that were
    inferred and not reviewed only warn. Rows are counted from 0.
    """
    from assay.workflows import quality

    project = workspace.find()
    found = quality.validate_tables(
        project, declaration.read(project), tables, now=_microseconds(now)
    )
    document = [
        {"table": one.table, "valid": one.valid, "n_rows": one.n_rows, "anomalies": one.anomalies}
        for one in found
    ]
    if out is not None:
        write_json(Path(out), document)
    show(document, as_json=as_json, text="\n\n".join(_validation_text(one) for one in found))
    failed = any(not one.valid or (strict and one.anomalies) for one in found)
    return 1 if failed else 0


def _microseconds(now: str | None) -> int:
    """Return the moment that was given, or the present one, in microseconds since 1970."""
    import datetime as dt

    if now is None:
        from assay.base.clock import now_ms

        return now_ms() * 1000
    try:
        moment = dt.datetime.fromisoformat(now)
    except ValueError as error:
        raise Usage(f"'{now}' is not a time", hint="write 2012-01-31T06:00") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return round(moment.timestamp() * 1_000_000)


def _validation_text(found: Validation) -> str:
    n_errors = sum(one.severity == "error" for one in found.anomalies)
    n_warnings = len(found.anomalies) - n_errors
    counts = [
        f"{n} {what}{'' if n == 1 else 's'}"
        for n, what in ((n_errors, "error"), (n_warnings, "warning"))
        if n
    ]
    head = f"{found.table}: {found.n_rows:,} rows, {', '.join(counts) or 'valid'}"
    return "\n".join([head, *(_anomaly_text(one, found.n_rows) for one in found.anomalies)])


def _anomaly_text(anomaly: Anomaly, n_rows: int) -> str:
    import yaml

    from assay.data.anomalies import percent

    where = f"{anomaly.column}: " if anomaly.column else ""
    share = ""
    if anomaly.n_rows is not None:
        share = f" [{anomaly.n_rows:,} rows, {percent(anomaly.n_rows, n_rows)}]"
    lines = [
        "",
        f"{anomaly.severity}: {where}{anomaly.description}{share}",
        f"  {anomaly.type}",
    ]
    if anomaly.examples:
        shown = [
            " ".join(
                part
                for part in (
                    "" if one.row is None else f"row {one.row}",
                    "" if one.value is None else repr(one.value),
                )
                if part
            )
            for one in anomaly.examples
        ]
        lines.append(f"  seen: {'; '.join(shown)}")
    if anomaly.edit:
        edit = yaml.safe_dump(
            anomaly.edit, default_flow_style=True, width=1 << 20, sort_keys=False,
            allow_unicode=True,
        )  # fmt: skip
        lines.append(f"  to accept, in {declaration.FILE}: {edit.strip()[1:-1]}")
    return "\n".join(lines)


@click.command("split")
@click.argument("table")
@click.option("--by", type=click.Choice(["time", "random"]), required=True, help="The rule.")
@click.option("-o", "--out", metavar="FOLDER", required=True, help="Where the lists go.")
@click.option("--test", default="0.2", show_default=True, metavar="SHARE|TIME",
              help="Share of the rows, or (by time) the moment it starts.")  # fmt: skip
@click.option("--validation", metavar="SHARE|TIME", help="The same for a part before the test.")
@click.option("--gap", default="0s", metavar="DURATION", help="By time: leave out so much before.")
@click.option("--time", "column", metavar="COLUMN", help="By time: the column, if not declared.")
@click.option("--key", multiple=True, metavar="COLUMN",
              help="At random: what is hashed; rows that share it stay together.")  # fmt: skip
@click.option("--salt", default="", help="At random: another text gives another split.")
@json_option
def split_command(
    table: str,
    by: str,
    out: str,
    test: str,
    validation: str | None,
    gap: str,
    column: str | None,
    key: tuple[str, ...],
    salt: str,
    as_json: bool,
) -> int:
    """Write which rows of TABLE are for training and which for judging.

    FOLDER gets a list of row numbers for each part, and split.json with the rule and the content
    that was split. A random split is by hash of the key: no row moves when the table grows.
    """
    from assay.workflows import quality

    project = workspace.find()
    place = quality.find(project, declaration.read(project), table)
    cuts = {"test": _cut(test)} | ({"validation": _cut(validation)} if validation else {})
    folder = Path(out)
    if by == "time":
        if key or salt:
            raise Usage("'--key' and '--salt' are for '--by random'")
        header = quality.split_by_time(
            project, place, folder, column=column, cuts=cuts, gap=_seconds(gap)
        )
    else:
        if column or _seconds(gap):
            raise Usage("'--time' and '--gap' are for '--by time'")
        shares: dict[str, float] = {}
        for name, cut in cuts.items():
            if isinstance(cut, str):
                raise Usage(f"'{cut}' is not a share", hint="a random split takes shares: 0.2")
            shares[name] = cut
        header = quality.split_at_random(project, place, folder, key=key, shares=shares, salt=salt)
    show(header, as_json=as_json, text=_split_text(header, out))
    return 0


def _cut(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _seconds(duration: str) -> float:
    import re

    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?[smhdw]", duration):
        raise Usage(f"'{duration}' is not a duration", hint="write 7d, 12h, 30m or 10s")
    return declaration.seconds(duration)


def _split_text(header: Header, folder: str) -> str:
    from assay.render.tables import text_table

    rows = [
        [name, f"{part.n_rows:,}", f"{100 * part.n_rows / header.n_rows:.3g}%",
         header.rule.cuts.get(name, "")]
        for name, part in header.parts.items()
    ]  # fmt: skip
    titles = ["part", "rows", "share", "starts"]
    if not header.rule.cuts:
        titles, rows = titles[:3], [row[:3] for row in rows]
    left = f"; {header.n_left_out:,} rows are in no part" if header.n_left_out else ""
    return f"{text_table(titles, rows)}\n\nwrote {folder}{left}"


@click.command("drift")
@click.argument("reference")
@click.argument("current")
@click.option("--column", "columns", multiple=True, metavar="COLUMN", help="Compare only these.")
@click.option("--exclude", multiple=True, metavar="COLUMN", help="Leave a column out.")
@click.option("--test", default="chi-square", show_default=True, help="The test: or 'ks'.")
@click.option("--alpha", default=0.05, show_default=True, help="Chance of a false alarm in all.")
@click.option("--min-effect", default=0.05, show_default=True,
              help="Least corrected Jensen-Shannon distance that matters.")  # fmt: skip
@json_option
def drift_command(
    reference: str,
    current: str,
    columns: tuple[str, ...],
    exclude: tuple[str, ...],
    test: str,
    alpha: float,
    min_effect: float,
    as_json: bool,
) -> int:
    """Compare CURRENT with REFERENCE: names of assay.yaml or paths (REFERENCE: or a profile).

    One test a column, adjusted by Holm over all columns; a difference must also be large enough
    to matter. Exits with 1 where a column drifted, with 3 where rows are too few to tell.
    """
    from assay.workflows import quality

    project = workspace.find()
    found = quality.compare_tables(
        project,
        declaration.read(project),
        reference,
        current,
        columns=columns,
        exclude=exclude,
        test=test,
        alpha=alpha,
        min_effect=min_effect,
    )
    show(found, as_json=as_json, text=_drift_text(found))
    return _EXIT[found.verdict]


def _drift_text(found: Drift) -> str:
    from assay.render.tables import text_table

    header = ["column", "verdict", "PSI", "JS distance", "p (Holm)", "largest change"]
    order = ["drifted", "too few rows", "no drift", "not compared"]
    rows = [
        _drift_row(one, found)
        for one in sorted(found.columns, key=lambda c: order.index(c.verdict))
    ]
    counts = [
        f"{n} {verdict}"
        for verdict in order
        if (n := sum(one.verdict == verdict for one in found.columns))
    ]
    sizes = f"{found.n_current:,} rows against {found.n_reference:,}"
    return f"{text_table(header, rows)}\n\n{found.verdict}: {sizes}; columns: {', '.join(counts)}"


def _drift_row(one: ColumnDrift, found: Drift) -> list[str]:
    def figure(value: Any) -> str:
        return "" if value is None else f"{value:.3g}"

    if one.verdict == "not compared":
        return [one.column, one.verdict, "", "", "", one.reason]
    change = ""
    if (cell := one.largest) is not None:
        before, now = cell.reference / found.n_reference, cell.current / found.n_current
        change = f"{cell.label}: {100 * before:.3g}% -> {100 * now:.3g}%"
    figures = [figure(x) for x in (one.psi, one.js_distance, one.p_adjusted)]
    return [one.column, one.verdict, *figures, change]

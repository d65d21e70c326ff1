"""The rows on which a retraining is judged: neither candidate nor base has seen them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from assay.base.clock import iso
from assay.base.errors import Error, NotFound, Usage
from assay.project import declaration
from assay.project.declaration import FILE, Declaration

if TYPE_CHECKING:
    from assay.bundle.contents import Contents
    from assay.project.workspace import Project

_DAY = 86_400_000


class HeldOut(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of the evaluation table; times are Unix milliseconds.

    Attributes
    ----------
    first, last : int
        Event times of the oldest and the youngest row.
    trained_until : int or None
        The end of the youngest day that the candidate was trained on.
    """

    n_rows: int
    first: int
    last: int
    trained_until: int | None


def check(
    tree: Project, declared: Declaration, candidate: Contents, *, base: str | None
) -> HeldOut:
    """Return the rows to judge on, once it is known that no model was trained on them.

    What a bundle was trained on is known by days: the youngest has to end before the oldest of
    these rows, less the lateness of their table.

    Parameters
    ----------
    base : str or None
        The id of the bundle that answers now.

    Raises
    ------
    assay.Error
        If candidate or base has seen such rows, or they span less than `retrain.hold_out`.
    """
    if declared.evaluation is None:
        raise Usage(
            "'evaluation' is not declared", where=FILE, hint="say there which table to judge on"
        )
    table = declaration.table(declared, declared.evaluation.table)
    if table.time is None:
        raise Usage(
            f"the table '{declared.evaluation.table}' has no time column, so it cannot be known "
            "which of its rows are new",
            where=f"{FILE}: data.tables.{declared.evaluation.table}",
            hint="add 'time: COLUMN' to it",
        )
    n_rows, first, last = _span(tree, table)
    lateness = round(declaration.seconds(table.lateness) * 1000)
    until = _trained_until(candidate)
    _check_seen("the candidate", until, first - lateness)
    if base is not None:
        from assay.bundle import contents

        known = contents.read_objects(tree.objects, base.removeprefix("sha256:"))
        _check_seen("the model in production", _trained_until(known), first)
    _check_length(declared, first, last)
    return HeldOut(n_rows=n_rows, first=first, last=last, trained_until=until)


def _span(tree: Project, table: declaration.Table) -> tuple[int, int, int]:
    from assay.data.files import table_files
    from assay.data.read import open_table

    files = table_files(tree.root / table.path)
    if files is None:
        raise NotFound(
            f"the evaluation table '{table.path}' is not there after the pipeline ran",
            hint="it has to be an output of the pipeline",
        )
    with open_table(files) as opened:
        refs = {column.name: column.ref for column in opened.columns}
        if table.time not in refs:
            raise Error(
                f"the evaluation table has no column '{table.time}'",
                where=table.path,
                hint="the declaration names it as its time",
            )
        moment = f"epoch_ms({refs[table.time]}::TIMESTAMP)"
        row = opened.row(f"SELECT count(*), min({moment}), max({moment}) FROM t")  # noqa: S608 -- a quoted name
    if not row[0] or row[1] is None:
        raise Error("the evaluation table has no row with a time", where=table.path)
    return int(row[0]), int(row[1]), int(row[2])


def _trained_until(found: Contents) -> int | None:
    """Return the end of the youngest day of a bundle's training rows, where it knows days."""
    import datetime as dt

    from assay.bundle import reference
    from assay.bundle.index import REFERENCE

    known = reference.load(found.files[REFERENCE], where=found.where)
    days = [day for day in known.days if day is not None]
    if not days:
        return None
    end = dt.datetime.fromisoformat(max(days)).replace(tzinfo=dt.UTC) + dt.timedelta(days=1)
    return round(end.timestamp() * 1000)


def _check_seen(who: str, until: int | None, first: int) -> None:
    if until is None:
        raise Error(
            f"{who} does not know on which days it was trained, so it cannot be shown that it has "
            "not seen the rows to judge on",
            hint="give the rows' times: assay.bundle(..., time=...)",
        )
    if until > first:
        raise Error(
            f"{who} was trained on rows up to {iso(until)[:10]}, the rows to judge on begin at "
            f"{iso(first)}",
            hint="the training stage has to leave them out: set its parameter in "
            "'retrain: params', and hold out whole days",
        )


def _check_length(declared: Declaration, first: int, last: int) -> None:
    wanted = declared.retrain.hold_out if declared.retrain else "0s"
    milliseconds = round(declaration.seconds(wanted) * 1000)
    if last - first < milliseconds - _DAY:
        days = (last - first) / _DAY
        raise Error(
            f"the rows to judge on span {days:.1f} days; 'retrain: hold_out' says {wanted}",
            hint="let the training stage hold out as many: set its parameter in 'retrain: params'",
        )

"""Evaluation rows out of an open table: key, time and target, in the order of the table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assay.base.errors import Error, NotFound, did_you_mean
from assay.data.read import Table, TableColumn
from assay.evaluate.rows import Rows, make
from assay.project.declaration import Task


def read(
    table: Table,
    *,
    task: Task,
    target: str,
    classes: Sequence[str | int] = (),
    key: Sequence[str] = (),
    time: str | None = None,
    where: str | None = None,
) -> Rows:
    """Return the rows of a table, without a model.

    Parameters
    ----------
    target : str
        The column that is predicted.
    key : sequence of str
        The columns that name a row; without them, its position does.
    time : str, optional
        The column with the event time; a time without a zone is taken as UTC.
    where : str, optional
        What the table is called in errors.

    Raises
    ------
    assay.Error
        If a column is missing, a value of the target is, or a key names two rows.
    """
    import numpy as np

    wanted = [target, *key, *([] if time is None else [time])]
    columns = [_column(table, name, where) for name in wanted]
    terms = [
        f"{column.ref}::TIMESTAMP" if name == time else column.ref
        for name, column in zip(wanted, columns, strict=True)
    ]
    if time is not None and columns[-1].type != "time":
        raise Error(
            f"the column '{time}' is {columns[-1].type}, expected times",
            where=where,
            hint="write times as ISO 8601, such as 2012-01-31 13:00:00",
        )
    named = ", ".join(f"{term} AS x{i}" for i, term in enumerate(terms))
    sql = f"SELECT rowid AS at, {named} FROM t ORDER BY rowid"  # noqa: S608 -- quoted names
    found = table.execute(sql).fetchnumpy()
    values = [found[f"x{i}"] for i in range(len(wanted))]
    missing = np.ma.getmaskarray(values[0])
    if missing.any():
        raise Error(
            f"the target '{target}' is missing in {int(missing.sum()):,} of {len(missing):,} "
            f"rows, first in row {int(missing.argmax()) + 1}",
            where=where,
            hint="evaluate on rows whose truth is known",
        )
    keys = [_texts(column) for column in values[1 : 1 + len(key)]]
    return make(
        np.ma.getdata(values[0]),
        task=task,
        classes=classes,
        key=list(zip(*keys, strict=True)) if len(keys) > 1 else keys[0] if keys else None,
        time=None if time is None else np.ma.filled(values[-1], np.datetime64("NaT")),
    )


def series(table: Table, key: Sequence[str], *, time: str | None) -> list[str] | None:
    """Return which series each row belongs to: its key columns but the time.

    None where there is only one series.
    """
    others = [name for name in key if name != time]
    if not others:
        return None
    named = ", ".join(f"{_column(table, name, None).ref} AS x{i}" for i, name in enumerate(others))
    sql = f"SELECT rowid AS at, {named} FROM t ORDER BY rowid"  # noqa: S608 -- quoted names
    found = table.execute(sql).fetchnumpy()
    columns = [_texts(found[f"x{i}"]) for i in range(len(others))]
    return ["\0".join(parts) for parts in zip(*columns, strict=True)]


def _texts(column: Any) -> list[str]:
    import numpy as np

    absent = np.ma.getmaskarray(column)
    if column.dtype.kind == "M":
        column = np.ma.getdata(column).astype("datetime64[us]").astype(str)
    values = np.ma.getdata(column).tolist()
    return ["" if gone else str(value) for value, gone in zip(values, absent, strict=True)]


def _column(table: Table, name: str, where: str | None) -> TableColumn:
    names = [column.name for column in table.columns]
    for column in table.columns:
        if column.name == name:
            return column
    raise NotFound(
        f"the table has no column '{name}'",
        where=where,
        hint=did_you_mean(name, names) or f"it has {', '.join(names[:20])}",
    )

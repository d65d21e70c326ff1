"""Slices: SQL predicates over a row of the evaluation table, as masks; one query for all.

The table is an open one of `assay.data.read`, whose connection can read no file and load nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from assay.base.errors import Error
from assay.data.read import Table

if TYPE_CHECKING:
    from assay.evaluate.rows import Mask

WHERE = "assay.yaml: evaluation.slices"


def masks(table: Table, predicates: Mapping[str, str]) -> dict[str, Mask]:
    """Return for each slice which rows of the table are in it.

    A predicate that is NULL for a row leaves the row out.

    Raises
    ------
    assay.Error
        If a predicate is no SQL over a row, or is not true or false; it names the slice.
    """
    import numpy as np

    if not predicates:
        return {}
    columns = expressions(table, predicates, where=WHERE)
    found: dict[str, Mask] = {}
    for name, values in columns.items():
        if values.dtype.kind != "b":
            raise Error(
                f"the slice '{name}' is {predicates[name]!r}, which is not true or false",
                where=f"{WHERE}.{name}",
                hint='write a comparison, such as "temperature < 0" or "city = \'Bonn\'"',
            )
        found[name] = np.ma.filled(values, fill_value=False)
    return found


def expressions(table: Table, terms: Mapping[str, str], *, where: str) -> dict[str, Any]:
    """Return the values of SQL expressions over each row, as arrays that mask NULL.

    Raises
    ------
    assay.Error
        If one is no expression over a row; it is named.
    """
    import duckdb

    names = list(terms)
    for name in names:
        _check(name, terms[name], where)
    try:
        return _ask(table, terms)
    except duckdb.Error as error:
        for name in names:  # which one is it?
            try:
                _ask(table, {name: terms[name]})
            except duckdb.Error as own:
                raise _explained(name, terms[name], own, table, where) from own
        raise _explained(names[0], terms[names[0]], error, table, where) from error


def _check(name: str, term: str, where: str) -> None:
    """Refuse what is more than an expression: it must stay inside of its brackets."""
    depth = 0
    for char in _outside_of_quotes(term):
        depth += {"(": 1, ")": -1}.get(char, 0)
        if depth < 0 or char == ";":
            break
    if depth or not term.strip() or ";" in _outside_of_quotes(term):
        raise Error(
            f"'{name}' is {term!r}, which is not one SQL expression",
            where=f"{where}.{name}",
            hint="write one condition over the columns of a row",
        )


def _outside_of_quotes(term: str) -> str:
    outside, quote = [], ""
    for char in term:
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        else:
            outside.append(char)
    return "".join(outside)


def _ask(table: Table, terms: Mapping[str, str]) -> dict[str, Any]:
    columns = ", ".join(f"(\n{term}\n) AS x{i}" for i, term in enumerate(terms.values()))
    sql = f"SELECT rowid AS at, {columns} FROM t ORDER BY rowid"  # noqa: S608 -- the user's own
    found = table.execute(sql).fetchnumpy()
    return {name: found[f"x{i}"] for i, name in enumerate(terms)}


def _explained(name: str, term: str, error: Exception, table: Table, where: str) -> Error:
    lines = [line for line in str(error).splitlines() if line.strip()]
    said = lines[0].split(": ", maxsplit=1)[-1] if lines else "no reason given"
    known = ", ".join(column.name for column in table.columns[:20])
    return Error(
        f"'{name}' is {term!r}, which DuckDB refuses: {said}",
        where=f"{where}.{name}",
        hint=f"write SQL over the columns {known}",
    )

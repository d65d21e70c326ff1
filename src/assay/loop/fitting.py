# ruff: noqa: S608 -- every name and literal in the SQL of this file goes through `quoted`
"""Which rows are new to a growing table, in the types of its columns.

A row is new where its key is not in the table yet; the last one of a key counts. What does not
fit the type of its column is refused, with its row and column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.errors import Error, NotFound, did_you_mean
from assay.data.infer import BOOLEANS, LogicalType
from assay.data.read import Table
from assay.traffic.parts import Part
from assay.traffic.table import create_table, quoted

if TYPE_CHECKING:
    import duckdb

_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}
_NUMBERS = {"UBIGINT": "integer", "HUGEINT": "integer", "FLOAT": "float", "DOUBLE": "float"}
_LOGGED = {"integer": "BIGINT", "float": "DOUBLE", "boolean": "BOOLEAN", "time": "BIGINT"}
_ZONED = r".*[0-9]:[0-9]{2}.*(Z|[+-][0-9]{2}(:?[0-9]{2})?)\s*"


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column of the growing table.

    Attributes
    ----------
    kind : str or None
        What its values are; None where it is empty and nothing is declared: then anything fits.
    ref : str
        Its name in SQL on the open table.
    physical : str
        Its type in a Parquet file; VARCHAR for CSV.
    """

    name: str
    kind: LogicalType | None
    ref: str
    physical: str


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """New rows in the order of their event time.

    Attributes
    ----------
    kinds : list of str
        What the values of each column are.
    values : list of list
        By column; a time is in microseconds since 1970, UTC.
    times : list of int or None
        The event time of each row in Unix milliseconds.
    origins : list of str
        Where each row comes from, for people.
    """

    kinds: list[LogicalType]
    values: list[list[Any]]
    times: list[int | None]
    origins: list[str]


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that may be new, in the table `evaluated` of a connection.

    It has a column `c0`, `c1`, ... for each column of the growing table, and `origin`, `time`
    (Unix milliseconds) and `turn`, in which the last one counts.
    """

    connection: Any
    n_rows: int


def columns_of(table: Table, types: Mapping[str, LogicalType]) -> list[Column]:
    """Return the columns of an open table; `types` are those that are declared."""

    def kind(name: str, type_: LogicalType, *, is_known: bool) -> LogicalType | None:
        found = types.get(name, type_ if is_known else None)
        return "text" if found == "category" else found

    return [
        Column(
            name=column.name,
            kind=kind(
                column.name,
                column.type,
                is_known=column.n_present > 0 or column.physical != "VARCHAR",
            ),
            ref=column.ref,
            physical=column.physical,
        )
        for column in table.columns
    ]


def new_rows(
    source: Source, table: Table, columns: Sequence[Column], *, key: Sequence[str]
) -> Rows:
    """Return the rows of a source whose key is not in the table.

    Raises
    ------
    assay.Error
        If a value does not fit its column, or a part of a key is missing.
    """
    connection = source.connection
    kinds, found = _find(source, table, columns, key)
    connection.register("wanted", {"n": found})
    connection.execute("CREATE TABLE fresh AS SELECT l.* FROM newest l JOIN wanted USING (n)")
    for i, column in enumerate(columns):
        _refuse_misfits(connection, column, kinds[i], i, of="fresh")
    fields = [f"f{i}" for i in range(len(columns))]
    sql = f"SELECT {', '.join(fields)}, time, origin FROM fresh ORDER BY n"
    rows = connection.execute(sql).fetchall()
    values = [list(one) for one in zip(*rows, strict=True)] or [[] for _ in range(len(fields) + 2)]
    return Rows(kinds=kinds, values=values[:-2], times=values[-2], origins=values[-1])


def count_new(
    source: Source, table: Table, columns: Sequence[Column], *, key: Sequence[str]
) -> int:
    """Return how many rows of a source have a key that is not in the table."""
    return len(_find(source, table, columns, key)[1])


def _find(
    source: Source, table: Table, columns: Sequence[Column], key: Sequence[str]
) -> tuple[list[LogicalType], Any]:
    """Return the kinds of the columns, and the numbers of the new rows in the table `newest`."""
    connection = source.connection
    types = {row[0]: row[1] for row in connection.execute("DESCRIBE evaluated").fetchall()}
    kinds = [column.kind or kind_of(types[f"c{i}"]) for i, column in enumerate(columns)]
    terms = [
        f"{_fit(f'c{i}', types[f'c{i}'], kind, column)} AS f{i}"
        for i, (column, kind) in enumerate(zip(columns, kinds, strict=True))
    ]
    connection.execute(
        f"CREATE TABLE fitted AS SELECT *, {', '.join(terms)},"
        " row_number() OVER (ORDER BY time, turn) AS n FROM evaluated"
    )
    at = [index(columns, name) for name in key]
    for i in at:
        _refuse_misfits(connection, columns[i], kinds[i], i, of="fitted", is_key=True)
    keys = ", ".join(f"f{i}" for i in at)
    connection.execute(
        "CREATE TABLE newest AS SELECT * FROM fitted QUALIFY"
        f" row_number() OVER (PARTITION BY {keys} ORDER BY turn DESC) = 1"
    )
    return kinds, _unknown(connection, table, [(columns[i], kinds[i], f"f{i}") for i in at])


def _unknown(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    key: Sequence[tuple[Column, LogicalType, str]],
) -> Any:
    """Return the numbers of the rows whose key is not in the table, as an array."""
    names = ", ".join(field for _, _, field in key)
    rows = connection.execute(f"SELECT n, {names} FROM newest ORDER BY n").fetchall()
    lists = [list(one) for one in zip(*rows, strict=True)] or [[] for _ in range(len(key) + 1)]
    types = {"n": "BIGINT"} | {field: logged(kind, column) for column, kind, field in key}
    part = Part(
        endpoint=None, types=types, values=dict(zip(types, lists, strict=True)), first=0, last=0
    )
    create_table(table.connection, "candidate", part)
    alike = " AND ".join(_equal(column, kind, f"c.{field}") for column, kind, field in key)
    sql = f"SELECT n FROM candidate c WHERE NOT EXISTS (SELECT 1 FROM t WHERE {alike}) ORDER BY n"
    return table.execute(sql).fetchnumpy()["n"]


def _equal(column: Column, kind: LogicalType, field: str) -> str:
    if column.kind is None:  # it is empty in the table, and so its type there says nothing
        return f"{column.ref}::VARCHAR = {field}::VARCHAR"
    return f"{f'epoch_us({column.ref})' if kind == 'time' else column.ref} = {field}"


def _refuse_misfits(
    connection: duckdb.DuckDBPyConnection,
    column: Column,
    kind: LogicalType,
    at: int,
    *,
    of: str,
    is_key: bool = False,
) -> None:
    """Raise at the first value that is not of its column's kind; a key must have a value, too."""
    condition = f"f{at} IS NULL" + ("" if is_key else f" AND c{at} IS NOT NULL")
    sql = f"SELECT origin, c{at}::VARCHAR FROM {of} WHERE {condition} ORDER BY n LIMIT 1"
    for origin, value in connection.execute(sql).fetchall():
        if value is None:
            what, hint = f"the key column '{column.name}' is empty", "a key names its row"
        else:
            what = f"{value!r} in column '{column.name}' is not of the table's type, {kind}"
            hint = "correct it where it is written, or convert it with 'retrain.data.columns'"
        raise Error(what, where=origin, hint=f"{hint}; nothing was added")


def _fit(ref: str, type_: str, kind: LogicalType, column: Column) -> str:
    """Return the SQL of a value as its kind, NULL where it does not fit."""
    given = kind_of(type_)
    text = f"{ref}::VARCHAR"
    if kind == "integer":
        wanted = logged(kind, column)
        condition = {
            "integer": "true",
            "float": f"{ref} = trunc({ref})",
            "text": rf"regexp_full_match({text}, '\s*[+-]?[0-9]+\s*')",
        }.get(given, "false")
        return f"CASE WHEN {condition} THEN try_cast({ref} AS {wanted}) END"
    if kind == "float":
        condition = {"integer": "true", "float": "true", "text": f"NOT contains({text}, '_')"}.get(
            given, "false"
        )
        return f"CASE WHEN {condition} THEN try_cast({ref} AS DOUBLE) END"
    if kind == "boolean":
        if given == "boolean":
            return ref
        no, yes = (", ".join(map(quoted, words)) for words in zip(*BOOLEANS, strict=True))
        word = f"lower(trim({text}))"
        says = f"CASE WHEN {word} IN ({yes}) THEN true WHEN {word} IN ({no}) THEN false END"
        return says if given == "text" else "NULL::BOOLEAN"
    if kind == "time":
        return moment(ref, type_, given)
    return text


def moment(ref: str, type_: str, given: LogicalType) -> str:
    """Return the SQL of a time in microseconds, whatever zone this machine is in."""
    if given == "text":
        zoned = f"epoch_us(try_cast({ref} AS TIMESTAMPTZ))"
        plain = f"epoch_us(try_cast({ref} AS TIMESTAMP))"
        return (
            f"CASE WHEN regexp_full_match({ref}, {quoted(_ZONED)}) THEN {zoned} ELSE {plain} END"
        )
    if given == "time":
        return f"epoch_us({ref})" if "TIME ZONE" in type_ else f"epoch_us({ref}::TIMESTAMP)"
    return "NULL::BIGINT"


def kind_of(type_: str) -> LogicalType:
    """Return what values of a type of DuckDB are."""
    if type_ in _INTEGERS or _NUMBERS.get(type_) == "integer":
        return "integer"
    if _NUMBERS.get(type_) == "float" or type_.startswith("DECIMAL"):
        return "float"
    if type_ == "BOOLEAN":
        return "boolean"
    if not type_.endswith("]") and (type_.startswith("TIMESTAMP") or type_ == "DATE"):
        return "time"
    return "text" if type_ in {"VARCHAR", "UUID"} or type_.startswith("ENUM") else "other"


def logged(kind: LogicalType, column: Column) -> str:
    """Return the type of DuckDB that holds the values of a kind."""
    wide = kind == "integer" and column.physical == "UBIGINT"
    return "UBIGINT" if wide else _LOGGED.get(kind, "VARCHAR")


def index(columns: Sequence[Column], name: str, *, where: str | None = None) -> int:
    """Return the place of a column by its name."""
    names = [column.name for column in columns]
    if name in names:
        return names.index(name)
    raise NotFound(
        f"the growing table has no column '{name}'",
        where=where,
        hint=did_you_mean(name, names) or f"it has {', '.join(names[:20])}",
    )

# ruff: noqa: S608 -- every name and literal in the SQL of this file goes through `quoted`
"""Opening a table: a DuckDB connection that holds the rows of some files as `t`.

Every column of `t` has the type that `assay.data.infer` found; what does not fit it is NULL there
and counted as invalid in `Table.columns`. Once the table is open, its connection can read no file
and load nothing, so that SQL from a user stays inside it.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec

from assay.base.errors import Error
from assay.data.files import Header, is_parquet, read_header, table_files
from assay.data.infer import (
    FORCED,
    NULLS,
    Ask,
    Inferred,
    LogicalType,
    Look,
    Row,
    infer,
    known,
    of_strings,
    parsed,
    quoted,
)

if TYPE_CHECKING:
    import duckdb

__all__ = ["Table", "TableColumn", "open_table", "table_files"]

BATCH = 100  # columns one SELECT asks about
N_EXAMPLES = 3
RAW = "raw"

_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}
_PHYSICAL: dict[str, tuple[LogicalType, str]] = {
    **dict.fromkeys(_INTEGERS, ("integer", "BIGINT")),
    "UBIGINT": ("integer", "UBIGINT"),
    "HUGEINT": ("float", "DOUBLE"),
    "FLOAT": ("float", "DOUBLE"),
    "DOUBLE": ("float", "DOUBLE"),
    "DECIMAL": ("float", "DOUBLE"),
    "BOOLEAN": ("boolean", "BOOLEAN"),
    "DATE": ("time", "TIMESTAMP"),
    "TIMESTAMP": ("time", "TIMESTAMP"),
    "TIMESTAMP_S": ("time", "TIMESTAMP"),
    "TIMESTAMP_MS": ("time", "TIMESTAMP"),
    "TIMESTAMP_NS": ("time", "TIMESTAMP"),
    "TIMESTAMP WITH TIME ZONE": ("time", "TIMESTAMPTZ"),
    "VARCHAR": ("text", "VARCHAR"),
    "ENUM": ("text", "VARCHAR"),
    "UUID": ("text", "VARCHAR"),
}


class TableColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A column of an open table."""

    name: str
    ref: str  # its quoted name in SQL on `t`; differs from `name` where two differ only in case
    type: LogicalType
    rule: str  # what decided the type
    physical: str  # the type in the file, as DuckDB names it; VARCHAR for CSV
    zoned: bool = False  # a time with a zone; `t` has it in UTC
    n_present: int = 0  # values that are not missing, invalid ones included
    n_invalid: int = 0  # values that are not of the type: NULL in `t`
    examples: tuple[str, ...] = ()  # three of the invalid values, the first by alphabet


class Table:
    """An open table; a context manager. `execute` runs SQL on the table `t`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, scratch: Path) -> None:
        self.connection = connection
        self.columns: tuple[TableColumn, ...] = ()
        self.n_rows = 0
        self.nulls: tuple[str, ...] = ()
        self.queries = 0
        self._scratch = scratch
        self._rows = "t"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the rows go."""
        self.connection.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def execute(
        self, sql: str, parameters: Sequence[Any] | None = None
    ) -> duckdb.DuckDBPyConnection:
        """Run one statement and count it in `queries`."""
        self.queries += 1
        return self.connection.execute(sql, parameters)

    def row(self, sql: str, parameters: Sequence[Any] | None = None) -> Row:
        """Return the one row that a statement answers with."""
        return tuple(self.execute(sql, parameters).fetchall()[0])

    def aggregate(
        self,
        per_column: Sequence[Sequence[str]],
        *,
        of: str = "t",
        parameters: Sequence[Sequence[Any]] | None = None,
    ) -> list[Row]:
        """Return for each column the values of its aggregates, a hundred columns a SELECT."""
        rows: list[Row] = []
        for start in range(0, len(per_column), BATCH):
            batch = per_column[start : start + BATCH]
            given = parameters[start : start + BATCH] if parameters else []
            sql = ", ".join(term for terms in batch for term in terms)
            values = self.row(
                f"SELECT {sql} FROM {of}",
                [value for terms in given for value in terms] or None,
            )
            at = 0
            for terms in batch:
                rows.append(values[at : at + len(terms)])
                at += len(terms)
        return rows

    def count_duplicates(self) -> int:
        """Return how many rows are a repetition of another one."""
        if not self.columns:
            return 0
        distinct: int = self.row(f"SELECT count(DISTINCT hash(r)) FROM {self._rows} r")[0]
        return self.n_rows - distinct

    def lock(self) -> None:
        """Take away the connection's way to files, extensions and settings."""
        self.connection.execute("RESET disabled_optimizers")
        self.connection.execute("SET enable_external_access=false")
        self.connection.execute("SET lock_configuration=true")

    def keep_raw(self, *, keep: bool) -> None:
        """Keep the rows as they were read, where invalid values would be lost otherwise."""
        if keep:
            self._rows = RAW
        else:
            self.execute(f"DROP TABLE {RAW}")


def open_table(
    files: Sequence[Path],
    *,
    threads: int | None = None,
    types: Mapping[str, LogicalType] | None = None,
) -> Table:
    """Read the files of one table into memory (what does not fit spills to disk).

    Parameters
    ----------
    files : sequence of path
        What `table_files` gave.
    threads : int, optional
        How many threads may work; all cores where it is not given.
    types : mapping of str to logical type, optional
        What columns are read as, whatever is in them; the others are inferred.

    Raises
    ------
    assay.Error
        If a file cannot be read, names the file and, for CSV, the line.
    """
    import duckdb

    scratch = Path(tempfile.mkdtemp(prefix="assay-"))
    config: dict[str, Any] = {
        "temp_directory": str(scratch),
        "autoinstall_known_extensions": False,
    }
    if threads is not None:
        config["threads"] = threads
    table = Table(duckdb.connect(config=config), scratch)
    try:
        table.connection.execute("SET TimeZone='UTC'")
        table.connection.execute("SET enable_progress_bar=false")
        # Else each `NOT IN (nulls)` becomes a join, and a hundred of them take their time.
        table.connection.execute("SET disabled_optimizers='in_clause'")
        read = _read_parquet if any(map(is_parquet, files)) else _read_csv
        read(table, list(files), dict(types or {}))
        table.lock()
    except duckdb.Error as error:
        table.close()
        raise _explain(error, files) from error
    except BaseException:
        table.close()
        raise
    return table


def _read_csv(table: Table, files: list[Path], types: dict[str, LogicalType]) -> None:
    header = _common_header(files)
    table.nulls = NULLS
    if not header.names:
        table.execute("CREATE TABLE t (nothing INTEGER)")
        return
    refs = [f"c{at}" for at in range(len(header.names))]
    columns = ", ".join(f"{ref}: 'VARCHAR'" for ref in refs)
    table.execute(
        f"CREATE TABLE {RAW} AS SELECT * FROM read_csv({_paths(files)}, auto_detect=false,"
        f" header=true, delim={quoted(header.delimiter)}, quote='\"', escape='\"',"
        f" columns={{{columns}}}, nullstr=[{', '.join(map(quoted, NULLS))}],"
        f" allow_quoted_nulls=false, strict_mode=true, hive_partitioning=false,"
        f" compression='{'gzip' if header.gzipped else 'none'}')"
    )
    table.n_rows = table.row(f"SELECT count(*) FROM {RAW}")[0]
    forced = [types.get(name) for name in header.names]
    found = infer(refs, *_interview(table, refs), n_rows=table.n_rows, forced=forced)
    _fill(table, header.names, refs, ["VARCHAR"] * len(refs), found)


def _interview(table: Table, refs: Sequence[str]) -> tuple[Ask, Look]:
    """Return how `infer` asks about the raw rows of a CSV file, and how it looks at some."""

    def ask(per_column: Sequence[Sequence[str]]) -> list[Row]:
        return table.aggregate(per_column, of=RAW)

    def look(condition: str) -> list[Sequence[Any]]:
        sql = f"SELECT {', '.join(refs)} FROM {RAW} WHERE {condition}"
        return list(zip(*table.execute(sql).fetchall(), strict=True)) or [()] * len(refs)

    return ask, look


def _read_parquet(table: Table, files: list[Path], types: dict[str, LogicalType]) -> None:
    if not all(map(is_parquet, files)):
        raise Error("a table is either Parquet or CSV, not both", where=files[0].parent)
    source = f"read_parquet({_paths(files)}, union_by_name=true, hive_partitioning=false)"
    table.execute(f"CREATE TABLE {RAW} AS SELECT * FROM {source}")
    described = table.execute(f"DESCRIBE {RAW}").fetchall()
    names, physical = [row[0] for row in described], [row[1] for row in described]
    table.n_rows = table.row(f"SELECT count(*) FROM {RAW}")[0]
    refs = [quoted(name, '"') for name in names]
    is_text = [_natural(kind)[0] == "text" for kind in physical]
    counts = table.aggregate(
        [
            [f"count({ref})", f"approx_count_distinct({ref})" if texts else "0"]
            for ref, texts in zip(refs, is_text, strict=True)
        ],
        of=RAW,
    )
    found = []
    for name, kind, texts, (n_present, n_distinct) in zip(
        names, physical, is_text, counts, strict=True
    ):
        type_, rule = _natural(kind)[0], "the type in the file"
        if texts:
            type_, rule = of_strings(n_present, n_distinct)
        if name in types:
            type_, rule = types[name], FORCED
        zoned = "TIME ZONE" in kind
        found.append(Inferred(type=type_, rule=rule, zoned=zoned, n_present=n_present))
    _fill(table, _original_names(table, files, names), refs, physical, found)


def _fill(
    table: Table,
    names: Sequence[str],
    refs: Sequence[str],
    physical: Sequence[str],
    found: Sequence[Inferred],
) -> None:
    """Make `t` from the raw rows, and count what does not fit."""
    readings = [_reading(*column) for column in zip(refs, physical, found, strict=True)]
    own = _unique(names)
    terms = [f"{reading} AS {ref}" for (_, reading), ref in zip(readings, own, strict=True)]
    table.execute(f"CREATE TABLE t AS SELECT {', '.join(terms)} FROM {RAW}")
    fitting = [row[0] for row in table.aggregate([[f"count({ref})"] for ref in own])]
    invalid = [it.n_present - fit for it, fit in zip(found, fitting, strict=True)]
    failing = [at for at, n_invalid in enumerate(invalid) if n_invalid]
    shown = table.aggregate(
        [
            [f"min({refs[at]}::VARCHAR, {N_EXAMPLES}) FILTER ({value} AND ({reading}) IS NULL)"]
            for at in failing
            for value, reading in [readings[at]]
        ],
        of=RAW,
    )
    examples = {at: tuple(row[0]) for at, row in zip(failing, shown, strict=True)}
    table.columns = tuple(
        TableColumn(
            name=name,
            ref=own[at],
            type=inferred.type,
            rule=inferred.rule,
            physical=physical[at],
            zoned=inferred.zoned and inferred.type == "time",
            n_present=inferred.n_present,
            n_invalid=invalid[at],
            examples=examples.get(at, ()),
        )
        for at, (name, inferred) in enumerate(zip(names, found, strict=True))
    )
    table.keep_raw(keep=bool(failing))


def _reading(ref: str, physical: str, inferred: Inferred) -> tuple[str, str]:
    """Return the SQL for 'has a value', and for that value as the inferred type."""
    present = f"{ref} IS NOT NULL"
    natural, kind = _natural(physical)
    strings = ("category", "text")
    if natural == inferred.type or (natural in strings and inferred.type in strings):
        return present, ref if kind == physical else f"{ref}::{kind}"
    if inferred.type == "other" or natural == "other":
        return present, ref if inferred.type == "other" else "NULL"
    if natural == "text":
        return known(ref), parsed(ref, inferred)
    wanted = {"integer": "BIGINT", "float": "DOUBLE", "boolean": "BOOLEAN", "time": "TIMESTAMP"}
    return present, f"try_cast({ref} AS {wanted.get(inferred.type, 'VARCHAR')})"


def _natural(physical: str) -> tuple[LogicalType, str]:
    if physical.endswith("]"):
        return "other", physical
    return _PHYSICAL.get(physical.split("(", maxsplit=1)[0], ("other", physical))


def _common_header(files: Sequence[Path]) -> Header:
    headers = [read_header(file) for file in files]
    for file, header in zip(files, headers, strict=True):
        if header != headers[0]:
            raise Error(
                "the files of the table have different headers",
                where=f"{file}:1",
                hint=f"give it the header of {files[0]}, or profile it by itself",
            )
    if not headers:
        raise Error("a table needs at least one file")
    return headers[0]


def _original_names(table: Table, files: Sequence[Path], names: list[str]) -> list[str]:
    """Return the names as they are in the file: DuckDB renames those that differ only in case."""
    rows = table.execute(
        f"SELECT name, coalesce(num_children, 0) FROM parquet_schema({_paths(files[:1])})"
    ).fetchall()
    top, skip = list[str](), 0
    for name, children in rows[1:]:  # the first row is the root
        if skip:
            skip += children - 1
        else:
            top.append(name)
            skip = children
    return top if len(top) == len(names) and len(files) == 1 else names


def _unique(names: Sequence[str]) -> list[str]:
    """Return quoted names that DuckDB, which does not look at case, can tell apart."""
    taken = {name.casefold() for name in names}
    seen, result = set[str](), list[str]()
    for name in names:
        own, number = name, 2
        while own.casefold() in seen or (own != name and own.casefold() in taken):
            own, number = f"{name}_{number}", number + 1
        seen.add(own.casefold())
        result.append(quoted(own, '"'))
    return result


def _paths(files: Sequence[Path]) -> str:
    escaped = [re.sub(r"([\[*?])", r"[\1]", str(file.absolute())) for file in files]
    return f"[{', '.join(map(quoted, escaped))}]"


def _explain(error: Exception, files: Sequence[Path]) -> Error:
    """Turn what DuckDB says into an error with file and line."""
    text = str(error)
    line = re.search(r"CSV Error on Line: (\d+)", text)
    named = re.search(r"^\s*file = (.+)$", text, re.MULTILINE)
    file = named[1].strip() if named else str(files[0])
    where = f"{file}:{line[1]}" if line else file
    if found := re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text):
        return Error(
            f"the row has {found[2]} fields, expected {found[1]} as in the header",
            where=where,
            hint="quote fields that contain the delimiter, or fill in the missing ones",
        )
    for sign, what, hint in _COMPLAINTS:
        if sign in text:
            return Error(what, where=where, hint=hint)
    first = text.strip().splitlines()[0] if text.strip() else "DuckDB gave no reason"
    return Error(f"the table cannot be read: {first}", where=where)


_COMPLAINTS = (
    ("unterminated quote", "a quote is opened and never closed", "close it, or double it"),
    ("not utf-8", "the text is not UTF-8", "convert the file to UTF-8"),
    (
        "invalid state",
        "the file breaks the rules of CSV: mixed line ends, or text after a closing quote",
        "write it again with one kind of line end and with quotes doubled inside quotes",
    ),
    ("Maximum line size", "a line is longer than 2 MB", "close an open quote, or use Parquet"),
)

"""Whether the columns that `assay.yaml` names are in its tables; of a table only its head is read.

A table that is not there yet, since a stage has to make it, is left out.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from assay.base.errors import Error, did_you_mean
from assay.data.files import is_parquet, read_header, table_files
from assay.project.declaration import Declaration
from assay.project.workspace import Project

if TYPE_CHECKING:
    from assay.data.read import Table

Names = Mapping[str, Sequence[str]]
"""The columns of the tables that are there, by the name of the table."""

Found = tuple[str, str]
"""A place in the declaration, and what is wrong there."""

_TYPES = ('"NULL"', "TIMESTAMP", "VARCHAR", "DOUBLE", "BOOLEAN")
"""What all columns are taken for in turn: which types they have is not known from their names."""

_UNKNOWN = re.compile(
    r'Referenced column "(?P<name>.+?)" not found|does not have a column named "(?P<of>.+?)"'
)


def check(project: Project, declared: Declaration) -> list[Found]:
    """Return the names of columns that no table has, and the SQL that cannot be read."""
    names: dict[str, Sequence[str]] = {}
    found: list[Found] = []
    for name, table in declared.data.tables.items():
        try:
            known = columns_of(project.root / table.path)
        except Error as error:
            found.append((f"data.tables.{name}", f"{table.path}: {error.what}"))
            continue
        if known is not None:
            names[name] = known
    return [
        *found,
        *_of_tables(declared, names),
        *_of_evaluation(declared, names),
        *_of_retrain(declared, names),
    ]


def columns_of(path: Path) -> Sequence[str] | None:
    """Return the names of a table's columns; None where no table is there.

    Raises
    ------
    assay.Error
        If the file cannot be read.
    """
    files = table_files(path)
    if not files:
        return None
    if not is_parquet(files[0]):
        return read_header(files[0]).names
    import duckdb

    plain = [re.sub(r"([\[*?])", r"[\1]", str(file.absolute())) for file in files]
    query = "DESCRIBE SELECT * FROM read_parquet(?, union_by_name=true, hive_partitioning=false)"
    try:
        with duckdb.connect() as connection:
            return [row[0] for row in connection.execute(query, [plain]).fetchall()]
    except duckdb.Error as error:
        raise Error(f"it cannot be read: {str(error).splitlines()[0]}", where=path) from error


def _of_tables(declared: Declaration, names: Names) -> Iterator[Found]:
    for name, known in names.items():
        table, where = declared.data.tables[name], f"data.tables.{name}"
        if table.time is not None:
            yield from _missing(table.time, known, where=f"{where}.time", table=name)
        for column in table.key:
            yield from _missing(column, known, where=f"{where}.key", table=name)


def _of_evaluation(declared: Declaration, names: Names) -> Iterator[Found]:
    evaluation = declared.evaluation
    if evaluation is None or evaluation.table not in names:
        return
    known = names[evaluation.table]
    if declared.model is not None:
        target = declared.model.target
        yield from _missing(target, known, where="model.target", table=evaluation.table)
    yield from _in_sql(evaluation.slices, known, where="evaluation.slices")
    of_baselines = {
        name: one.sql for name, one in evaluation.baselines.items() if one.sql is not None
    }
    yield from _in_sql(of_baselines, known, where="evaluation.baselines")


def _of_retrain(declared: Declaration, names: Names) -> Iterator[Found]:
    """Check how a logged row becomes a row of the growing table.

    A request has no other columns than those that the model takes, which the evaluation table
    has, and the keys and times of the tables.
    """
    data = None if declared.retrain is None else declared.retrain.data
    if data is None:
        return
    where = "retrain.data.columns"
    if data.table in names:
        for name in data.columns:
            yield from _missing(name, names[data.table], where=where, table=data.table)
    evaluation = declared.evaluation
    if evaluation is None or evaluation.table not in names:
        return
    tables = declared.data.tables.values()
    beside = [name for one in tables for name in (*one.key, one.time) if name is not None]
    target = [] if declared.model is None else [declared.model.target]
    known = dict.fromkeys((*names[evaluation.table], *beside, *target))
    yield from _in_sql(data.columns, list(known), where=where)


def _missing(name: str, known: Sequence[str], *, where: str, table: str) -> Iterator[Found]:
    if name not in known:
        yield where, f"the table '{table}' has no column '{name}' ({_near(name, known)})"


def _near(name: str, known: Sequence[str]) -> str:
    more = ", ..." if len(known) > 20 else ""
    return did_you_mean(name, known) or f"it has: {', '.join(known[:20])}{more}"


def _in_sql(terms: Mapping[str, str], known: Sequence[str], *, where: str) -> Iterator[Found]:
    """Bind SQL over a row to columns, without rows."""
    waiting = dict(terms)
    for type_ in _TYPES:
        if not waiting:
            return
        with _empty(known, type_) as table:
            for name, term in list(waiting.items()):
                binds, problem = _bind(name, term, table, known)
                if binds or problem is not None:
                    del waiting[name]
                if problem is not None:
                    yield f"{where}.{name}", problem


def _empty(known: Iterable[str], type_: str) -> Table:
    """Return an open table without rows, all of whose columns have one type."""
    import duckdb

    from assay.data.infer import quoted
    from assay.data.read import Table

    scratch = Path(tempfile.mkdtemp(prefix="assay-"))
    table = Table(duckdb.connect(config={"threads": 1}), scratch)
    columns = [f"NULL::{type_} AS {quoted(name, chr(34))}" for name in known]
    table.execute(f"CREATE VIEW t AS SELECT {', '.join(['0 AS rowid', *columns])} WHERE false")
    table.lock()
    return table


def _bind(name: str, term: str, table: Table, known: Sequence[str]) -> tuple[bool, str | None]:
    """Return whether an expression binds, and what is wrong with it whatever the types are."""
    import duckdb

    from assay.evaluate import slices

    try:
        slices.expressions(table, {name: term}, where="")
    except Error as error:
        cause = error.__cause__
        unknown = _UNKNOWN.search(str(cause))
        if unknown is not None:
            column = unknown["name"] or unknown["of"]
            return False, f"{term!r} has the unknown column '{column}' ({_near(column, known)})"
        sure = (duckdb.ParserException, duckdb.CatalogException, duckdb.PermissionException)
        return False, error.what if cause is None or isinstance(cause, sure) else None
    return True, None

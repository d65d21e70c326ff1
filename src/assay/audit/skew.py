"""Whether the features that were logged are those that a later run made of the same row.

The table is a declared one that has the model's columns and a key that requests are logged with;
its version is what the newest finished run of the pipeline made. Whole numbers, booleans and
texts have to be equal, float32 to its own precision, float64 to a relative 1e-9.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from assay.audit import steps
from assay.audit.subject import Subject
from assay.data.files import table_files
from assay.data.read import open_table
from assay.objects import tree
from assay.objects.cache import DIR
from assay.project.declaration import Table as Declared
from assay.traffic import log as logs
from assay.traffic.parts import INPUT

if TYPE_CHECKING:
    from assay.bundle.signature import Column
    from assay.data.read import Table
    from assay.traffic.log import Log

MOST = 100_000
"""Logged rows that are compared at most, the newest."""
RTOL = 1e-9

_TEXTS = {"category", "text"}


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A column whose logged values are not those of the table."""

    column: str
    n_rows: int
    key: str  # of the first row that differs
    logged: Any
    made: Any


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """What was compared.

    Attributes
    ----------
    table, run : str
        The declared table, and the run that made its version.
    n_rows, n_columns : int
        How many logged rows were found in the table, and the columns of each.
    """

    table: str
    run: str
    n_rows: int
    n_columns: int
    differences: list[Difference]


class _Made(msgspec.Struct, frozen=True, kw_only=True):
    """The version of a table that a run made."""

    name: str
    key: list[str]
    path: str
    oid: str
    run: str
    start: int


def compare(subject: Subject) -> Compared | None:
    """Compare what was logged with what the newest run made of it; None where no row is in both.

    Raises
    ------
    assay.Error
        If the bundle, the log or the table cannot be read.
    """
    columns = subject.contents.index.signature.columns
    folder = subject.project.traffic_dir
    if subject.endpoint is None or not folder.is_dir():
        return None
    with logs.read(folder, endpoint=subject.endpoint) as log:
        names = {column.name for column in log.columns}
        if any(INPUT + column.name not in names for column in columns):
            return None
        for made in _made(subject):
            if all(INPUT + name in names for name in made.key):
                found = _compare(subject, log, made, columns)
                if found is not None:
                    return found
    return None


def _made(subject: Subject) -> Iterator[_Made]:
    """Go through the declared tables with a key, as the newest finished run made each."""
    from sqlalchemy import select

    from assay.ledger import tables

    data, run = tables.run_data, tables.run
    for name, table in subject.declared.data.tables.items():
        query = (
            select(data.c.oid, run.c.id, run.c.start)
            .join(run, run.c.id == data.c.run_id)
            .where(data.c.direction == "output", data.c.path == table.path)
            .where(run.c.kind == "pipeline", run.c.status == "finished", run.c.deleted.is_(None))
            .order_by(run.c.start.desc(), run.c.id.desc())
            .limit(1)
        )
        with subject.ledger.read() as connection:
            row = connection.execute(query).first()
        if row is not None and table.key:
            yield _of(name, table, row)


def _of(name: str, table: Declared, row: Any) -> _Made:
    return _Made(
        name=name, key=table.key, path=table.path, oid=row.oid.removeprefix("md5:"), run=row.id,
        start=row.start,
    )  # fmt: skip


def _compare(
    subject: Subject, log: Log, made: _Made, columns: Sequence[Column]
) -> Compared | None:
    """Compare with one table; None where it has not the model's columns, or no row of the log."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        files = _files(subject, made, folder)
        if files is None:
            return None
        table = stack.enter_context(open_table(files))
        known = {column.name for column in table.columns}
        if not known.issuperset([*made.key, *(column.name for column in columns)]):
            return None
        keys, logged = _logged(log, subject, made, columns)
        places = _places(table, made.key, wanted=set(keys))
        at = [(row, places[key]) for row, key in enumerate(keys) if key in places]
        if not at:
            return None
        shown = [", ".join(map(str, keys[row])) for row, _ in at]
        made_values = _values(table, columns)
        differences = []
        for number, column in enumerate(columns):
            ours = _take(logged[number], [row for row, _ in at])
            theirs = _take(made_values[number], [place for _, place in at])
            difference = _differs(column, ours, theirs, shown)
            if difference is not None:
                differences.append(difference)
    return Compared(
        table=made.name,
        run=made.run,
        n_rows=len(at),
        n_columns=len(columns),
        differences=differences,
    )


def _files(subject: Subject, made: _Made, folder: Path) -> list[Path] | None:
    """Return the files of a table's version, by names that say what they are."""
    store = steps.store_of(subject.project, made.oid)
    if store is None:
        return None
    place = folder / Path(made.path).name
    if not made.oid.endswith(DIR):
        place.symlink_to(store.path(made.oid).absolute())
        return table_files(place)
    for entry in tree.read(store, made.oid):
        file = place / entry.relpath
        file.parent.mkdir(parents=True, exist_ok=True)
        file.symlink_to(store.path(entry.oid).absolute())
    return table_files(place)


def _logged(
    log: Log, subject: Subject, made: _Made, columns: Sequence[Column]
) -> tuple[list[tuple[str, ...]], list[Any]]:
    """Return keys and inputs of the rows that the model was asked about before a run began."""
    keys = [_text(log.column(INPUT + name).ref, log.column(INPUT + name).type)
            for name in made.key]  # fmt: skip
    inputs = [f'"{_quoted(log.column(INPUT + column.name).ref)}"' for column in columns]
    model = subject.version.model if subject.version else ""
    terms = ", ".join(f"{term} AS v{at}" for at, term in enumerate([*keys, *inputs]))
    there = " AND ".join(f"{key} IS NOT NULL" for key in keys)
    sql = (
        f'SELECT {terms} FROM {log.view} WHERE "at" < ? AND starts_with("version", ?) AND {there}'  # noqa: S608 -- quoted names
        f' ORDER BY "at" DESC, "prediction_id" LIMIT {MOST}'
    )
    found = log.connection.execute(sql, [made.start, f"{model}/"]).fetchnumpy()
    texts = [found[f"v{at}"].tolist() for at in range(len(keys))]
    values = [found[f"v{at}"] for at in range(len(keys), len(keys) + len(inputs))]
    return list(zip(*texts, strict=True)), values


def _places(
    table: Table, key: Sequence[str], *, wanted: set[tuple[str, ...]]
) -> dict[tuple[str, ...], int]:
    """Return the place of each wanted key in a table; a key that is there twice names no row."""
    columns = {column.name: column for column in table.columns}
    terms = ", ".join(_of_table(columns[name].ref, columns[name].type) for name in key)
    rows = table.execute(f"SELECT {terms} FROM t ORDER BY rowid").fetchall()  # noqa: S608 -- quoted names
    places: dict[tuple[str, ...], int] = {}
    twice = set()
    for at, row in enumerate(rows):
        if row in wanted:
            if row in places:
                twice.add(row)
            places[row] = at
    return {row: at for row, at in places.items() if row not in twice}


def _values(table: Table, columns: Sequence[Column]) -> list[Any]:
    refs = {column.name: column.ref for column in table.columns}
    terms = ", ".join(f"{refs[column.name]} AS v{at}" for at, column in enumerate(columns))
    found = table.execute(f"SELECT {terms} FROM t ORDER BY rowid").fetchnumpy()  # noqa: S608 -- quoted names
    return [found[f"v{at}"] for at in range(len(columns))]


def _text(ref: str, type_: str) -> str:
    """Return a logged key as text in SQL: 1.0 is 1."""
    quoted = f'"{_quoted(ref)}"'
    return _whole(quoted) if type_ == "DOUBLE" else f"CAST({quoted} AS VARCHAR)"


def _of_table(ref: str, type_: str) -> str:
    """Return a key of a table as a server logs it: times as ISO 8601 in UTC, 1.0 as 1."""
    if type_ == "time":
        whole = f"strftime({ref}, '%Y-%m-%dT%H:%M:%S')"
        part = f"strftime({ref}, '%Y-%m-%dT%H:%M:%S.%g')"
        return f"CASE WHEN epoch_ms({ref}) % 1000 = 0 THEN {whole} ELSE {part} END"
    return _whole(ref) if type_ == "float" else f"CAST({ref} AS VARCHAR)"


def _whole(ref: str) -> str:
    return (
        f"CASE WHEN {ref} = floor({ref}) AND abs({ref}) < 9e15 "
        f"THEN CAST(CAST({ref} AS BIGINT) AS VARCHAR) ELSE CAST({ref} AS VARCHAR) END"
    )


def _quoted(ref: str) -> str:
    return ref.replace('"', '""')


def _take(values: Any, places: list[int]) -> Any:
    """Return some values, as a masked array."""
    import numpy as np

    return np.ma.asarray(values)[places]


def _differs(column: Column, logged: Any, made: Any, keys: list[str]) -> Difference | None:
    """Compare a column; None where all values are equal."""
    import numpy as np

    gone, absent = _missing(logged), _missing(made)
    ours, theirs = np.ma.getdata(logged), np.ma.getdata(made)
    equal = _equal(column, ours, theirs, present=~gone & ~absent)
    wrong = np.where(gone | absent, gone != absent, ~equal)
    if not wrong.any():
        return None
    at = int(wrong.argmax())
    return Difference(
        column=column.name,
        n_rows=int(wrong.sum()),
        key=keys[at],
        logged=None if gone[at] else _plain(ours[at]),
        made=None if absent[at] else _plain(theirs[at]),
    )


def _equal(column: Column, ours: Any, theirs: Any, *, present: Any) -> Any:
    """Say of each pair whether it is equal, in the type that the model takes."""
    import numpy as np

    equal = np.zeros(len(ours), bool)
    if column.type == "string" or "O" in {ours.dtype.kind, theirs.dtype.kind}:
        pairs = zip(ours[present].tolist(), theirs[present].tolist(), strict=True)
        equal[present] = [str(a) == str(b) for a, b in pairs]
    elif column.type == "float32":
        equal[present] = ours[present].astype("f4") == theirs[present].astype("f4")
    elif column.type == "float64":
        a, b = ours[present].astype("f8"), theirs[present].astype("f8")
        equal[present] = np.abs(a - b) <= RTOL * np.maximum(np.abs(a), np.abs(b))
    else:
        equal[present] = ours[present] == theirs[present]
    return equal


def _missing(values: Any) -> Any:
    """Say which values are missing: null, or not a number."""
    import numpy as np

    mask, data = np.ma.getmaskarray(values), np.ma.getdata(values)
    if data.dtype.kind == "f":
        return mask | np.isnan(data)
    if data.dtype.kind == "O":
        return mask | np.array([value is None for value in data.tolist()], bool)
    return mask


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value

"""The growing table: new rows are appended and recorded; parameters are set.

`retrain.data` says which table it is and what it grows from: logged predictions that have their
truth, or a file or folder that others write.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from assay.base.errors import Error, NotFound, Usage, did_you_mean
from assay.base.files import explain
from assay.data.files import is_parquet, table_files
from assay.data.infer import LogicalType
from assay.data.read import Table, open_table
from assay.loop import appending, fitting, incoming, worktree
from assay.loop.fitting import Column, Rows, Source
from assay.pipeline import kept
from assay.project import declaration, definition, dvcfile, edit, params, tracking, yaml12
from assay.project.declaration import FILE, Declaration, RetrainData
from assay.project.workspace import Project

_TYPES: dict[str, LogicalType] = {
    "INT": "integer", "FLOAT": "float", "BYTES": "text", "BOOL": "boolean", "TIME": "time",
    "STRUCT": "other",
}  # fmt: skip
_PARAMS = "params.yaml"


class Grown(msgspec.Struct, frozen=True, kw_only=True):
    """What was added to the growing table.

    Attributes
    ----------
    first, last : int or None
        The event times of the oldest and youngest new row, in Unix milliseconds; None where
        there is none, or the table has no time.
    path, record : str
        The table, and the `.dvc` file that names its content, relative to the project's root.
    is_new : bool
        Whether that record changed.
    """

    n_rows: int
    first: int | None
    last: int | None
    path: str
    record: str
    is_new: bool


def grow(
    tree: Project, declared: Declaration, *, traffic_dir: Path, endpoint: str, until_ms: int
) -> Grown:
    """Append the rows before `until_ms` that the table lacks, and record it.

    Parameters
    ----------
    tree : Project
        The project in the loop's work tree, with the table in place.
    traffic_dir : Path
        Where predictions and truths were logged.
    until_ms : int
        Event time in Unix milliseconds; rows from then on are left for later.

    Raises
    ------
    assay.Error
        If the table is not data that the project tracks, or a value does not fit it; then
        nothing is changed.
    """
    path = _table(tree, declared)
    _refuse_made(tree, path)
    with _reading(
        tree, declared, traffic_dir=traffic_dir, endpoint=endpoint, until_ms=until_ms
    ) as it:
        rows = Rows(kinds=[], values=[], times=[], origins=[])
        if it.source is not None:
            rows = fitting.new_rows(it.source, it.table, it.columns, key=it.key)
        changed = _append(path, it.columns, rows) if rows.origins else path
    added = tracking.add(tree, changed)
    kept.keep(tree, [added.content.oid])
    times = [time for time in rows.times if time is not None]
    return Grown(
        n_rows=len(rows.origins),
        first=min(times, default=None),
        last=max(times, default=None),
        path=tree.relative(path),
        record=tree.relative(added.files[0]),
        is_new=added.changed,
    )


def count_new(
    project: Project, declared: Declaration, *, traffic_dir: Path, endpoint: str, until_ms: int
) -> int:
    """Return how many rows `grow` would add in the loop's work tree, without adding them.

    Before there is one, the table of the project counts; where that is not there either, every
    logged row with a truth does.
    """
    tree = worktree.find(project, endpoint) or project
    if _data(declared).source == "traffic" and table_files(_table(tree, declared)) is None:
        with incoming.from_traffic(
            traffic_dir, [], endpoint=endpoint, until_ms=until_ms, target=None, declared={}
        ) as source:
            return source.n_rows
    with _reading(
        tree, declared, traffic_dir=traffic_dir, endpoint=endpoint, until_ms=until_ms
    ) as it:
        if it.source is None:
            return 0
        return fitting.count_new(it.source, it.table, it.columns, key=it.key)


def records(project: Project, declared: Declaration) -> list[str]:
    """Return the `.dvc` files that `grow` changes, relative to the project's root."""
    if declared.retrain is None or declared.retrain.data is None:
        return []
    path = _table(project, declared)
    for item in definition.read(project).tracked:
        if item.stage.is_data and (item.path == path or item.path in path.parents):
            return [project.relative(item.stage.file)]
    return [project.relative(path.with_name(path.name + dvcfile.SUFFIX))]


def set_params(tree: Project, values: Mapping[str, Any]) -> bool:
    """Set parameters of `params.yaml` by their dotted names; comments stay.

    Returns
    -------
    bool
        Whether the file changed.

    Raises
    ------
    assay.NotFound
        If the file has no parameter of a name.
    """
    if not values:
        return False
    data = _params(tree)
    for name, value in values.items():
        _set(data, name, value)
    return edit.write(tree.root / _PARAMS, data)


def check_params(project: Project, values: Mapping[str, Any]) -> None:
    """Raise unless all of these are parameters of `params.yaml`."""
    data = _params(project)
    for name, value in values.items():
        _set(data, name, value)


def check_table(project: Project, declared: Declaration) -> None:
    """Raise unless the table that grows is data of the project's own."""
    _refuse_made(project, _table(project, declared))


def _params(project: Project) -> Any:
    path = project.root / _PARAMS
    try:
        return yaml12.load(path.read_text(encoding="utf-8"), where=_PARAMS)
    except OSError as error:
        raise explain(error, path) from error


def _set(data: Any, name: str, value: Any) -> None:
    try:
        params.get(data, name)
    except KeyError:
        known = params.flatten(data) if isinstance(data, dict) else {}
        raise NotFound(
            f"'{_PARAMS}' has no parameter '{name}'",
            where=f"{FILE}: retrain.params",
            hint=did_you_mean(name, known) or "add it there, and to the stage that reads it",
        ) from None
    parent, _, last = name.rpartition(".")
    holder = params.get(data, parent) if parent else data
    holder[int(last) if isinstance(holder, list) else last] = value


class _Opened(msgspec.Struct, frozen=True, kw_only=True):
    """The growing table, and the rows that may be new to it; None where there are none."""

    table: Table
    columns: list[Column]
    key: list[str]
    source: Source | None


@contextlib.contextmanager
def _reading(
    tree: Project, declared: Declaration, *, traffic_dir: Path, endpoint: str, until_ms: int
) -> Iterator[_Opened]:
    """Open the table, and the rows that may be new to it."""
    data = _data(declared)
    path, about = _table(tree, declared), declared.data.tables[data.table]
    files = table_files(path)
    if files is None:
        raise NotFound(
            f"the table '{data.table}' has no file that says which columns it has",
            where=tree.relative(path),
            hint="it begins with at least the header of a CSV file, or a Parquet file",
        )
    key = about.key or ([] if about.time is None else [about.time])
    if not key:
        raise Usage(
            f"the table '{data.table}' has neither a key nor a time, so no row can be told new",
            where=f"{FILE}: data.tables.{data.table}",
            hint="declare the columns that name a row: 'key: [...]'",
        )
    is_csv = not any(map(is_parquet, files))
    schema = declared.schema.get(data.table)
    expected = schema.columns if schema is not None and is_csv else {}
    types = {name: _TYPES[column.type] for name, column in expected.items()}
    with open_table(files, types=types) as table:
        columns = fitting.columns_of(table, types)
        source: contextlib.AbstractContextManager[Source | None]
        if data.source == "traffic":
            source = incoming.from_traffic(
                traffic_dir, columns, endpoint=endpoint, until_ms=until_ms,
                target=None if declared.model is None else declared.model.target,
                declared=data.columns,
            )  # fmt: skip
        else:
            place = tree.home / data.source
            source = incoming.from_files(place, columns, until_ms=until_ms, time=about.time)
        with source as found:
            filled = found if found is not None and found.n_rows else None
            yield _Opened(table=table, columns=columns, key=key, source=filled)


def _append(path: Path, columns: list[Column], rows: Rows) -> Path:
    """Write the rows into the table's file, or into a new file of its folder."""
    like, into = path, path
    if path.is_dir():
        like = (table_files(path) or [path])[0]
        into = _new_file(path, like, rows)
    write = appending.append_parquet if is_parquet(like) else appending.append_csv
    write(like, columns, rows, into=into)
    return into


def _new_file(folder: Path, like: Path, rows: Rows) -> Path:
    """Return the name of a new file of a folder: from when to when its rows are."""
    times = [time for time in rows.times if time is not None]
    ends = [_stamp(min(times)), _stamp(max(times))] if times else [f"rows-{len(rows.origins)}"]
    suffix = like.name[like.name.index(".", 1) :] if "." in like.name[1:] else ""
    stem = "-".join(ends)
    path, number = folder / f"{stem}{suffix}", 2
    while path.exists():  # late rows of the same stretch
        path, number = folder / f"{stem}-{number}{suffix}", number + 1
    return path


def _stamp(milliseconds: int) -> str:
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=milliseconds)
    return f"{moment:%Y%m%dT%H%M%SZ}"


def _data(declared: Declaration) -> RetrainData:
    if declared.retrain is None or declared.retrain.data is None:
        raise Usage(
            "no table is declared that grows",
            where=FILE,
            hint="name it: 'retrain: {data: {table: NAME}}'",
        )
    return declared.retrain.data


def _table(project: Project, declared: Declaration) -> Path:
    """Return where the growing table lies."""
    about = declaration.table(declared, _data(declared).table)
    return project.resolve(about.path, cwd=project.root)


def _refuse_made(tree: Project, path: Path) -> None:
    """Raise where the table is not data of the project's own, which rows can be added to."""
    for item in definition.read(tree).tracked:
        if item.path != path and item.path not in path.parents:
            continue
        if not item.stage.is_data:
            what = f"the table is made by stage '{item.stage.address}', so no row can be added"
            hint = "let 'retrain.data.table' name the raw data that the pipeline begins with"
        elif item.stage.is_import:
            what = "the table is imported, so no row can be added"
            hint = "add a table of your own with 'assay add'"
        else:
            continue
        raise Error(what, where=tree.relative(path), hint=hint)

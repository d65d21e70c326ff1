# ruff: noqa: S608 -- every name and literal in the SQL of this file goes through `quoted`
"""Parts in DuckDB: as tables in memory, and as Parquet files that say what is in them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.files import sync_folder
from assay.traffic.columns import NOTHING, as_text, refs
from assay.traffic.parts import Part

if TYPE_CHECKING:
    import duckdb

_NOTES = "assay.traffic"
_BATCH = 2000  # files that one statement names


class Notes(msgspec.Struct, frozen=True, kw_only=True):
    """What a Parquet file says about itself.

    Attributes
    ----------
    columns : list of tuple
        Name, name in the file, and type of each column.
    n_torn, n_corrupt : int
        What was lost of the spool file; in its first part only.
    """

    format: int = 1
    endpoint: str | None
    versions: list[str]
    columns: list[tuple[str, str, str]]
    n_torn: int = 0
    n_corrupt: int = 0


def quoted(text: str | Path, mark: str = "'") -> str:
    """Return text as a literal of SQL, or with the other mark as a name."""
    return mark + str(text).replace(mark, mark * 2) + mark


def notes_of(part: Part, *, n_torn: int = 0, n_corrupt: int = 0) -> Notes:
    """Return what is to be said about a part."""
    names = list(part.types)
    return Notes(
        endpoint=part.endpoint,
        versions=part.versions,
        columns=list(zip(names, refs(names), part.types.values(), strict=True)),
        n_torn=n_torn,
        n_corrupt=n_corrupt,
    )


def create_table(connection: duckdb.DuckDBPyConnection, name: str, part: Part) -> None:
    """Copy a part into a table in memory."""
    arrays: dict[str, Any] = {}
    terms = []
    for at, (_, ref, type_) in enumerate(notes_of(part).columns):
        column, values = f"c{at}", part.values[list(part.types)[at]]
        sql = _column(arrays, column, values, type_)
        terms.append(f"{sql} AS {quoted(ref, chr(34))}")
    connection.register("arrived", arrays)
    table = quoted(name, '"')
    connection.execute(f"CREATE TABLE {table} AS SELECT {', '.join(terms)} FROM arrived")
    connection.unregister("arrived")


def write_parquet(
    connection: duckdb.DuckDBPyConnection, part: Part, path: Path, *, notes: Notes
) -> None:
    """Write a part to a file that is there as a whole or not at all."""
    create_table(connection, "part", part)
    said = quoted(msgspec.json.encode(notes).decode())
    temporary = path.with_name(f".{path.name}.tmp")  # the next attempt writes the same one
    try:
        connection.execute(
            f"COPY part TO {quoted(temporary)} (FORMAT parquet, COMPRESSION zstd,"
            f" USE_TMP_FILE false, KV_METADATA {{{quoted(_NOTES)}: {said}}})"
        )
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
        connection.execute("DROP TABLE part")
    sync_folder(path.parent)


def read_notes(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> dict[Path, Notes]:
    """Return what Parquet files say about themselves."""
    found: dict[Path, Notes] = {}
    for start in range(0, len(paths), _BATCH):
        rows = connection.execute(
            f"SELECT file_name, value FROM parquet_kv_metadata({listed(paths[start:][:_BATCH])})"
            f" WHERE decode(key) = {quoted(_NOTES)}"
        ).fetchall()
        found |= {Path(name): _notes.decode(value) for name, value in rows}
    return found


def listed(paths: Sequence[Path]) -> str:
    """Return paths as a list of SQL in which nothing is a pattern."""
    return f"[{', '.join(quoted(literal(path)) for path in paths)}]"


def literal(path: Path) -> str:
    """Return a path as the pattern that fits it alone."""
    return re.sub(r"([\[*?])", r"[\1]", str(path))


def _column(arrays: dict[str, Any], name: str, values: list[Any], type_: str) -> str:
    """Put a column into `arrays` and return the SQL that reads it as its type.

    DuckDB takes NaN in an array for a null, so what is null is told apart; a list goes over as
    text where it may hold one.
    """
    import numpy as np

    if type_ == NOTHING:
        return f"NULL::{NOTHING}"
    if type_ == "VARCHAR" or type_.endswith("[]"):
        convert = as_text if type_ == "VARCHAR" else _list_of(type_)
        array = np.empty(len(values), dtype=object)
        array[:] = [convert(value) for value in values]
        arrays[name] = array
        return f"{name}::{type_}"
    dtypes = {"BOOLEAN": "bool", "BIGINT": "int64", "UBIGINT": "uint64", "DOUBLE": "float64"}
    sql = f"coalesce({name}, 'nan'::DOUBLE)" if type_ == "DOUBLE" else name
    if None in values:
        arrays[f"{name}_there"] = np.array([value is not None for value in values])
        values = [0 if value is None else value for value in values]
        sql = f"CASE WHEN {name}_there THEN {sql} END"
    arrays[name] = np.array(values, dtype=dtypes[type_])
    return f"{sql}::{type_}"


def _list_of(type_: str) -> Any:
    return _same if type_.startswith("VARCHAR") else _list_text


def _same(value: Any) -> Any:
    return value


def _list_text(value: list[Any] | None) -> str | None:
    """Return a list of numbers or booleans as DuckDB reads it."""
    return None if value is None else repr(value).replace("None", "NULL")


_notes = msgspec.json.Decoder(Notes)

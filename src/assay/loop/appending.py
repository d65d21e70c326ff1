# ruff: noqa: S608 -- every name and literal in the SQL of this file goes through `quoted`
"""Writing rows to a table: CSV in the dialect of the file, Parquet in its types and order.

A file is replaced by another one in its place: what a hard link or a symlink shares with a cache
is never written to. The same rows give the same bytes.
"""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import errno
import gzip
import io
import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from assay.base.errors import Error
from assay.base.files import explain, sync_folder, temporary_beside, writing
from assay.data.files import read_header
from assay.data.infer import BOOLEANS, NULLS, LogicalType
from assay.loop.fitting import Column, Rows, logged
from assay.traffic.parts import Part
from assay.traffic.table import create_table, listed, quoted

_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 -- as written, without a zone
_SAMPLE = 1000  # rows that show how a file writes its values
_TIME = re.compile(
    r"\s*\d{4}(?P<mark>[-/])\d{1,2}[-/]\d{1,2}"
    r"((?P<gap>[ T])\d{1,2}:\d{2}(?P<seconds>:\d{2}(\.\d+)?)?\s*"
    r"(?P<zone>Z|[+-]\d{2}(:?\d{2})?)?)?\s*"
)

Write = Callable[[Any], str]


class Misfit(Exception):
    """A value that a column of the file cannot hold, in the words for its error."""


def append_csv(path: Path, columns: Sequence[Column], rows: Rows, *, into: Path) -> None:
    """Write a CSV file with what is in `path`, byte for byte, and the rows after it.

    `into` may be `path`; where it is another one, it gets the header of `path` only.
    """
    header = read_header(path)
    opened = gzip.open if header.gzipped else open
    with opened(path, "rb") as handle:
        first = handle.readline()
    text = _sample(path, gzipped=header.gzipped)
    ending = "\r\n" if first.endswith(b"\r\n") else "\n"
    writers = _writers(text, header.delimiter, rows.kinds)
    every = _quotes_all(text, header.delimiter)
    lines = []
    for number, values in enumerate(zip(*rows.values, strict=True)):
        fields = []
        for column, write, value in zip(columns, writers, values, strict=True):
            try:
                fields.append(_field(value, write, header.delimiter, every=every))
            except Misfit as misfit:
                raise _refused(column, rows.origins[number], str(misfit)) from None
        lines.append(header.delimiter.join(fields) + ending)
    body = "".join(lines).encode()
    with _replacing(into, like=path) as handle:
        if into == path:
            with path.open("rb") as old:
                shutil.copyfileobj(old, handle)
            if not _ends_line(path, gzipped=header.gzipped):
                body = ending.encode() + body
        else:
            body = first.rstrip(b"\r\n") + ending.encode() + body
        handle.write(gzip.compress(body, mtime=0) if header.gzipped else body)


def append_parquet(path: Path, columns: Sequence[Column], rows: Rows, *, into: Path) -> None:
    """Write a Parquet file with the rows of `path` and the new ones, in its types and order.

    `into` may be `path`; where it is another one, it gets the new rows only.
    """
    import duckdb

    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET TimeZone='UTC'")
        place = listed([path.absolute()])
        source = f"read_parquet({place}, hive_partitioning=false)"
        codecs = connection.execute(
            f"SELECT any_value(lower(compression)) FROM parquet_metadata({place})"
        ).fetchall()
        codec = {"uncompressed": "uncompressed", "gzip": "gzip", "zstd": "zstd"}.get(
            codecs[0][0] or "", "snappy"
        )
        _cast(connection, columns, rows)
        selects = [f"SELECT * FROM {source}"] if into == path else []
        sql = " UNION ALL ".join([*selects, "SELECT * FROM cast_rows"])
        temporary = temporary_beside(into)
        try:
            connection.execute(
                f"COPY ({sql}) TO {quoted(temporary)}"
                f" (FORMAT parquet, COMPRESSION {codec}, USE_TMP_FILE false)"
            )
            with temporary.open("rb") as made, _replacing(into, like=path) as handle:
                shutil.copyfileobj(made, handle)
        except duckdb.IOException as error:
            raise _not_written(error, into) from error
        finally:
            temporary.unlink(missing_ok=True)
    sync_folder(into.parent)


def _not_written(error: Exception, path: Path) -> Error:
    """Return what a full disk or another error of the system comes to."""
    found = re.search(r'"errno":"(\d+)"', str(error))
    number = int(found[1]) if found else errno.EIO
    return explain(OSError(number, os.strerror(number)), path)


def _cast(connection: Any, columns: Sequence[Column], rows: Rows) -> None:
    """Make the table `cast_rows` of the rows in the types of the file."""
    pairs = list(zip(columns, rows.kinds, strict=True))
    types = {f"f{i}": logged(kind, column) for i, (column, kind) in enumerate(pairs)}
    values = dict(zip(types, rows.values, strict=True))
    number = {"n": list(range(len(rows.origins)))}
    part = Part(
        endpoint=None, types={"n": "BIGINT"} | types, values=number | values, first=0, last=0
    )
    create_table(connection, "rows", part)
    terms = []
    for i, (column, kind) in enumerate(pairs):
        value = f"make_timestamp(f{i})" if kind == "time" else f"f{i}"
        cast = f"try_cast({value} AS {column.physical})"
        if column.physical == "DATE":
            cast = f"CASE WHEN {value} = date_trunc('day', {value}) THEN {cast} END"
        terms.append(f"{cast} AS {quoted(column.name, chr(34))}")
        sql = (
            f"SELECT n, {value}::VARCHAR FROM rows WHERE f{i} IS NOT NULL AND ({cast}) IS NULL"
            " ORDER BY n LIMIT 1"
        )
        for n, shown in connection.execute(sql).fetchall():
            what = f"{shown!r} is not of the file's type, {column.physical}"
            raise _refused(column, rows.origins[n], what)
    connection.execute(f"CREATE TABLE cast_rows AS SELECT {', '.join(terms)} FROM rows ORDER BY n")


def _refused(column: Column, origin: str, what: str) -> Error:
    return Error(
        f"column '{column.name}': {what}",
        where=origin,
        hint="correct it where it is written, or convert it with 'retrain.data.columns'; "
        "nothing was added",
    )


@contextlib.contextmanager
def _replacing(path: Path, *, like: Path) -> Any:
    """Open a file that takes the place of `path`, writable, executable as `like` is."""
    with writing(path, mode=0o644 | (like.stat().st_mode & 0o111)) as handle:
        yield handle


def _sample(path: Path, *, gzipped: bool) -> str:
    """Return the first lines of a file, without the header."""
    opened = gzip.open if gzipped else open
    with (
        opened(path, "rb") as raw,
        io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text,
    ):
        text.readline()
        return "".join(line for line, _ in zip(text, range(_SAMPLE), strict=False))


def _ends_line(path: Path, *, gzipped: bool) -> bool:
    """Say whether a file ends with the end of a line."""
    if not gzipped:
        with path.open("rb") as handle:
            handle.seek(-1, io.SEEK_END)
            return handle.read() == b"\n"
    last = b""
    with gzip.open(path) as handle:
        while chunk := handle.read(1 << 20):
            last = chunk
    return last.endswith(b"\n")


def _quotes_all(text: str, delimiter: str) -> bool:
    """Say whether the first line has all its values in quotes."""
    line = text.splitlines()[0] if text else ""
    values = next(csv.reader([line], delimiter=delimiter), [])
    return bool(values) and line == delimiter.join(
        f'"{v.replace(chr(34), chr(34) * 2)}"' for v in values
    )


def _writers(text: str, delimiter: str, kinds: Sequence[LogicalType]) -> list[Write]:
    """Return how the file writes the values of each column, as its first rows show."""
    seen: list[list[str]] = [[] for _ in kinds]
    for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
        if len(row) == len(kinds):
            for values, value in zip(seen, row, strict=True):
                if value not in NULLS:
                    values.append(value)
    return [_writer(kind, values) for kind, values in zip(kinds, seen, strict=True)]


def _writer(kind: LogicalType, seen: Sequence[str]) -> Write:
    if kind == "time":
        return _time_writer(seen)
    if kind == "boolean":
        return _boolean_writer(seen)
    return repr if kind == "float" else str


def _boolean_writer(seen: Sequence[str]) -> Write:
    first = seen[0].strip() if seen else ""
    words = next((pair for pair in BOOLEANS if first.lower() in pair), BOOLEANS[0])
    case: Callable[[str], str] = str.lower
    if first.isupper():
        case = str.upper
    elif first[:1].isupper():
        case = str.title
    return lambda value: case(words[bool(value)])


def _time_writer(seen: Sequence[str]) -> Write:
    """Return how microseconds are written: with the marks, the precision and the zone there."""
    found = [match for value in seen if (match := _TIME.fullmatch(value))]
    mark = found[0]["mark"] if found else "-"
    gaps = [match["gap"] for match in found if match["gap"]]
    gap = gaps[0] if gaps else None if found else "T"
    to_seconds = not gaps or any(match["seconds"] for match in found)
    zones = [match["zone"] for match in found if match["zone"]]
    zone = "" if not zones else "Z" if zones[0] == "Z" else "+00:00"

    def write(microseconds: int) -> str:
        moment = _EPOCH + dt.timedelta(microseconds=microseconds)
        day = f"{moment.year:04d}{mark}{moment.month:02d}{mark}{moment.day:02d}"
        if gap is None:
            if moment.time() != dt.time():
                raise Misfit(f"'{moment}' has a time of day, and the table has days only")
            return day
        fine = moment.second or moment.microsecond or to_seconds
        return f"{day}{gap}{moment.time().isoformat() if fine else f'{moment:%H:%M}'}{zone}"

    return write


def _field(value: Any, write: Write, delimiter: str, *, every: bool) -> str:
    """Return a value as a field; one that reads as missing, or as two fields, gets quotes."""
    if value is None:
        return ""
    text = write(value)
    if (
        every
        or text in NULLS
        or text != text.strip()
        or any(c in text for c in (delimiter, *'"\r\n'))
    ):
        return '"' + text.replace('"', '""') + '"'
    return text

"""Which files make up a table, and what the header of a CSV file says about it.

Looks at names and first lines only: it is asked about every folder that is added.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from assay.base.errors import Error
from assay.base.files import explain

CSV_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
PARQUET_SUFFIXES = (".parquet",)
DELIMITERS = (",", ";", "\t", "|")
_GZIP = b"\x1f\x8b"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The columns of a CSV file, what separates them, and whether the file is compressed."""

    names: tuple[str, ...]
    delimiter: str
    gzipped: bool


def table_files(path: Path) -> list[Path] | None:
    """Return the files of the table at `path`, sorted, or None where it is not one table.

    A CSV, TSV or Parquet file is a table by itself. A folder is one when all its files, at any
    depth and hidden ones left out, are Parquet, or CSV with the same header.
    """
    try:
        if path.is_file():
            return [path] if _kind(path) else None
        files = sorted(_visible(path)) if path.is_dir() else []
        kinds = {_kind(file) for file in files}
        if kinds == {"parquet"}:
            return files
        if kinds == {"csv"} and len({read_header(file).names for file in files}) == 1:
            return files
    except (Error, OSError):
        return None
    return None


def is_parquet(path: Path) -> bool:
    """Return whether the name of the file says that it is Parquet."""
    return _kind(path) == "parquet"


def read_header(path: Path) -> Header:
    """Return what the first line of a CSV file says.

    A column without a name is called `column_N`, N being its place. A file without a byte has no
    columns.

    Raises
    ------
    assay.Error
        If the file is not UTF-8, its first line is blank, or a name occurs twice.
    """
    try:
        with path.open("rb") as handle:
            start = handle.read(3)
        gzipped = start.startswith(_GZIP)
        if start[:2] in _UTF16:
            raise Error(
                "the file is UTF-16, expected UTF-8",
                where=path,
                hint=f"convert it: iconv -f UTF-16 -t UTF-8 {path.name} > utf8-{path.name}",
            )
        with _text(path, gzipped=gzipped) as text:
            return _parse(text, path, gzipped=gzipped)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise Error("the compressed file is damaged", where=path, hint="get it again") from error
    except OSError as error:
        raise explain(error, path) from error
    except UnicodeDecodeError as error:
        raise Error(
            "the header is not UTF-8", where=f"{path}:1", hint="convert the file to UTF-8"
        ) from error
    except csv.Error as error:
        raise Error(f"the header cannot be read: {error}", where=f"{path}:1") from error


def _parse(text: io.TextIOBase, path: Path, *, gzipped: bool) -> Header:
    first = text.readline()
    delimiter = "\t" if ".tsv" in path.suffixes[-2:] else _delimiter(first)
    if not first:
        return Header(names=(), delimiter=delimiter, gzipped=gzipped)
    fields = next(csv.reader(_lines(first, text), delimiter=delimiter, strict=True), [])
    if not any(fields):
        raise Error(
            "the first line is blank, expected the names of the columns",
            where=f"{path}:1",
            hint="remove the blank line, or add a header",
        )
    names = tuple(name or f"column_{at}" for at, name in enumerate(fields, start=1))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Error(
            f"the header names the column '{twice[0]}' more than once",
            where=f"{path}:1",
            hint="give each column a name of its own",
        )
    return Header(names=names, delimiter=delimiter, gzipped=gzipped)


def _lines(first: str, rest: io.TextIOBase) -> Iterator[str]:
    yield first
    yield from rest


def _delimiter(line: str) -> str:
    """Return the separator that occurs most often outside quotes; the first of equals."""
    outside = "".join(line.split('"')[::2])
    return max(DELIMITERS, key=outside.count)


@contextlib.contextmanager
def _text(path: Path, *, gzipped: bool) -> Iterator[io.TextIOBase]:
    with path.open("rb") as raw, gzip.open(raw) if gzipped else raw as content:
        yield io.TextIOWrapper(content, encoding="utf-8-sig", newline="")


def _visible(folder: Path) -> Iterator[Path]:
    for file in folder.rglob("*"):
        parts = file.relative_to(folder).parts
        if not any(part.startswith(".") for part in parts) and not file.is_dir():
            yield file


def _kind(path: Path) -> str | None:
    name = path.name.lower()
    if name.endswith(PARQUET_SUFFIXES):
        return "parquet"
    return "csv" if name.endswith(CSV_SUFFIXES) else None

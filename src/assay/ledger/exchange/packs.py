"""Many records in one file: gzip, one line of JSON for each, after a line that names the form.

A pack is read line by line, so that one with a million points fits in memory, and a line that is
no record is passed by with a complaint.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from assay.base.errors import Error
from assay.base.files import explain
from assay.ledger.exchange import record_checks, records
from assay.ledger.exchange.records import Record

FORM = 1
"""The form of records; a reader refuses a newer one."""

_LONGEST = 1 << 30  # bytes of a line
_PIECE = 1 << 20
_LEVEL = 6


class PackTooLarge(Error):
    """More is packed than who reads takes at once."""


class Heading(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of a pack."""

    assay: str
    form: int


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a pack at a hub.

    Attributes
    ----------
    runs : int
        Runs and logged models that are new or changed there; parts of runs count with them.
    refused : list of str
        What was left out, and why.
    """

    runs: int
    refused: list[str]


def write(path: Path, found: Iterable[Record]) -> None:
    """Write records to a file; the same ones make the same bytes."""
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=_LEVEL, fileobj=raw, mtime=0) as packed,
    ):
        packed.write(msgspec.json.encode(Heading(assay="records", form=FORM)) + b"\n")
        for record in found:
            packed.write(records.dump(record))


def read(
    path: Path,
    *,
    where: str,
    complaints: list[str],
    longest: int = _LONGEST,
    most: int | None = None,
) -> Iterator[Record]:
    """Go through the records of a file; what is wrong with others is added to `complaints`.

    Parameters
    ----------
    longest : int
        Bytes that the line of one record may have.
    most : int, optional
        Bytes that all of it may have, unpacked.

    Raises
    ------
    Error
        If it is no pack, or one of a newer form; `PackTooLarge` before the first record.
    """
    try:
        with gzip.open(path, "rb") as packed:
            if most is not None:
                _check_size(packed, where=where, most=most)
            _check(packed.readline(longest), where=where)
            yield from _lines(packed, where=where, complaints=complaints, longest=longest)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise Error("it is damaged or cut off", where=where) from None
    except OSError as error:
        raise explain(error, path) from error


def _check_size(packed: gzip.GzipFile, *, where: str, most: int) -> None:
    """Refuse what is very large, unpacked, before any of it is a record: it may be few bytes."""
    size = 0
    while piece := packed.read(_PIECE):
        size += len(piece)
        if size > most:
            raise PackTooLarge(
                f"the records have more than {most} bytes, unpacked",
                where=where,
                hint="send them in several packs",
            )
    packed.seek(0)


def _lines(
    packed: gzip.GzipFile, *, where: str, complaints: list[str], longest: int
) -> Iterator[Record]:
    while line := packed.readline(longest):
        if len(line) == longest and not line.endswith(b"\n"):
            raise Error(f"a record has more than {longest} bytes", where=where)
        try:
            record = record_checks.parse(line)
        except Error as error:
            complaints.append(f"{where}: {error.what}")
            continue
        yield record


def _check(line: bytes, *, where: str) -> None:
    try:
        heading = msgspec.json.decode(line, type=Heading)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        heading = Heading(assay="", form=0)
    if heading.assay != "records":
        raise Error("these are no records of runs", where=where)
    if heading.form > FORM:
        raise Error(
            f"the records have form {heading.form}, known is up to {FORM}",
            where=where,
            hint="pip install --upgrade assay",
        )

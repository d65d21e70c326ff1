# ruff: noqa: S608 -- names and literals in the SQL of this file are quoted
"""Which rows are for training and which for judging, as lists of row numbers with their reason.

A split is a folder:

    split.json        which content was split, by which rule, and how many rows each part has
    train.csv         one column, `row`: numbers from 0, in order; a CSV header is no row
    validation.csv
    test.csv

The bytes follow from the data and the rule alone. A random split is by hash of a key, so that a
row keeps its part when the table grows; rows with the same key stay together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from assay.base.errors import Error, NotFound, Usage, did_you_mean
from assay.base.files import explain, write_atomic
from assay.data.infer import quoted
from assay.data.read import Table, TableColumn
from assay.data.times import microseconds, moment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.int64]

VERSION = 1
HEADER = "split.json"
PARTS = ("train", "validation", "test")
_SEPARATOR = "\x1f"
_MISSING = "\x1e"


class Rule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How rows were assigned.

    Attributes
    ----------
    by : str
        'time' or 'random'.
    column, cuts, gap : str, dict of str, float
        By time: the column; the moment at which each later part starts (ISO 8601); the seconds
        before such a moment whose rows are in no part.
    key, salt, shares : list of str, str, dict of float
        At random: the columns that are hashed; the text that makes another split of the same
        rows; the share of each part but train.
    """

    by: Literal["time", "random"]
    column: str | None = None
    cuts: dict[str, str] = {}
    gap: float = 0.0
    key: tuple[str, ...] = ()
    salt: str = ""
    shares: dict[str, float] = {}


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a split: how many rows, and the SHA-256 of their list."""

    n_rows: int
    sha256: str


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What `split.json` says."""

    split: int  # the version of the format
    table: str
    data: str | None  # oid of the content, such as md5:ab...
    n_rows: int
    n_left_out: int
    rule: Rule
    parts: dict[str, Part]


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of each part, as sorted arrays of row numbers."""

    rule: Rule
    n_rows: int
    parts: dict[str, Any]

    @property
    def n_left_out(self) -> int:
        """How many rows are in no part: without a time, or in a gap."""
        return self.n_rows - sum(len(rows) for rows in self.parts.values())


def unit(key: Sequence[str | None], *, salt: str = "") -> float:
    """Return the number in [0, 1) that a key is hashed to.

    It is the second half of the MD5 of salt and key, read as a little-endian integer, over 2^64.
    Salt and texts are separated by the character 1F; a missing value is the character 1E.

    Examples
    --------
    >>> unit(["17"]) == unit(["17"]) != unit(["17"], salt="again")
    True
    """
    text = _SEPARATOR.join([salt, *(_MISSING if value is None else value for value in key)])
    digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[8:], "little") / 2**64


def at_random(
    table: Table, *, key: Sequence[str], shares: Mapping[str, float], salt: str = ""
) -> Split:
    """Split by hash of the key columns: a row never moves, however the table grows.

    Parameters
    ----------
    table : Table
        What to split.
    key : sequence of str
        The columns that name a row, or the group whose rows must stay together.
    shares : mapping of str to float
        The share of 'test', and maybe of 'validation'; the rest is 'train'.
    salt : str
        Another text gives another split.
    """
    import numpy as np

    wanted = _shares(shares)
    if not key:
        raise Usage(
            "a random split needs the columns that name a row",
            hint="give '--key COLUMN', or declare 'key' under data.tables in assay.yaml",
        )
    terms = [_key_text(_column(table, name)) for name in key]
    text = f" || {quoted(_SEPARATOR)} || ".join([quoted(salt), *terms])
    found = table.execute(f"SELECT md5_number_lower({text}) AS h FROM t ORDER BY rowid")
    hashes = np.asarray(found.fetchnumpy()["h"], np.uint64)
    u = hashes / 2.0**64
    place = np.zeros(len(u), np.int8)
    start = 0.0
    for name, share in wanted.items():
        place[(u >= start) & (u < start + share)] = PARTS.index(name)
        start += share
    rule = Rule(by="random", key=tuple(key), salt=salt, shares=wanted)
    return _split(rule, place, ["train", *wanted])


def by_time(
    table: Table, *, column: str, cuts: Mapping[str, float | str], gap: float = 0.0
) -> Split:
    """Split by time: each later part starts at a moment, or holds about a share of the last rows.

    Rows of the same moment stay together. Rows in the `gap` before a cut, and those without a
    time, are in no part.

    Parameters
    ----------
    table : Table
        What to split.
    column : str
        The column with the time of a row.
    cuts : mapping of str to float or str
        For 'test', and maybe 'validation', the share of the rows or the moment (ISO 8601).
    gap : float
        Seconds.
    """
    import numpy as np

    found = _column(table, column)
    if found.type != "time":
        raise Error(
            f"the column '{column}' is of type {found.type}, expected times",
            hint="name the column with the time of a row",
        )
    if gap < 0:
        raise Usage("the gap is not negative")
    times = table.execute(
        f"SELECT epoch_us({found.ref}) AS t FROM t WHERE isfinite({found.ref}) ORDER BY rowid"
    ).fetchnumpy()["t"]
    rows = table.execute(
        f"SELECT rowid AS r FROM t WHERE isfinite({found.ref}) ORDER BY rowid"
    ).fetchnumpy()["r"]
    starts = _starts(np.asarray(times, np.int64), cuts)
    place = np.full(table.n_rows, -1, np.int8)
    inside = np.zeros(len(times), np.int8)
    for name, start in starts.items():
        inside[(times >= start - round(gap * 1e6)) & (inside >= 0)] = -1
        inside[times >= start] = PARTS.index(name)
    place[np.asarray(rows, np.int64)] = inside
    moments = {name: moment(start) for name, start in starts.items()}
    rule = Rule(by="time", column=column, cuts=moments, gap=gap)
    return _split(rule, place, ["train", *starts])


def write(folder: Path, split: Split, *, table: str, data: str | None) -> Header:
    """Write a split to a folder: the lists first, then the header that names their hashes.

    Raises
    ------
    assay.Error
        If the folder holds something else than a split.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        inside = sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise explain(error, folder) from error
    own = {HEADER, *(f"{name}.csv" for name in PARTS)}
    if foreign := [name for name in inside if name not in own]:
        raise Usage(
            f"the folder holds '{foreign[0]}', which is no part of a split",
            where=folder,
            hint="name a folder of its own, for example 'splits'",
        )
    parts: dict[str, Part] = {}
    for name, rows in split.parts.items():
        content = "\n".join(["row", *map(str, rows.tolist()), ""]).encode()
        write_atomic(folder / f"{name}.csv", content)
        parts[name] = Part(n_rows=len(rows), sha256=hashlib.sha256(content).hexdigest())
    header = Header(
        split=VERSION,
        table=table,
        data=data,
        n_rows=split.n_rows,
        n_left_out=split.n_left_out,
        rule=split.rule,
        parts=parts,
    )
    write_atomic(
        folder / HEADER, msgspec.json.format(msgspec.json.encode(header), indent=2) + b"\n"
    )
    for name in PARTS:
        if name not in parts:
            (folder / f"{name}.csv").unlink(missing_ok=True)
    return header


def read_header(folder: Path) -> Header:
    """Return what the header of a split says."""
    path = folder / HEADER
    try:
        header = msgspec.json.decode(path.read_bytes(), type=Header)
    except FileNotFoundError as error:
        raise NotFound(
            "there is no split here", where=folder, hint="make one with 'assay split'"
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Error(f"not the header of a split: {error}", where=path) from error
    except OSError as error:
        raise explain(error, path) from error
    if header.split != VERSION or not set(header.parts) <= set(PARTS):
        raise Error(
            f"the split has version {header.split}, expected {VERSION}",
            where=path,
            hint="use the version of assay that wrote it, or make the split again",
        )
    return header


def load(folder: Path, *, data: str | None = None) -> dict[str, Rows]:
    """Return the row numbers of each part.

    Parameters
    ----------
    folder : Path
        What `write` filled.
    data : str, optional
        The oid of the table that the numbers are to be used on.

    Raises
    ------
    assay.Error
        If a list was changed, or the split is of other data.
    """
    import numpy as np

    header = read_header(folder)
    if data is not None and header.data != data:
        raise Error(
            f"the split is of {header.data}, the table is {data}",
            where=folder,
            hint="make the split again: row numbers mean nothing in other data",
        )
    result: dict[str, Rows] = {}
    for name, part in header.parts.items():
        path = folder / f"{name}.csv"
        try:
            content = path.read_bytes()
        except OSError as error:
            raise explain(error, path) from error
        if hashlib.sha256(content).hexdigest() != part.sha256:
            raise Error(
                "the list of rows is not the one that was written",
                where=path,
                hint="make the split again",
            )
        result[name] = np.array(content.split()[1:], np.int64)
    return result


def _split(rule: Rule, place: Any, names: Sequence[str]) -> Split:
    import numpy as np

    parts = {name: np.flatnonzero(place == PARTS.index(name)) for name in names}
    ordered = {name: parts[name] for name in PARTS if name in parts}
    if empty := [name for name, rows in ordered.items() if not len(rows)]:
        raise Error(
            f"no row is left for '{empty[0]}'",
            hint="use another share, moment or gap, or more rows",
        )
    return Split(rule=rule, n_rows=len(place), parts=ordered)


def _shares(shares: Mapping[str, float]) -> dict[str, float]:
    """Return the shares with the test's first, so that it stays when a validation part comes."""
    ordered = {name: shares[name] for name in ("test", "validation") if name in shares}
    if not ordered or any(not 0 < share < 1 for share in ordered.values()):
        raise Usage("a share lies between 0 and 1", hint="for example '--test 0.2'")
    if sum(ordered.values()) >= 1:
        raise Usage("the shares leave no row to train on", hint="give smaller ones")
    return ordered


def _column(table: Table, name: str) -> TableColumn:
    for column in table.columns:
        if column.name == name:
            return column
    names = [column.name for column in table.columns]
    raise NotFound(f"the table has no column '{name}'", hint=did_you_mean(name, names))


def _key_text(column: TableColumn) -> str:
    """Return the SQL of a key's text: the same in each version of the engine and the file."""
    if column.type in {"float", "other"}:
        raise Error(
            f"the column '{column.name}' is of type {column.type}, which cannot be a key",
            hint="name columns of integers, texts or times",
        )
    value = f"epoch_us({column.ref})" if column.type == "time" else column.ref
    return f"coalesce({value}::VARCHAR, {quoted(_MISSING)})"


def _starts(times: Any, cuts: Mapping[str, float | str]) -> dict[str, int]:
    """Return the moment at which each later part starts, the earlier part first."""
    import numpy as np

    ordered = np.sort(times)
    shares = {name: cut for name, cut in cuts.items() if not isinstance(cut, str)}
    if shares:
        _shares(shares)
    if not len(ordered) or not set(cuts) <= set(PARTS[1:]) or "test" not in cuts:
        raise Usage("a split needs rows with a time, and a part to test on")
    result: dict[str, int] = {}
    after = 0.0
    for name in ("test", "validation"):  # a validation part ends where the test starts
        cut = cuts.get(name)
        if isinstance(cut, str):
            result[name] = _moment(cut)
            after = float((ordered >= result[name]).mean())
        elif cut is not None:
            after += cut
            at = min(round(len(ordered) * (1 - after)), len(ordered) - 1)
            result[name] = int(ordered[max(at, 0)])
    if result.get("validation", result["test"] - 1) >= result["test"]:
        raise Usage("the validation part has to start before the test")
    return dict(sorted(result.items(), key=lambda pair: pair[1]))


def _moment(text: str) -> int:
    import datetime as dt

    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise Usage(
            f"'{text}' is neither a share nor a moment",
            hint="write 0.2, or 2012-01-01, or 2012-01-01T06:00",
        ) from error
    if found.tzinfo is not None:
        found = found.astimezone(dt.UTC).replace(tzinfo=None)
    return microseconds(found.isoformat())

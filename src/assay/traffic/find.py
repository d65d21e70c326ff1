# ruff: noqa: S608 -- every name and literal in the SQL of this file goes through `quoted`
"""Looking up one prediction by its id, without reading the whole log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from assay.base.progress import counted
from assay.traffic import files
from assay.traffic.files import Snapshot
from assay.traffic.framing import scan, seed_of
from assay.traffic.ids import row_id, split_id, time_of
from assay.traffic.log import open_log
from assay.traffic.parts import INPUT, OUTPUT, PREDICTION, decoded
from assay.traffic.record import Record, Value
from assay.traffic.table import listed, quoted, read_notes


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was looked up, and the row of it that was asked for."""

    record: Record
    row: int | None

    def values(self) -> tuple[dict[str, Value], dict[str, Value]]:
        """Return inputs and outputs of the row by column; of the first, if none was named."""
        at = self.row or 0
        inputs = {name: values[at] for name, values in self.record.inputs.items()}
        return inputs, {name: values[at] for name, values in self.record.outputs.items()}


def rows_in_words(id_: str, n_rows: int) -> str:
    """Say which rows a request has, by their ids.

    Examples
    --------
    >>> rows_in_words("ID", 1), rows_in_words("ID", 2), rows_in_words("ID", 9)
    ("'ID' has 1 row: ID/0", "'ID' has 2 rows: say ID/0 or ID/1", "'ID' has 9 rows: ID/0 to ID/8")
    """
    head = f"'{id_}' has {counted(n_rows, 'row')}"
    first, last = row_id(id_, 0), row_id(id_, n_rows - 1)
    if n_rows == 1:
        return f"{head}: {first}"
    return f"{head}: say {first} or {last}" if n_rows == 2 else f"{head}: {first} to {last}"


def find(folder: Path, prediction_id: str) -> Found | None:
    """Return the request, or the row of one, that has this id; None where there is none.

    Looked into are spool files, and of the Parquet files those whose times include the id's.
    """
    wanted, row = split_id(prediction_id)
    shot = files.snapshot(folder)
    record = _find_in_spools(shot, wanted) or _find_in_tables(shot, wanted)
    if record is None or (row is not None and row >= record.n_rows):
        return None
    return Found(record=record, row=row)


def _find_in_spools(shot: Snapshot, wanted: str) -> Record | None:
    text = wanted.encode()
    for spool in shot.spools:
        if text not in spool.data:
            continue
        found = scan(spool.data, seed_of(spool.id))
        near = [payload for payload in found.payloads if text in bytes(payload)]
        for record in decoded(near, truths=False, where=spool.path):
            if record.id == wanted and record.n_rows:
                return msgspec.convert(record, Record, from_attributes=True)
    return None


def _find_in_tables(shot: Snapshot, wanted: str) -> Record | None:
    made = time_of(wanted)
    paths = [table.path for table in shot.tables if table.first <= made <= table.last]
    if not paths:
        return None
    with open_log(threads=1) as log:
        for path, notes in read_notes(log.connection, paths).items():
            terms = ", ".join(quoted(ref, '"') for _, ref, _ in notes.columns)
            sql = f"SELECT {terms} FROM read_parquet({listed([path])}, hive_partitioning=false)"
            # all ids of its rows and no others: '0' comes after '/'
            between = "WHERE prediction_id >= ? AND prediction_id < ? ORDER BY row"
            rows = log.rows(f"{sql} {between}", [f"{wanted}/", f"{wanted}0"])
            if rows:
                return _record([name for name, _, _ in notes.columns], rows, wanted)
    return None


def _record(names: Sequence[str], rows: Sequence[tuple[Any, ...]], wanted: str) -> Record:
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    times = columns.pop("event_time")
    one = {name: columns[name][0] for name in PREDICTION if name in columns}
    del one["prediction_id"], one["row"]
    return Record(
        **one,
        id=wanted,
        inputs={name[len(INPUT) :]: columns[name] for name in names if name.startswith(INPUT)},
        outputs={name[len(OUTPUT) :]: columns[name] for name in names if name.startswith(OUTPUT)},
        event_time=None if all(time is None for time in times) else times,
    )

"""Records to log, and what a log holds, in a form that can be compared."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from assay.traffic import ids, log
from assay.traffic.record import Record

AT = 1_325_376_000_000  # 2012-01-01


def record(**given: Any) -> Record:
    """A request of one row to 'rides', where nothing else is given."""
    fields: dict[str, Any] = {
        "id": ids.new_id(),
        "endpoint": "rides",
        "version": "rides/1",
        "bundle": "sha256:ab",
        "at": AT,
        "latency": 0.002,
        "inputs": {"hour": [7]},
        "outputs": {"count": [12.5]},
    }
    fields |= given
    if "n_rows" not in fields:
        fields["n_rows"] = len(next(iter(fields["inputs"].values())))
    return Record(**fields)


def numbered(number: int, **given: Any) -> Record:
    """A request that can be told from others by its input `n`."""
    return record(inputs={"n": [number]}, **given)


def rows_of(record: Record) -> dict[str, str]:
    """What the log should say about each row of a request, by id; nulls left out."""
    rows = {}
    for row in range(record.n_rows):
        own = {f"input.{name}": values[row] for name, values in record.inputs.items()}
        own |= {f"output.{name}": values[row] for name, values in record.outputs.items()}
        rows[f"{record.id}/{row}"] = _text(own)
    return rows


def logged(folder: Path) -> dict[str, str]:
    """What the log says about each row, by id; fails if a row is there twice."""
    with log.read(folder, threads=1) as found:
        names = [column.name for column in found.columns]
        rows = [dict(zip(names, row, strict=True)) for row in found.rows("FROM predictions")]
    own = [
        {name: value for name, value in row.items() if name.startswith(("input.", "output."))}
        for row in rows
    ]
    ids_ = [row["prediction_id"] for row in rows]
    assert max(Counter(ids_).values(), default=1) == 1
    return {id_: _text(values) for id_, values in zip(ids_, own, strict=True)}


def numbers(folder: Path) -> list[int]:
    """The inputs `n` of all rows, sorted."""
    with log.read(folder, threads=1) as found:
        if "input.n" not in [column.name for column in found.columns]:
            return []
        return sorted(n for (n,) in found.rows('SELECT "input.n" FROM predictions'))


def _text(values: dict[str, Any]) -> str:
    present = {name: value for name, value in values.items() if value is not None}
    return json.dumps(present, sort_keys=True)

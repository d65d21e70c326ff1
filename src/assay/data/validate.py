"""Does a table fit its schema? The profile answers; rows are asked only where it says no.

The rules and words are TFDV's, with these differences: an empty table is an anomaly by itself, a
limit that was inferred and not reviewed only warns, and each anomaly has the share of its rows,
up to three of them, and the edit of `assay.yaml` that would accept it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import msgspec

from assay.data import column_checks, profile, renamed, table_checks
from assay.data import schema as schemas
from assay.data.anomalies import Anomaly
from assay.data.column_checks import Suspicion
from assay.data.infer import LogicalType
from assay.data.probes import Probe
from assay.data.profile import Profile
from assay.data.read import Table, open_table
from assay.project.declaration import TableSchema


class Validation(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a table."""

    table: str
    n_rows: int
    anomalies: tuple[Anomaly, ...]

    @property
    def valid(self) -> bool:
        """True where nothing is wrong; warnings are allowed."""
        return not any(anomaly.severity == "error" for anomaly in self.anomalies)


def validate(
    files: Sequence[Path],
    schema: TableSchema,
    *,
    name: str,
    measured: Profile | None = None,
    key: Sequence[str] = (),
    time: str | None = None,
    now: int | None = None,
    target: str | None = None,
) -> Validation:
    """Check a table against its schema.

    Parameters
    ----------
    files : sequence of path
        What `table_files` gave.
    schema : TableSchema
        What is expected.
    name : str
        The table's name in `assay.yaml`, for the edits.
    measured : Profile, optional
        The profile of these files, if it is known; made otherwise.
    key : sequence of str
        The columns that name a row.
    time : str, optional
        The column with the time of a row.
    now : int, optional
        The moment against which the table must be fresh, in microseconds since 1970, UTC.
    target : str, optional
        What is to be predicted: no edit accepts rows that lack it.
    """
    with _Rows(files, schema) as rows:
        inferred = measured or profile.make(files)
        typed = rows.profile(inferred)
        found = table_checks.size(schema, n_rows=inferred.n_rows)
        if inferred.n_rows:
            found += table_checks.freshness(schema, typed, time=time, now=now)
            found += _resolved(_columns(schema, inferred, typed), rows)
            found += table_checks.key(typed, key, schema, rows.table)
    offered = [_without_offer(one) if one.column == target else one for one in found]
    rooted = [_rooted(anomaly, name, n_rows=inferred.n_rows) for anomaly in offered]
    return Validation(table=name, n_rows=inferred.n_rows, anomalies=tuple(rooted))


class _Rows:
    """The rows of a table, read as the schema says when they are first needed."""

    def __init__(self, files: Sequence[Path], schema: TableSchema) -> None:
        self._files, self._schema = files, schema
        self._stack = contextlib.ExitStack()
        self._table: Table | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def table(self) -> Table:
        """Open the table, once."""
        if self._table is None:
            types: dict[str, LogicalType] = schemas.types(self._schema)
            self._table = self._stack.enter_context(open_table(self._files, types=types))
        return self._table

    def profile(self, inferred: Profile) -> Profile:
        """Return the profile of the columns as the schema's types: the given one if it is that."""
        pairs = [(c, self._schema.columns.get(c.name)) for c in inferred.columns]
        if all(expected is None or schemas.fits(column, expected) for column, expected in pairs):
            return inferred
        return profile.of_table(self.table(), source=inferred.source)


def _columns(schema: TableSchema, inferred: Profile, typed: Profile) -> list[Anomaly | Suspicion]:
    """Return what is wrong with the columns, and what may be."""
    found: list[Anomaly | Suspicion] = []
    is_csv = bool(inferred.nulls)
    lost = {n: c for n, c in schema.columns.items() if inferred.column(n) is None}
    appeared = [column for column in inferred.columns if column.name not in schema.columns]
    now = renamed.find(lost, appeared)
    for name, expected in schema.columns.items():
        column, natural = typed.column(name), inferred.column(name)
        if column is None or natural is None:
            found += table_checks.absent(name, expected, now=now.get(name))
        else:
            found += column_checks.check(column, expected, natural=natural, is_csv=is_csv)
    silent = {new: old for old, new in now.items() if not schemas.is_required(lost[old])}
    found += [table_checks.new(column, before=silent.get(column.name)) for column in appeared]
    return found


def _resolved(found: Sequence[Anomaly | Suspicion], rows: _Rows) -> list[Anomaly]:
    """Ask the rows about every suspicion, all at once, and return what is wrong."""
    suspicions = [one for one in found if isinstance(one, Suspicion)]
    answers: dict[int, Anomaly | None] = {}
    if suspicions:
        probe = Probe(rows.table())
        counted = probe.count([(one.column, one.condition) for one in suspicions])
        for one, hit in zip(suspicions, counted, strict=True):
            answers[id(one)] = one.resolve(hit, probe)
    resolved = [answers[id(one)] if isinstance(one, Suspicion) else one for one in found]
    return [anomaly for anomaly in resolved if anomaly is not None]


def _without_offer(anomaly: Anomaly) -> Anomaly:
    """Return the anomaly of a column that cannot do without values, without such an edit."""
    return msgspec.structs.replace(anomaly, edit={}) if anomaly.type in _LACKING else anomaly


_LACKING = {
    "SCHEMA_MISSING_COLUMN",
    "FEATURE_TYPE_NOT_PRESENT",
    "FEATURE_TYPE_LOW_FRACTION_PRESENT",
    "FEATURE_TYPE_LOW_NUMBER_PRESENT",
}


def _rooted(anomaly: Anomaly, name: str, *, n_rows: int) -> Anomaly:
    """Return the anomaly with its share, and its edit as seen from the root of `assay.yaml`."""
    edit = anomaly.edit
    if edit:
        of_data = "data" in edit  # the key is not the schema's but the table's
        edit = {"data": {"tables": {name: edit["data"]}}} if of_data else {"schema": {name: edit}}
    share = None
    if anomaly.n_rows is not None and n_rows:
        share = anomaly.n_rows / n_rows
    return msgspec.structs.replace(anomaly, edit=edit, share=share)

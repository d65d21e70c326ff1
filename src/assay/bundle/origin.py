"""What a training read and was told: from the row of its stage, or from who calls.

`assay repro` writes the row of a stage before its command starts, and names it in ASSAY_RUN and
ASSAY_LEDGER. There the row says it all; outside a stage the caller does.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.errors import Error, NotFound
from assay.bundle.index import plain

if TYPE_CHECKING:
    from assay.ledger.sdk.active import ActiveRun
    from assay.project.workspace import Project


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """The oid of what was read by its path, and parameters by dotted name."""

    data: dict[str, str]
    params: dict[str, Any]


def of(data: Iterable[str | Path] | None, params: Mapping[str, Any] | None) -> Origin:
    """Return what the stage's row says, and outside a stage what is given."""
    if os.environ.get("ASSAY_RUN"):
        return _of_stage()
    from assay.ledger.values import flatten

    return Origin(
        data=dict(sorted(_oid(Path(path)) for path in data or ())),
        params={key: plain(value) for key, value in flatten(params or {}).items()},
    )


def active_run() -> ActiveRun | None:
    """Return the run that a bundle made now belongs to, or None."""
    from assay.ledger.sdk import recorder

    if os.environ.get("ASSAY_RUN"):
        return recorder.current()
    try:
        return recorder.current()
    except Error:  # no run is active
        return None


def project() -> Project | None:
    """Return the project around the current folder, or None."""
    from assay.project import workspace

    try:
        return workspace.find()
    except NotFound:
        return None


def time_column(names: Iterable[str]) -> str | None:
    """Return which of the columns the declaration names as the time of a table, if one is."""
    from assay.project import declaration

    found = project()
    if found is None:
        return None
    declared = {table.time for table in declaration.read(found).data.tables.values()}
    times = sorted(declared.intersection(names), key=str)
    return times[0] if len(times) == 1 else None


def _of_stage() -> Origin:
    from assay.ledger import runs
    from assay.ledger.database import open_ledger

    where = os.environ.get("ASSAY_LEDGER") or _ledger_where()
    with open_ledger(where, create=False) as ledger:
        row = runs.get(ledger, os.environ["ASSAY_RUN"])
    return Origin(
        data={item.path: item.oid for item in sorted(row.inputs, key=lambda item: item.path)},
        params={key: plain(value) for key, value in row.params.items()},
    )


def _ledger_where() -> Path | str:
    from assay.project import settings, workspace

    return settings.ledger_where(workspace.find())


def _oid(path: Path) -> tuple[str, str]:
    """Return a path as the project knows it, and the oid of what lies there."""
    from assay.objects import scan
    from assay.objects.index import Index

    found = project()
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 -- a link keeps its own name
    real = Path(os.path.realpath(absolute.parent)) / absolute.name
    if found is not None and real.is_relative_to(found.root):
        content = scan.scan(real, found.index, skip=found.ignore)
        return found.relative(real), f"md5:{content.oid}"
    return path.name, f"md5:{scan.scan(absolute, Index(Path(':memory:'))).oid}"

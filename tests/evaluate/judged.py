"""What tests of judging are made of: a project with bundles, and a table to judge them on."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from assay.bundle.load import Bundle
from assay.bundle.make import make as freeze
from assay.ledger.database import open_ledger
from assay.ledger.runs import get
from assay.ledger.writer import Writer
from assay.project import workspace
from tests import make
from tests.bundle import trained

DECLARED = """
data: {tables: {test: {path: test.csv, time: at, key: [at]}}}
model: {name: bikes, task: regression, target: y}
evaluation:
  table: test
  metrics: [mae, rmse, r2]
  slices: {morning: hour < 12, few: weather = 9}
  baselines: {always: {sql: "10.0"}}
gate:
  metrics: {mae: {max_drop_relative: 0.05}}
  first: pass-if-better-than-baseline
"""
BUSY = """
data: {tables: {test: {path: test.csv}}}
model: {name: busy, task: binary, target: busy, classes: [CLASSES]}
evaluation: {table: test, metrics: [log_loss, auc, accuracy]}
"""

DAYS = np.datetime64("2012-01-01T00:00") + 6 * np.arange(trained.N_ROWS).astype("timedelta64[h]")
"""Times of the rows, on thirty days: enough blocks for an interval."""


def project(folder: Path, declared: str = DECLARED) -> Path:
    """Make a project with a declaration and the table `test.csv`."""
    root = make.project(folder)
    make.write(root, {"assay.yaml": declared})
    write_rows(root)
    make.commit(root)
    return root


def write_rows(root: Path, changed: Mapping[str, Any] | None = None) -> None:
    """Write the table, some columns changed; a column that is None is left out."""
    columns = trained.table()
    y = trained.target(columns)
    table: dict[str, Any] = {
        "at": DAYS,
        **columns,
        "y": y,
        "busy": np.where(y > 5, "busy", "calm"),
    }
    table |= changed or {}
    kept = {name: column for name, column in table.items() if column is not None}
    rows = [",".join(kept)]
    rows += [",".join(map(_cell, row)) for row in zip(*kept.values(), strict=True)]
    make.write(root, {"test.csv": "\n".join(rows) + "\n"})


def _cell(value: Any) -> str:
    return "" if value != value else str(value)  # noqa: PLR0124 -- NaN


def bundle(root: Path, model: Any, to: str, **options: Any) -> Bundle:
    """Freeze a model that was fitted on `trained.table()` into a folder of the project."""
    given: dict[str, Any] = {"X": trained.table(), "time": trained.times()} | options
    with contextlib.chdir(root):
        return freeze(model, to=to, **given)


def good(root: Path, to: str = "good") -> Bundle:
    """Return a bundle that knows the target well."""
    return bundle(root, trained.boosting(max_iter=60), to)


def bad(root: Path, to: str = "bad") -> Bundle:
    """Return a bundle that has learned next to nothing."""
    return bundle(root, trained.boosting(max_iter=1), to)


def in_run(root: Path, to: str = "recorded") -> str:
    """Return the id of a run that made a good bundle."""
    import assay

    with contextlib.chdir(root), assay.run("training") as run:
        freeze(
            trained.boosting(max_iter=50), X=trained.table(), time=trained.times(), to=to
        )  # fmt: skip
        return run.id


def tags(root: Path, run: str) -> dict[str, str]:
    """Return the tags of a run."""
    with open_ledger(workspace.find(root).ledger_path) as ledger:
        Writer(ledger)
        return dict(get(ledger, run).tags)

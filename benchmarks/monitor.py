"""What a window costs: rows of the log a second, on one core, from Parquet to the ledger.

`inputs` counts cells and quality of 12 columns and of the predictions; `truth` measures losses and
a baseline too, for which every row has its truth. The floor reads the same columns with DuckDB
alone, on one thread. Processor time is that of the process, of all its threads.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from assay.base.errors import Error
from assay.bundle import contents
from assay.bundle.load import Bundle
from assay.bundle.make import make
from assay.ledger.database import open_ledger
from assay.monitor.watch import watch
from assay.project import workspace
from assay.project.workspace import Project
from assay.render.tables import text_table
from assay.traffic import feedback, ids, log
from assay.traffic.record import Record
from assay.traffic.roll import roll
from assay.traffic.spool import Spool
from benchmarks import Wrong, programs

N_ROWS, N_COLUMNS, N_DAYS, WANTED = 200_000, 12, 7, 10_000
DAY = 86_400_000
START = 1_307_318_400_000  # Monday, 6 June 2011
NOW = 1_700_000_000_000
MONITOR = "deploy: {endpoint: rides}\nmonitor:\n  window: 7d\n"
TRUTH = """\
data: {tables: {hours: {path: hours.csv, time: time}}}
model: {name: rides, task: regression, target: y}
evaluation: {table: hours, metrics: [mae], baselines: {last: {sql: lag_0}}}
deploy: {endpoint: rides}
monitor:
  window: 7d
  performance: {metric: mae}
"""


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of each round, of the clock and of all processors."""

    name: str
    wall: list[float]
    cpu: list[float]


def table(n_rows: int, *, seed: int) -> dict[str, Any]:
    """Return so many rows of numbers."""
    random = np.random.default_rng(seed)
    return {f"lag_{at}": random.normal(50, 10, n_rows) for at in range(N_COLUMNS)}


def bundle(folder: Path) -> Bundle:
    """Train a small model on 16 weeks."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    n_days = 16 * 7
    columns = table(n_days * 48, seed=1)
    times = np.datetime64("2011-02-14") + np.repeat(np.arange(n_days), 48)
    target = columns["lag_0"] + columns["lag_1"]
    fitted = HistGradientBoostingRegressor(max_iter=5, random_state=0).fit(
        np.column_stack(list(columns.values())), target
    )
    return make(fitted, X=columns, y=target, time=times, to=folder)


def project(folder: Path, *, n_rows: int) -> Project:
    """Make a project with a week of predictions and their truth, and a row of the week after."""
    subprocess.run(["git", "init", "-q", folder], check=True)
    made = workspace.init(folder)
    model = bundle(folder / "bundle")
    contents.keep(model.contents, made.objects)
    columns = table(n_rows, seed=2)
    answers = model.predict(columns).tolist()
    step = N_DAYS * DAY / n_rows
    truths = []
    with Spool(made.traffic_dir) as spool:
        for start in [*range(0, n_rows, 500), n_rows]:
            part = slice(start, start + 500) if start < n_rows else slice(0, 1)
            times = [int(START + at * step) for at in range(start, min(start + 500, n_rows) or 1)]
            times = times or [START + N_DAYS * DAY]
            inputs = {name: values[part].tolist() for name, values in columns.items()}
            one = Record(
                id=ids.new_id(at_ms=times[-1]),
                endpoint="rides",
                version="rides/1",
                bundle=model.id,
                at=times[-1],
                latency=0.002,
                n_rows=len(times),
                inputs=inputs,
                outputs={"predict": answers[part]},
                event_time=times,
            )
            spool.append(one)
            truths += [
                feedback.truth(value + 1, at=NOW, prediction_id=f"{one.id}/{row}")
                for row, value in enumerate(answers[part])
            ]
            if spool.n_waiting > 20:
                spool.flush()
    feedback.add(made.traffic_dir, truths)
    rolled = roll(made.traffic_dir)
    if rolled.n_rows < n_rows or rolled.problems:
        raise Wrong("rows are missing")
    return made


def floor(made: Project, n_rows: int) -> None:
    """Read every column that a window needs, and nothing more."""
    with log.read(made.traffic_dir, endpoint="rides", threads=1) as found:
        names = [c.name for c in found.columns if c.name.startswith(("input.", "output."))]
        columns = found.arrays("event_time", *names)
    if len(columns["event_time"]) != n_rows + 1:
        raise Wrong("rows are missing")


def ours(made: Project, n_rows: int) -> None:
    """Compute the window, into a ledger that has none."""
    made.ledger_path.unlink(missing_ok=True)
    with open_ledger(made.ledger_path, create=True) as ledger:
        (window,) = watch(made, ledger, now_ms=NOW, threads=1).computed
    if window.n_rows != n_rows or len(window.details["columns"]) != N_COLUMNS:
        raise Wrong(f"the window has {window.n_rows} rows, the log {n_rows}")


def truth(made: Project, n_rows: int) -> None:
    """Compute the window with its losses."""
    made.ledger_path.unlink(missing_ok=True)
    with open_ledger(made.ledger_path, create=True) as ledger:
        (window,) = watch(made, ledger, now_ms=NOW, threads=1).computed
    if window.n_truths != n_rows or abs(window.details["performance"]["value"] - 1) > 1e-6:
        raise Wrong(f"the window has {window.n_truths} truths, the log {n_rows}")


def costs(made: Project, *, n_rows: int, rounds: int) -> Iterator[Cost]:
    """Measure the floor and ours in turn, after one turn that does not count."""
    sides: dict[str, tuple[str, Callable[[Project, int], None]]] = {
        "floor: read the columns": (MONITOR, floor),
        "inputs": (MONITOR, ours),
        "inputs and truth": (TRUTH, truth),
    }
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for _ in range(rounds + 1):
        for name, (declared, side) in sides.items():
            (made.root / "assay.yaml").write_text(declared)
            began, cpu = time.perf_counter(), time.process_time()
            side(made, n_rows)
            seen[name].append((time.perf_counter() - began, time.process_time() - cpu))
    for name, turns in seen.items():
        wall, used = ([*each] for each in zip(*turns[1:], strict=True))
        yield Cost(name=name, wall=wall, cpu=used)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=N_ROWS)
    given = parser.parse_args(arguments)
    before = programs.load()
    try:
        with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder:
            made = project(Path(folder).resolve(), n_rows=given.rows)
            found = list(costs(made, n_rows=given.rows, rounds=given.rounds))
    except Error as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    least = statistics.median(found[0].cpu)
    rows = []
    for cost in found:
        wall, cpu = statistics.median(cost.wall), statistics.median(cost.cpu)
        ms = [f"{wall * 1000:.0f}", f"{cpu * 1000:.0f}"]
        rows.append([cost.name, *ms, f"{given.rows / cpu:,.0f}", f"{cpu / least:.1f}"])
    print(
        f"{given.rows:,} rows, {N_COLUMNS} columns, {given.rounds} rounds, one thread,"
        f" load {before} and {programs.load()}; wanted: {WANTED:,} rows a second"
    )
    print(text_table(("a window", "ms", "CPU ms", "rows/s of CPU", "ours/floor"), rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What the log of predictions costs a server: a request, a second, and later a row.

`append` is what a request waits for. `all` is the processor time of a request's record until it
is in the file, of all threads. The peer is what a team writes by hand: one line of JSON a request,
written before the answer goes out. The floor is a list that records are put into.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from assay.base.errors import Error
from assay.render.tables import text_table
from assay.traffic import files, ids, log
from assay.traffic.find import find
from assay.traffic.record import Record
from assay.traffic.roll import roll
from assay.traffic.spool import Spool
from benchmarks import Wrong, programs

N_RECORDS, N_COLUMNS, N_FILES = 20_000, 12, 200


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """Microseconds of each round, of the clock a request sees and of all processors."""

    name: str
    append: list[float]
    all: list[float]


def record(n_rows: int) -> Record:
    """Return a request as a server would log it."""
    values = [[0.5 + row for row in range(n_rows)] for _ in range(N_COLUMNS)]
    return Record(
        id=ids.new_id(),
        endpoint="rides",
        version="rides/3",
        bundle="sha256:" + "ab" * 32,
        at=time.time_ns() // 1_000_000,
        latency=0.002,
        n_rows=n_rows,
        inputs={f"lag_{at}": column for at, column in enumerate(values)},
        outputs={"count": values[0]},
    )


def ours(folder: Path, records: list[Record]) -> tuple[float, float]:
    """Append them and return the seconds of that, and of all until they are written."""
    began = time.process_time()
    with Spool(folder) as spool:
        seconds = _each(records, spool.append)
    if spool.n_written != len(records):
        raise Wrong(f"{spool.n_dropped} records were dropped: {spool.problem}")
    return seconds, time.process_time() - began


def peer(folder: Path, records: list[Record]) -> tuple[float, float]:
    """Write them as lines of JSON."""
    began = time.process_time()
    folder.mkdir()
    with (folder / "log.jsonl").open("w") as handle:

        def write(one: Record) -> None:
            handle.write(json.dumps(msgspec.structs.asdict(one)) + "\n")
            handle.flush()

        seconds = _each(records, write)
    return seconds, time.process_time() - began


def floor(_: Path, records: list[Record]) -> tuple[float, float]:
    """Put them into a list."""
    began = time.process_time()
    kept: list[Record] = []
    return _each(records, kept.append), time.process_time() - began


def _each(records: list[Record], take: Callable[[Record], object]) -> float:
    seconds = 0.0
    for at in range(0, len(records), 100):
        began = time.perf_counter()
        for one in records[at : at + 100]:
            take(one)
        seconds += time.perf_counter() - began
        time.sleep(0.001)  # a server waits for requests in between, and the writer may write
    return seconds


def costs(folder: Path, *, n_records: int, n_rows: int, rounds: int) -> Iterator[Cost]:
    """Measure the floor, ours and the peer in turn, after one turn that does not count."""
    sides = {"floor": floor, "assay": ours, "JSON lines": peer}
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name, side in sides.items():
            records = [record(n_rows) for _ in range(n_records)]
            taken = side(folder / f"{name}-{n_rows}-{turn}", records)
            seen[name].append(taken)
    for name, turns in seen.items():
        append, all_ = ([s / n_records * 1e6 for s in one] for one in zip(*turns[1:], strict=True))
        yield Cost(name=name, append=append, all=all_)


def later(folder: Path, *, n_records: int, n_files: int) -> list[list[str]]:
    """Measure what happens to the records after that: rows of a table, each a line."""
    records = [record(1) for _ in range(n_records)]
    ours(folder, records)
    n_bytes = sum(path.stat().st_size for _, path in files.list_spools(folder))
    rows = [_timed("read one column, live", n_records, lambda: _read(folder, n_records))]
    rows.append(_timed("roll", n_records, lambda: _roll(folder, n_records)))
    rows.append(_timed("read one column, Parquet", n_records, lambda: _read(folder, n_records)))
    for _ in range(n_files):
        ours(folder, [record(1)])
        time.sleep(0.002)  # so that the files are of different times
    roll(folder)
    wanted = record(1)
    ours(folder, [wanted])
    roll(folder)
    name = f"find one among {n_files + 2} files"
    rows.append(_timed(name, 1, lambda: _find(folder, wanted)))
    stored = sum(table.path.stat().st_size for table in files.list_tables(folder))
    rows.append(["bytes a record: spool, Parquet", f"{n_bytes / n_records:.0f}", ""])
    rows[-1][2] = f"{stored / (n_records + n_files + 1):.0f}"
    return rows


def _timed(name: str, n_rows: int, work: Callable[[], None]) -> list[str]:
    began = time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    return [name, f"{seconds * 1000:.1f}", f"{n_rows / seconds:,.0f}"]


def _read(folder: Path, n_rows: int) -> None:
    with log.read(folder) as found:
        if len(found.arrays("input.lag_0")["input.lag_0"]) != n_rows:
            raise Wrong("rows are missing")


def _roll(folder: Path, n_records: int) -> None:
    if roll(folder).n_records != n_records:
        raise Wrong("records are missing")


def _find(folder: Path, wanted: Record) -> None:
    found = find(folder, wanted.id)
    if found is None or found.record != wanted:
        raise Wrong("another record was found")


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--records", type=int, default=N_RECORDS)
    parser.add_argument("--files", type=int, default=N_FILES)
    given = parser.parse_args(arguments)
    before = programs.load()
    try:
        with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder:
            rows = [
                [f"{cost.name}, {n_rows} row{'s' if n_rows > 1 else ''}"]
                + [f"{statistics.median(each):.2f}" for each in (cost.append, cost.all)]
                for n_rows, n_records in ((1, given.records), (100, given.records // 50))
                for cost in costs(
                    Path(folder), n_records=n_records, n_rows=n_rows, rounds=given.rounds
                )
            ]
            after = later(Path(folder) / "later", n_records=given.records, n_files=given.files)
    except Error as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{N_COLUMNS} columns, {given.rounds} rounds, load {before} and {programs.load()}")
    print(text_table(("a request", "append us", "all us (CPU)"), rows))
    print()
    print(text_table((f"{given.records:,} records later", "ms", "rows/s"), after))
    return 0


if __name__ == "__main__":
    sys.exit(main())

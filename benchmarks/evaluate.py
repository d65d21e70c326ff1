"""How long a gate takes: 10,000 rows, 20 slices, three metrics, a base and a candidate.

The floor is the same Python with the same imports and the same table in memory, which judges
nothing. The peer is what a team writes by hand: pandas-free scikit-learn, the same values on the
same slices, but not one interval.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from assay.base.errors import Error
from assay.render.tables import text_table
from benchmarks import Case, Result, Wrong, measure, programs
from benchmarks.programs import saying
from benchmarks.table import ms

N_ROWS, N_SLICES, AIM_SECONDS = 10_000, 20, 0.1

MAKE = """
import sys
import numpy as np
rng, n = np.random.default_rng(7), int(sys.argv[2])
at = np.datetime64("2012-01-01T00:00:00") + np.arange(n) * np.timedelta64(1, "h")
y = 100 + 30 * np.sin(np.arange(n) / 24 * 2 * np.pi)
base, candidate = y + 10 * rng.normal(size=n), y + 9 * rng.normal(size=n)
with open(sys.argv[1], "w") as file:
    print("at,hour,y,base,candidate", file=file)
    for i in range(n):
        print(at[i], i % 24, float(y[i]), float(base[i]), float(candidate[i]), sep=",", file=file)
"""

LOAD = """
import sys
from pathlib import Path
import numpy as np
from assay.data.read import open_table
from assay.evaluate import compare, evaluation, gate, slices, table
from assay.project.declaration import Gate, GateRule
names, n_slices = ("mae", "rmse", "r2"), int(sys.argv[2])
opened = open_table([Path(sys.argv[1])])
found = opened.execute("SELECT base, candidate FROM t ORDER BY rowid").fetchnumpy()
rows = table.read(opened, task="regression", target="y", key=["at"], time=TIME)
for name in ("base", "candidate"):
    rows = rows.with_model(name, np.ma.getdata(found[name]))
"""

JUDGE = """
predicates = {f"s{i}": f"hour <> {i % 24}" for i in range(n_slices)}
masks = slices.masks(opened, predicates)
length = 86400.0 if TIME else None
judged = evaluation.evaluate(rows, names, base="base", slices=masks, block_seconds=length)
verdict = gate.judge(judged, Gate(metrics={n: GateRule() for n in names}, slices=True))
print(verdict.answer, len(verdict.rulings), round(judged.results[0].candidate.value, 9))
"""

PEER = """
import sys
import numpy as np
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
hour, y, base, candidate = np.genfromtxt(
    sys.argv[1], delimiter=",", skip_header=1, usecols=(1, 2, 3, 4)).T
values = []
for mask in [hour >= 0, *[hour != i % 24 for i in range(int(sys.argv[2]))]]:
    for metric in (mean_absolute_error, root_mean_squared_error, r2_score):
        values.append([metric(y[mask], model[mask]) for model in (base, candidate)])
print(len(values), round(values[0][1], 9))
"""


def cases(folder: Path, *, n_rows: int = N_ROWS, n_slices: int = N_SLICES) -> Iterator[Case]:
    """Judge rows in time order, and rows that count as independent."""
    path = folder / "rows.csv"
    programs.python(MAKE, str(path), str(n_rows), folder=folder).seconds()
    arguments = (str(path), str(n_slices))
    n_rulings = 3 * (n_slices + 1)
    wanted = _mae(path)
    for name, time in (("in time order", '"at"'), ("independent", "None")):
        load = LOAD.replace("TIME", time)
        ours = programs.floor(
            sys.executable, "-c", load + JUDGE.replace("TIME", time), *arguments, folder=folder,
            check=saying(f"pass {n_rulings} {wanted}"),
        )  # fmt: skip
        peer = programs.floor(
            sys.executable, "-c", PEER, *arguments, folder=folder,
            check=saying(f"{n_rulings} {wanted}"),
        )  # fmt: skip
        floor = programs.python(load, *arguments, folder=folder)
        yield Case(name=f"gate, rows {name}", ours=ours, peer=peer, floors={"start-up": floor})


def _mae(path: Path) -> float:
    """Return the candidate's error, made here and by neither of the two."""
    lines = [line.split(",") for line in path.read_text().splitlines()[1:]]
    return round(statistics.fmean(abs(float(row[2]) - float(row[4])) for row in lines), 9)


HEADER = ("case", "ours ms", "start-up ms", "beyond ms", "scikit-learn, no intervals ms", "aim")


def row(result: Result) -> list[str]:
    """Return the medians of a case; what counts is what comes on top of the start-up."""
    beyond = [ours - up for ours, up in zip(result.ours, result.floors["start-up"], strict=True)]
    reached = "reached" if statistics.median(beyond) < AIM_SECONDS else "missed"
    return [
        result.name,
        ms(result.ours),
        ms(result.floors["start-up"]),
        ms(beyond),
        ms(result.peer),
        f"< {AIM_SECONDS * 1000:.0f} ms beyond: {reached}",
    ]


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="assay-bench-") as name:
            results = [measure(case, rounds=given.rounds) for case in cases(Path(name))]
    except (Wrong, Error) as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{N_ROWS:,} rows, {N_SLICES} slices, {given.rounds} rounds, load {programs.load()}")
    print(text_table(HEADER, [row(result) for result in results]))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The main job, from raw data to an endpoint: run it with `make demo`, or `demo.py [FOLDER]`.

Each step is a command that you could type; it is shown with what it prints. At the end the
project stays where it is, with a page of results.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

import results
from console import Console

HERE = Path(__file__).resolve().parent
SOURCES = (".gitignore", "assay.yaml", "dvc.yaml", "params.yaml", "README.md")
OURS = {"console.py", "demo.py", "results.py"}
N_STEPS = 14


def make_project(folder: Path) -> None:
    """Copy the code, and cut the rows of 2011 out of the data: 2012 has not happened yet."""
    for name in (*SOURCES, *(path.name for path in HERE.glob("*.py"))):
        if name not in OURS:
            shutil.copy(HERE / name, folder / name)
    (folder / "data").mkdir()
    cut(folder / "data" / "2011.csv", "2011-01-01", "2012-01-01")
    cut(folder.parent / "2012-01.csv", "2012-01-01", "2012-01-15")


def cut(path: Path, start: str, end: str) -> None:
    """Write the rows of some days."""
    lines = (HERE / "data" / "bikes.csv").read_text().splitlines(keepends=True)
    rows = [line for line in lines[1:] if start <= line.split(",")[1] < end]
    path.write_text("".join([lines[0], *rows]))


def set_parameter(folder: Path, old: str, new: str) -> None:
    path = folder / "params.yaml"
    path.write_text(path.read_text().replace(old, new))


def latest(demo: Console) -> str:
    """Return the id of the latest run."""
    run: str = json.loads(demo.run("assay runs list --json --limit 1", show=False))[0]["id"]
    return run


def version(demo: Console, project: Path) -> None:
    demo.step("Track the data of 2011; its statistics are made on the way")
    make_project(project)
    demo.run("git init --quiet --initial-branch=main .")
    demo.run("assay init")
    demo.run("assay add data/2011.csv")
    demo.run("git add --all && git commit --quiet --message 'Bikes of 2011'")
    demo.run("assay profile data/2011.csv | head -4")

    demo.step("What is expected of data and model is declared; does it hold together?")
    demo.expect(demo.run("assay check"), "0 problems")


def train(demo: Console, project: Path) -> results.Runs:
    demo.step("Run the pipeline; code, data, parameters, environment and results are recorded")
    demo.run("assay repro")
    first = latest(demo)
    demo.run("git add --all && git commit --quiet --message 'First model'")
    demo.run("assay metrics show")

    demo.step("Run it again: nothing has changed, so nothing runs")
    demo.expect(demo.run("assay repro"), "up to date")

    demo.step("Change a parameter, run what depends on it, compare the two models")
    set_parameter(project, "max_leaf_nodes: 31", "max_leaf_nodes: 8")
    demo.run("assay repro")
    changed = latest(demo)
    demo.run("assay runs diff")
    demo.expect(demo.run("assay compare latest~1 latest"), "not shown")

    demo.step("Go back: the outputs come from the cache, nothing runs")
    demo.run("git checkout --quiet params.yaml")
    demo.expect(demo.run("assay repro"), "Nothing had to run.")
    demo.expect(demo.run("assay data status --json"), '"uncommitted"')
    return results.Runs(first=first, changed=changed)


def share(demo: Console, project: Path, first: str) -> None:
    colleague = project.parent / "colleague"
    demo.step("Push to a remote (a folder here), clone, pull: the same")
    demo.run("assay remote add --default storage ../storage")
    demo.run("git add --all && git commit --quiet --message 'Share the data'")
    demo.run("assay push")
    demo.run("git clone --quiet bikes colleague", folder=project.parent)
    demo.run("assay pull", folder=colleague)
    demo.expect(demo.run("assay status", folder=colleague), "up to date")

    demo.step("Do the first run again, from its record alone")
    demo.expect(demo.run(f"assay reproduce {first[:13]}"), "identical to the bit")


def judge(demo: Console) -> None:
    demo.step("May it be the first in production? It has to beat last week's value")
    demo.expect(demo.run("assay gate bundle"), "gate: pass")
    demo.run("assay report bundle --out ../report")
    demo.run("assay model register bundle --alias candidate")
    demo.run("assay deploy bikes@candidate --to bikes")


def answer(demo: Console, url: str) -> None:
    demo.step("Ask it about two weeks of January 2012; the truth comes a day later")
    asked = demo.run(
        f"python ask.py {url} data/2011.csv ../2012-01.csv --start 2012-01-01 --days 14"
    )

    demo.step("Where does one of these predictions come from? Down to commit and data")
    prediction = asked.split()[-1]
    traced = demo.run(f"assay trace {prediction}/8 | cut -c -100")
    demo.expect(traced, "data/2011.csv.dvc at commit")


def refuse(demo: Console, project: Path) -> None:
    demo.step("Shuffle the labels: a worse model is refused, and production stays")
    set_parameter(project, "shuffle_labels: false", "shuffle_labels: true")
    demo.run("assay repro")
    demo.expect(demo.run("assay gate bundle", code=1), "gate: fail")
    demo.run("assay report bundle --out ../refused")
    demo.run("assay model register bundle --alias candidate")
    demo.run("assay deploy bikes@candidate --to bikes", code=1)
    demo.expect(demo.run("assay deployments list"), "bikes/1")
    demo.run("git checkout --quiet params.yaml")
    demo.expect(demo.run("assay repro"), "Nothing had to run.")


def main() -> None:
    top = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="assay-demo-"))
    project = top.resolve() / "bikes"
    project.mkdir(parents=True)
    demo = Console(project, n_steps=N_STEPS)
    print(f"Bikes: how many will be rented in an hour, said a week before. In {project}")

    version(demo, project)
    runs = train(demo, project)
    share(demo, project, runs.first)
    judge(demo)
    demo.step("Serve it")
    with demo.server("assay serve bikes --port 0") as url:
        answer(demo, url)
        refuse(demo, project)

    demo.step("Write a page of results")
    page = results.write(project, runs, lambda command: demo.run(command, show=False))
    print(f"    {page}")

    print(f"\nDone in {demo.seconds:.0f} s. What to look at next:")
    print(f"  the results        file://{page}")
    print(f"  the gate's report  file://{project.parent}/report/report.html")
    print(f"  of the worse one   file://{project.parent}/refused/report.html")
    print(f"  the project        cd {project}")
    print("  its runs           assay runs list, assay runs show latest")
    print("  its models         assay model show bikes, assay deployments list")
    print("  its pipeline       assay dag, assay status, assay repro --dry")
    print("  any thing's past   assay trace mae, assay trace data/2011.csv")
    print("  take it away       rm -r " + str(top))


if __name__ == "__main__":
    main()

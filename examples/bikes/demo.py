"""The main job, from raw data to a model that watches itself: `make demo`, or `demo.py [FOLDER]`.

Each step is a command that you could type; it is shown with what it prints. At the end the
project stays where it is, with a page of results. The only date here is the one at which the
second half starts: what happens in it follows from the rows that come.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import results
from console import Console
from replay import Replay

HERE = Path(__file__).resolve().parent
ALL_ROWS = HERE / "data" / "bikes.csv"
SOURCES = (".gitignore", "assay.yaml", "dvc.yaml", "params.yaml", "README.md")
OURS = {"console.py", "demo.py", "results.py", "year.py"}
START = "2012-01-01"
N_STEPS = 14


def make_project(folder: Path) -> None:
    """Copy the code, and the rows before the start: the rest has not happened yet."""
    for name in (*SOURCES, *(path.name for path in HERE.glob("*.py"))):
        if name not in OURS:
            shutil.copy(HERE / name, folder / name)
    (folder / "data").mkdir()
    header, *rows = ALL_ROWS.read_text().splitlines(keepends=True)
    known = [row for row in rows if row.split(",")[1] < START]
    (folder / "data" / "rentals.csv").write_text("".join([header, *known]))


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
    demo.run("assay add data/rentals.csv")
    demo.run("git add --all && git commit --quiet --message 'Bikes of 2011'")
    demo.run("assay profile data/rentals.csv | head -4")

    demo.step("What is expected of data and model is declared; does it hold together?")
    demo.expect(demo.run("assay check"), "0 problems")


def train(demo: Console, project: Path) -> str:
    demo.step("Run the pipeline; code, data, parameters, environment and results are recorded")
    demo.run("assay repro")
    first = latest(demo)
    demo.run("git add --all && git commit --quiet --message 'First model'")
    demo.run("assay metrics show")

    demo.step("Change a parameter, run what depends on it, compare the two models")
    set_parameter(project, "max_leaf_nodes: 31", "max_leaf_nodes: 15")
    demo.run("assay repro")
    demo.run("assay runs diff")
    demo.expect(demo.run("assay compare latest~1 latest"), "not surely better")

    demo.step("Go back: the outputs come from the cache, nothing runs")
    demo.run("git checkout --quiet params.yaml")
    demo.expect(demo.run("assay repro"), "Nothing had to run.")
    demo.expect(demo.run("assay data status --json"), "{}")
    return first


def share(demo: Console, project: Path) -> None:
    colleague = project.parent / "colleague"
    demo.step("Push to a remote (a folder here), clone, pull: the same")
    demo.run("assay remote add --default storage ../storage")
    demo.run("git add --all && git commit --quiet --message 'Share the data'")
    demo.run("assay push")
    demo.run("git clone --quiet bikes colleague", folder=project.parent)
    demo.run("assay pull", folder=colleague)
    demo.expect(demo.run("assay status", folder=colleague), "up to date")


def judge(demo: Console) -> str:
    demo.step("May it be the first in production? It has to beat last week's value")
    said = demo.run("assay gate bundle")
    demo.expect(said, "gate: pass")
    demo.run("assay report bundle --out ../report")
    demo.run("assay model register bundle --alias candidate")
    demo.run("assay deploy bikes@candidate --to bikes")
    return said


def refuse(demo: Console, project: Path) -> str:
    demo.step("Shuffle the labels: a worse model is refused, and production stays")
    set_parameter(project, "shuffle_labels: false", "shuffle_labels: true")
    demo.run("assay repro")
    said = demo.run("assay gate bundle", code=1)
    demo.expect(said, "gate: fail")
    demo.run("assay model register bundle --alias candidate")
    demo.run("assay deploy bikes@candidate --to bikes", code=1)
    demo.expect(demo.run("assay deployments list"), "bikes/1")
    demo.run("git checkout --quiet params.yaml")
    demo.expect(demo.run("assay repro"), "Nothing had to run.")
    return said


def watch(demo: Console, url: str) -> str:
    """Let a year pass, a week at a time, and return the id of a late prediction."""
    demo.step("A year passes, truth comes a day late; the loop watches, retrains, gates, deploys")
    replay = Replay(url, str(ALL_ROWS), START)
    with demo.events("assay loop bikes --every 0.1 --json") as events:
        while replay.n_days:
            end = replay.week()
            said = [line for event in until_idle(events, end) if (line := told(event))]
            if said:
                print(
                    f"    {end[:10]}  off by {replay.errors.mean():.0f} rentals an hour this week"
                )
            for line in said:
                print(f"      {line}", flush=True)
    return replay.last_prediction


def until_idle(events: Iterator[dict[str, Any]], moment: str) -> Iterator[dict[str, Any]]:
    """Yield what the loop says until it has done all that follows from rows up to a moment."""
    for event in events:
        yield event
        if event["event"] == "idle" and event["watermark"] >= moment:
            return
    sys.exit("the loop ended; see loop.log")


def told(event: dict[str, Any]) -> str:
    """Return in a line what the loop says, where it is worth one."""
    match event["event"]:
        case "alert":
            return f"alert: {event['message']}"
        case "decision":
            done = f"deployed as {event['version']}"
            stays = f"{event['outcome']}, production stays"
            what = done if event["outcome"] == "deployed" else stays
            why = (event["reason"] or "").split(";")[0]
            return f"{event['trigger']}: retrained in {event['seconds']:.1f} s, {what} ({why})"
        case "error":
            return f"error: {event['message']}"
    return ""


def prove(demo: Console, prediction: str) -> None:
    demo.step("Why did this version answer? One of the last predictions, down to commit and data")
    traced = demo.run(f"assay trace {prediction}/8 | cut -c -100")
    demo.expect(traced, "data/rentals.csv.dvc at commit")

    demo.step("Train the version in production again, from its record alone")
    run = json.loads(demo.run("assay model show bikes@production --json", show=False))
    demo.expect(demo.run(f"assay reproduce {run['version']['run'][:13]}"), "identical to the bit")

    demo.step("Which of the twelve factors of reproducible machine learning hold here?")
    demo.run("assay audit || true")


def main() -> None:
    top = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="assay-demo-"))
    project = top.resolve() / "bikes"
    project.mkdir(parents=True)
    demo = Console(project, n_steps=N_STEPS)
    print(f"Bikes: how many will be rented in an hour, said a week before. In {project}")

    version(demo, project)
    first = train(demo, project)
    share(demo, project)
    passed = judge(demo)
    demo.step("Serve it")
    with demo.server("assay serve bikes --port 0") as url:
        refused = refuse(demo, project)
        prediction = watch(demo, url)
    prove(demo, prediction)

    demo.step("Write a page of results")
    page = results.write(
        project,
        first,
        results.Gates(first=passed, shuffled=refused),
        lambda command: demo.run(command, show=False),
    )
    print(f"    {page}")

    print(f"\nDone in {demo.seconds:.0f} s. What to look at next:")
    print(f"  the results        file://{page}")
    print(f"  the gate's report  file://{project.parent}/report/report.html")
    print(f"  the project        cd {project}")
    print("  its runs           assay runs list, assay runs show latest")
    print("  its models         assay model show bikes, assay deployments list")
    print("  its year           assay monitor --last 52, assay decisions list, assay alerts list")
    print("  its pipeline       assay dag, assay status, assay repro --dry")
    print("  any thing's past   assay trace mae, assay trace data/rentals.csv")
    print("  take it away       rm -r " + str(top))


if __name__ == "__main__":
    main()

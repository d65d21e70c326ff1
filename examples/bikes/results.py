"""The demo's page of results: one HTML file, made of what the commands print as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from assay.base.clock import duration, iso
from assay.base.files import write_atomic
from assay.render.page import page
from assay.render.plot_frame import PlotDefinition
from assay.render.plots import plot_spec, read_plot_data
from assay.render.sections import (
    Fact,
    Facts,
    Heading,
    Plot,
    Section,
    Table,
    Text,
    Tree,
    Verdict,
)

Run = Callable[[str], str]
Answer = Literal["yes", "no", "unclear"]

NAMES = {"mae": "mean absolute error", "rmse": "root mean squared error", "r2": "R²"}
ANSWERS: dict[str, Answer] = {"pass": "yes", "fail": "no", "inconclusive": "unclear"}
REPORTS = (
    ("report", "May the first model go into production?"),
    ("refused", "May a model that learned shuffled labels replace it?"),
)


class Runs(NamedTuple):
    """Ids of the runs that made the two good models."""

    first: str
    changed: str


def write(project: Path, runs: Runs, run: Run) -> Path:
    """Write `results.html` beside the project and return its path."""
    path = project.parent / "results.html"
    write_atomic(path, make(project, runs, run))
    return path


def make(project: Path, runs: Runs, run: Run) -> str:
    """Return the page; `run` runs a command and returns what it prints."""
    diff = json.loads(run(f"assay runs diff {runs.first} {runs.changed} --json"))
    first = json.loads(run(f"assay runs show {runs.first} --json"))
    comparison = json.loads(run(f"assay compare {runs.first} {runs.changed} --json"))
    metrics = {key: point["value"] for key, point in first["run"]["metrics"].items()}
    sections: list[Section] = [
        _headline(metrics),
        *_plots(project),
        Heading("Which model may answer?"),
        *(_gate(project.parent / name / "report.json", title) for name, title in REPORTS),
        *_comparison(diff, comparison),
        Heading("The record"),
        _sameness(run),
        _stages(first),
        Tree(
            text=_narrow(run("assay trace bikes@production")), title="Where the model comes from"
        ),
    ]
    better = 1 - metrics["mae"] / metrics["baseline_mae"]
    return page(
        "Bikes: rentals an hour, a week ahead",
        sections,
        lead=(
            f"The model is off by {metrics['mae']:.1f} rentals an hour; last week's value by "
            f"{metrics['baseline_mae']:.1f}. That is {better:.0%} less, over the last eight weeks "
            "of 2011."
        ),
        origin={
            "run": first["run"]["id"],
            "commit": first["run"]["commit"][:12],
            "made": iso(first["run"]["start"]),
        },
        footer="Bike Sharing Dataset: Fanaee-T and Gama, 2013, UCI Machine Learning Repository, "
        "CC BY 4.0.",
    )


def _headline(metrics: dict[str, float]) -> Facts:
    error, baseline = metrics["mae"], metrics["baseline_mae"]
    return Facts(
        facts=(
            Fact(
                name=NAMES["mae"],
                value=round(error, 1),
                change=f"{error - baseline:+.1f} to last week's value",
                better=error < baseline,
            ),
            Fact(name=NAMES["rmse"], value=round(metrics["rmse"], 1)),
            Fact(name=NAMES["r2"], value=round(metrics["r2"], 3)),
            Fact(name="hours tested", value=int(metrics["n_rows"])),
        )
    )


def _plots(project: Path) -> list[Section]:
    daily = PlotDefinition(
        title="Rentals an hour, mean of each test day",
        template="simple",
        x="day",
        y=("actual", "predicted"),
        x_label="",
        y_label="rentals an hour",
    )
    hourly = PlotDefinition(
        title="Error by hour of the day",
        template="simple",
        x="hour",
        y=("model", "same hour last week"),
        x_label="hour",
        y_label="mean absolute error",
    )
    days = read_plot_data(project / "plots/daily.csv")
    hours = [
        {"hour": row["hour"], "model": row["mae"], "same hour last week": row["baseline_mae"]}
        for row in read_plot_data(project / "plots/by_hour.csv")
    ]
    return [
        Plot(spec=plot_spec(days, daily), wide=True),
        Plot(spec=plot_spec(hours, hourly), wide=True),
    ]


def _gate(report: Path, title: str) -> Verdict:
    """Return what the gate said in a report."""
    verdict = json.loads(report.read_text())["report"]["verdict"]
    return Verdict(
        answer=ANSWERS[verdict["answer"]],
        title=title,
        text=f"{verdict['answer'].capitalize()}: {verdict['reason']}.",
        note=f"The whole report: {report.parent.name}/report.html",
    )


def _comparison(diff: dict[str, Any], comparison: dict[str, Any]) -> list[Section]:
    changes = " and ".join(f"{c['key']} from {c['a']} to {c['b']}" for c in diff["diff"]["params"])
    rows = [
        _compared(result["comparison"])
        for result in comparison["report"]["evaluation"]["results"]
        if result["slice"] is None
    ]
    return [
        Text(
            title="Does a smaller tree do as well?",
            body=f"The candidate changes {changes}. Only what depends on it ran again.",
        ),
        Table(
            caption="Both models on the same rows",
            header=("metric", "base", "candidate", "better by", "95% interval", "candidate is"),
            rows=tuple(rows),
            note="Errors of neighbouring hours go together, so the intervals are made of blocks "
            "of whole days, of both models at once.",
        ),
    ]


def _compared(found: dict[str, Any]) -> tuple[str, ...]:
    low, high = found["interval"]["low"], found["interval"]["high"]
    return (
        NAMES[found["metric"]],
        f"{found['base']['value']:.4g}",
        f"{found['candidate']['value']:.4g}",
        f"{found['delta']:+.2g}",
        f"{low:+.2g} to {high:+.2g}",
        "better" if low > 0 else "worse" if high < 0 else "not shown to differ",
    )


def _sameness(run: Run) -> Verdict:
    """Return what the reproduction of the first run came to."""
    listed = json.loads(run("assay runs list --json"))
    again = next(one["id"] for one in listed if one["kind"] == "reproduction")
    said = json.loads(run(f"assay runs show {again} --json"))["run"]["tags"]["verdict"]
    if said == "identical":
        return Verdict(
            answer="yes",
            title="Can the first run be done again?",
            text="Yes: every output and metric is identical to the bit.",
            note="In a clean work tree, from the record alone; every command really ran.",
        )
    return Verdict(
        answer="no", title="Can the first run be done again?", text=f"The result {said}."
    )


def _narrow(text: str) -> str:
    """Cut long lines, such as those with all parameters of a stage."""
    return "\n".join(line if len(line) <= 100 else f"{line[:99]}…" for line in text.splitlines())


def _stages(first: dict[str, Any]) -> Table:
    rows = []
    for child in first["children"]:
        seconds = (child["end"] - child["start"]) / 1000
        memory = child["peak_memory"] / 1e6
        outputs = ", ".join(data["path"] for data in child["outputs"])
        rows.append((child["stage"], duration(seconds), f"{memory:.0f} MB", outputs))
    return Table(
        caption="The stages of the first run",
        header=("stage", "took", "peak memory", "made"),
        rows=tuple(rows),
    )

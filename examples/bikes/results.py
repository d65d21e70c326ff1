"""The demo's page of results: one HTML file, made of what the commands print as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

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

WANTED = {"mae": -1, "rmse": -1, "r2": 1}
NAMES = {"mae": "mean absolute error", "rmse": "root mean squared error", "r2": "R²"}


def write(project: Path, run: Run) -> Path:
    """Write `results.html` beside the project and return its path."""
    path = project.parent / "results.html"
    write_atomic(path, make(project, run))
    return path


def make(project: Path, run: Run) -> str:
    """Return the page."""
    diff = json.loads(run("assay runs diff latest~1 latest --json"))
    first = json.loads(run(f"assay runs show {diff['base']} --json"))
    again = json.loads(run("assay runs list --json --limit 1"))[0]
    verdict = json.loads(run(f"assay runs show {again['id']} --json"))["run"]["tags"]["verdict"]
    metrics = {key: point["value"] for key, point in first["run"]["metrics"].items()}
    sections: list[Section] = [
        _headline(metrics),
        *_plots(project),
        Heading("The two runs"),
        *_comparison(diff),
        Heading("The record"),
        _verdict(verdict),
        _stages(first),
        Tree(text=run("assay trace model.skops"), title="Where the model comes from"),
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


def _comparison(diff: dict[str, Any]) -> list[Section]:
    changed = diff["diff"]
    params = " and ".join(f"{c['key']} from {c['a']} to {c['b']}" for c in changed["params"])
    rows = [
        (
            NAMES[c["key"]],
            f"{c['a']:.4g}",
            f"{c['b']:.4g}",
            f"{c['b'] - c['a']:+.3g}",
            "better" if (c["b"] - c["a"]) * WANTED[c["key"]] > 0 else "worse",
        )
        for c in changed["metrics"]
        if c["key"] in WANTED
    ]
    return [
        Text(body=f"The candidate changes {params}. Only what depends on it ran again."),
        Table(
            caption="Metrics of both runs on the same rows",
            header=("metric", "base", "candidate", "change", "candidate is"),
            rows=tuple(rows),
            note="One split and no interval: too little to say that the difference is real.",
        ),
    ]


def _verdict(sameness: str) -> Verdict:
    if sameness == "identical":
        return Verdict(
            answer="yes",
            title="Can the first run be done again?",
            text="Yes: every output and metric is identical to the bit.",
            note="In a clean work tree, from the record alone; every command really ran.",
        )
    return Verdict(
        answer="no", title="Can the first run be done again?", text=f"The result {sameness}."
    )


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

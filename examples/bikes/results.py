"""The demo's page of results: one HTML file, made of what the commands print as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import year
from assay.base.clock import duration, iso
from assay.base.files import write_atomic
from assay.render.page import page
from assay.render.sections import (
    Heading,
    Section,
    Table,
    Tree,
    Verdict,
)

Run = Callable[[str], str]
Answer = Literal["yes", "no", "unclear"]

ANSWERS: dict[str, Answer] = {"pass": "yes", "fail": "no", "inconclusive": "unclear"}


class Gates(NamedTuple):
    """What the gate said of the first model, and of the one that learned shuffled labels."""

    first: str
    shuffled: str


def write(project: Path, first: str, gates: Gates, run: Run) -> Path:
    """Write `results.html` beside the project and return its path."""
    path = project.parent / "results.html"
    write_atomic(path, make(project, first, gates, run))
    return path


def make(project: Path, first: str, gates: Gates, run: Run) -> str:
    """Return the page; `first` is the first run, `run` runs a command and returns its output."""
    shown = json.loads(run(f"assay runs show {first} --json"))
    lived = year.make(project, run)
    sections: list[Section] = [
        *lived.sections,
        Heading("Before that: which model may answer?"),
        _gate(gates.first, "May the first model go into production?"),
        _gate(gates.shuffled, "May a model that learned shuffled labels replace it?"),
        Heading("The record"),
        _sameness(run),
        Tree(
            text=_narrow(run("assay trace bikes@production")), title="Where the model comes from"
        ),
        _stages(shown),
    ]
    return page(
        "Bikes: rentals an hour, a week ahead",
        sections,
        lead=lived.lead,
        origin={
            "first run": shown["run"]["id"],
            "commit": shown["run"]["commit"][:12],
            "made": iso(shown["run"]["start"]),
        },
        footer="Bike Sharing Dataset: Fanaee-T and Gama, 2013, UCI Machine Learning Repository, "
        "CC BY 4.0.",
    )


def _gate(said: str, title: str) -> Verdict:
    """Return what the gate said, of which the last line is such as `gate: pass: the reason`."""
    _, answer, reason = said.strip().splitlines()[-1].split(": ", 2)
    return Verdict(
        answer=ANSWERS[answer], title=title, text=f"{answer.strip().capitalize()}: {reason}."
    )


def _sameness(run: Run) -> Verdict:
    """Return what the reproduction of the run behind production came to."""
    listed = json.loads(run("assay runs list --json"))
    again = next(one["id"] for one in listed if one["kind"] == "reproduction")
    said = json.loads(run(f"assay runs show {again} --json"))["run"]["tags"]["verdict"]
    if said == "identical":
        return Verdict(
            answer="yes",
            title="Can the version in production be trained again?",
            text="Yes: every output and metric is identical to the bit.",
            note="In a clean work tree, from the record alone; every command really ran.",
        )
    return Verdict(
        answer="no",
        title="Can the version in production be trained again?",
        text=f"The result {said}.",
    )


def _narrow(text: str) -> str:
    """Cut long lines, such as those with all parameters of a stage."""
    return "\n".join(line if len(line) <= 100 else f"{line[:99]}…" for line in text.splitlines())


def _stages(shown: dict[str, Any]) -> Table:
    rows = []
    for child in shown["children"]:
        seconds = (child["end"] - child["start"]) / 1000
        memory = child["peak_memory"] / 1e6
        outputs = ", ".join(data["path"] for data in child["outputs"])
        rows.append((child["stage"], duration(seconds), f"{memory:.0f} MB", outputs))
    return Table(
        caption="The stages of the first run",
        header=("stage", "took", "peak memory", "made"),
        rows=tuple(rows),
    )

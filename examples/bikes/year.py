"""The year on the page of results: how far off, what drifted, what the loop did about it."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import assay
from assay.base.clock import duration
from assay.render.plots import SCHEMA
from assay.render.sections import Fact, Facts, Heading, Plot, Section, Table
from assay.traffic import feedback
from features import FEATURES

Run = Callable[[str], str]
Json = dict[str, Any]

LOOP, ALONE, LAST_WEEK = "Assay's loop", "first model, left alone", "same hour last week"
COLOURS = {LOOP: "#945dd6", ALONE: "#f46837", LAST_WEEK: "#9aa0a6"}
TIME = {"type": "temporal", "title": None, "scale": {"type": "utc"}}
TO_A_YEAR = 60  # windows, and more than enough decisions


class Errors(NamedTuple):
    """How far each of the three was off, row by row, on the rows that all of them can answer."""

    month: np.ndarray  # of datetime64[M]
    off: dict[str, np.ndarray]

    @property
    def means(self) -> dict[str, float]:
        """Mean absolute errors over all rows."""
        return {name: float(off.mean()) for name, off in self.off.items()}

    def by_month(self) -> list[Json]:
        """Return the mean absolute error of each in each month."""
        return [
            {"month": f"{month}-15", "model": name, "error": round(float(off[rows].mean()), 2)}
            for month in np.unique(self.month)
            for rows in [self.month == month]
            for name, off in self.off.items()
        ]


class Year(NamedTuple):
    """What the page says first, and what comes below it."""

    lead: str
    sections: list[Section]


def make(project: Path, run: Run) -> Year:
    """Return the year; `run` runs a command and returns what it prints."""
    errors = measure(project)
    windows = json.loads(run(f"assay monitor --json --last {TO_A_YEAR}"))["windows"]
    alerts = json.loads(run("assay alerts list --all --json"))[::-1]
    decisions = json.loads(run(f"assay decisions list --json --limit {TO_A_YEAR}"))[::-1]
    axis = month_axis(np.unique(errors.month))
    loop, alone, last_week = (errors.means[name] for name in (LOOP, ALONE, LAST_WEEK))
    return Year(
        lead=f"Over a year, the model that Assay watched and retrained was off by {loop:.0f} "
        f"rentals an hour; the first model, left alone, by {alone:.0f}; last week's value by "
        f"{last_week:.0f}.",
        sections=[
            _headline(errors.means, decisions, windows),
            Plot(spec=error_plot(errors.by_month(), decisions, axis), wide=True),
            Plot(
                spec=drift_plot(windows, alerts, decisions, axis),
                wide=True,
                note="The evidence that inputs and predictions differ from the training data of "
                "the version that answers by more than its weeks differ from each other. A ring "
                "is an alert; a dashed line is a new version, with which watching begins anew.",
            ),
            Heading("What the loop did, unattended"),
            _decisions(decisions),
            _alerts(alerts),
        ],
    )


def measure(project: Path) -> Errors:
    """Ask the first model what the log says that was asked, and compare all with the truth."""
    names = [f"input.{name}" for name in FEATURES]
    with feedback.joined(project / ".assay" / "traffic", endpoint="bikes") as log:
        found = log.arrays("event_time", "target", "output.predict", *names)
    whole = {name: np.ma.filled(column.astype(float), np.nan) for name, column in found.items()}
    last_week = whole["input.cnt_last_week"]
    known = ~np.isnan(last_week)  # else last week's value has no answer
    rows = {name: column[known] for name, column in whole.items()}
    first = assay.load(project / "bundle")
    asked = {
        column.name: rows[f"input.{column.name}"].astype(column.type)
        for column in first.signature.columns
    }
    predicted = {
        LOOP: rows["output.predict"],
        ALONE: first.predict(asked),
        LAST_WEEK: rows["input.cnt_last_week"],
    }
    return Errors(
        month=rows["event_time"].astype("datetime64[ms]").astype("datetime64[M]"),
        off={name: np.abs(column - rows["target"]) for name, column in predicted.items()},
    )


def month_axis(months: np.ndarray) -> Json:
    """Return an axis with the name of each month in its middle."""
    middles = [
        {"year": month.year, "month": month.month, "date": 15, "utc": True}
        for month in months.tolist()
    ]
    axis = {"format": "%b", "values": middles, "ticks": False, "labelFlush": False}
    return {**TIME, "axis": axis}


def whole(months: Iterable[str]) -> Json:
    """Return what nobody sees: the axis of a plot shall begin and end with whole months."""
    first, last = min(months), max(months)
    end = np.datetime64(last, "M") + 1
    return {
        "data": {"values": [{"at": f"{first[:7]}-01"}, {"at": f"{end}-01"}]},
        "mark": {"type": "rule", "opacity": 0},
        "encoding": {"x": {"field": "at", **TIME}},
    }


def error_plot(by_month: list[Json], decisions: list[Json], axis: Json) -> Json:
    """Draw the error by month, with a line where a new version took over."""
    colour = {"domain": list(COLOURS), "range": list(COLOURS.values())}
    return {
        "$schema": SCHEMA,
        "title": "How far off, by month",
        "data": {"values": by_month},
        "width": "container",
        "height": 320,
        "layer": [
            whole([row["month"] for row in by_month]),
            *_takeovers(decisions, labelled=True),
            {
                "mark": {"type": "line", "point": {"size": 45}, "strokeWidth": 2.5},
                "encoding": {
                    "x": {"field": "month", **axis},
                    "y": {
                        "field": "error",
                        "type": "quantitative",
                        "title": "mean absolute error, rentals an hour",
                    },
                    "color": {"field": "model", "type": "nominal", "scale": colour},
                    "tooltip": [
                        {"field": "month", "type": "temporal", "format": "%B"},
                        {"field": "model"},
                        {"field": "error", "format": ".1f"},
                    ],
                },
            },
        ],
    }


def drift_plot(windows: list[Json], alerts: list[Json], decisions: list[Json], axis: Json) -> Json:
    """Draw the distance of each column in each window, with the alerts on it."""
    rows = evidence(windows)
    ends = {"x": {"field": "week", **axis}, "x2": {"field": "end"}}
    what = {"field": "column", "type": "nominal", "title": None, "sort": None}
    told = [
        {
            "column": alert["column"] or "(predictions)",
            "at": _day((alert["window_start"] + alert["window_end"]) // 2),
            "message": alert["message"],
        }
        for alert in alerts
        if alert["monitor"] in {"drift", "prediction drift"}
    ]
    return {
        "$schema": SCHEMA,
        "title": "What drifted, by week",
        "data": {"values": rows},
        "width": "container",
        "height": 26 * len({row["column"] for row in rows}),
        "layer": [
            {
                "mark": {"type": "rect", "color": COLOURS[LOOP]},
                "encoding": {
                    **ends,
                    "y": what,
                    "opacity": {
                        "field": "evidence",
                        "type": "quantitative",
                        "scale": {
                            "type": "log",
                            "domain": [1, 1000],
                            "range": [0.05, 1],
                            "clamp": True,
                        },
                        "legend": {"title": "evidence of drift", "values": [1, 10, 100, 1000]},
                    },
                    "tooltip": [
                        {"field": "week", "type": "temporal", "format": "%d %b"},
                        {"field": "column"},
                        {"field": "evidence"},
                        {"field": "distance", "title": "Jensen-Shannon distance"},
                    ],
                },
            },
            *_takeovers(decisions, labelled=False),
            *_rings(told, what),
        ],
    }


def _rings(alerts: list[Json], y: Json) -> list[Json]:
    """Return a ring for each alert."""
    if not alerts:
        return []
    return [
        {
            "data": {"values": alerts},
            "mark": {"type": "point", "stroke": "var(--ink)", "size": 70, "strokeWidth": 2},
            "encoding": {"x": {"field": "at", **TIME}, "y": y, "tooltip": {"field": "message"}},
        }
    ]


def evidence(windows: list[Json]) -> list[Json]:
    """Return how sure the monitor is of drift, and how far it is, by column and window."""
    rows = []
    for window in windows:
        details = window["details"]
        found = {**details.get("columns", {}), "(predictions)": details.get("prediction") or {}}
        span = {"week": _day(window["start"]), "end": _day(window["end"])}
        rows += [
            {
                **span,
                "column": name,
                "evidence": float(f"{max(one['R'], 1.0):.3g}"),
                "distance": round(one["js"], 3),
            }
            for name, one in found.items()
            if one.get("R") is not None
        ]
    return rows


def _takeovers(decisions: list[Json], *, labelled: bool) -> list[Json]:
    """Return a line, and a name beside it, where a version took over."""
    taken = [
        {"at": _day(one["window_end"]), "version": one["version"], "why": one["trigger"]}
        for one in decisions
        if one["outcome"] == "deployed"
    ]
    if not taken:
        return []
    x = {"field": "at", **TIME}
    lines = {
        "data": {"values": taken},
        "mark": {"type": "rule", "strokeDash": [3, 3]},
        "encoding": {"x": x, "tooltip": [{"field": "version"}, {"field": "why"}]},
    }
    names = {
        "data": {"values": taken},
        "mark": {
            "type": "text", "angle": 270, "align": "right", "baseline": "bottom", "dy": -3,
            "color": "var(--muted)", "fontSize": 11,
        },
        "encoding": {"x": x, "y": {"value": 2}, "text": {"field": "version"}},
    }  # fmt: skip
    return [lines, names] if labelled else [lines]


def _headline(means: Mapping[str, float], decisions: list[Json], windows: list[Json]) -> Facts:
    loop = means[LOOP]
    outcomes = Counter(one["outcome"] for one in decisions)
    failed = sum(window["details"].get("serving", {}).get("n_errors", 0) for window in windows)
    asked = sum(window["details"].get("serving", {}).get("n_requests", 0) for window in windows)
    return Facts(
        facts=(
            Fact(name=LOOP, value=round(loop, 1)),
            *(
                Fact(
                    name=name,
                    value=round(means[name], 1),
                    change=f"{means[name] / loop - 1:+.0%}",
                    better=means[name] < loop,
                )
                for name in (ALONE, LAST_WEEK)
            ),
            Fact(name="retrainings", value=len(decisions)),
            Fact(name="new versions", value=outcomes["deployed"]),
            Fact(name="requests that failed", value=f"{failed} of {asked}"),
        )
    )


def _decisions(decisions: list[Json]) -> Table:
    rows = []
    for one in decisions:
        judged = one["details"].get("judged", {}).get("mae", {})
        why = (one["reason"] or "").removeprefix("mae: ").split(";")[0].replace(" ", "\u00a0")
        rows.append(
            (
                _shown(one["window_end"]),
                one["trigger"],
                one["version"] or one["outcome"] or "",
                *(_number(judged.get(side)) for side in ("base", "candidate")),
                why,
                duration((one["ended"] - one["at"]) / 1000) if one["ended"] else "",
            )
        )
    return Table(
        caption="Each retraining, and what became of it",
        header=("up to", "trigger", "outcome", "production", "candidate", "why", "took"),
        rows=tuple(rows),
        note="Production and candidate: mean absolute error on the last 14 days, which neither "
        "was trained on. A candidate takes over only where the gate is sure that it is at most "
        "1% worse: the margin.",
    )


def _alerts(alerts: list[Json]) -> Table:
    rows = tuple(
        (_shown(one["window_end"] or one["at"]), one["monitor"], one["message"], one["note"] or "")
        for one in alerts
    )
    return Table(caption="Alerts", header=("up to", "monitor", "what", "ended by"), rows=rows)


def _shown(moment: int) -> str:
    """Return a day in a form that no table breaks into two lines."""
    return f"{dt.datetime.fromtimestamp(moment / 1000, tz=dt.UTC):%d\u00a0%b}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _day(moment: int) -> str:
    return dt.datetime.fromtimestamp(moment / 1000, tz=dt.UTC).date().isoformat()

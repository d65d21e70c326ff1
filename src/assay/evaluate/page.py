"""The report on a candidate as one HTML file with plots, that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from assay.evaluate import report as markdown
from assay.evaluate.evaluation import Result
from assay.evaluate.report import Report
from assay.render.page import page
from assay.render.plots import SCHEMA
from assay.render.sections import Code, Plot, Section, Table, Text, Verdict

Answer = Literal["yes", "no", "unclear"]
ANSWERS: dict[str, Answer] = {"pass": "yes", "fail": "no", "inconclusive": "unclear"}


def html(report: Report) -> str:
    """Return the report as a self-contained HTML page."""
    facts = {name: value for name, value in report.facts.items() if value}
    if report.sha:
        facts = {"commit": report.sha, **facts}
    return page(
        report.title,
        list(_sections(report)),
        lead=_lead(report),
        origin=facts or None,
    )


def _lead(report: Report) -> str:
    evaluation = report.evaluation
    beside = f" beside '{evaluation.base}'" if evaluation.base else ", without a base"
    note = f" ({evaluation.note})" if evaluation.note else ""
    return f"'{evaluation.candidate}'{beside} on {evaluation.n_rows:,} rows{note}."


def _sections(report: Report) -> Iterator[Section]:
    if report.verdict is not None:
        yield Verdict(
            answer=ANSWERS[report.verdict.answer],
            text=report.verdict.answer,
            note=report.verdict.reason,
        )
    yield Table(
        caption="Metrics",
        header=markdown.HEADER,
        rows=tuple(markdown.metric_rows(report)),
        note=markdown.NOTE_ON_DELTA,
    )
    lines = markdown.reasons(report)
    if lines:
        yield Text(title="Why", body="\n\n".join(lines))
    yield from _plots(report)
    baselines = markdown.baseline_rows(report)
    if baselines:
        yield Table(caption="Baselines", header=markdown.BASELINE_HEADER, rows=tuple(baselines))
    slices = markdown.slice_rows(report)
    if slices:
        yield Table(
            caption="Slices, worst first", header=markdown.SLICE_HEADER, rows=tuple(slices)
        )
    if report.figures.confusion:
        header, rows = markdown.confusion_rows(report.figures)
        yield Table(caption="Confusion", header=header, rows=tuple(rows))
    if report.reproduce:
        yield Code(title="Make it again", text=report.reproduce)


def _plots(report: Report) -> Iterator[Plot]:
    for metric in dict.fromkeys(result.metric for result in report.evaluation.results):
        found = [r for r in report.evaluation.results if r.metric == metric]
        spec = deltas(report, found)
        if spec is not None:
            margin = any(row["margin"] is not None for row in spec["data"]["values"])
            yield Plot(
                spec=spec,
                title=f"{metric}: delta to the base, 95 % interval",
                note="The second line is the margin." if margin else "",
            )
    if report.figures.over_time:
        title = f"{report.figures.error_name} over time"
        yield Plot(spec=over_time(report), title=title, wide=True)
    if report.figures.calibration:
        yield Plot(
            spec=calibration(report),
            title="Calibration",
            note="On the diagonal, a probability is the share of rows that are positive.",
        )
    if report.figures.confusion:
        yield Plot(spec=confusion(report), title="Confusion, share of each target class")


def deltas(report: Report, results: list[Result]) -> dict[str, Any] | None:
    """Return the plot of one metric's differences with their intervals, or None."""
    rows = []
    for result in results:
        comparison = result.comparison
        if comparison is None or comparison.interval.low is None:
            continue
        ruling = markdown.ruling_of(report, result)
        rows.append(
            {
                "slice": result.slice or "all rows",
                "delta": comparison.delta,
                "low": comparison.interval.low,
                "high": comparison.interval.high,
                "margin": None if ruling is None or ruling.margin is None else -ruling.margin,
                "verdict": "no gate" if ruling is None else ruling.answer,
            }
        )
    if not rows:
        return None
    y = {"field": "slice", "type": "nominal", "title": None, "sort": None}
    x = {"type": "quantitative", "title": "delta (above 0 is better)"}
    layers: list[dict[str, Any]] = [
        {"mark": {"type": "rule"}, "encoding": {"x": {"datum": 0, "type": "quantitative"}}},
        {
            "mark": {"type": "rule", "strokeWidth": 2},
            "encoding": {"y": y, "x": {"field": "low", **x}, "x2": {"field": "high"}},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
            "encoding": {
                "y": y,
                "x": {"field": "delta", **x},
                "shape": {"field": "verdict", "type": "nominal", "title": "verdict"},
                "tooltip": [{"field": name} for name in rows[0]],
            },
        },
    ]
    if any(row["margin"] is not None for row in rows):
        margin = {"y": y, "x": {"field": "margin", **x}}
        layers.append({"mark": {"type": "tick", "thickness": 2}, "encoding": margin})
    height = max(80, 24 * len(rows))
    return _spec(rows, {"layer": layers, "height": height})


def over_time(report: Report) -> dict[str, Any]:
    """Return the plot of each model's errors over time."""
    figures = report.figures
    rows = [{"model": m.model, "time": m.start, "error": m.error} for m in figures.over_time]
    return _spec(
        rows,
        {
            "mark": {"type": "line", "point": len(rows) <= 60, "interpolate": "linear"},
            "encoding": {
                "x": {"field": "time", "type": "temporal", "title": "time, UTC"},
                "y": {
                    "field": "error",
                    "type": "quantitative",
                    "title": figures.error_name,
                    "scale": {"zero": True},
                },
                "color": {"field": "model", "type": "nominal", "title": None, "sort": None},
                "strokeDash": {"field": "model", "type": "nominal", "title": None, "sort": None},
                "tooltip": [{"field": name} for name in rows[0]],
            },
        },
    )


def calibration(report: Report) -> dict[str, Any]:
    """Return the plot of predicted probabilities against what was observed."""
    rows: list[dict[str, Any]] = [
        {"model": b.model, "predicted": b.predicted, "observed": b.observed, "rows": b.n_rows}
        for b in report.figures.calibration
    ]
    scale = {"domain": [0, 1]}
    axes = {
        "x": {"field": "predicted", "type": "quantitative", "scale": scale,
              "title": "predicted probability"},
        "y": {"field": "observed", "type": "quantitative", "scale": scale,
              "title": "share of positive rows"},
    }  # fmt: skip
    model = {"field": "model", "type": "nominal", "title": None, "sort": None}
    ideal = [{"predicted": 0, "observed": 0}, {"predicted": 1, "observed": 1}]
    return _spec(
        rows,
        {
            "layer": [
                {
                    "data": {"values": ideal},
                    "mark": {"type": "line", "strokeDash": [4, 4], "opacity": 0.6},
                    "encoding": axes,
                },
                {
                    "mark": {"type": "line", "point": True},
                    "encoding": {
                        **axes,
                        "color": model,
                        "strokeDash": model,
                        "tooltip": [{"field": name} for name in rows[0]],
                    },
                },
            ]
        },
    )


def confusion(report: Report) -> dict[str, Any]:
    """Return the confusion matrices side by side, as shares of each target class."""
    cells = report.figures.confusion
    totals: dict[tuple[str, str], int] = {}
    for cell in cells:
        key = (cell.model, cell.target)
        totals[key] = totals.get(key, 0) + cell.n_rows
    rows: list[dict[str, Any]] = [
        {
            "model": c.model,
            "target": c.target,
            "prediction": c.prediction,
            "rows": c.n_rows,
            "share": c.n_rows / totals[c.model, c.target] if totals[c.model, c.target] else None,
        }
        for c in cells
    ]
    return _spec(
        rows,
        {
            "mark": {"type": "rect"},
            "encoding": {
                "x": {
                    "field": "prediction",
                    "type": "nominal",
                    "sort": None,
                    "axis": {"labelAngle": 0},
                },
                "y": {"field": "target", "type": "nominal", "sort": None},
                "row": {"field": "model", "type": "nominal", "sort": None, "title": None},
                "color": {"field": "share", "type": "quantitative", "scale": {"domain": [0, 1]}},
                "tooltip": [{"field": name} for name in rows[0]],
            },
            "height": 120,
            "width": 240,
        },
    )


def _spec(rows: list[dict[str, Any]], drawing: dict[str, Any]) -> dict[str, Any]:
    return {
        "$schema": SCHEMA,
        "data": {"values": rows},
        "width": "container",
        "height": 300,
        **drawing,
    }

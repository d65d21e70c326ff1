"""Templates to begin one's own with: `plots templates NAME > .dvc/plots/mine.json`.

They are Vega-Lite with DVC's anchors, so that DVC draws them too, and simpler than what the names
of `assay.render.plot_templates` give: those are made for the data that they show.
"""

from __future__ import annotations

from typing import Any

from assay.base.errors import NotFound, did_you_mean
from assay.render.plot_templates import TEMPLATES

Spec = dict[str, Any]

_LABELS = {"labelAngle": -40, "labelOverlap": True}
_SIZE = {"width": "<DVC_METRIC_PLOT_WIDTH>", "height": "<DVC_METRIC_PLOT_HEIGHT>"}
_AXES = {
    "x": {"field": "<DVC_METRIC_X>", "title": "<DVC_METRIC_X_LABEL>"},
    "y": {"field": "<DVC_METRIC_Y>", "title": "<DVC_METRIC_Y_LABEL>"},
}


def starter(name: str) -> Spec:
    """Return a template with DVC's anchors, to be saved and changed.

    Raises
    ------
    NotFound
        If there is none with this name.
    """
    if name not in TEMPLATES:
        raise NotFound(
            f"there is no plot template '{name}'",
            hint=did_you_mean(name, TEMPLATES) or f"use one of {', '.join(TEMPLATES)}",
        )
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "data": {"values": "<DVC_METRIC_DATA>"},
        "title": "<DVC_METRIC_TITLE>",
        **_body(name),
    }


def _body(name: str) -> Spec:
    if name.startswith("confusion"):
        return _counted(normalized=name == "confusion_normalized")
    if name == "simple":
        body: Spec = {"mark": "line", **_points(), "encoding": _lines()}
    elif name in {"linear", "smooth"}:
        body = _smoothed()
    elif name == "scatter":
        body = {"mark": {"type": "point", "filled": True}, **_points(), "encoding": _marks()}
    elif name == "scatter_jitter":
        body = _jittered()
    else:
        body = _bars(name)
    return {**_SIZE, **body}


def _points() -> Spec:
    return {"params": ["<DVC_METRIC_ZOOM_AND_PAN>"]}


def _axes(kind: str, **given: Any) -> Spec:
    return {name: {**axis, "type": kind, **given} for name, axis in _AXES.items()}


def _lines() -> Spec:
    return {
        **_axes("quantitative", scale={"zero": False}),
        "color": "<DVC_METRIC_COLOR>",
        "strokeDash": "<DVC_METRIC_STROKE_DASH>",
        "tooltip": "<DVC_METRIC_TOOLTIP>",
    }


def _marks() -> Spec:
    return {
        **_axes("quantitative", scale={"zero": False}),
        "color": "<DVC_METRIC_COLOR>",
        "shape": "<DVC_METRIC_SHAPE>",
        "tooltip": "<DVC_METRIC_TOOLTIP>",
    }


def _smoothed() -> Spec:
    slider = {"input": "range", "min": 0.001, "max": 1, "step": 0.001}
    loess = {
        "loess": "<DVC_METRIC_Y>",
        "on": "<DVC_METRIC_X>",
        "groupby": "<DVC_METRIC_GROUP_BY>",
        "bandwidth": {"signal": "smooth"},
    }
    raw = {"mark": {"type": "line", "opacity": 0.25}, **_points(), "encoding": _lines()}
    smooth = {"transform": [loess], "mark": "line", "encoding": _lines()}
    return {
        "params": [{"name": "smooth", "value": 0.001, "bind": slider}],
        "layer": [raw, smooth],
    }


def _jittered() -> Spec:
    offset = {"type": "quantitative", "scale": {"domain": [-0.1, 1.1]}}
    return {
        "transform": [
            {"calculate": "random()", "as": "offset_x"},
            {"calculate": "random()", "as": "offset_y"},
        ],
        "mark": {"type": "point", "filled": True},
        "encoding": {
            **_axes("nominal"),
            "xOffset": {"field": "offset_x", **offset},
            "yOffset": {"field": "offset_y", **offset},
            "color": "<DVC_METRIC_COLOR>",
            "shape": "<DVC_METRIC_SHAPE>",
            "tooltip": "<DVC_METRIC_TOOLTIP>",
        },
    }


def _counted(*, normalized: bool) -> Spec:
    """Return a matrix of counts, one for each revision; the grammar counts, so any data fits."""
    value: Spec = {"aggregate": "count", "type": "quantitative"}
    transform: list[Spec] = []
    if normalized:
        value = {"aggregate": "sum", "field": "share", "type": "quantitative", "format": ".2f"}
        of_class = [{"op": "count", "as": "of_class"}]
        transform = [
            {"joinaggregate": of_class, "groupby": "<DVC_METRIC_GROUP_BY_Y>"},
            {"calculate": "1 / datum.of_class", "as": "share"},
        ]
    shade: Spec = {name: given for name, given in value.items() if name != "format"}
    shade |= {"legend": None, "scale": {"range": ["#f3eefb", "#945dd6"]}}
    return {
        "transform": transform,
        "facet": {"column": {"field": "rev", "title": None}},
        "spec": {
            **_SIZE,
            "encoding": {
                name: {**axis, "type": "nominal", "sort": "ascending"}
                for name, axis in _AXES.items()
            },
            "layer": [
                {"mark": "rect", "encoding": {"color": shade}},
                {"mark": "text", "encoding": {"text": value}},
            ],
        },
    }


def _bars(name: str) -> Spec:
    category, length = ("x", "y") if name == "bar" else ("y", "x")
    order = f"-{length}" if name == "bar_horizontal_sorted" else None
    labels = {"axis": _LABELS} if name == "bar" else {}
    return {
        "mark": "bar",
        "encoding": {
            category: {**_AXES[category], "type": "nominal", "sort": order, **labels},
            length: {**_AXES[length], "type": "quantitative", "stack": None},
            f"{category}Offset": {"field": "rev"},
            "color": "<DVC_METRIC_COLOR>",
            "tooltip": "<DVC_METRIC_TOOLTIP>",
        },
    }

"""The parts that plots share: axes, colours, dashes, shapes, tooltips, zoom.

Each function takes a `Frame` and returns Vega-Lite for one channel.
"""

from __future__ import annotations

import json
import re
from typing import Any

from assay.render.plot_frame import REV, Frame

Spec = dict[str, Any]

COLOURS = ("#945dd6", "#13adc7", "#f46837", "#48bb78", "#4299e1", "#ed8936", "#f56565")

_DASHES = ([1, 0], [8, 8], [8, 4], [4, 4], [4, 2], [2, 1], [1, 1])
_SHAPES = ("circle", "square", "triangle", "diamond")
_TIME_FORMAT = "%Y-%m-%d %H:%M"
_TIME_AXIS = {
    "year": "%Y",
    "quarter": "%b %Y",
    "month": "%b %Y",
    "week": "%d %b",
    "date": "%d %b",
    "day": "%d %b",
    "hours": "%H:%M",
    "minutes": "%H:%M",
    "seconds": "%H:%M:%S",
}


def escape_field(name: str) -> str:
    r"""Return a column's name as Vega wants it: dots and brackets would mean a path.

    Examples
    --------
    >>> print(escape_field("loss.train[0]"))
    loss\.train\[0\]
    """
    return re.sub(r"[.\[\]\\'\"]", r"\\\g<0>", name)


def plain_columns(frame: Frame) -> tuple[list[Spec], str, str]:
    """Give x and y names without special characters: not every transform takes escaped ones."""
    transform: list[Spec] = []
    names: list[str] = []
    for name, kind, plain in ((frame.x, frame.x_kind, "x_"), (frame.y, frame.y_kind, "y_")):
        if escape_field(name) == name:
            names.append(name)
            continue
        value = f"datum[{json.dumps(name)}]"
        calculated = f"toDate({value})" if kind == "temporal" else value
        transform.append({"calculate": calculated, "as": plain})
        names.append(plain)
    return transform, names[0], names[1]


def x_axis(frame: Frame, field: str) -> Spec:
    """Return the encoding of x: numbers, times in UTC, or categories in the order of the rows."""
    axis: Spec = {"field": field, "type": frame.x_kind, "title": frame.x_label}
    if frame.x_kind == "nominal":
        return {**axis, "sort": None, "axis": label_angle(frame)}
    if frame.x_kind == "temporal":
        return {**axis, "scale": {"type": "utc"}, "axis": {"format": _TIME_AXIS}}
    whole = all(isinstance(row[frame.x], int | None) for row in frame.rows)
    steps = {"axis": {"tickMinStep": 1}} if whole else {}
    return {**axis, "scale": {"zero": False, "nice": False}, **steps}


def y_axis(frame: Frame, field: str) -> Spec:
    """Return the encoding of y; its axis need not begin at zero."""
    scale = {"scale": {"zero": False}} if frame.y_kind == "quantitative" else {}
    return {"field": field, "type": frame.y_kind, "title": frame.y_label, **scale}


def label_angle(frame: Frame) -> Spec:
    """Lay the labels of categories on their side where they are long."""
    longest = max(len(str(row.get(frame.x, ""))) for row in frame.rows)
    return {"labelAngle": 0 if longest <= 6 else -40, "labelOverlap": True, "labelSeparation": 3}


def colour(frame: Frame) -> Spec:
    """Give each revision its colour, or each file or column where there are no revisions."""
    column, names = (REV, frame.revs) if frame.revs else (frame.source, frame.sources)
    if column is None or not names:
        return {}
    scale = {"domain": list(names), "range": _cycle(COLOURS, len(names))}
    legend = None if len(names) == 1 else {"title": None, "symbolOpacity": 1}
    return {"color": {"field": column, "type": "nominal", "scale": scale, "legend": legend}}


def dash(frame: Frame) -> Spec:
    """Tell files and columns of one revision apart by the line."""
    return _by_source(frame, "strokeDash", _DASHES)


def shape(frame: Frame) -> Spec:
    """Tell files and columns of one revision apart by the mark."""
    return _by_source(frame, "shape", _SHAPES)


def _by_source(frame: Frame, channel: str, values: tuple[Any, ...]) -> Spec:
    """Tell files and columns apart by form where the colour already stands for a revision."""
    if not frame.revs or not frame.source:
        return {}
    scale = {"domain": list(frame.sources), "range": _cycle(values, len(frame.sources))}
    legend = {"title": None, "symbolOpacity": 1, "symbolStrokeColor": "grey", "symbolSize": 300}
    if channel == "shape":
        legend |= {"symbolFillColor": "transparent", "symbolSize": 80}
    return {channel: {"field": frame.source, "type": "nominal", "scale": scale, "legend": legend}}


def zoom(frame: Frame) -> list[Spec]:
    """Drag moves, the wheel zooms with Ctrl held: without it, the page scrolls on."""
    if "nominal" in {frame.x_kind, frame.y_kind}:
        return []
    wheel = "wheel![event.ctrlKey || event.metaKey]"
    return [{"name": "grid", "bind": "scales", "select": {"type": "interval", "zoom": wheel}}]


def tooltip(frame: Frame, x: str, y: str) -> list[Spec]:
    """Say what one point is."""
    number = {"format": ".5~g"} if frame.y_kind == "quantitative" else {}
    value = {"field": y, "type": frame.y_kind, "title": frame.y_label or frame.y, **number}
    groups = [{"field": column, "type": "nominal"} for column in frame.group]
    return [*groups, tooltip_x(frame, x), value]


def tooltip_x(frame: Frame, x: str) -> Spec:
    """Say what x is there, times to the minute."""
    shown: Spec = {"field": x, "type": frame.x_kind, "title": frame.x_label or frame.x}
    if frame.x_kind == "temporal":
        shown |= {"format": _TIME_FORMAT, "timeUnit": "utcyearmonthdatehoursminutes"}
    if frame.x_kind == "quantitative":
        shown |= {"format": ".6~g"}
    return shown


def series_names(frame: Frame) -> list[str]:
    """Name the series as the hover rule of a line plot does."""
    if not frame.group:
        return [frame.y_label or frame.y]
    names = ("::".join(str(row.get(column)) for column in frame.group) for row in frame.rows)
    return list(dict.fromkeys(names))


def _cycle(values: tuple[Any, ...], count: int) -> list[Any]:
    return [values[index % len(values)] for index in range(count)]

"""The plots that a name stands for, as Vega-Lite: DVC's nine, and vertical bars.

Each function takes a `Frame` and returns the part of a specification that differs. Colours of
text, axes and background are left to the page, which knows the reader's colour scheme.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from assay.render.plot_encodings import (
    colour,
    dash,
    escape_field,
    label_angle,
    plain_columns,
    series_names,
    shape,
    tooltip,
    tooltip_x,
    x_axis,
    y_axis,
    zoom,
)
from assay.render.plot_frame import REV, Frame

Spec = dict[str, Any]

HEIGHT = 300

_IS_SMOOTH = "smooth > 0"
_FEW = 5  # points are enough for the axes to have a range while nothing is made smooth

_MAX_HOVER_ROWS = 3000  # above it, a mark under the pointer for each x makes a page slow


def simple(frame: Frame) -> Spec:
    """Draw lines through the points."""
    return _lines(frame, smoothed=False)


def linear(frame: Frame) -> Spec:
    """Draw lines that a slider makes smoother, over the points as they are."""
    sizes = Counter(tuple(row.get(column) for column in frame.group) for row in frame.rows)
    enough = min(sizes.values()) >= 3  # a smooth line through less is no line
    continuous = frame.x_kind != "nominal" and frame.y_kind == "quantitative"
    return _lines(frame, smoothed=enough and continuous)


def scatter(frame: Frame) -> Spec:
    """Draw each point."""
    transform, x, y = plain_columns(frame)
    return {
        "transform": transform,
        "params": zoom(frame),
        "mark": {"type": "point", "filled": True, "size": 40, "opacity": 0.75},
        "encoding": {
            "x": x_axis(frame, x),
            "y": y_axis(frame, y),
            **colour(frame),
            **shape(frame),
            "tooltip": tooltip(frame, x, y),
        },
    }


def scatter_jitter(frame: Frame) -> Spec:
    """Draw each point beside its category, so that equal ones do not hide each other.

    The offsets are a fixed sequence and not random: the same data makes the same picture.
    """
    transform, x, y = plain_columns(frame)
    offsets = [
        {"window": [{"op": "row_number", "as": "row"}]},
        {"calculate": "(datum.row * 0.7548776662) % 1", "as": "offset_x"},
        {"calculate": "(datum.row * 0.5698402910) % 1", "as": "offset_y"},
    ]
    offset = {"type": "quantitative", "scale": {"domain": [-0.1, 1.1]}}
    return {
        "transform": [*transform, *offsets],
        "mark": {"type": "point", "filled": True, "size": 40, "opacity": 0.75},
        "encoding": {
            "x": {
                "field": x,
                "type": "nominal",
                "title": frame.x_label,
                "axis": label_angle(frame),
            },
            "y": {"field": y, "type": "nominal", "title": frame.y_label},
            "xOffset": {"field": "offset_x", **offset},
            "yOffset": {"field": "offset_y", **offset},
            **colour(frame),
            **shape(frame),
            "tooltip": tooltip(frame, x, y),
        },
    }


def confusion(frame: Frame) -> Spec:
    """Count how often each pair of classes occurs."""
    return _confusion(frame, normalized=False)


def confusion_normalized(frame: Frame) -> Spec:
    """Show of each class of y which share went to each class of x."""
    return _confusion(frame, normalized=True)


def bar_horizontal(frame: Frame) -> Spec:
    """Draw a bar for each category of y, as long as x."""
    return _bars(frame, across=True, order="ascending")


def bar_horizontal_sorted(frame: Frame) -> Spec:
    """Draw a bar for each category of y, as long as x, the longest first."""
    return _bars(frame, across=True, order="-x")


def bar(frame: Frame) -> Spec:
    """Draw an upright bar for each category of x, as high as y; DVC has no such template."""
    return _bars(frame, across=False, order=None)


TEMPLATES: dict[str, Callable[[Frame], Spec]] = {
    "simple": simple,
    "linear": linear,
    "confusion": confusion,
    "confusion_normalized": confusion_normalized,
    "scatter": scatter,
    "scatter_jitter": scatter_jitter,
    "smooth": linear,
    "bar_horizontal_sorted": bar_horizontal_sorted,
    "bar_horizontal": bar_horizontal,
    "bar": bar,
}


def _lines(frame: Frame, *, smoothed: bool) -> Spec:
    transform, x, y = plain_columns(frame)
    encoding = {"x": x_axis(frame, x), **colour(frame), **dash(frame)}
    raw = {"mark": {"type": "line"}, "encoding": {"y": y_axis(frame, y)}, "params": zoom(frame)}
    layers: list[Spec] = [raw]
    if frame.x_kind == "nominal":
        raw["mark"]["point"] = True  # type: ignore[index]
    if smoothed:
        raw["mark"]["opacity"] = {"expr": f"{_IS_SMOOTH} ? 0.25 : 1"}  # type: ignore[index]
        layers.append(_smoothed_line(frame, x, y))
    if frame.x_kind != "nominal" and frame.y_kind == "quantitative":
        layers.append(_last_point(frame, x, y))
        if len(frame.rows) <= _MAX_HOVER_ROWS:
            layers.append(_hover(frame, x, y))
    spec: Spec = {"transform": transform, "encoding": encoding, "layer": layers}
    if smoothed:
        slider = {"input": "range", "min": 0, "max": 1, "step": 0.001, "name": "smooth"}
        spec["params"] = [{"name": "smooth", "value": 0, "bind": slider}]
    return spec


def _smoothed_line(frame: Frame, x: str, y: str) -> Spec:
    smooth = {"loess": y, "on": x, "groupby": frame.group, "bandwidth": {"signal": "smooth"}}
    # to smooth many rows is slow: it waits until it is asked for
    count = {"window": [{"op": "row_number", "as": "nth_"}], "groupby": frame.group}
    asked = {"filter": f"{_IS_SMOOTH} || datum.nth_ <= {_FEW}"}
    return {
        "transform": [count, asked, smooth],
        "mark": {"type": "line", "opacity": {"expr": f"{_IS_SMOOTH} ? 1 : 0"}},
        "encoding": {"y": y_axis(frame, y)},
    }


def _last_point(frame: Frame, x: str, y: str) -> Spec:
    last_y = {**y_axis(frame, y), "aggregate": {"argmax": x}}
    return {
        "mark": {"type": "circle", "size": 30, "opacity": 1},
        "encoding": {
            "x": {**x_axis(frame, x), "aggregate": "max"},
            "y": last_y,
            "strokeDash": None,
        },
    }


def _hover(frame: Frame, x: str, y: str) -> Spec:
    """Show a rule at the x nearest to the pointer, with every series' value there."""
    label = " + '::' + ".join(
        f"datum[{json.dumps(column)}]" for column in frame.group
    ) or json.dumps(frame.y_label or y)
    values = [
        {"field": escape_field(name), "title": name, "type": "quantitative", "format": ".5~g"}
        for name in series_names(frame)
    ]
    nearest = {"type": "point", "fields": [x], "nearest": True, "on": "pointerover"}
    return {
        "transform": [
            {"calculate": label, "as": "series_name"},
            {"pivot": "series_name", "value": y, "op": "mean", "groupby": [x]},
        ],
        "params": [{"name": "hover", "select": {**nearest, "clear": "pointerout"}}],
        "mark": {"type": "rule", "aria": False},
        "encoding": {
            "color": None,
            "strokeDash": None,
            "opacity": {"condition": {"param": "hover", "empty": False, "value": 0.5}, "value": 0},
            "tooltip": [tooltip_x(frame, x), *values],
        },
    }


def _confusion(frame: Frame, *, normalized: bool) -> Spec:
    cells = _cells(frame)
    value, pattern = ("share", ".2f") if normalized else ("count", ",d")
    classes = {"type": "nominal", "sort": _classes(frame)}
    x, y = ({"field": name, **classes} for name in ("x", "y"))
    paint = "share" if normalized else "shade"
    matrix: Spec = {
        "encoding": {
            "x": {**x, "title": frame.x_label, "axis": label_angle(frame)},
            "y": {**y, "title": frame.y_label},
            "tooltip": [
                {"field": "x", "title": frame.x_label or "x"},
                {"field": "y", "title": frame.y_label or "y"},
                {"field": "count", "title": "count", "format": ",d"},
                {"field": "share", "title": "share of the row", "format": ".3f"},
            ],
        },
        "layer": [{"mark": "rect", "encoding": {"opacity": _opacity(paint)}}],
    }
    if len(classes["sort"]) <= 20:
        ink = {"condition": {"test": f"datum.{paint} > 0.8", "value": "white"}}
        text = {"text": {"field": value, "format": pattern}, "color": ink}
        matrix["layer"].append({"mark": "text", "encoding": text})
    size = min(max(36 * len(classes["sort"]), 240), 640)
    if len(frame.revs) <= 1 and not frame.source:
        return {"data": {"values": cells}, **matrix, "height": size}
    facet: Spec = {"row": {"field": frame.source, "title": None}} if frame.source else {}
    if frame.revs:
        facet["column"] = {"field": REV, "title": None, "sort": list(frame.revs)}
    matrix = {**matrix, "width": size, "height": size}
    return {"data": {"values": cells}, "facet": facet, "spec": matrix, "width": None}


def _cells(frame: Frame) -> list[Spec]:
    """Count the pairs of classes of each series; pairs that do not occur are there with 0."""
    counts: dict[tuple[Any, ...], Counter[tuple[Any, Any]]] = {}
    for row in frame.rows:
        key = tuple(row.get(column) for column in frame.group)
        counts.setdefault(key, Counter())[row[frame.x], row[frame.y]] += 1
    most = max(max(counter.values()) for counter in counts.values())
    classes, cells = _classes(frame), []
    for key, counter in counts.items():
        group = dict(zip(frame.group, key, strict=True))
        for y in classes:
            total = sum(counter[x, y] for x in classes)
            for x in classes:
                count = counter[x, y]
                share = count / total if total else 0.0
                figures = {"count": count, "share": share, "shade": count / most}
                cells.append({"x": x, "y": y, **figures, **group})
    return cells


def _classes(frame: Frame) -> list[Any]:
    seen = {row[name] for row in frame.rows for name in (frame.x, frame.y)}
    return sorted(seen, key=lambda value: (isinstance(value, str), value is None, value or 0))


def _opacity(field: str) -> Spec:
    scale = {"domain": [0, 1], "range": [0.04, 1]}
    return {"field": field, "type": "quantitative", "scale": scale, "legend": None}


def _bars(frame: Frame, *, across: bool, order: str | None) -> Spec:
    transform, x, y = plain_columns(frame)
    # DVC lets bars begin above zero; a bar is read by its length, so ours do not
    length = {"type": "quantitative", "scale": {"zero": True}, "stack": None}
    category = {"type": "nominal", "sort": order}
    offset = {"field": frame.group[0], "sort": None} if frame.group else None
    if across:
        axes = {
            "x": {"field": x, **length, "title": frame.x_label},
            "y": {"field": y, **category, "title": frame.y_label},
        }
    else:
        axes = {
            "x": {"field": x, **category, "title": frame.x_label, "axis": label_angle(frame)},
            "y": {"field": y, **length, "title": frame.y_label},
        }
    spec: Spec = {
        "transform": transform,
        "mark": {"type": "bar", "cornerRadiusEnd": 2},
        "encoding": {
            **axes,
            **({"yOffset" if across else "xOffset": offset} if offset else {}),
            **colour(frame),
            "tooltip": tooltip(frame, x, y),
        },
    }
    if frame.revs and frame.source:
        spec["encoding"]["row"] = {"field": frame.source, "title": None}
        spec["width"] = 480
    if across:
        n_categories = len({row[frame.y] for row in frame.rows})
        n_bars = n_categories * max(len(frame.revs), len(frame.sources) if not frame.revs else 1)
        spec["height"] = max(120, 22 * n_bars)
    return spec

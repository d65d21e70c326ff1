"""A user's own plot template: Vega-Lite with DVC's anchors, filled in with data and definition.

Source: the templates of DVC 3, `<DVC_METRIC_DATA>` and its kin, each a whole string value; the
text anchors (title, columns, labels) may also stand inside of a longer string.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from assay.base.errors import Error
from assay.render.plot_encodings import COLOURS, escape_field
from assay.render.plot_frame import REV, Frame, PlotDefinition, Row, make_frame
from assay.render.plot_templates import HEIGHT

_PREFIX = "<DVC_METRIC_"


def fill_anchors(
    template: Mapping[str, Any], rows: Sequence[Row], definition: PlotDefinition
) -> dict[str, Any]:
    """Return the template with every anchor replaced.

    Raises
    ------
    assay.base.errors.Error
        If the template has no place for the data.
    """
    values = _values(make_frame(rows, definition, whole=True))
    if not _mentions(template, "<DVC_METRIC_DATA>"):
        raise Error(
            f"the plot template '{definition.template}' has no place for the data",
            hint='put "values": "<DVC_METRIC_DATA>" into its "data"',
        )
    filled: dict[str, Any] = _fill(dict(template), values)
    return filled


def _values(frame: Frame) -> dict[str, Any]:
    source = [{"field": frame.source, "sort": []}] if frame.source else []
    legend = {"symbolFillColor": "transparent", "symbolStrokeColor": "grey"}
    by_source = {"field": frame.source, "legend": legend} if frame.source else {}
    label = [f"datum['{column}']" for column in frame.group]
    fields = [*frame.group, frame.x, frame.y]
    values: dict[str, Any] = {
        "DATA": frame.rows,
        "TITLE": frame.title,
        "X": escape_field(frame.x),
        "Y": escape_field(frame.y),
        "X_LABEL": frame.x_label,
        "Y_LABEL": frame.y_label,
        "PLOT_WIDTH": HEIGHT,
        "PLOT_HEIGHT": HEIGHT,
        "COLOR": _colour(frame),
        "STROKE_DASH": by_source,
        "SHAPE": by_source,
        "ROW": source[0] if source else {},
        "COLUMN": source[0] if source else {},
        "TOOLTIP": [{"field": escape_field(name)} for name in fields],
        "GROUP_BY": frame.group,
        "GROUP_BY_X": [*frame.group, frame.x],
        "GROUP_BY_Y": [*frame.group, frame.y],
        "PIVOT_FIELD": " + '::' + ".join(label) or "''",
        "ZOOM_AND_PAN": {"name": "grid", "select": "interval", "bind": "scales"},
    }
    return {f"{_PREFIX}{name}>": value for name, value in values.items()}


def _colour(frame: Frame) -> dict[str, Any]:
    if not frame.revs:
        return {}
    colours = [COLOURS[index % len(COLOURS)] for index in range(len(frame.revs))]
    return {"field": REV, "scale": {"domain": list(frame.revs), "range": colours}}


def _fill(node: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(node, dict):
        return {key: _fill(value, values) for key, value in node.items()}
    if isinstance(node, list):
        return [_fill(value, values) for value in node]
    if isinstance(node, str) and _PREFIX in node:
        if node in values:
            return values[node]
        for anchor, value in values.items():
            if isinstance(value, str):
                node = node.replace(anchor, value)
    return node


def _mentions(node: Any, anchor: str) -> bool:
    if isinstance(node, dict):
        return any(_mentions(value, anchor) for value in node.values())
    if isinstance(node, list):
        return any(_mentions(value, anchor) for value in node)
    return bool(node == anchor)

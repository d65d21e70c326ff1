"""A plot as a picture, PNG or SVG, without a browser: `vl-convert-python` draws Vega-Lite itself.

Light colours on white, for papers and messages; a page (`assay.render.page`) follows its reader.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, Literal

from assay.base.errors import Error

Kind = Literal["png", "svg"]

WIDTH = 600  # of a plot that is as wide as what it stands in
SCALE = 2  # pixels of a PNG for each of the plot: sharp on today's screens

_INK, _MUTED, _LINE, _EDGE = "#1b2430", "#5c6775", "#e6e9ed", "#c3cad3"
_FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
_CONFIG = {
    "background": "white",
    "padding": 16,
    "font": _FONT,
    "view": {"stroke": "transparent"},
    "mark": {"color": "#945dd6"},
    "line": {"strokeWidth": 2},
    "text": {"color": _INK},
    "rule": {"color": _MUTED},
    "title": {"color": _INK, "subtitleColor": _MUTED, "anchor": "start", "fontSize": 14},
    "axis": {
        "labelColor": _MUTED,
        "titleColor": _MUTED,
        "gridColor": _LINE,
        "domainColor": _EDGE,
        "tickColor": _EDGE,
        "titleFontWeight": 500,
        "titlePadding": 8,
    },
    "axisX": {"grid": False, "labelOverlap": "parity", "labelSeparation": 4},
    "axisY": {"domain": False, "ticks": False},
    "header": {"labelColor": _MUTED, "titleColor": _MUTED},
    "legend": {
        "labelColor": _INK,
        "titleColor": _MUTED,
        "orient": "top",
        "direction": "horizontal",
        "columns": 4,
        "labelLimit": 240,
        "title": None,
    },
}


def check() -> None:
    """Raise `Error` where the extra that draws is not installed."""
    if find_spec("vl_convert") is None:
        raise Error(
            "pictures of plots need an extra that is not installed",
            hint="pip install 'assay[plots]'",
        )


def picture(spec: Mapping[str, Any], *, kind: Kind, title: str = "") -> bytes:
    """Draw a plot.

    Parameters
    ----------
    spec : mapping
        Vega-Lite with its data; addresses of other data are not followed.
    title : str
        What stands above it, where the specification has no title.

    Raises
    ------
    assay.base.errors.Error
        If the extra that draws is not installed, or the specification cannot be drawn.
    """
    check()
    import vl_convert

    whole = {"title": title, **spec} if title else dict(spec)
    if whole.get("width") == "container":
        whole["width"] = WIDTH
    try:
        if kind == "svg":
            text = vl_convert.vegalite_to_svg(whole, config=_CONFIG, allowed_base_urls=[])
            return text.encode()
        return vl_convert.vegalite_to_png(whole, scale=SCALE, config=_CONFIG, allowed_base_urls=[])
    except ValueError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = next(
            (line for line in lines if "conversion failed" not in line), "no reason given"
        )
        raise Error(
            f"the plot cannot be drawn: {reason}",
            where=title or None,
            hint="see 'assay plots show --show-vega' for what was to be drawn",
        ) from error

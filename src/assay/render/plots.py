"""Plots as Vega-Lite: a data file becomes rows, rows and a definition become a specification.

The specification holds its data and no colours of its own but those of the series; a page
(`assay.render.page`) or any other Vega-Lite program draws it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assay.base.errors import Error, NotFound, did_you_mean
from assay.base.files import explain
from assay.project import yaml12
from assay.render.plot_anchors import fill_anchors
from assay.render.plot_frame import PlotDefinition, Row, as_number, make_frame
from assay.render.plot_templates import HEIGHT, TEMPLATES

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
SUFFIXES = (".json", ".yaml", ".yml", ".csv", ".tsv")


def plot_spec(
    rows: Sequence[Row], definition: PlotDefinition, *, template: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return a plot as a Vega-Lite specification that holds its data.

    Parameters
    ----------
    rows : sequence of mapping
        One mapping of column to value a row. The columns `rev` and `filename` tell rows of
        different revisions and files apart; revisions get DVC's colours in order of appearance.
    definition : PlotDefinition
        Columns, labels, title, and the name of one of `TEMPLATES`.
    template : mapping, optional
        A template of the user's own with DVC's anchors (`<DVC_METRIC_DATA>` and so on); it is
        used in place of the one that the definition names.

    Raises
    ------
    assay.base.errors.Error
        If there is nothing to plot, or a column or the template is not known.

    Examples
    --------
    >>> spec = plot_spec([{"step": 0, "loss": 1.5}], PlotDefinition(x="step", y="loss"))
    >>> spec["data"]["values"]
    [{'step': 0, 'loss': 1.5}]
    """
    if template is not None:
        return fill_anchors(template, rows, definition)
    draw = TEMPLATES.get(definition.template)
    if draw is None:
        raise NotFound(
            f"there is no plot template '{definition.template}'",
            where=definition.title or None,
            hint=did_you_mean(definition.template, TEMPLATES)
            or f"use one of {', '.join(TEMPLATES)}",
        )
    frame = make_frame(rows, definition)
    base = {
        "$schema": SCHEMA,
        "title": frame.title,
        "data": {"values": frame.rows},
        "width": "container",
        "height": HEIGHT,
    }
    spec = {**base, **draw(frame)}
    return {key: value for key, value in spec.items() if value not in (None, "", [])}


def read_plot_data(path: Path, *, header: bool = True) -> list[dict[str, Any]]:
    """Read the rows of a plot's data file: JSON, YAML, CSV or TSV, by its suffix.

    Parameters
    ----------
    path : Path
        JSON and YAML hold a list of mappings, alone or anywhere inside of mappings; the first
        one found is taken.
    header : bool
        Whether the first line of CSV and TSV names the columns; without it they are called
        `0`, `1`, and so on.

    Raises
    ------
    assay.base.errors.Error
        If the file cannot be read as what its suffix says, with the place.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise explain(error, path) from error
    return parse_plot_data(content, suffix=path.suffix, where=str(path), header=header)


def parse_plot_data(
    content: bytes, *, suffix: str, where: str, header: bool = True
) -> list[dict[str, Any]]:
    """Do what `read_plot_data` does for bytes that come from a revision or the cache."""
    kind = suffix.lower()
    if kind not in SUFFIXES:
        raise Error(
            f"'{suffix}' is not a kind of plot data",
            where=where,
            hint=f"use one of {', '.join(SUFFIXES)}",
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Error(f"not UTF-8 at byte {error.start}", where=where) from error
    if kind == ".json":
        return _rows_in(_load_json(text, where), where)
    if kind in {".yaml", ".yml"}:
        return _rows_in(yaml12.load(text, where=where), where)
    return _read_separated(text, "\t" if kind == ".tsv" else ",", where=where, header=header)


def _load_json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        what = f"not JSON: {error.msg.lower()} (column {error.colno})"
        raise Error(what, where=f"{where}:{error.lineno}") from error
    except RecursionError as error:
        raise Error("not plot data: nested too deeply", where=where) from error


def _rows_in(document: Any, where: str) -> list[dict[str, Any]]:
    rows = _find_rows(document)
    if rows is None:
        raise Error(
            "there is no list of mappings in it, the only form that can be plotted",
            where=where,
            hint='write it like [{"step": 0, "loss": 0.5}, {"step": 1, "loss": 0.4}]',
        )
    return [{str(key): _value(value) for key, value in row.items()} for row in rows]


def _find_rows(document: Any) -> list[dict[Any, Any]] | None:
    if isinstance(document, list):
        is_rows = bool(document) and all(isinstance(row, dict) for row in document)
        return document if is_rows else None
    if isinstance(document, dict):
        for value in document.values():
            found = _find_rows(value)
            if found is not None:
                return found
    return None


def _value(value: Any) -> Any:
    return as_number(value) if isinstance(value, str) else value


def _read_separated(
    text: str, separator: str, *, where: str, header: bool
) -> list[dict[str, Any]]:
    reader = csv.reader(text.splitlines(keepends=True), delimiter=separator, strict=True)
    rows: list[dict[str, Any]] = []
    names: list[str] | None = None
    try:
        for cells in reader:
            if not cells:
                continue
            if names is None:
                names = cells if header else [str(index) for index in range(len(cells))]
                if header:
                    continue
            if len(cells) != len(names):
                raise Error(
                    f"a row has {len(cells)} cells, the first line has {len(names)}",
                    where=f"{where}:{reader.line_num}",
                )
            values = (as_number(cell) if cell else None for cell in cells)
            rows.append(dict(zip(names, values, strict=True)))
    except csv.Error as error:
        raise Error(f"not readable: {error}", where=f"{where}:{reader.line_num}") from error
    return rows

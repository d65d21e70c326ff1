"""The plots that a project declares: their data from one or more revisions, drawn on one page.

Source of the definitions and of the JSON: DVC 3.67's `plots:` and `plots show --json`. What can
not be drawn is reported beside what can; `assay.render` makes the pictures.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.errors import Error, NotFound, did_you_mean
from assay.base.files import explain
from assay.project.grammar import Invalid
from assay.workflows import plot_definitions
from assay.workflows.plot_definitions import Declared, Failed, Properties, Series, select
from assay.workflows.views import View

if TYPE_CHECKING:
    from assay.render.plot_frame import PlotDefinition

AS_DECLARED = Properties()

_IMAGES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """One plot as it can be shown: a specification of Vega-Lite, or a picture."""

    id: str
    title: str
    revisions: tuple[str, ...]
    spec: dict[str, Any] | None = None
    picture: bytes = b""
    mime: str = ""


class Plots(msgspec.Struct, frozen=True, kw_only=True):
    """What came of all plots, in the order in which they are declared."""

    drawn: list[Drawn]
    failed: list[Failed]


def draw(
    views: Sequence[View], targets: Sequence[str] = (), *, properties: Properties = AS_DECLARED
) -> Plots:
    """Read and draw the plots of one or more revisions, equal names on one plot.

    Parameters
    ----------
    views : sequence of View
        Their order is that of colours and legends. A plot is drawn as the last of them that has
        it declares it.
    targets : sequence of str
        Only plots with these names, or with data in these files or folders. A file that nothing
        declares is drawn, too.
    properties : Properties
        What is to be otherwise than it is declared.

    Raises
    ------
    NotFound
        If a target is neither; with the nearest name.
    """
    declared = [plot_definitions.declared(view) for view in views]
    broken = [one for _, failed in declared for one in failed]
    merged = {name: plot for plots, _ in declared for name, plot in plots.items()}
    chosen = merged
    if targets:
        chosen = {}
        for target in targets:
            if target not in {one.id for one in broken}:
                chosen.update(select(merged, target, views))
    results: list[Drawn | Failed] = [one for one in broken if not targets or one.id in targets]
    for name, plot in chosen.items():
        having = [
            view
            for view, (plots, _) in zip(views, declared, strict=True)
            if name in plots or name not in merged  # or it is a file that nothing declares
        ]
        are_pictures = all(_mime(one.path) for one in plot.series)
        show = _pictures if are_pictures else _plot
        results.extend(show(name, properties.of(plot), having))
    return Plots(
        drawn=[one for one in results if isinstance(one, Drawn)],
        failed=[one for one in results if isinstance(one, Failed)],
    )


def _mime(path: Path) -> str | None:
    return _IMAGES.get(path.suffix.lower())


def _pictures(name: str, plot: Declared, views: Sequence[View]) -> Iterator[Drawn | Failed]:
    for view in views:
        for one in plot.series:
            try:
                yield Drawn(
                    id=name,
                    title=plot.title or name,
                    revisions=(view.name,),
                    picture=view.read(one.path),
                    mime=_mime(one.path) or "",
                )
            except Error as error:
                yield Failed(id=name, revision=view.name, error=error, source=one.path)


class _Read(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of one series at one revision."""

    revision: str
    series: Series
    rows: list[dict[str, Any]]


def _plot(name: str, plot: Declared, views: Sequence[View]) -> Iterator[Drawn | Failed]:
    """Draw the data of all revisions as one plot; a revision that does not fit is left out."""
    from assay.render.plot_frame import make_frame
    from assay.render.plots import plot_spec

    good: list[_Read] = []
    for view in views:
        results = list(_read(name, plot, view))
        yield from (one for one in results if isinstance(one, Failed))
        read = [one for one in results if isinstance(one, _Read)]
        try:
            if read and len(views) > 1:
                make_frame(*_joined(name, plot, read))
            good += read
        except Error as error:
            yield Failed(id=name, revision=view.name, error=error)
    if not good:
        return
    revisions = tuple(dict.fromkeys(one.revision for one in good))
    try:
        template = _own_template(views[-1], plot.template)
        rows, shown = _joined(name, plot, good, revised=len(views) > 1 or template is not None)
        spec = plot_spec(rows, shown, template=template)
        yield Drawn(id=name, title=shown.title, revisions=revisions, spec=spec)
    except Error as error:
        yield Failed(id=name, revision=", ".join(revisions), error=error)


def _read(name: str, plot: Declared, view: View) -> Iterator[_Read | Failed]:
    for series in plot.series:
        source: Path | None = series.path
        try:
            rows = _rows(view, series.path, header=plot.header)
            if series.x and series.x_path and series.x_path != series.path:
                source = series.x_path
                over = _rows(view, source, header=plot.header)
                source = None  # each file is good, but not with the other
                rows = _with_x(rows, over, series, where=view.shown(series.x_path))
            yield _Read(revision=view.name, series=series, rows=rows)
        except Error as error:
            yield Failed(id=name, revision=view.name, error=error, source=source)


def _rows(view: View, path: Path, *, header: bool) -> list[dict[str, Any]]:
    from assay.render.plots import parse_plot_data

    where = view.shown(path)
    rows = parse_plot_data(view.read(path), suffix=path.suffix, where=where, header=header)
    if not rows:
        raise Error("there is no row in it", where=where)
    return rows


def _with_x(
    rows: list[dict[str, Any]], over: list[dict[str, Any]], series: Series, *, where: str
) -> list[dict[str, Any]]:
    """Join the x of another file to rows, by position."""
    if len(over) != len(rows):
        raise Error(
            f"it has {len(over)} rows for x, '{series.path.name}' has {len(rows)} for y",
            where=where,
            hint="x and y of one plot need the same number of rows",
        )
    name = series.x or ""
    if not any(name in row for row in over):
        hint = did_you_mean(name, over[0])
        raise NotFound(f"it has no column '{name}'", where=where, hint=hint)
    return [{**row, name: x.get(name)} for row, x in zip(rows, over, strict=True)]


def _joined(
    name: str, plot: Declared, read: Sequence[_Read], *, revised: bool = False
) -> tuple[list[dict[str, Any]], PlotDefinition]:
    """Return the rows of all series, and what to draw of them."""
    from assay.render.plot_frame import FILENAME, REV, PlotDefinition

    rows = []
    parent = os.path.commonpath([series.path.parent for series in plot.series])
    files = {series.path: os.path.relpath(series.path, parent) for series in plot.series}
    for one in read:
        extra = {REV: one.revision} if revised else {}
        if len(plot.series) > 1:
            extra[FILENAME] = files[one.series.path]
        rows += [{**row, **extra} for row in one.rows]
    used = {one.series.path: one.series for one in read}.values()
    single = plot.series[0]
    definition = PlotDefinition(
        title=plot.title or name,
        x=single.x if len(plot.series) == 1 else {files[s.path]: s.x for s in used if s.x} or None,
        y=(single.y or None) if len(plot.series) == 1 else {files[s.path]: s.y for s in used},
        template=plot.template,
        x_label=plot.x_label,
        y_label=plot.y_label,
    )
    return rows, definition


def _own_template(view: View, name: str) -> dict[str, Any] | None:
    """Return a template out of `.dvc/plots`, by name or path; None for one that is built in."""
    import json

    project = view.project
    folder = project.dvc_dir / "plots"
    paths = sorted(folder.rglob("*.json"))
    asked = {name, f"{name}.json"}
    found = [p for p in paths if p.name in asked or p.relative_to(folder).as_posix() in asked]
    if not found and name.endswith(".json"):
        found = [path for path in (view.cwd / name, project.root / name) if path.is_file()]
    if not found:
        return None
    try:
        template = json.loads(found[0].read_bytes())
    except OSError as error:
        raise explain(error, project.relative(found[0])) from error
    except (ValueError, RecursionError) as error:
        where = project.relative(found[0])
        raise Invalid(f"the plot template is not JSON: {error}", where=where) from error
    if not isinstance(template, dict):
        raise Invalid("the plot template is no mapping", where=project.relative(found[0]))
    return template

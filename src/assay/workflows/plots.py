"""The plots that a project declares: their data from one or more revisions, drawn on one page.

Source of the definitions and of the JSON: DVC 3.67's `plots:` and `plots show --json`. What can
not be drawn is reported beside what can; `assay.render` makes the pictures.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.errors import Error, NotFound, did_you_mean
from assay.base.files import explain, write_atomic
from assay.project.grammar import Invalid
from assay.project.workspace import Project
from assay.workflows import plot_definitions
from assay.workflows.plot_definitions import Declared, Failed, Series, select
from assay.workflows.results import describe
from assay.workflows.views import View

if TYPE_CHECKING:
    from assay.render.plot_frame import PlotDefinition
    from assay.render.sections import Section

FOLDER = "dvc_plots"

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


def draw(views: Sequence[View], targets: Sequence[str] = ()) -> Plots:
    """Read and draw the plots of one or more revisions, equal names on one plot.

    Parameters
    ----------
    views : sequence of View
        Their order is that of colours and legends. A plot is drawn as the last of them that has
        it declares it.
    targets : sequence of str
        Only plots with these names, or with data in these files or folders. A file that nothing
        declares is drawn, too.

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
        results.extend((_pictures if are_pictures else _plot)(name, plot, having))
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
            if read:
                make_frame(*_joined(name, plot, read))
            good += read
        except Error as error:
            yield Failed(id=name, revision=view.name, error=error)
    if not good:
        return
    revisions = tuple(dict.fromkeys(one.revision for one in good))
    try:
        rows, shown = _joined(name, plot, good, revised=len(views) > 1)
        spec = plot_spec(rows, shown, template=_own_template(views[-1].project, plot.template))
        yield Drawn(id=name, title=shown.title, revisions=revisions, spec=spec)
    except Error as error:
        yield Failed(id=name, revision=", ".join(revisions), error=error)


def _read(name: str, plot: Declared, view: View) -> Iterator[_Read | Failed]:
    for series in plot.series:
        source = series.path
        try:
            rows = _rows(view, source, header=plot.header)
            if series.x is not None and series.x_path is not None and series.x_path != source:
                source = series.x_path
                over = _rows(view, source, header=plot.header)
                rows = _with_x(rows, over, series, where=view.shown(source))
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


def _own_template(project: Project, name: str) -> dict[str, Any] | None:
    """Return a template out of `.dvc/plots`, by name or path; None for one that is built in."""
    import json

    folder = project.dvc_dir / "plots"
    paths = sorted(folder.rglob("*.json"))
    asked = {name, f"{name}.json"}
    found = [p for p in paths if p.name in asked or p.relative_to(folder).as_posix() in asked]
    if not found and name.endswith(".json"):
        found = [path for path in (project.root / name,) if path.is_file()]
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


def document(plots: Plots, view: View) -> dict[str, Any]:
    """Return plots in the form of DVC's `plots show --json`; pictures are data URLs."""
    data: dict[str, list[dict[str, Any]]] = {one.id: [] for one in plots.drawn}
    for one in plots.drawn:
        entry: dict[str, Any] = {"type": "vega", "revisions": list(one.revisions)}
        if one.spec is not None:
            entry["content"] = one.spec
        else:
            content = base64.b64encode(one.picture).decode()
            entry |= {"type": "image", "url": f"data:{one.mime};base64,{content}"}
        data[one.id].append(entry)
    return {"data": data, "errors": [_error(one, view) for one in plots.failed]}


def _error(one: Failed, view: View) -> dict[str, str]:
    entry = {"name": one.id, "rev": one.revision}
    if one.source is None:
        return entry | {"type": type(one.error).__name__, "msg": str(one.error)}
    return (
        entry
        | {"source": view.project.shown(one.source, cwd=view.cwd)}
        | describe(one.error, one.source)
    )


def write_page(plots: Plots, views: Sequence[View], *, folder: Path) -> Path:
    """Write all plots as one file that needs no other and no network; return where it is.

    Raises
    ------
    Error
        If there is nothing to show.
    """
    from assay.render.page import page

    if not plots.drawn:
        if not plots.failed:
            raise NotFound(
                "no plots are declared",
                where=views[-1].shown(views[-1].project.root),
                hint="name their data files under 'plots:' in dvc.yaml",
            )
        raise Error(
            "no plot could be drawn", hint="correct what is said above, and run the command again"
        )
    text = page(
        f"Plots of {views[-1].project.root.name}",
        list(_sections(plots, views)),
        lead=_lead(plots, views),
        origin={view.name: view.commit[:12] for view in views if view.commit is not None},
    )
    target = folder / "index.html"
    try:
        is_new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, folder) from error
    if is_new:  # what is drawn is no part of the code of a run
        write_atomic(folder / ".gitignore", "*\n")
    write_atomic(target, text)
    return target


def _lead(plots: Plots, views: Sequence[View]) -> str:
    count = len({one.id for one in plots.drawn})
    of = ", ".join(view.name if view.commit else "the workspace" for view in views)
    failed = len({one.id for one in plots.failed})
    rest = f" Of {failed}, something could not be drawn: see the end." if failed else ""
    return f"{count} plot{'' if count == 1 else 's'}: {of}.{rest}"


def _sections(plots: Plots, views: Sequence[View]) -> Iterator[Section]:
    from assay.render.sections import Image, Plot, Table

    for one in plots.drawn:
        if one.spec is not None:
            yield Plot(spec=one.spec, title=one.title)
            continue
        title = f"{one.title} ({one.revisions[0]})" if len(views) > 1 else one.title
        yield Image(content=one.picture, mime=one.mime, title=title)
    if plots.failed:
        yield Table(
            caption="What could not be drawn",
            header=("Plot", "Revision", "Why"),
            rows=tuple((one.id, one.revision, str(one.error)) for one in plots.failed),
        )

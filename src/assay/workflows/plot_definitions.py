"""The plots that a project declares, with its stages or beside them. Source: DVC 3.67's `plots:`.

Nothing here reads the data of a plot: `assay.workflows.plots` does, and draws it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from assay.base.errors import Error, NotFound, did_you_mean
from assay.project.dvcyaml import PipelineFile
from assay.project.grammar import Invalid
from assay.workflows.views import View, beside


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """Columns of one file, and the column, maybe of another file, that they are drawn over.

    Attributes
    ----------
    y : tuple of str
        Empty for the last column.
    x : str or None
        None for the number of the row.
    """

    path: Path
    y: tuple[str, ...] = ()
    x: str | None = None
    x_path: Path | None = None


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """One plot as it is declared.

    Attributes
    ----------
    id : str
        Its name: what stands in the file, or the path of its data, relative to a person's folder.
    file : str
        The `dvc.yaml` that has it beside its stages; empty for an output of a stage.
    """

    id: str
    file: str = ""
    series: tuple[Series, ...]
    title: str | None = None
    template: str = "linear"
    x_label: str | None = None
    y_label: str | None = None
    header: bool = True


class Properties(msgspec.Struct, frozen=True, kw_only=True):
    """What a person wants otherwise than it is declared; None for what stays."""

    x: str | None = None
    y: str | None = None
    title: str | None = None
    template: str | None = None
    x_label: str | None = None
    y_label: str | None = None
    header: bool | None = None

    def of(self, plot: Declared) -> Declared:
        """Return a plot with these properties in place of its own."""
        given = {
            name: value
            for name, value in msgspec.structs.asdict(self).items()
            if value is not None
        }
        x, y = given.pop("x", None), given.pop("y", None)
        series = plot.series
        if x is not None:
            series = tuple(msgspec.structs.replace(one, x=x, x_path=None) for one in series)
        if y is not None:
            series = tuple(msgspec.structs.replace(one, y=(y,)) for one in series)
        return msgspec.structs.replace(plot, series=series, **given)


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """Why a plot, or its part of one revision, cannot be shown."""

    id: str
    revision: str
    error: Error
    source: Path | None = None


def declared(view: View) -> tuple[dict[str, Declared], list[Failed]]:
    """Return the plots of a revision by name, and the definitions that are not valid.

    To a name that is declared in two places, the file that declares it is added, as DVC does:
    `dvc.yaml::loss`.
    """
    plots = list(_declarations(view))
    failed = [plot for plot in plots if isinstance(plot, Failed)]
    return _by_name([plot for plot in plots if isinstance(plot, Declared)]), failed


def select(
    declared: Mapping[str, Declared], target: str, views: Sequence[View]
) -> dict[str, Declared]:
    """Return the plots that a target names, by its words or its path; a folder names all in it.

    A file that is only part of a plot with a name is drawn by itself, as any other file.

    Raises
    ------
    NotFound
        If it names neither a plot nor a file; with the nearest name.
    """
    project, cwd = views[-1].project, views[-1].cwd
    named = {name: plot for name, plot in declared.items() if target in {name, plot.id}}
    if named:
        return named
    path = Path(os.path.normpath(cwd / target))
    views[-1].check_inside(path)
    below = {
        name: plot
        for name, plot in declared.items()
        if _is_own(plot, project.shown(plot.series[0].path, cwd=cwd))
        and path in {plot.series[0].path, *plot.series[0].path.parents}
    }
    if below:
        return below
    for view in reversed(views):
        if view.has(path):
            paths = {project.shown(file, cwd=cwd): file for file in view.list_files(path)}
            return {
                name: Declared(id=name, series=(Series(path=file),))
                for name, file in paths.items()
            }
    raise NotFound(
        f"'{target}' is neither a plot nor a file",
        hint=did_you_mean(target, declared)
        or (f"plots are: {', '.join(declared)}" if declared else "see 'plots:' in dvc.yaml"),
    )


def _is_own(plot: Declared, shown: str) -> bool:
    """Say whether a plot is that of its only file, and not one of many under a name."""
    return len(plot.series) == 1 and plot.id == shown


def _by_name(plots: Sequence[Declared]) -> dict[str, Declared]:
    places: dict[str, set[str]] = {}
    for plot in plots:
        places.setdefault(plot.id, set()).add(plot.file)
    return {
        f"{plot.file}::{plot.id}" if plot.file and len(places[plot.id]) > 1 else plot.id: plot
        for plot in plots
    }


def _declarations(view: View) -> Iterator[Declared | Failed]:
    for stage in view.declared.stages:
        for out in stage.outs:
            if out.kind == "plot":
                given = {k: v for k, v in out.properties.items() if k in _Given.__struct_fields__}
                for path in view.list_files(stage.path(out.path)):
                    yield _declare(view, path, given, file=stage.file)
    for file in view.declared.files:
        yield from _beside_stages(view, file)


def _beside_stages(view: View, file: PipelineFile) -> Iterator[Declared | Failed]:
    place = view.project.shown(file.path, cwd=view.cwd)
    given: dict[Any, Any] = {}
    for item in file.plots:
        given.update(item if isinstance(item, dict) else {item: None})
    paths = {beside(file.path, str(name)) for name in given}
    for name, properties in given.items():
        own = beside(file.path, str(name))
        if isinstance(properties, dict) and isinstance(properties.get("y"), dict):
            found = [_declare(view, own, properties, file=file.path, name=str(name))]
        else:
            found = [
                _declare(view, path, properties, file=file.path)
                for path in view.list_files(own)
                if next((p for p in (path, *path.parents) if p in paths), own) == own
            ]
        for plot in found:
            is_plot = isinstance(plot, Declared)
            yield msgspec.structs.replace(plot, file=place) if is_plot else plot


class _Given(msgspec.Struct, frozen=True):
    """The properties of a plot as they can be written."""

    x: str | dict[str, str] | None = None
    y: str | list[str] | dict[str, str | list[str]] | None = None
    title: str | None = None
    template: str | None = None
    x_label: str | None = None
    y_label: str | None = None
    header: bool = True


def _declare(
    view: View, path: Path, given: Any, *, file: Path, name: str | None = None
) -> Declared | Failed:
    """Check what is given of one plot; its name is the path of its data, unless it has one."""
    name = name or view.project.shown(path, cwd=view.cwd)
    try:
        properties = _check(given or {}, where=f"{view.shown(file)}: plots.{name}")
        return Declared(
            id=name,
            series=_series(properties, path, file=file, where=f"{view.shown(file)}: plots.{name}"),
            title=properties.title,
            template=properties.template or "linear",
            x_label=properties.x_label,
            y_label=properties.y_label,
            header=properties.header,
        )
    except Error as error:
        return Failed(id=name, revision=view.name, error=error)


def _check(given: Any, *, where: str) -> _Given:
    known = _Given.__struct_fields__
    for key in given if isinstance(given, dict) else ():
        if key not in known:
            raise Invalid(
                f"a plot has no property '{key}'",
                where=where,
                hint=did_you_mean(str(key), known) or f"known are: {', '.join(known)}",
            )
    try:
        return msgspec.convert(given, _Given)
    except msgspec.ValidationError as error:
        what = str(error).replace("`", "'").replace("$.", "").replace("'$'", "the plot")
        raise Invalid(what[0].lower() + what[1:], where=where) from error


def _series(given: _Given, path: Path, *, file: Path, where: str) -> tuple[Series, ...]:
    columns: dict[Path, str | list[str]] = {path: given.y or []}  # type: ignore[dict-item]
    if isinstance(given.y, dict):
        columns = {beside(file, name): y for name, y in given.y.items()}
    if not columns:
        raise Invalid("y names no file", where=where, hint="write 'y: {FILE: COLUMN}'")
    ys = {path: (y,) if isinstance(y, str) else tuple(y) for path, y in columns.items()}
    if not isinstance(given.x, dict):
        return tuple(Series(path=path, y=y, x=given.x) for path, y in ys.items())
    xs = {beside(file, name): x for name, x in given.x.items()}
    if len(xs) not in {1, len(ys)}:
        raise Invalid(
            f"x is given in {len(xs)} files, y in {len(ys)}",
            where=where,
            hint="give x in one file, or in as many as y",
        )
    places = list(xs) * (len(ys) if len(xs) == 1 else 1)
    chosen = [path if path in xs else place for path, place in zip(ys, places, strict=True)]
    return tuple(
        Series(path=path, y=y, x=xs[x_path], x_path=x_path)
        for (path, y), x_path in zip(ys.items(), chosen, strict=True)
    )

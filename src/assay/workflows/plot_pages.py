"""What came of plots, for people and programs: a page, pictures, DVC's JSON.

`assay.workflows.plots` draws them; here they are only written.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from assay.base.errors import Error, NotFound
from assay.base.files import explain, write_atomic
from assay.workflows.plot_definitions import Failed
from assay.workflows.plots import Plots
from assay.workflows.results import describe
from assay.workflows.views import View

if TYPE_CHECKING:
    from assay.render.sections import Section

FOLDER = "dvc_plots"

_SUFFIXES = {"image/jpeg": ".jpg", "image/gif": ".gif", "image/png": ".png"}
_DIVS, _SCRIPTS = "{plot_divs}", "{scripts}"


def document(plots: Plots, view: View, *, split: bool = False) -> dict[str, Any]:
    """Return plots in the form of DVC's `plots show --json`; pictures are data URLs.

    Parameters
    ----------
    split : bool
        Give the data and titles of plots apart from their specifications, where DVC's anchors
        stand for them.
    """
    data: dict[str, list[dict[str, Any]]] = {one.id: [] for one in plots.drawn}
    for one in plots.drawn:
        entry: dict[str, Any] = {"type": "vega", "revisions": list(one.revisions)}
        if one.spec is not None:
            entry |= _split(one.spec) if split else {"content": one.spec}
        else:
            content = base64.b64encode(one.picture).decode()
            entry |= {"type": "image", "url": f"data:{one.mime};base64,{content}"}
        data[one.id].append(entry)
    return {"data": data, "errors": [_error(one, view) for one in plots.failed]}


def _split(spec: Mapping[str, Any]) -> dict[str, Any]:
    anchors = {"<DVC_METRIC_DATA>": spec["data"]["values"]}
    content = {**spec, "data": {**spec["data"], "values": "<DVC_METRIC_DATA>"}}
    if "title" in spec:
        anchors["<DVC_METRIC_TITLE>"] = spec["title"]
        content["title"] = "<DVC_METRIC_TITLE>"
    return {"content": content, "anchor_definitions": anchors}


def _error(one: Failed, view: View) -> dict[str, str]:
    entry = {"name": one.id, "rev": one.revision}
    if one.source is None:
        return entry | {"type": type(one.error).__name__, "msg": str(one.error)}
    return (
        entry
        | {"source": view.project.shown(one.source, cwd=view.cwd)}
        | describe(one.error, one.source)
    )


def write_page(
    plots: Plots, views: Sequence[View], *, folder: Path, template: Path | None = None
) -> Path:
    """Write all plots as one file that needs no other and no network; return where it is.

    Parameters
    ----------
    template : Path, optional
        A page of the user's own, with `{plot_divs}` and `{scripts}` where these belong.

    Raises
    ------
    Error
        If there is nothing to show, or the template has no place for the plots.
    """
    _check_any(plots, views)
    own = _read_template(template) if template else None
    sections = list(_sections(plots, views))
    if own is not None:
        from assay.render.page import fragments

        divs, scripts = fragments(sections)
        text = own.replace("{refresh_tag}", "").replace(_SCRIPTS, scripts).replace(_DIVS, divs)
    else:
        from assay.render.page import page

        text = page(
            f"Plots of {views[-1].project.root.name}",
            sections,
            lead=_lead(plots, views),
            origin={view.name: view.commit[:12] for view in views if view.commit is not None},
        )
    _make_folder(folder)
    write_atomic(folder / "index.html", text)
    return folder / "index.html"


def _check_any(plots: Plots, views: Sequence[View]) -> None:
    if plots.drawn:
        return
    if not plots.failed:
        raise NotFound(
            "no plots are declared",
            where=views[-1].shown(views[-1].project.root),
            hint="name their data files under 'plots:' in dvc.yaml",
        )
    raise Error(
        "no plot could be drawn", hint="correct what is said above, and run the command again"
    )


def _read_template(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise explain(error, path) from error
    except UnicodeDecodeError as error:
        raise Error("the page template is not UTF-8 text", where=path) from error
    for place, what in ((_DIVS, "the plots"), (_SCRIPTS, "what draws them")):
        if place not in text:
            raise Error(
                f"the page template has no place for {what}",
                where=path,
                hint=f"write '{place}' into it, where they belong",
            )
    return text


def _make_folder(folder: Path) -> None:
    try:
        is_new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, folder) from error
    if is_new:  # what is drawn is no part of the code of a run
        write_atomic(folder / ".gitignore", "*\n")


def write_pictures(
    plots: Plots, views: Sequence[View], *, folder: Path, kind: Literal["png", "svg"]
) -> tuple[list[Path], list[Failed]]:
    """Write a picture for each plot, and those that are pictures as they are.

    Returns where they are, and what could not be drawn.

    Raises
    ------
    Error
        If there is nothing to write, or the extra that draws is not installed.
    """
    from assay.render.plot_pictures import check, picture

    _check_any(plots, views)
    if any(one.spec is not None for one in plots.drawn):
        check()
    contents: dict[str, bytes] = {}
    failed = []
    for one in plots.drawn:
        try:
            if one.spec is not None:
                content, suffix = picture(one.spec, kind=kind, title=one.title), f".{kind}"
            else:
                content, suffix = one.picture, _SUFFIXES.get(one.mime, ".svg")
            stem = (
                f"{one.revisions[0]}_{one.id}" if one.spec is None and len(views) > 1 else one.id
            )
            contents[_free_name(stem, suffix, contents)] = content
        except Error as error:
            revision = ", ".join(one.revisions)
            failed.append(Failed(id=one.id, revision=revision, error=error))
    if not contents:
        raise failed[0].error
    _make_folder(folder)
    for name, content in contents.items():
        write_atomic(folder / name, content)
    return [folder / name for name in contents], failed


def _free_name(stem: str, suffix: str, taken: Mapping[str, bytes]) -> str:
    """Return a file name for a plot that no other has: `plots/loss.csv` is `plots_loss.png`."""
    stem = re.sub(r"\.(json|ya?ml|csv|tsv|png|svg|gif|jpe?g)$", "", stem, flags=re.IGNORECASE)
    stem = re.sub(r"[^\w.@=+-]+", "_", stem).strip("._") or "plot"
    name, number = f"{stem}{suffix}", 2
    while name in taken:
        name, number = f"{stem}_{number}{suffix}", number + 1
    return name


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
            # matrices of several revisions stand side by side: they need the room of two plots
            yield Plot(spec=one.spec, title=one.title, wide="facet" in one.spec)
            continue
        title = f"{one.title} ({one.revisions[0]})" if len(views) > 1 else one.title
        yield Image(content=one.picture, mime=one.mime, title=title)
    if plots.failed:
        yield Table(
            caption="What could not be drawn",
            header=("Plot", "Revision", "Why"),
            rows=tuple((one.id, one.revision, str(one.error)) for one in plots.failed),
        )

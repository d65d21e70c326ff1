"""A report as one HTML file that needs no network, no server and no other file.

Styles, scripts, data and pictures are written into it; its content security policy allows
nothing else. It reads from `file://`, on a phone, in the dark and on paper.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.errors import Error
from assay.render.sections import (
    Code,
    Fact,
    Facts,
    Heading,
    Image,
    Plot,
    Section,
    Table,
    Text,
    Tree,
    Verdict,
)
from assay.render.tables import even, format_number, numeric_columns

if TYPE_CHECKING:
    from jinja2 import Environment

MAX_TABLE_ROWS = 200  # a plot with more rows than this is shown without its data as a table

_HERE = Path(__file__).parent
_MIME = re.compile(r"image/(png|jpeg|gif|webp|svg\+xml)")


def page(
    title: str,
    sections: Sequence[Section],
    *,
    lead: str = "",
    origin: Mapping[str, str] | None = None,
    footer: str = "",
) -> str:
    """Return a whole HTML document.

    Parameters
    ----------
    title : str
        The first heading, and the name of the window.
    sections : sequence of Section
        What the page shows, from the top.
    lead : str
        The answer in a sentence or two; it is the first thing that is seen.
    origin : mapping of str to str, optional
        Where the content comes from, in small figures below: commit, run, time.
    footer : str
        The last line.

    Raises
    ------
    assay.base.errors.Error
        If an image is of a kind that pages do not show.
    """
    blocks = list(_blocks(sections))
    has_plots = any(block["part"] == "plots" for block in blocks)
    scripts = _scripts() if has_plots else ()
    return (
        _environment()
        .get_template("page.html")
        .render(
            title=title,
            lead=lead,
            origin=dict(origin or {}),
            footer=footer,
            blocks=blocks,
            policy=_policy(scripts),
            style=_raw(_static("report.css")),
            scripts=[_raw(script) for script in scripts],
            licences=_raw(_static("vendor/vega-bundle.LICENSES.txt")) if has_plots else "",
            zooms=any(
                '"name":"grid"' in plot["spec"] for block in blocks for plot in _plots_of(block)
            ),
        )
    )


def fragments(sections: Sequence[Section]) -> tuple[str, str]:
    """Return plots and pictures as HTML, and what a page of somebody else's needs to show them.

    The second is styles and scripts; like `page`, it asks no server.
    """
    parts = _environment().get_template("parts.html").module
    shown = [str(getattr(parts, block["part"])(block)) for block in _blocks(sections)]
    colours = _static("report.css").partition("* { box-sizing")[0]
    scripts = "\n".join(f'<script type="module">{script}</script>' for script in _scripts())
    licences = _static("vendor/vega-bundle.LICENSES.txt")
    return "\n".join(shown), (
        f"<style>{colours}</style>\n{scripts}\n"
        f'<script type="text/plain" class="licences">{licences}</script>'
    )


def _blocks(sections: Sequence[Section]) -> Iterable[dict[str, Any]]:
    """Yield what the template sets: the macro's name, the heading's level, the content."""
    level, number = 2, 0
    row: dict[str, Any] | None = None
    for section in sections:
        if isinstance(section, Plot):
            number += 1
            if row is None:
                row = {"part": "plots", "level": level, "plots": []}
            row["plots"].append(_plot(section, number))
            continue
        if row is not None:
            yield row
            row = None
        if isinstance(section, Heading):
            level = 3
            yield {"part": "heading", "level": 2, "title": section.title}
        else:
            yield {"level": level, **_block(section)}
    if row is not None:
        yield row


def _block(section: Section) -> dict[str, Any]:
    match section:
        case Text(body=body, title=title):
            paragraphs = [part.strip() for part in re.split(r"\n\s*\n", body) if part.strip()]
            return {"part": "text", "title": title, "paragraphs": paragraphs}
        case Facts(facts=facts, title=title):
            return {"part": "facts", "title": title, "facts": [_fact(fact) for fact in facts]}
        case Table(caption=caption, header=header, rows=rows, note=note):
            return {"part": "table", "title": caption, "note": note, **_table(header, rows)}
        case Image(title=title, content=content, mime=mime, alt=alt):
            source = _data_uri(content, mime, title)
            return {"part": "image", "title": title, "source": source, "alt": alt or title}
        case Verdict():
            return {"part": "verdict", **msgspec.structs.asdict(section)}
        case Code(text=text, title=title):
            return {"part": "code", "title": title, "text": text}
        case Tree(text=text, title=title):
            return {"part": "tree", "title": title, "text": text}
        case _:
            raise AssertionError(section)


def _fact(fact: Fact) -> dict[str, Any]:
    words = {True: "better", False: "worse", None: ""}
    return {
        "name": fact.name,
        "value": fact.value if isinstance(fact.value, str) else format_number(fact.value),
        "unit": fact.unit,
        "change": fact.change,
        "word": words[fact.better],
    }


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[str, Any]:
    right = numeric_columns(rows, n_columns=len(header))
    return {"header": list(header), "rows": even(rows, len(header)), "right": right}


def _plot(plot: Plot, number: int) -> dict[str, Any]:
    spec = dict(plot.spec)
    own = spec.pop("title", "")
    title = plot.title or str(own.get("text", "") if isinstance(own, dict) else own)
    label = ". ".join(part for part in (title or f"Plot {number}", plot.note) if part)
    spec.setdefault("description", label)
    return {
        "id": f"plot-{number}",
        "title": title,
        "label": label,
        "note": plot.note,
        "wide": plot.wide,
        "spec": _json(spec),
        "data": _data_table(spec),
    }


def _data_table(spec: Mapping[str, Any]) -> dict[str, Any] | None:
    data = spec.get("data")
    rows = data.get("values") if isinstance(data, dict) else None
    if not isinstance(rows, list) or not 0 < len(rows) <= MAX_TABLE_ROWS:
        return None
    if not all(isinstance(row, dict) for row in rows):
        return None
    header = list(dict.fromkeys(name for row in rows for name in row))
    return _table(header, [[format_number(row.get(name)) for name in header] for row in rows])


def _plots_of(block: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(block.get("plots", []))


def _json(document: Any) -> str:
    """Return JSON that cannot end the script element it stands in; NaN becomes null."""
    text = msgspec.json.encode(document).decode().replace("<", "\\u003c")
    return _raw(text)


def _data_uri(content: bytes, mime: str, title: str) -> str:
    if not _MIME.fullmatch(mime):
        raise Error(
            f"'{mime}' is not a picture that a page can show",
            where=title or None,
            hint="use PNG, JPEG, GIF, WebP or SVG",
        )
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


def _policy(scripts: Sequence[str]) -> str:
    """Allow exactly the scripts that we write; Vega sets style attributes, so styles are free."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    )
    return (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src {hashes or repr('none')}; base-uri 'none'; form-action 'none'"
    )


def _scripts() -> tuple[str, ...]:
    return _static("vendor/vega-bundle.js"), _static("report.js")


@cache
def _static(name: str) -> str:
    return (_HERE / "static" / name).read_text(encoding="utf-8")


def _raw(text: str) -> str:
    """Mark text of our own, or text that is already escaped, as ready for the page."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 -- our own files, and JSON without a '<'


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

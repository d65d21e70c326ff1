"""What a page is made of. `assay.render.page` sets it; this file only says what there is."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Heading(msgspec.Struct, frozen=True):
    """A part of the page begins; the titles of what follows are one level below it."""

    title: str


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """Running text; an empty line begins a new paragraph."""

    body: str
    title: str = ""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one question, with a sign and a word, never by colour alone."""

    answer: Literal["yes", "no", "unclear"]
    text: str
    note: str = ""
    title: str = ""


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """A figure that is worth its size on the page."""

    name: str
    value: str | float | None
    unit: str = ""
    change: str = ""  # such as "+0.2 to base"
    better: bool | None = None  # whether the change is wanted; none: neither way


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """A few figures side by side."""

    facts: tuple[Fact, ...]
    title: str = ""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Rows under a header; columns that hold only numbers are right-aligned."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


class Plot(msgspec.Struct, frozen=True, kw_only=True):
    """A Vega-Lite specification with its data; two plots in a row stand side by side."""

    spec: dict[str, Any]
    title: str = ""  # the specification's own, where it is not given
    note: str = ""
    wide: bool = False  # takes the whole width also beside other plots


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """A picture, written into the page."""

    content: bytes
    mime: str
    title: str = ""
    alt: str = ""


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """Text whose spaces and lines count: a command, a file, a log."""

    text: str
    title: str = ""


class Tree(msgspec.Struct, frozen=True, kw_only=True):
    """A tree that is drawn with characters, such as a lineage."""

    text: str
    title: str = ""


Section = Heading | Text | Verdict | Facts | Table | Plot | Image | Code | Tree

"""Rows of plot data in the one form that every template draws: one x, one y, one row a point.

A definition may ask for several columns or files at once; here they become one y column and a
column that tells them apart. `assay.render.plot_templates` makes the picture.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Literal

import msgspec

from assay.base.errors import Error, NotFound, did_you_mean

REV = "rev"
FILENAME = "filename"
FIELD = "field"
STEP = "step"

# a whole number is its only group; digits after a zero, such as '007', are a name
_NUMBER = re.compile(
    r"(-?(?:0|[1-9]\d*))|[+-]?(?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:0|[1-9]\d*)(?:[eE][+-]?\d+)?",
    re.ASCII,
)

Row = Mapping[str, Any]
Kind = Literal["quantitative", "temporal", "nominal"]


class PlotDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """What a plot is to show, in the words of DVC's `plots:`."""

    title: str = ""
    x: str | dict[str, str] | None = None  # a column, or one for each file; none: the row's number
    y: str | tuple[str, ...] | dict[str, tuple[str, ...]] | None = None  # none: the last column
    template: str = "linear"
    x_label: str | None = None
    y_label: str | None = None


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """Plot data in long form, with what a template has to know about it."""

    rows: list[dict[str, Any]]
    title: str
    x: str
    y: str
    x_label: str
    y_label: str
    x_kind: Kind
    y_kind: Kind
    revs: tuple[str, ...]  # in order of appearance; empty where no row has a revision
    source: str | None  # the column that tells files or columns apart
    sources: tuple[str, ...]

    @property
    def group(self) -> list[str]:
        """The columns whose values together name one series."""
        return [*([REV] if self.revs else []), *([self.source] if self.source else [])]


def make_frame(rows: Sequence[Row], definition: PlotDefinition, *, whole: bool = False) -> Frame:
    """Bring rows into long form.

    Parameters
    ----------
    rows : sequence of mapping
        One mapping of column to value a row. The columns `rev` (a revision) and `filename`
        are not data: they tell rows of different revisions and files apart.
    definition : PlotDefinition
        Which columns to show, and how.
    whole : bool
        Keep the columns that are not shown, too: a template of a user's own may name them.

    Raises
    ------
    assay.base.errors.Error
        If there are no rows, or a column that is asked for is in none of them.
    """
    where = definition.title or None
    if not rows:
        raise Error("there is no data to plot", where=where)
    _check_columns(rows, definition)
    points = list(_points(rows, definition))
    if not points:
        raise Error("no row has both a value for x and one for y", where=where)
    fields = _unique(point.field for point in points)
    x, y = _names(points, fields)
    source, sources = _sources(points, fields)
    x_kind = _kind([point.x for point in points])
    return Frame(
        rows=[
            (_others(point.row) if whole else {}) | _row(point, x, y, source, x_kind)
            for point in points
        ],
        title=definition.title,
        x=x,
        y=y,
        x_label=x if definition.x_label is None else definition.x_label,
        y_label=y if definition.y_label is None else definition.y_label,
        x_kind=x_kind,
        y_kind=_kind([point.y for point in points]),
        revs=_unique(point.rev for point in points if point.rev is not None),
        source=source,
        sources=sources,
    )


def as_number(text: str) -> int | float | str:
    """Return the number that a text shows, or the text where it shows none.

    Examples
    --------
    >>> [as_number(text) for text in ("12", "0.5", "1e-4", "007", "02e31", "n/a", "")]
    [12, 0.5, 0.0001, '007', '02e31', 'n/a', '']
    """
    found = _NUMBER.fullmatch(text)
    if found is None:
        return text
    return int(text) if found.lastindex else float(text)


class _Point(msgspec.Struct, frozen=True, kw_only=True):
    row: Row
    x: Any
    y: Any
    x_field: str
    field: str
    filename: str | None
    rev: str | None


def _points(rows: Sequence[Row], definition: PlotDefinition) -> Iterable[_Point]:
    steps: dict[tuple[object, object], int] = {}
    last = _last_column(rows[0])
    for row in rows:
        key = (row.get(REV), row.get(FILENAME))
        steps[key] = steps.get(key, -1) + 1
        x_field = _x_field(row, definition)
        for field in _y_fields(row, definition, last):
            if field in row and (x_field == STEP or x_field in row):
                yield _Point(
                    row=row,
                    x=row.get(x_field, steps[key]) if definition.x else steps[key],
                    y=row[field],
                    x_field=x_field,
                    field=field,
                    filename=_text(row.get(FILENAME)),
                    rev=_text(row.get(REV)),
                )


def _x_field(row: Row, definition: PlotDefinition) -> str:
    if isinstance(definition.x, dict):
        name = definition.x.get(str(row.get(FILENAME)))
        return name if name is not None else next(iter(definition.x.values()), STEP)
    return definition.x or STEP


def _y_fields(row: Row, definition: PlotDefinition, last: str) -> tuple[str, ...]:
    if definition.y is None:
        return (last,)
    if isinstance(definition.y, str):
        return (definition.y,)
    if isinstance(definition.y, dict):
        return definition.y.get(str(row.get(FILENAME)), ())
    return definition.y


def _last_column(row: Row) -> str:
    names = [name for name in row if name not in {REV, FILENAME, FIELD}]
    if not names:
        raise Error("the plot data has no columns")
    return names[-1]


def _check_columns(rows: Sequence[Row], definition: PlotDefinition) -> None:
    known = _unique(name for row in rows for name in row)
    y = definition.y
    listed = [y] if isinstance(y, str) else y or ()
    if isinstance(listed, dict):
        listed = [name for names in listed.values() for name in names]
    x = definition.x
    wanted = [*(x.values() if isinstance(x, dict) else [x] if x else []), *listed]
    for name in wanted:
        if name not in known:
            raise NotFound(
                f"the plot data has no column '{name}'; it has "
                + ", ".join(f"'{column}'" for column in known if column not in {REV, FILENAME}),
                where=definition.title or None,
                hint=did_you_mean(name, known),
            )


def _names(points: Sequence[_Point], fields: tuple[str, ...]) -> tuple[str, str]:
    xs = _unique(point.x_field for point in points)
    x = xs[0] if len(xs) == 1 else "x"
    y = fields[0] if len(fields) == 1 else "value"
    while y == x or y in {REV, FILENAME, FIELD}:
        y += "_"
    return x, y


def _sources(
    points: Sequence[_Point], fields: tuple[str, ...]
) -> tuple[str | None, tuple[str, ...]]:
    by_file = len({point.filename for point in points}) > 1
    by_field = len(fields) > 1
    if not by_file and not by_field:
        return None, ()
    column = "::".join(name for name, on in ((FILENAME, by_file), (FIELD, by_field)) if on)
    return column, _unique(_source(point, column) for point in points)


def _source(point: _Point, column: str) -> str:
    parts = {FILENAME: point.filename or "", FIELD: point.field}
    return "::".join(parts[part] for part in column.split("::"))


def _others(row: Row) -> dict[str, Any]:
    return {name: _plain(value) for name, value in row.items() if name != FILENAME}


def _row(point: _Point, x: str, y: str, source: str | None, x_kind: Kind) -> dict[str, Any]:
    row = {x: _moment(point.x) if x_kind == "temporal" else _plain(point.x), y: _plain(point.y)}
    if point.rev is not None:
        row[REV] = point.rev
    if source is not None:
        row[source] = _source(point, source)
    return row


def _kind(values: Sequence[Any]) -> Kind:
    present = [value for value in values if value is not None]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in present):
        return "quantitative"
    return "temporal" if all(_is_moment(value) for value in present) else "nominal"


def _is_moment(value: Any) -> bool:
    if isinstance(value, date):
        return True
    if not isinstance(value, str) or not re.match(r"\d{4}-\d\d-\d\d", value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _moment(value: Any) -> Any:
    """Return a time as ISO text in UTC: a browser would take text without a zone for local."""
    if value is None:
        return None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = value.isoformat()
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.isoformat().replace("+00:00", "Z")


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no such number
    if value is None or isinstance(value, str | int | float):
        return value
    return str(value)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))

"""Runs as a narrow table: one line a run, and only the columns that tell runs apart.

What is the same in all runs stands once below the table. Figures of a column end in the same
decimal place. A stage's parameters and metrics count as those of the run that it is a part of.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.clock import duration
from assay.ledger.found import FoundRun
from assay.ledger.search.columns import Column

if TYPE_CHECKING:
    from assay.ledger.writer import Metric

PARAMS_FILE = "params.yaml:"
_ID_DIGITS = 13  # as in 'assay runs list'
_MOST_PARAMS, _MOST_METRICS = 8, 8
_WIDEST = 40  # characters of a cell
SYSTEM = "system/"
_QUANTITIES = {"start_time", "end_time", "duration"}  # figures with units: they end alike


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Header and rows for people, what is the same in all rows, and what has no place."""

    header: list[str]
    rows: list[list[str]]
    same: dict[str, str]
    left_out: list[str]


def with_parts(run: FoundRun, children: Iterable[FoundRun]) -> FoundRun:
    """Return a run with the parameters and metrics of its parts.

    A key that two parts have with different values has the stage before it.
    """
    some = list(children)
    return msgspec.structs.replace(
        run,
        params=_merged(run.params, [(one, one.params) for one in some]),
        metrics=_merged(run.metrics, [(one, one.metrics) for one in some]),
    )


def _merged(own: Mapping[str, Any], parts: Sequence[tuple[FoundRun, Mapping[str, Any]]]) -> Any:
    values: dict[str, list[Any]] = {}
    for _, of_part in parts:
        for key, value in of_part.items():
            known = values.setdefault(key, [])
            known += [value] * (_plain(value) not in map(_plain, known))
    merged = dict(own)
    for part, of_part in parts:
        for key, value in of_part.items():
            if len(values[key]) == 1:
                merged.setdefault(key, value)
            else:
                merged.setdefault(f"{part.stage or part.name}.{key}", value)
    return merged


def _plain(value: Metric | str) -> str:
    return value if isinstance(value, str) else repr(value.value)


def columns_of(runs: Sequence[FoundRun]) -> list[Column]:
    """Return the columns that may tell runs apart, metrics last; not those of the system."""
    attributes = ("run_id", "run_name", "experiment", "status", "start_time", "duration")
    found = [Column(entity="attribute", key=key) for key in attributes]
    params = Counter(key for run in runs for key in run.params)
    metrics = Counter(key for run in runs for key in run.metrics if not key.startswith(SYSTEM))
    found += [Column(entity="param", key=key) for key in params]
    return found + [Column(entity="metric", key=key) for key in metrics]


def table(
    runs: Sequence[FoundRun],
    columns: Sequence[Column],
    *,
    now: int,
    keeps_all: bool = False,
    width: int | None = None,
) -> Table:
    """Return the table of runs.

    Parameters
    ----------
    now : int
        The present in Unix milliseconds: ages are counted to it.
    keeps_all : bool
        Show columns in which all runs have the same, too.
    width : int, optional
        What fits: further columns are left out and named.
    """
    names = _names(columns)
    shown = {column: _cells(column, runs, now=now) for column in columns}
    varying = [one for one in columns if keeps_all or _tells_apart(one, shown[one])]
    same = {
        names[one]: shown[one][0]
        for one in columns
        if one not in varying and len(runs) > 1 and set(shown[one]) != {"-"}
    }
    kept, left_out = _fitting(varying, names, shown, width) if width else (varying, [])
    for one in kept:
        if one.entity == "attribute" and one.key in _QUANTITIES:
            widest = max(len(cell) for cell in (names[one], *shown[one]))
            names[one], shown[one] = (
                names[one].rjust(widest),
                [cell.rjust(widest) for cell in shown[one]],
            )
    return Table(
        header=[names[one] for one in kept],
        rows=[list(line) for line in zip(*(shown[one] for one in kept), strict=True)],
        same=same,
        left_out=[names[one] for one in left_out],
    )


def _tells_apart(column: Column, cells: Sequence[str]) -> bool:
    if column.key in {"run_id", "start_time"} and column.entity == "attribute":
        return True
    if len(cells) == 1:
        return column.key != "experiment" and cells[0] != "-"
    return len(set(cells)) > 1


SHORT = {"run_id": "run", "run_name": "name", "start_time": "age", "duration": "took",
          "user_id": "owner"}  # fmt: skip
"""Headings of attributes."""


def _names(columns: Sequence[Column]) -> dict[Column, str]:
    """Return short headers: a key alone, unless two columns would have the same one."""
    plain = {
        one: SHORT.get(one.key, one.key)
        if one.entity == "attribute"
        else one.key.removeprefix(PARAMS_FILE)
        for one in columns
    }
    counts = Counter(plain.values())
    return {one: name if counts[name] == 1 else one.name for one, name in plain.items()}


def _cells(column: Column, runs: Sequence[FoundRun], *, now: int) -> list[str]:
    values = [column.of(run) for run in runs]
    if column.entity == "metric":
        return figures(values)
    if column.entity == "attribute" and column.key in {"start_time", "end_time"}:
        return ["-" if value is None else age(now - value) for value in values]
    if column.entity == "attribute" and column.key == "duration":
        return [
            "-" if value is None else duration(round(value, 1 if value >= 1 else 2))
            for value in values
        ]
    cells = ["-" if value is None else _cut(str(value)) for value in values]
    if column.entity == "attribute" and column.key in {"run_id", "parent", "commit"}:
        digits = 7 if column.key == "commit" else _ID_DIGITS
        return [cell[:digits] for cell in cells]
    return cells


def _cut(text: str) -> str:
    """Return a text in one line, and no longer than a cell may be."""
    line = " ".join(text.split()) if "\n" in text else text
    return line if len(line) <= _WIDEST else f"{line[: _WIDEST - 1]}…"


def age(milliseconds: int) -> str:
    """Return how long ago something was, in one unit.

    Examples
    --------
    >>> age(5_000), age(150_000), age(7_300_000), age(90 * 86_400_000)
    ('5s', '2m', '2h', '90d')
    """
    seconds = max(0, milliseconds // 1000)
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def figures(values: Sequence[float | None], digits: int = 4) -> list[str]:
    """Return figures of one column, all with the same decimal places where that reads well.

    Examples
    --------
    >>> figures([0.12345678, 0.5, None, 12.0])
    ['0.1235', '0.5000', '-', '12.0000']
    >>> figures([3.0, 12.0]), figures([1e-9, 2.5])
    (['3', '12'], ['1e-09', '2.5'])
    """
    from assay.render.tables import format_number

    finite = [abs(one) for one in values if one is not None and math.isfinite(one)]
    small = min((one for one in finite if one), default=1.0)
    if small < 10**-digits or max(finite, default=0) >= 10**7:
        return [format_number(one, digits) for one in values]
    if all(one == int(one) for one in finite):
        places = 0
    else:
        places = max(_places(one, digits) for one in finite)
    return [
        "-" if one is None else f"{one:.{places}f}" if math.isfinite(one) else str(one)
        for one in values
    ]


def _places(value: float, digits: int) -> int:
    """Return how many decimal places show so many significant digits, and no zeros at the end."""
    whole = math.floor(math.log10(value)) + 1 if value else 1
    text = f"{value:.{max(0, digits - max(whole, 0) if whole > 0 else digits - whole)}f}"
    return len(text.rstrip("0").partition(".")[2])


def _fitting(
    columns: Sequence[Column],
    names: Mapping[Column, str],
    shown: Mapping[Column, Sequence[str]],
    width: int,
) -> tuple[list[Column], list[Column]]:
    """Return the columns that fit, and the others; parameters make room for metrics."""
    from assay.render.tables import width as columns_of_text

    sizes = {
        one: max(columns_of_text(cell) for cell in (names[one], *shown[one])) + 2
        for one in columns
    }
    kept = list(columns)
    for entity in ("param", "metric"):
        for column in reversed([one for one in columns if one.entity == entity]):
            if sum(sizes[one] for one in kept) - 2 <= width:
                break
            kept.remove(column)
    return kept, [one for one in columns if one not in kept]
